// SPDX-License-Identifier: MIT
/*
 * measure.h - runs one benchmark through the passes that its metrics need.
 */
#ifndef PG_MEASURE_MEASURE_H
#define PG_MEASURE_MEASURE_H

#include "runner/base/arena.h"
#include "runner/launch/launch.h"
#include "runner/measure/measurement.h"
#include "runner/measure/workload.h"
#include "runner/profile/profile.h"

/* Where the parts of perfgate that go into a target's tree are. */
struct pg_install {
        const char *helper_path, *agent_path;
};

/** Finds helper and agent beside the running executable or in the folders of an installation; strings in a.
 */
PG_MUST_CHECK bool pg_install_find(struct pg_arena *a, struct pg_install *ret, struct pg_error *err);

struct pg_measure_options {
        struct pg_launcher *launcher;
        const char *agent_path;
        const volatile int *stop; // non-zero: give up (PG_ESTOPPED)
        uint32_t sample_rate_hz;  // 997
        uint64_t deadline_ns; // CLOCK_MONOTONIC; 0: none. Stops taking further samples, never the first of a
                              // pass
        /* Called before each process run: runs done and to do in all, and nanoseconds left by estimate (0:
         * unknown). */
        void (*progress)(void *user, const char *what, uint32_t done, uint32_t total, uint64_t left_ns);
        void *user;
};

/* What a benchmark gave. */
struct pg_measured {
        struct pg_measurement measurement; // lives in the arena of the call
        struct pg_profile *cpu, *heap;     // NULL when not made; destroy them
};

/**
 * Measures w.
 *
 * a     keeps every string and array of ret->measurement
 * err   PG_ETARGET: could not start, wrong exit status, signal, time-out; the text says which, with the end
 * of the target's standard error. PG_ESTOPPED. A metric that cannot be had is not an error: its series says
 * why.
 */
PG_MUST_CHECK bool pg_measure(const struct pg_workload *w, const struct pg_measure_options *options,
                              struct pg_arena *a, struct pg_measured *ret, struct pg_error *err);

#endif
