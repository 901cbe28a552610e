// SPDX-License-Identifier: MIT
/*
 * harness.h - runs a program with the agent preloaded and hands over what was captured.
 *
 * Plain fork and exec: the launcher is not part of what these tests judge.
 */
#ifndef PG_TESTS_AGENT_HARNESS_H
#define PG_TESTS_AGENT_HARNESS_H

#include "runner/capture/capture.h"

struct counted {
        struct pg_arena *arena;
        struct pg_captured *captured;
        int exit_status; // 128 + n after signal n
        char output[65536];
        /* Sums over the tree. */
        uint64_t allocations, bytes, frees;
        int64_t live;
};

/** Path of the agents, and of a target program: valid for the next 31 calls. */
const char *agent_path(void);
const char *sampler_path(void);
const char *locks_path(void);
const char *target(const char *name);

/** Called in the child before exec, NULL for nothing. */
typedef void prepare_function(void);

/** Runs argv (NULL-terminated, argv[0] a path) in count mode; its standard output is kept. Ends the test
 * program with a message when the harness itself fails. */
void run_counted(const char *const *argv, prepare_function *prepare, struct counted *ret);
/** The same with everything asked for by the caller, with the agent that serves the mode. */
void run_requested(const struct pg_capture_request *request, const char *const *argv,
                   prepare_function *prepare, struct counted *ret);
/** The same with settings (",NAME=VALUE...") behind the agent's variable. */
void run_set_up(const struct pg_capture_request *request, const char *settings, const char *const *argv,
                prepare_function *prepare, struct counted *ret);
/** The same without the agent: output and exit status only. */
void run_plain(const char *const *argv, prepare_function *prepare, struct counted *ret);
void counted_free(struct counted *c);

/** The first process whose program ends with /name, or NULL. */
const struct pg_captured_process *process_of(const struct counted *c, const char *name);

#endif
