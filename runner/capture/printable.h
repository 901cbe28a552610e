// SPDX-License-Identifier: MIT
/*
 * printable.h - names from foreign processes as text that may be shown and stored.
 */
#ifndef PG_CAPTURE_PRINTABLE_H
#define PG_CAPTURE_PRINTABLE_H

#include <stddef.h>

/** Replaces each of the n bytes at s that is not part of valid UTF-8, or is a control character, by '?'. */
void pg_make_printable(char *s, size_t n);

#endif
