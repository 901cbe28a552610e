// SPDX-License-Identifier: MIT
/*
 * ids.h - any producer's ids, by their position in the file.
 */
#ifndef PG_PROFILE_IDS_H
#define PG_PROFILE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_id {
        uint64_t id;
        uint32_t position;
};

struct pg_ids {
        struct pg_id *items; // calloc'd by the owner of the struct; in any order until sorted
        size_t n;
};

/** Sorts them; false when an id is 0 or occurs twice, which *ret_bad is then. */
bool pg_ids_sort(struct pg_ids *ids, uint64_t *ret_bad);
/** True when there is such an id. O(1) for ids 1, 2, 3, ..., else O(log n). */
bool pg_ids_find(const struct pg_ids *ids, uint64_t id, uint32_t *ret_position);

#endif
