// SPDX-License-Identifier: MIT
/*
 * interference.h - perfgate doctor --interference: does a command notice that it is measured?
 */
#ifndef PG_CLI_INTERFERENCE_H
#define PG_CLI_INTERFERENCE_H

#include "ci/cli/command.h"

/**
 * Runs command bare and in each kind of pass, compares, and prints a table.
 *
 * ret   PASS when nothing differs; ERROR when something does (a promise of perfgate's is broken, which is its
 *       failure and not the command's); NOTHING when no pass could get into the command
 * err   PG_ETARGET when a bare run fails; PG_ESTOPPED
 */
PG_MUST_CHECK bool pg_interference(const char *const *command, uint64_t timeout_ns, enum pg_exit *ret,
                                   struct pg_error *err);

#endif
