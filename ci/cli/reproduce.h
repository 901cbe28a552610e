// SPDX-License-Identifier: MIT
/*
 * reproduce.h - command lines for people to copy, quoted for a shell.
 */
#ifndef PG_CLI_REPRODUCE_H
#define PG_CLI_REPRODUCE_H

#include "runner/base/buf.h"

/** "perfgate" and the words of argv (argv[0] is the command's name). */
PG_MUST_CHECK bool pg_reproduce(char **argv, struct pg_buf *out, struct pg_error *err);
/** The same with --save-baseline FILE in place of --baseline and of any other --save-baseline. */
PG_MUST_CHECK bool pg_reproduce_saving(char **argv, const char *baseline_path, struct pg_buf *out,
                                       struct pg_error *err);

#endif
