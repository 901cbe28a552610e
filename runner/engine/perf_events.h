// SPDX-License-Identifier: MIT
/*
 * perf_events.h - the kernel's clocks on a target: one task-clock event for each CPU, inherited by threads and
 * children, each with a ring.
 *
 * A software clock, for hardware counters are missing on most machines that run checks. It ticks in the CPU time of
 * the thread, in the kernel too where that may be seen. The descriptors are close-on-exec and stay with the runner.
 */
#ifndef PG_ENGINE_PERF_EVENTS_H
#define PG_ENGINE_PERF_EVENTS_H

#include <sys/types.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/engine/perf_ring.h"

struct pg_perf_options {
        uint64_t period_ns;
        uint32_t stack_bytes; // a multiple of 8, at most PG_PERF_STACK_MAX
};
enum { PG_PERF_STACK_MAX = 64512 }; // with all else a record stays under 64 KiB

struct pg_perf_events {
        int *fds;
        struct pg_perf_ring *rings;
        void **maps;
        size_t map_bytes, n;
        bool user_only;  // kernel time may not be seen
        bool lost_known; // the kernel counts lost samples for each event (Linux 6.0)
};

/** Why such events cannot be had on this machine, NULL when they can: tried on this very process. */
const char *pg_perf_events_obstacle(const struct pg_perf_options *options, struct pg_arena *a);

/** Opens them for process pid, to be enabled by its next exec. PG_EOS with a reason. */
PG_MUST_CHECK bool pg_perf_events_open(struct pg_perf_events *e, pid_t pid,
                                       const struct pg_perf_options *options, struct pg_error *err);
/** Takes a zeroed one. */
void pg_perf_events_close(struct pg_perf_events *e);

/** CPU time that the events have counted, kernel included; and lost samples as far as the kernel says. */
void pg_perf_events_counted(const struct pg_perf_events *e, uint64_t *ret_ns, uint64_t *ret_lost);

#endif
