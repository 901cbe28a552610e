// SPDX-License-Identifier: MIT
/*
 * sampling.h - options about how stacks are got: which engine, which allocations, what is kept.
 */
#ifndef PG_CLI_SAMPLING_H
#define PG_CLI_SAMPLING_H

#include "ci/cli/options.h"
#include "runner/measure/measure.h"

struct pg_sampling_args {
        int engine;              // index into pg_engine_choices
        int live;                // index into pg_live_choices, which is enum pg_live
        uint32_t verify_every;   // 0: none
        uint32_t rate_hz;        // 0: PG_DEFAULT_RATE_HZ
        const char *allocations; // "exact", "sampled", "sampled:SIZE"; NULL: exact
        bool all_stacks;
};

enum { PG_DEFAULT_RATE_HZ = 997 }; // prime: no phase lock with work that repeats at a round period

extern const char *const pg_engine_choices[];
extern const char *const pg_live_choices[];

/* Option rows for a struct pg_sampling_args at `base`: those of every command that measures. */
// clang-format off
#define PG_SAMPLING_OPTIONS(base)                                                                            \
        { PG_OPTION_CHOICE, 0, "engine", (base) + offsetof(struct pg_sampling_args, engine),                 \
          "ENGINE", "how to sample the CPU: auto, agent, perf, ptrace", pg_engine_choices, 0 },              \
        { PG_OPTION_CHOICE, 0, "live", (base) + offsetof(struct pg_sampling_args, live),                     \
          "HOW", "which stacks hold live bytes: sampled, exact, off", pg_live_choices, 0 },                  \
        { PG_OPTION_TEXT, 0, "allocations", (base) + offsetof(struct pg_sampling_args, allocations),         \
          "HOW", "stacks of allocations: exact, or sampled[:SIZE] (default exact)", NULL, 0 },               \
        { PG_OPTION_COUNT, 0, "verify-stacks", (base) + offsetof(struct pg_sampling_args, verify_every),     \
          "N", "check every Nth reused stack against a full unwind", NULL, 1 }
// clang-format on

/** Checks the arguments and sets what they say in options; PG_EUSAGE names the option. */
PG_MUST_CHECK bool pg_sampling_apply(const struct pg_sampling_args *args, struct pg_measure_options *options,
                                     struct pg_error *err);

#endif
