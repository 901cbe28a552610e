// SPDX-License-Identifier: MIT
/*
 * units.h - numbers as people write and read them: counts, sizes, durations, changes.
 *
 * Parsing takes the whole string or fails; printing is in the C locale and has no more digits than it can
 * mean.
 */
#ifndef PG_BASE_UNITS_H
#define PG_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/error.h"

/** A decimal integer without sign. PG_EUSAGE says what was expected. */
PG_MUST_CHECK bool pg_parse_count(const char *s, uint64_t *ret, struct pg_error *err);
/** "150MiB", "10 kB", "512": bytes; binary (KiB MiB GiB TiB) and decimal (kB MB GB TB) units, fractions
 * allowed. */
PG_MUST_CHECK bool pg_parse_size(const char *s, uint64_t *ret_bytes, struct pg_error *err);
/** "60s", "1.5s", "200ms", "2m", "1h", "10us", "5ns": above zero, at most 366 days. A number without unit
 * fails. */
PG_MUST_CHECK bool pg_parse_duration(const char *s, uint64_t *ret_ns, struct pg_error *err);

enum { PG_NUMBER_MAX = 32 }; // room for each of the strings below

/** "1,234,567" */
char *pg_format_count(uint64_t n, char out[PG_NUMBER_MAX]);
/** "812 B", "3.21 MiB": three significant digits. */
char *pg_format_size(uint64_t bytes, char out[PG_NUMBER_MAX]);
/** "15 ns", "1.23 ms", "2.40 s", "3 m 20 s". */
char *pg_format_duration(uint64_t ns, char out[PG_NUMBER_MAX]);
/** "+5.2 %", "-0.03 %", "=" for exactly 0, "new" for a rise from 0 (change_ratio infinite). */
char *pg_format_change(double change_ratio, char out[PG_NUMBER_MAX]);

/** The ending of a noun that stands behind n: "" for 1, else "s". Static. */
const char *pg_plural(uint64_t n);

/**
 * The candidate that a mistyped word most probably meant, or NULL when none is near.
 *
 * words   NULL-terminated. Near is a restricted edit distance (insert, delete, replace, swap neighbours) of
 * at most a third of the word's length, at least 1; the first of equals wins.
 */
const char *pg_nearest(const char *word, const char *const *words);

#endif
