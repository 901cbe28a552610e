// SPDX-License-Identifier: MIT
/*
 * json_reader.h - reads JSON straight into structs: a table says which keys an object has, every complaint
 * says where it is.
 *
 * One pass, no tree: a result of 1,000 benchmarks with 200 functions each is 30 MB, and a tree of it costs
 * more than all of comparing. Strict RFC 8259, UTF-8 only; what a table does not know is refused, so a typing
 * error never passes for a default. Strings and arrays go into the caller's arena.
 *
 * A function that reads a value is a bool (*)(struct pg_json_reader *r, void *into), entered with the value
 * next and left behind it. After a failure, which err holds, the reader is of no further use.
 */
#ifndef PG_BASELINE_JSON_READER_H
#define PG_BASELINE_JSON_READER_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"

enum { PG_JSON_MAX_DEPTH = 64 };

struct pg_json_step {
        const char *key; // NULL: element of an array
        size_t index;
};

struct pg_json_reader {
        const char *name; // of the file, in messages
        const char *text, *end;
        const char *at;         // next byte
        const char *value;      // first byte of the value that is or was just read
        const char *key;        // first byte of the last key
        struct pg_arena *arena; // gets strings and arrays
        struct pg_error *err;
        enum pg_code code;                           // of complaints: PG_EUSAGE or PG_EDATA
        struct pg_json_step path[PG_JSON_MAX_DEPTH]; // of the value
        size_t depth;
};

typedef bool pg_json_read_fn(struct pg_json_reader *r, void *into);

/* One key that an object may have. */
struct pg_json_key {
        const char *name;
        pg_json_read_fn *read; // gets the address at offset in the struct that the object is read into
        size_t offset;
        bool required;
};

enum { PG_JSON_MAX_KEYS = 32 };

/* All keys of an object, at most PG_JSON_MAX_KEYS. */
struct pg_json_keys {
        const struct pg_json_key *keys;
        size_t n;
        bool open; // others are allowed and skipped
};

// clang-format off
#define PG_JSON_KEYS(table) { .keys = (table), .n = sizeof(table) / sizeof((table)[0]) }
// clang-format on

/** Starts at the first byte; refuses a byte order mark and a text without any value. */
PG_MUST_CHECK bool pg_json_begin(struct pg_json_reader *r, const char *name, const char *text, size_t len,
                                 enum pg_code code, struct pg_arena *arena, struct pg_error *err);
/** Nothing but white space may follow. */
PG_MUST_CHECK bool pg_json_end(struct pg_json_reader *r);

/** An object by its table; duplicate, unknown and missing keys are refused. */
PG_MUST_CHECK bool pg_json_object(struct pg_json_reader *r, const struct pg_json_keys *keys, void *into);
/** An object whose keys are data. member reads one value; duplicate keys are its business. key lives in the
 * arena. */
typedef bool pg_json_member_fn(struct pg_json_reader *r, const char *key, void *into);
PG_MUST_CHECK bool pg_json_map(struct pg_json_reader *r, pg_json_member_fn *member, void *into);
/** An array; element reads one value. */
PG_MUST_CHECK bool pg_json_array(struct pg_json_reader *r, pg_json_read_fn *element, void *into);
/** Any well-formed value, nested at most PG_JSON_MAX_DEPTH deep. */
PG_MUST_CHECK bool pg_json_skip(struct pg_json_reader *r, void *unused);

/* Scalars; each fits into a table. */
bool pg_json_string(struct pg_json_reader *r, void *into);  // const char *, without NUL inside
bool pg_json_text(struct pg_json_reader *r, void *into);    // the same, not empty
bool pg_json_count(struct pg_json_reader *r, void *into);   // uint64_t, 0 to INT64_MAX
bool pg_json_line(struct pg_json_reader *r, void *into);    // uint32_t, 1 to UINT32_MAX
bool pg_json_true(struct pg_json_reader *r, void *into);    // bool, set to true
bool pg_json_literal(struct pg_json_reader *r, void *into); // const char *, any number as it is written

/** A whole number within bounds; high <= INT64_MAX. */
PG_MUST_CHECK bool pg_json_range(struct pg_json_reader *r, uint64_t low, uint64_t high, uint64_t *ret);
/** An array of counts, like pg_json_count. *ret is NULL when empty. */
PG_MUST_CHECK bool pg_json_counts(struct pg_json_reader *r, uint64_t **ret, size_t *ret_n);
/** An array of strings, NULL-terminated. */
PG_MUST_CHECK bool pg_json_strings(struct pg_json_reader *r, const char *const **ret, size_t *ret_n);
/** If null is next, reads it. */
bool pg_json_null(struct pg_json_reader *r);
/** The first byte of the next value: '"' for a string, '{', '[', a digit or '-', 't', 'f', 'n'; 0 at the end.
 */
char pg_json_peek(struct pg_json_reader *r);

/* Complaints; all return false. Positions are line and column (in characters), from 1. */

/** "FILE:LINE:COLUMN: PATH: text", at the value that was read last. */
bool pg_json_fail(struct pg_json_reader *r, const char *fmt, ...) PG_PRINTF(2, 3);
/** The same at another byte of the text, without the path. */
bool pg_json_fail_at(struct pg_json_reader *r, const char *where, const char *fmt, ...) PG_PRINTF(3, 4);
/** Like pg_json_fail with the text of cause, which is kept as it is unless it is PG_EUSAGE or PG_EDATA. */
bool pg_json_fail_cause(struct pg_json_reader *r, const struct pg_error *cause);
/** "expected WHAT, found ...", at the next value. */
bool pg_json_fail_type(struct pg_json_reader *r, const char *what);
/** The last key was there before, in the object that the path names. */
bool pg_json_fail_duplicate(struct pg_json_reader *r, const char *key);
/** The last key is none of words (NULL-terminated); names the nearest. */
bool pg_json_fail_key(struct pg_json_reader *r, const char *key, const char *const *words);

/* A word and where it stands, for finding duplicates. */
struct pg_json_word {
        const char *text, *at;
};

/** Sorts words; the second of two equal ones is a complaint: "duplicate WHAT "word"". */
PG_MUST_CHECK bool pg_json_unique(struct pg_json_reader *r, struct pg_json_word *words, size_t n,
                                  const char *what);

#endif
