// SPDX-License-Identifier: MIT
/*
 * buf.c - growing byte buffer, amortised O(1) per appended byte.
 */
#include "runner/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pg_buf_deinit(struct pg_buf *b)
{
        free(b->data);
        *b = (struct pg_buf){ 0 };
}

/* Room for n more bytes and the final NUL. */
static bool reserve(struct pg_buf *b, size_t n)
{
        if (b->failed)
                return false;
        size_t need;
        if (__builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 4) {
                b->failed = true;
                return false;
        }
        if (need + 1 <= b->capacity)
                return true;
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < need + 1)
                capacity *= 2;
        char *data = realloc(b->data, capacity);
        if (!data) {
                b->failed = true;
                return false;
        }
        b->data = data;
        b->capacity = capacity;
        return true;
}

void pg_buf_append(struct pg_buf *b, const void *data, size_t n)
{
        if (!reserve(b, n))
                return;
        if (n)
                memcpy(b->data + b->len, data, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void pg_buf_puts(struct pg_buf *b, const char *s)
{
        pg_buf_append(b, s, strlen(s));
}

void pg_buf_putc(struct pg_buf *b, char c)
{
        pg_buf_append(b, &c, 1);
}

void pg_buf_printf(struct pg_buf *b, const char *fmt, ...)
{
        va_list ap, again;
        va_start(ap, fmt);
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, ap);
        if (n < 0)
                b->failed = true;
        else if (reserve(b, (size_t)n)) {
                vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
                b->len += (size_t)n;
        }
        va_end(again);
        va_end(ap);
}

bool pg_buf_ok(const struct pg_buf *b, struct pg_error *err)
{
        return !b->failed || pg_fail_nomem(err);
}

char *pg_buf_steal(struct pg_buf *b)
{
        if (!reserve(b, 0))
                return NULL;
        char *data = b->data;
        data[b->len] = '\0';
        *b = (struct pg_buf){ 0 };
        return data;
}
