// SPDX-License-Identifier: MIT
/*
 * oracle_run.h - counts a program with the library of oracle_malloc.c in front of the agent.
 */
#ifndef PG_TESTS_PROGRAMS_ORACLE_RUN_H
#define PG_TESTS_PROGRAMS_ORACLE_RUN_H

#include "tests/agent/harness.h"
#include "tests/programs/verdict.h"

/** The memory that the library writes into, and its file. Ends the test program with a message on failure. */
struct verdict_sums *oracle_set_up(void);
void oracle_tear_down(struct verdict_sums *sums);

/** Runs argv; every nth allocation of a thread is compared, every verify_every-th reused stack checked by the agent
 * (0: none). sums holds this run's alone. */
void oracle_run(const char *const *argv, unsigned every, unsigned verify_every, struct verdict_sums *sums,
                struct counted *ret);

#endif
