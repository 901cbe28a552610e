// SPDX-License-Identifier: MIT
/*
 * gunzip.c - gzip bytes in memory, unpacked within a limit; concatenated members are one stream (RFC 1952).
 */
#include "runner/profile/gunzip.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

bool pg_is_gzip(const void *bytes, size_t len)
{
        return len >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

/* Bytes that z has not been given yet, beside those it still holds. */
static void feed(z_stream *z, size_t *left)
{
        if (z->avail_in == 0) {
                z->avail_in = *left < UINT_MAX ? (uInt)*left : UINT_MAX;
                *left -= z->avail_in;
        }
}

static bool next_member(z_stream *z, size_t left, size_t at, struct pg_error *err)
{
        if (z->avail_in + left == 0)
                return true;
        if (!pg_is_gzip(z->next_in, z->avail_in + left))
                return pg_fail(err, PG_EDATA, "byte %zu: expected the end or another gzip member", at);
        inflateReset(z);
        return true;
}

static bool inflate_all(z_stream *z, size_t left, size_t max_bytes, struct pg_buf *ret, struct pg_error *err)
{
        unsigned char piece[65536];
        const unsigned char *start = z->next_in;
        int rc = Z_OK;
        while (rc != Z_STREAM_END || z->avail_in + left > 0) {
                feed(z, &left);
                z->next_out = piece;
                z->avail_out = sizeof(piece);
                rc = inflate(z, Z_NO_FLUSH);
                size_t at = (size_t)(z->next_in - start), made = sizeof(piece) - z->avail_out;
                if (rc == Z_MEM_ERROR)
                        return pg_fail_nomem(err);
                if (rc == Z_BUF_ERROR && z->avail_in + left == 0)
                        return pg_fail(err, PG_EDATA, "byte %zu: the gzip data is cut off", at);
                if (rc != Z_OK && rc != Z_STREAM_END)
                        return pg_fail(err, PG_EDATA, "byte %zu: damaged gzip data (%s)", at,
                                       z->msg ? z->msg : "no dictionary expected");
                if (made > max_bytes - ret->len)
                        return pg_fail(err, PG_EDATA, "unpacks to more than %zu MiB", max_bytes >> 20);
                pg_buf_append(ret, piece, made);
                if (!pg_buf_ok(ret, err))
                        return false;
                if (rc == Z_STREAM_END && !next_member(z, left, at, err))
                        return false;
        }
        return true;
}

bool pg_gunzip(const void *bytes, size_t len, size_t max_bytes, struct pg_buf *ret, struct pg_error *err)
{
        enum { GZIP = 16 };
        z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes };
        if (inflateInit2(&z, MAX_WBITS + GZIP) != Z_OK)
                return pg_fail_nomem(err);
        bool ok = inflate_all(&z, len, max_bytes, ret, err);
        inflateEnd(&z);
        return ok;
}
