// SPDX-License-Identifier: MIT
/*
 * measure.h - runs one benchmark through the passes that its metrics need.
 */
#ifndef PG_MEASURE_MEASURE_H
#define PG_MEASURE_MEASURE_H

#include <stdbool.h>

#include "runner/base/arena.h"
#include "runner/capture/layout.h"
#include "runner/launch/launch.h"
#include "runner/measure/measurement.h"
#include "runner/measure/workload.h"
#include "runner/profile/profile.h"

/* Where the parts of perfgate that go into a target's tree are. */
struct pg_install {
        const char *helper_path;
        const char *agent_path;   // counts allocations
        const char *sampler_path; // the agent that samples
        const char *locks_path;   // the agent that stands in front of the lock functions
};

/** Finds helper and agents beside the running executable or in the folders of an installation; strings in a.
 */
PG_MUST_CHECK bool pg_install_find(struct pg_arena *a, struct pg_install *ret, struct pg_error *err);

/* The libraries of `perfgate doctor --interference`: one watches what a target sees, one does nothing. */
struct pg_probe_install {
        const char *probe_path, *blank_path;
};

/** The same for these. */
PG_MUST_CHECK bool pg_install_find_probe(struct pg_arena *a, struct pg_probe_install *ret,
                                         struct pg_error *err);

struct pg_measure_options {
        struct pg_launcher *launcher;
        const char *agent_path, *sampler_path, *locks_path; // of struct pg_install
        const volatile int *stop;                           // non-zero: give up (PG_ESTOPPED)
        const char *engine;                                 // for CPU samples: a name, or "auto"
        uint32_t sample_rate_hz;                            // 997
        enum pg_live live;                                  // which stacks hold the live bytes
        uint32_t verify_every;         // check every Nth reused stack of an allocation; 0: none
        uint64_t stack_interval_bytes; // 0: the stack of each allocation; else of one each so many bytes
        bool all_stacks;               // profiles keep the stacks that hold next to nothing
        /* One process for each pass, on the runner's own standard input, output and error. A target that fails is
         * told in pg_measured.failure and what it left is kept; there are no call sites. */
        bool once;
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
        /* NULL when not made; pg_measured_deinit destroys them. */
        struct pg_profile *cpu, *heap;
        struct pg_profile *locks;        // who waited for locks and conditions, as Go's block profile
        struct pg_profile *lock_holders; // who made others wait, as Go's mutex profile
        const char *failure;             // with once: how the first run that failed ended; NULL: none did
};

/** Destroys the profiles. */
void pg_measured_deinit(struct pg_measured *m);

/**
 * Measures w.
 *
 * a     keeps every string and array of ret->measurement
 * err   PG_EUSAGE: no engine has that name. PG_EDATA: a verified stack was wrong. PG_ETARGET: could not start,
 *       wrong exit status, signal, time-out; the text says which, with the end of the target's standard error.
 *       PG_ESTOPPED. A metric that cannot be had is not an error: its series says why.
 */
PG_MUST_CHECK bool pg_measure(const struct pg_workload *w, const struct pg_measure_options *options,
                              struct pg_arena *a, struct pg_measured *ret, struct pg_error *err);

#endif
