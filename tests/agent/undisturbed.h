// SPDX-License-Identifier: MIT
/*
 * undisturbed.h - the same target bare and in each kind of pass: what it says and how it ends must be equal.
 */
#ifndef PG_TESTS_AGENT_UNDISTURBED_H
#define PG_TESTS_AGENT_UNDISTURBED_H

#include "tests/agent/harness.h"

enum guest_pass { GUEST_BARE, GUEST_COUNT, GUEST_EVENT, GUEST_TIMER, GUEST_LOCK, GUEST_PASSES };

/** "bare", "counting", ... */
const char *guest_pass_name(enum guest_pass pass);

/** Runs argv in one kind of pass, sampling at a high rate; prepare (or NULL) is called in the child before
 * exec. Of a bare run ret->captured is NULL. */
void guest_run(enum guest_pass pass, const char *const *argv, prepare_function *prepare, struct counted *ret);

/** Where and how often the agent was in: prints what is wrong and returns false. */
typedef bool check_function(enum guest_pass pass, const struct counted *run);

/**
 * Runs argv bare and in each pass; fails when one does not end with status, or says anything else than the bare
 * run. check (or NULL) looks at each measured run.
 */
void assert_undisturbed(const char *const *argv, prepare_function *prepare, int status,
                        check_function *check);

/** A check: the agent was in at least one process. */
bool was_measured(enum guest_pass pass, const struct counted *run);

#endif
