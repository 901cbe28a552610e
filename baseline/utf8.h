// SPDX-License-Identifier: MIT
/*
 * utf8.h - is this UTF-8? JSON text must be; file names, arguments and symbols of a target need not be.
 */
#ifndef PG_BASELINE_UTF8_H
#define PG_BASELINE_UTF8_H

#include <stddef.h>

/**
 * Length (1-4) of the UTF-8 sequence that starts at p, or 0 when none does.
 *
 * p    p < end
 * end  nothing is read from here on
 *
 * Overlong forms, surrogates and values above U+10FFFF are none. Source: Unicode 15, table 3-7.
 */
size_t pg_utf8_sequence(const char *p, const char *end);

#endif
