// SPDX-License-Identifier: MIT
/*
 * decode.h - private to runner/capture: from the file's bytes, wherever they are, to struct pg_captured.
 */
#ifndef PG_CAPTURE_DECODE_H
#define PG_CAPTURE_DECODE_H

#include <stddef.h>

#include "runner/capture/capture.h"

struct pg_source {
        /* Copies n bytes at offset to out; false when they are not there. */
        bool (*read)(const struct pg_source *s, uint64_t offset, void *out, size_t n);
        /* From where on, at offset or behind it, something may be there that is not zero; NULL: not known. */
        uint64_t (*next_data)(const struct pg_source *s, uint64_t offset);
        int fd;
        const unsigned char *bytes;
        size_t size;
};

/* A program that some image's journal names; struct pg_started. */
struct pg_journal_entry {
        int32_t pid;
        uint64_t time_ns;
        const char *path;
};

struct pg_journal {
        struct pg_journal_entry *entries;
        size_t n_entries;
        uint64_t overflown; // entries that found no room
        uint32_t refused;   // process images that found no slot
};

PG_MUST_CHECK bool pg_decode(const struct pg_source *s, struct pg_arena *a, struct pg_captured **ret,
                             struct pg_journal *ret_journal, struct pg_error *err);

/** Puts into c the gaps that the journal tells. false: out of memory. */
PG_MUST_CHECK bool pg_gaps_find(struct pg_captured *c, const struct pg_journal *journal, struct pg_arena *a);
/** Looks at the programs' files: why each gap is one, programs that libc started and the agent cannot enter,
 * and, when they count, allocators inside programs that did report. false: out of memory. */
PG_MUST_CHECK bool pg_gaps_explain(struct pg_captured *c, const struct pg_journal *journal,
                                   enum pg_capture_mode mode, struct pg_arena *a);

/** The allocator inside the program at path ("its allocator is inside the program (jemalloc)"), or NULL. */
const char *pg_bundled_allocator(const char *path);

#endif
