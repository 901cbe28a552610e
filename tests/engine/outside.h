// SPDX-License-Identifier: MIT
/*
 * outside.h - runs a program under an engine that looks from outside, through the launch helper, and sums up.
 */
#ifndef PG_TESTS_ENGINE_OUTSIDE_H
#define PG_TESTS_ENGINE_OUTSIDE_H

#include "runner/engine/engine.h"
#include "runner/launch/launch.h"

struct profiled {
        struct pg_arena *arena;
        struct pg_captured *captured;
        struct pg_launch_result result;
        uint64_t samples, weight_ns, lost_samples, truncated, unknown;
        const char *again; // why another run with next would be better, NULL when it would not
        struct pg_engine_request next;
};

/** Runs argv (NULL-terminated) with the runner's environment. Ends the test program with a message when the engine
 * or the helper fails. output: where the target's standard output goes is decided by whether it inherits. */
void profile(const struct pg_engine_ops *engine, const char *const *argv, struct pg_engine_request request,
             struct profiled *ret);
/** The same again and again, until the engine has no better request. */
void profile_best(const struct pg_engine_ops *engine, const char *const *argv,
                  struct pg_engine_request request, struct profiled *ret);
void profiled_free(struct profiled *p);

/** CPU time of samples whose innermost frame is in the function of that name of the program itself (by its ELF symbol
 * table, unsuffixed), in all processes that run this program; and how many samples that are. */
uint64_t self_ns(const struct profiled *p, const char *program, const char *function);
/** CPU time of samples with that function anywhere in the stack. */
uint64_t total_ns(const struct profiled *p, const char *program, const char *function);
/** Share of the samples whose stack is complete. */
double complete(const struct profiled *p);

#endif
