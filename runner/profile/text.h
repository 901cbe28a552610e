// SPDX-License-Identifier: MIT
/*
 * text.h - text that every reader of a profile accepts.
 */
#ifndef PG_PROFILE_TEXT_H
#define PG_PROFILE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/base/arena.h"

/** True when pg_text_clean would change nothing. */
bool pg_text_is_clean(const char *s, size_t n);

/**
 * A copy of n bytes as UTF-8 without control characters: what is neither is written as \xNN, byte by byte.
 * NULL when out of memory.
 */
const char *pg_text_clean(struct pg_arena *a, const char *s, size_t n);

#endif
