// SPDX-License-Identifier: MIT
/*
 * escape.h - names from outside (symbols, files, benchmarks) made harmless for where they are shown.
 *
 * Symbols of a hostile pull request may hold anything: escape sequences for the terminal, HTML, line ends
 * that start a workflow command. Every string in a report goes through here once.
 */
#ifndef PG_CI_ESCAPE_H
#define PG_CI_ESCAPE_H

#include "runner/base/arena.h"
#include "runner/base/buf.h"

/**
 * s with everything that is not printed as one visible sign written as \xNN or \u{NNNN}: control characters,
 * bytes that are no UTF-8, signs without width, signs that turn the direction of text, and the start of what
 * a log reader would take for a workflow command. In arena a; NULL when out of memory or when s is NULL.
 */
char *pg_printable(struct pg_arena *a, const char *s);

/** Signs (code points) of a printable string, as each of them takes about one column. */
size_t pg_columns(const char *s);
/** s when it is no longer than that many columns, else its two ends around "...". In arena a. */
const char *pg_shorten(struct pg_arena *a, const char *s, size_t columns);

/** Printable text for Markdown and HTML: every sign that either gives a meaning becomes an entity. */
void pg_put_markdown(struct pg_buf *out, const char *printable);
/** The message of a workflow command; with in_property, one of its properties. */
void pg_put_command(struct pg_buf *out, const char *s, bool in_property);

#endif
