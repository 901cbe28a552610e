// SPDX-License-Identifier: MIT
/*
 * decode_stacks.h - private to runner/capture: what decode.c and decode_stacks.c share.
 */
#ifndef PG_CAPTURE_DECODE_STACKS_H
#define PG_CAPTURE_DECODE_STACKS_H

#include "runner/capture/decode.h"

/* Reading under way. */
struct pg_reader {
        const struct pg_source *source;
        struct pg_arena *arena;
        struct pg_captured *out;
        struct pg_journal journal;
        struct pg_file_header header;
        uint64_t slot; // offset of the slot being read
        bool no_memory;
};

/** Copies n bytes at offset in the slot being read; false when they are not there. */
bool pg_reader_fetch(struct pg_reader *r, uint64_t offset, void *out, size_t n);
/* From where on, at offset of the slot or behind it, something may be there that is not zero: most of a table of
 * live blocks never is. */
uint64_t pg_reader_next_data(const struct pg_reader *r, uint64_t offset);

/* The newest block of a thread, which need not be in the table of live blocks yet. */
struct pg_newest {
        uint64_t address, bytes;
        uint32_t node, peak;
};

struct pg_newest_blocks {
        struct pg_newest *items;
        size_t n;
};

/** Fills p's nodes and quality; its counters and modules are there already. Sorts newest by address, and
 * zeroes the bytes of those that are in the table. */
void pg_decode_stacks(struct pg_reader *r, const struct pg_slot *slot, struct pg_captured_process *p,
                      struct pg_newest_blocks *newest);

#endif
