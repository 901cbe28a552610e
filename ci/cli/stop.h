// SPDX-License-Identifier: MIT
/*
 * stop.h - SIGINT and SIGTERM become a flag that everything long looks at.
 */
#ifndef PG_CLI_STOP_H
#define PG_CLI_STOP_H

#include "runner/base/error.h"

/** Set to the signal's number once one came. */
extern volatile int pg_stop;

/** Installs the handlers; SIGPIPE and SIGXFSZ are ignored, so that writes fail with a reason instead. */
void pg_stop_install(void);

/** PG_ESTOPPED when a signal came. */
PG_MUST_CHECK bool pg_stop_check(struct pg_error *err);

#endif
