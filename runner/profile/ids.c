// SPDX-License-Identifier: MIT
/*
 * ids.c - a sorted array; most producers hand out 1, 2, 3, ..., where the first guess is right.
 */
#include "runner/profile/ids.h"

#include <stdlib.h>

static int by_id(const void *pa, const void *pb)
{
        const struct pg_id *a = pa, *b = pb;
        return a->id < b->id ? -1 : a->id > b->id;
}

bool pg_ids_sort(struct pg_ids *ids, uint64_t *ret_bad)
{
        if (ids->n)
                qsort(ids->items, ids->n, sizeof(*ids->items), by_id);
        for (size_t i = 0; i < ids->n; i++) {
                if (ids->items[i].id == 0 || (i && ids->items[i].id == ids->items[i - 1].id)) {
                        *ret_bad = ids->items[i].id;
                        return false;
                }
        }
        return true;
}

bool pg_ids_find(const struct pg_ids *ids, uint64_t id, uint32_t *ret_position)
{
        const struct pg_id *found = NULL, key = { .id = id };
        if (id - 1 < ids->n && ids->items[id - 1].id == id)
                found = &ids->items[id - 1];
        else if (ids->n)
                found = bsearch(&key, ids->items, ids->n, sizeof(key), by_id);
        if (found)
                *ret_position = found->position;
        return found;
}
