// SPDX-License-Identifier: MIT
/*
 * arena.c - bump allocation in chunks that double; large requests get a chunk of their own.
 */
#include "runner/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runner/base/large.h"

enum { FIRST_CHUNK = 4096, LAST_CHUNK = 1 << 20, ALIGN = 16 };

struct chunk {
        struct chunk *next;
        size_t used, size; // of the bytes behind this header
};

struct pg_arena {
        struct chunk *head;
        size_t next_size;
};

_Static_assert(sizeof(struct chunk) <= 2 * ALIGN, "chunk header fits in front of the first aligned byte");

static unsigned char *bytes_of(struct chunk *c)
{
        return (unsigned char *)c + 2 * ALIGN;
}

struct pg_arena *pg_arena_create(void)
{
        struct pg_arena *a = calloc(1, sizeof(*a));
        if (a)
                a->next_size = FIRST_CHUNK;
        return a;
}

void pg_arena_destroy(struct pg_arena *a)
{
        if (!a)
                return;
        for (struct chunk *c = a->head; c;) {
                struct chunk *next = c->next;
                free(c);
                c = next;
        }
        free(a);
}

static struct chunk *add_chunk(struct pg_arena *a, size_t need)
{
        size_t size = a->next_size > need ? a->next_size : need;
        struct chunk *c = malloc(2 * ALIGN + size);
        if (!c)
                return NULL;
        pg_expect_large(c, 2 * ALIGN + size);
        c->used = 0;
        c->size = size;
        if (need > a->next_size && a->head) { // its own chunk; keep filling the current one
                c->next = a->head->next;
                a->head->next = c;
                return c;
        }
        c->next = a->head;
        a->head = c;
        if (a->next_size < LAST_CHUNK)
                a->next_size *= 2;
        return c;
}

static void *take(struct pg_arena *a, size_t n)
{
        if (n > SIZE_MAX / 2)
                return NULL;
        n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        struct chunk *c = a->head;
        if (!c || c->size - c->used < n)
                c = add_chunk(a, n);
        if (!c)
                return NULL;
        void *p = bytes_of(c) + c->used;
        c->used += n;
        return p;
}

void *pg_arena_calloc(struct pg_arena *a, size_t n, size_t size)
{
        size_t total;
        if (__builtin_mul_overflow(n, size, &total))
                return NULL;
        void *p = take(a, total ? total : 1);
        return p ? memset(p, 0, total) : NULL;
}

char *pg_arena_strndup(struct pg_arena *a, const char *s, size_t n)
{
        char *p = take(a, n + 1);
        if (!p)
                return NULL;
        memcpy(p, s, n);
        p[n] = '\0';
        return p;
}

char *pg_arena_strdup(struct pg_arena *a, const char *s)
{
        return s ? pg_arena_strndup(a, s, strlen(s)) : NULL;
}

char *pg_arena_vprintf(struct pg_arena *a, const char *fmt, va_list ap)
{
        va_list again;
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, ap);
        char *p = n < 0 ? NULL : take(a, (size_t)n + 1);
        if (p)
                vsnprintf(p, (size_t)n + 1, fmt, again);
        va_end(again);
        return p;
}

char *pg_arena_printf(struct pg_arena *a, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *p = pg_arena_vprintf(a, fmt, ap);
        va_end(ap);
        return p;
}

void *pg_arena_grow(struct pg_arena *a, void *array, size_t n, size_t size)
{
        enum { FIRST = 8 };
        bool full = n == 0 || (n >= FIRST && (n & (n - 1)) == 0);
        if (!full)
                return array;
        size_t capacity = n == 0 ? FIRST : 2 * n;
        unsigned char *p = pg_arena_calloc(a, capacity, size);
        if (p && n)
                memcpy(p, array, n * size);
        return p;
}
