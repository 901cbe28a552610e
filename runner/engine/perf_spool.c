// SPDX-License-Identifier: MIT
/*
 * perf_spool.c - blocks in a row: records are added to the last one and taken from the first.
 *
 * A record is its size in 8 bytes, then its bytes, filled up to a multiple of 8. What lies behind `used` of a block is
 * the writer's alone, so that records are copied without the lock.
 */
#include "runner/engine/perf_spool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runner/engine/perf_ring.h"

enum { BLOCK_BYTES = 1 << 20, SIZE_BYTES = 8 };
_Static_assert(PG_PERF_RECORD_MAX + SIZE_BYTES <= BLOCK_BYTES, "any record fits into a block");

struct block {
        struct block *next;
        size_t used, taken; // bytes that the writer has finished, and the reader
        _Alignas(8) uint8_t at[BLOCK_BYTES];
};

struct pg_perf_spool {
        pthread_mutex_t lock;
        pthread_cond_t more, less; // a record came, or the end; a block was given back
        struct block *first, *last;
        struct block *spare; // one that was given back, so that a fast reader costs no allocation
        size_t n_blocks, max_blocks;
        size_t held; // bytes of the record that the reader has, with its size
        bool closed;
};

bool pg_perf_spool_create(size_t max_bytes, struct pg_perf_spool **ret, struct pg_error *err)
{
        struct pg_perf_spool *s = calloc(1, sizeof(*s));
        struct block *b = malloc(sizeof(*b));
        if (!s || !b) {
                free(s);
                free(b);
                return pg_fail_nomem(err);
        }
        b->next = NULL;
        b->used = b->taken = 0;
        s->first = s->last = b;
        s->n_blocks = 1;
        s->max_blocks = max_bytes / BLOCK_BYTES + (max_bytes % BLOCK_BYTES > 0);
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->more, NULL);
        pthread_cond_init(&s->less, NULL);
        *ret = s;
        return true;
}

void pg_perf_spool_destroy(struct pg_perf_spool *s)
{
        if (!s)
                return;
        for (struct block *b = s->first, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        free(s->spare);
        pthread_cond_destroy(&s->less);
        pthread_cond_destroy(&s->more);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* ---- the writer ------------------------------------------------------------------------------------------ */

/* An empty block; NULL when the bound is reached or memory is out. */
static struct block *new_block(struct pg_perf_spool *s)
{
        struct block *b = s->spare;
        s->spare = NULL;
        if (!b && s->n_blocks < s->max_blocks) {
                b = malloc(sizeof(*b));
                s->n_blocks += b != NULL;
        }
        if (b) {
                b->next = NULL;
                b->used = b->taken = 0;
        }
        return b;
}

/* With the lock: the last block, with room for n bytes. */
static struct block *block_for(struct pg_perf_spool *s, size_t n)
{
        while (BLOCK_BYTES - s->last->used < n) {
                struct block *b = new_block(s);
                if (b)
                        s->last = s->last->next = b;
                else if (s->first == s->last && s->first->taken == s->first->used)
                        s->last->used = s->last->taken = 0; // the only one, and all of it was taken
                else
                        pthread_cond_wait(&s->less, &s->lock);
        }
        return s->last;
}

bool pg_perf_spool_add(void *spool, const void *record, size_t n, struct pg_error *err)
{
        (void)err;
        struct pg_perf_spool *s = spool;
        const uint64_t size = n;
        size_t all = SIZE_BYTES + (n + 7) / 8 * 8;
        pthread_mutex_lock(&s->lock);
        struct block *b = block_for(s, all);
        pthread_mutex_unlock(&s->lock);
        memcpy(b->at + b->used, &size, sizeof(size));
        memcpy(b->at + b->used + SIZE_BYTES, record, n);
        pthread_mutex_lock(&s->lock);
        b->used += all;
        pthread_cond_signal(&s->more);
        pthread_mutex_unlock(&s->lock);
        return true;
}

void pg_perf_spool_close(struct pg_perf_spool *s)
{
        pthread_mutex_lock(&s->lock);
        s->closed = true;
        pthread_cond_signal(&s->more);
        pthread_mutex_unlock(&s->lock);
}

/* ---- the reader ------------------------------------------------------------------------------------------ */

/* With the lock: the record that the reader had is done with, and blocks before the next one. */
static void give_back(struct pg_perf_spool *s)
{
        s->first->taken += s->held;
        s->held = 0;
        if (s->first->taken == s->first->used)
                pthread_cond_signal(&s->less);
        while (s->first->taken == s->first->used && s->first->next) {
                struct block *b = s->first;
                s->first = b->next;
                if (!s->spare) {
                        s->spare = b;
                } else {
                        free(b);
                        s->n_blocks--;
                }
        }
}

const void *pg_perf_spool_next(struct pg_perf_spool *s, size_t *ret_n)
{
        const uint8_t *record = NULL;
        pthread_mutex_lock(&s->lock);
        give_back(s);
        while (s->first->taken == s->first->used && !s->closed) {
                pthread_cond_wait(&s->more, &s->lock);
                give_back(s);
        }
        const struct block *b = s->first;
        if (b->taken < b->used) {
                uint64_t size;
                memcpy(&size, b->at + b->taken, sizeof(size));
                record = b->at + b->taken + SIZE_BYTES;
                s->held = SIZE_BYTES + ((size_t)size + 7) / 8 * 8;
                *ret_n = (size_t)size;
        }
        pthread_mutex_unlock(&s->lock);
        return record;
}
