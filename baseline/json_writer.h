// SPDX-License-Identifier: MIT
/*
 * json_writer.h - JSON as text, value by value, into a buffer: two spaces a level, or flat on one line.
 *
 * The caller asks for keys in sorted order (asserted), so equal values give equal bytes. Flat containers keep
 * tables of thousands of rows small and give one line of a diff for each changed row.
 */
#ifndef PG_BASELINE_JSON_WRITER_H
#define PG_BASELINE_JSON_WRITER_H

#include <stdint.h>

#include "runner/base/buf.h"

enum { PG_JSON_WRITER_DEPTH = 32 };

struct pg_json_writer {
        struct pg_buf *out;         // with its sticky failure: check pg_buf_ok once at the end
        unsigned depth, flat_depth; // flat_depth: open containers from the first flat one on
        bool after_key;
        bool filled[PG_JSON_WRITER_DEPTH];          // the container at this depth has a member
        const char *last_key[PG_JSON_WRITER_DEPTH]; // to check the order
};

/* '{' or '['; everything inside a flat one is flat. */
void pg_json_open(struct pg_json_writer *w, char bracket);
void pg_json_open_flat(struct pg_json_writer *w, char bracket);
/* The bracket that closes the innermost one. */
void pg_json_close(struct pg_json_writer *w, char bracket);

/** Before a member's value; key sorts after its predecessor and lives until the next one. */
void pg_json_put_key(struct pg_json_writer *w, const char *key);
/** NULL writes null. Bytes that are not UTF-8 become \xNN as four characters: JSON cannot hold them. */
void pg_json_put_string(struct pg_json_writer *w, const char *s);
void pg_json_put_count(struct pg_json_writer *w, uint64_t n);
void pg_json_put_bool(struct pg_json_writer *w, bool b);
/** Shortest of %.15g to %.17g that reads back as x; null unless finite. */
void pg_json_put_real(struct pg_json_writer *w, double x);

/* The same with a key; the string is left out when it is NULL. */
void pg_json_member_string(struct pg_json_writer *w, const char *key, const char *s);
void pg_json_member_count(struct pg_json_writer *w, const char *key, uint64_t n);
/** A flat array. */
void pg_json_member_counts(struct pg_json_writer *w, const char *key, const uint64_t *values, size_t n);

#endif
