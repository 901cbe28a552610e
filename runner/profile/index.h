// SPDX-License-Identifier: MIT
/*
 * index.h - a hash index over the items of somebody else's array: is an equal one there already?
 */
#ifndef PG_PROFILE_INDEX_H
#define PG_PROFILE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_index_slot {
        uint32_t hash;
        uint32_t item; // position in the array, plus 1; 0: free
};

struct pg_index {
        struct pg_index_slot *slots;
        size_t n, capacity;
};

typedef bool pg_index_same(const void *owner, uint32_t item, const void *key);

/**
 * The slot of the item that is the same as key (its item is not 0), or a free one for it, to be filled by
 * pg_index_fill before the index is asked again; NULL when out of memory.
 */
struct pg_index_slot *pg_index_place(struct pg_index *x, uint32_t hash, pg_index_same *same,
                                     const void *owner, const void *key);
/** Puts the item at a position of the array into a free slot. */
void pg_index_fill(struct pg_index *x, struct pg_index_slot *slot, uint32_t hash, uint32_t position);
void pg_index_deinit(struct pg_index *x);

/** A hash of n bytes that goes on from seed. */
uint32_t pg_hash(uint32_t seed, const void *bytes, size_t n);

#endif
