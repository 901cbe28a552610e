// SPDX-License-Identifier: MIT
/*
 * buf.h - a growing byte buffer with a sticky failure.
 *
 * Appends after a failed one do nothing; check once at the end with pg_buf_ok. The bytes are always followed
 * by a NUL that does not count.
 */
#ifndef PG_BASE_BUF_H
#define PG_BASE_BUF_H

#include <stddef.h>

#include "runner/base/error.h"

struct pg_buf {
        char *data; // NULL until the first append
        size_t len, capacity;
        bool failed;
};

#define PG_AUTO_BUF __attribute__((cleanup(pg_buf_deinit)))

void pg_buf_deinit(struct pg_buf *b);
void pg_buf_append(struct pg_buf *b, const void *data, size_t n);
void pg_buf_puts(struct pg_buf *b, const char *s);
void pg_buf_putc(struct pg_buf *b, char c);
void pg_buf_printf(struct pg_buf *b, const char *fmt, ...) PG_PRINTF(2, 3);
/** True when every append so far worked; else PG_ENOMEM. */
PG_MUST_CHECK bool pg_buf_ok(const struct pg_buf *b, struct pg_error *err);
/** The bytes, to be freed by the caller; the buffer is empty afterwards. Never NULL unless out of memory. */
char *pg_buf_steal(struct pg_buf *b);

#endif
