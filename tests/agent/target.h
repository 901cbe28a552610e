// SPDX-License-Identifier: MIT
/*
 * target.h - runs a fixture with the sampler inside, or bare, and adds up its samples between the addresses
 * that it prints.
 */
#ifndef PG_TESTS_AGENT_TARGET_H
#define PG_TESTS_AGENT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/engine/engine.h"

struct target_run {
        struct pg_arena *arena;
        int status; // exit status; 128 + n after signal n; -1 when the engine or the start failed
        char out[16384];
        uint64_t user_ns, system_ns;  // of the whole tree
        struct pg_captured *captured; // NULL when bare
        uint64_t period_ns;
};

/** argv[0] is a path. rate_hz 0: bare. Never fails an assertion, so it may be used in a forked child. */
void target_run(struct target_run *run, const char *agent, uint32_t rate_hz, enum pg_clock clock,
                const char *const *argv);
void target_run_deinit(struct target_run *run);

/* Samples of one function over all processes. */
struct target_sum {
        double weight_ns, samples;
        double variance_ns2; // of the weight, if each sample came or not by chance alone
};

/** Between the addresses of the line "function NAME START END"; all zero when there is no such line. */
struct target_sum target_function(const struct target_run *run, const char *name);

/** The number in the line "cpu NAME NS" or "NAME N"; -1 when there is none. */
double target_number(const struct target_run *run, const char *line_start);

#endif
