// SPDX-License-Identifier: MIT
/*
 * machine.h - perfgate doctor: what this machine can measure, how noisy it is, and what to change.
 */
#ifndef PG_CLI_MACHINE_H
#define PG_CLI_MACHINE_H

#include "runner/base/error.h"

/** Prints it; takes about a second. */
PG_MUST_CHECK bool pg_machine_report(struct pg_error *err);

#endif
