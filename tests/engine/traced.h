// SPDX-License-Identifier: MIT
/*
 * traced.h - runs a fixture through the launch helper while an engine samples it from outside, and adds
 * up its samples between the addresses that the fixture prints.
 */
#ifndef PG_TESTS_ENGINE_TRACED_H
#define PG_TESTS_ENGINE_TRACED_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/engine/engine.h"
#include "runner/engine/tracer.h"
#include "runner/launch/launch.h"

struct traced_run {
        struct pg_arena *arena;
        struct pg_error err; // of what failed; PG_OK else
        struct pg_launch_result result;
        char out[65536];              // standard output
        const char *program;          // argv[0]
        uint64_t load_address;        // of the program's first segment, in the file's own terms
        struct pg_captured *captured; // NULL: bare, or failed
        uint64_t period_ns;
};

/** The helper for all runs of a test program. */
int traced_setup(void **state);
int traced_teardown(void **state);
/** Another one, of a copy that every user may run; to be made before the user is changed, and started after. */
bool traced_copy_helper(char path[64]);
bool traced_start_helper(const char *path);

/** engine NULL: bare. rate_hz as the engine gets it. argv[0] is a path. timeout_ns 0: two minutes. */
void traced_run(struct traced_run *run, const struct pg_engine_ops *engine, uint32_t rate_hz,
                uint64_t timeout_ns, const char *const *argv);

/** The same by the tracer alone, as often as one likes; nothing is captured. */
void traced_run_often(struct traced_run *run, uint64_t period_ns, struct pg_trace_counts *ret,
                      const char *const *argv);
void traced_run_deinit(struct traced_run *run);

struct traced_sum {
        double weight_ns, samples;
        double variance_ns2; // of the weight, if each sample came or not by chance alone
};

/** Innermost frames between the addresses of the line "function NAME START END", over all processes of the
 * program. */
struct traced_sum traced_function(const struct traced_run *run, const char *name);
/** Everything. */
struct traced_sum traced_all(const struct traced_run *run);
/** Samples whose stack does not reach the outermost frame. */
double traced_incomplete(const struct traced_run *run);
double traced_lost_ns(const struct traced_run *run);

/** The number in the line "LINE_START N"; -1 when there is none. */
double traced_number(const struct traced_run *run, const char *line_start);

#endif
