// SPDX-License-Identifier: MIT
/*
 * arena.h - memory that is taken piece by piece and given back at once.
 *
 * Data that lives and dies together (one snapshot, one configuration, one report) sits in one arena. Not
 * thread-safe. Everything returned is aligned to 16 bytes and stays valid until pg_arena_destroy.
 */
#ifndef PG_BASE_ARENA_H
#define PG_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "runner/base/cleanup.h"
#include "runner/base/error.h"

struct pg_arena;

/** An empty arena, or NULL when out of memory. */
struct pg_arena *pg_arena_create(void);
/** Frees everything that was taken from it; takes NULL. */
void pg_arena_destroy(struct pg_arena *a);
PG_DEFINE_CLEANUP(struct pg_arena, pg_arena_destroy)
#define PG_AUTO_ARENA __attribute__((cleanup(pg_arena_destroyp)))

/** n * size zeroed bytes; NULL when out of memory or when the product overflows. n == 0 gives a valid
 * pointer. */
void *pg_arena_calloc(struct pg_arena *a, size_t n, size_t size);
/** A copy of s (of its first n bytes); NULL when out of memory. pg_arena_strdup(a, NULL) is NULL. */
char *pg_arena_strdup(struct pg_arena *a, const char *s);
char *pg_arena_strndup(struct pg_arena *a, const char *s, size_t n);
/** printf into the arena; NULL when out of memory. */
char *pg_arena_printf(struct pg_arena *a, const char *fmt, ...) PG_PRINTF(2, 3);
char *pg_arena_vprintf(struct pg_arena *a, const char *fmt, va_list ap) PG_PRINTF(2, 0);

/**
 * Makes room for one more element of an array that grows by doubling inside the arena.
 *
 * array  the elements so far (NULL when n is 0); the old storage stays until the arena goes
 * n      elements in use; capacity is derived from it (powers of two from 8), so grow one element at a time
 *
 * Returns the array with room for n + 1 elements, the new one zeroed; NULL when out of memory.
 */
void *pg_arena_grow(struct pg_arena *a, void *array, size_t n, size_t size);

#endif
