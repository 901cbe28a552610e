// SPDX-License-Identifier: MIT
/*
 * terminal.h - what standard output and standard error are, and what may be written there.
 */
#ifndef PG_CLI_TERMINAL_H
#define PG_CLI_TERMINAL_H

#include "ci/report/report.h"

enum pg_color { PG_COLOR_AUTO, PG_COLOR_ALWAYS, PG_COLOR_NEVER };
extern const char *const pg_color_choices[];

/** Style for tables on standard output: its width, and colour by option, NO_COLOR, TERM and whether it is a
 * terminal. */
struct pg_text_style pg_terminal_style(enum pg_color color, bool verbose);

/** Writes all of b to standard output; PG_EOS when that fails (a full disk, a closed pipe). */
PG_MUST_CHECK bool pg_write_output(const struct pg_buf *b, struct pg_error *err);
/** Flushes standard output; PG_EOS when anything written so far was lost. */
PG_MUST_CHECK bool pg_flush_output(struct pg_error *err);

#endif
