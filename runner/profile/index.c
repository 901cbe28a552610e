// SPDX-License-Identifier: MIT
/*
 * index.c - open addressing with linear probing, at most half full.
 */
#include "runner/profile/index.h"

#include <stdlib.h>

static bool make_room(struct pg_index *x)
{
        if (x->capacity && x->n < x->capacity / 2)
                return true;
        size_t capacity = x->capacity ? 2 * x->capacity : 64;
        struct pg_index_slot *slots = calloc(capacity, sizeof(*slots));
        if (!slots)
                return false;
        for (size_t i = 0; i < x->capacity; i++) {
                size_t at = x->slots[i].hash & (capacity - 1);
                while (slots[at].item && x->slots[i].item)
                        at = (at + 1) & (capacity - 1);
                if (x->slots[i].item)
                        slots[at] = x->slots[i];
        }
        free(x->slots);
        x->slots = slots;
        x->capacity = capacity;
        return true;
}

struct pg_index_slot *pg_index_place(struct pg_index *x, uint32_t hash, pg_index_same *same,
                                     const void *owner, const void *key)
{
        if (!make_room(x))
                return NULL;
        size_t at = hash & (x->capacity - 1);
        while (x->slots[at].item && (x->slots[at].hash != hash || !same(owner, x->slots[at].item - 1, key)))
                at = (at + 1) & (x->capacity - 1);
        return &x->slots[at];
}

void pg_index_fill(struct pg_index *x, struct pg_index_slot *slot, uint32_t hash, uint32_t position)
{
        *slot = (struct pg_index_slot){ hash, position + 1 };
        x->n++;
}

void pg_index_deinit(struct pg_index *x)
{
        free(x->slots);
        *x = (struct pg_index){ 0 };
}

uint32_t pg_hash(uint32_t seed, const void *bytes, size_t n)
{
        uint64_t h = 14695981039346656037u ^ seed; // FNV-1a
        for (const unsigned char *p = bytes, *end = p + n; p < end; p++)
                h = (h ^ *p) * 1099511628211u;
        return (uint32_t)(h ^ (h >> 32));
}
