// SPDX-License-Identifier: MIT
/*
 * live.h - which stacks hold the live bytes: a table of blocks by address.
 *
 * While the table has room every block is in it, so small heaps are exact; then only those that
 * live_sampling.h picks. A block that its thread frees as its next event never gets there.
 */
#ifndef PG_AGENT_LIVE_H
#define PG_AGENT_LIVE_H

#include "runner/agent/attach.h"
#include "runner/capture/live_sampling.h"

/* The newest block of the cell goes into the table. */
void live_settle(struct pg_cell *c);
/* The newest block of the cell is freed at once; it was pending. */
void live_forget_newest(struct pg_cell *c);
/* A block of the sample is freed. */
void live_remove(uint64_t address, uint64_t bytes);

static inline uint32_t live_level(void)
{
        return atomic_load_explicit(&agent.slot->live_level, memory_order_relaxed);
}

/* By level, each prepared before it comes up; level 0 has none. */
extern struct pg_live_view live_views[PG_LIVE_LEVEL_MAX + 1] __attribute__((visibility("hidden")));

/* Whether a block is in the sample. */
static inline __attribute__((always_inline)) bool live_is_hit(uint64_t address, uint64_t bytes)
{
        uint32_t level = live_level();
        return level == 0 || pg_live_view_hit(&live_views[level], address, bytes);
}

static inline struct pg_live_block *live_bucket(uint64_t address, uint32_t which)
{
        return &agent.live_blocks[pg_live_bucket(address, agent.live_mask + 1, which) * PG_LIVE_BUCKET];
}

static inline bool live_is_pending(const struct pg_cell *c)
{
        return atomic_load_explicit(&c->pending, memory_order_relaxed) != 0;
}

/* A block was given out. peak: the first peak that it is part of. */
static inline void live_born(struct pg_cell *c, uint64_t address, uint64_t bytes, uint32_t node,
                             uint32_t peak)
{
        if (__builtin_expect(live_is_pending(c), 0))
                live_settle(c);
        c->last_node = node;
        atomic_store_explicit(&c->last_address, address, memory_order_relaxed);
        if (!agent.live_blocks || !live_is_hit(address, bytes))
                return;
        c->last_bytes = bytes;
        c->last_peak = peak;
        atomic_store_explicit(&c->pending, address, memory_order_release);
        __builtin_prefetch(live_bucket(address, 0), 1);
}

/* The newest block is freed as the thread's next event. */
static inline void live_dies_young(struct pg_cell *c, uint64_t address, uint64_t bytes)
{
        _Atomic uint32_t *t = &agent.nodes[c->last_node].temporary;
        atomic_store_explicit(t, atomic_load_explicit(t, memory_order_relaxed) + 1, memory_order_relaxed);
        if (live_is_pending(c))
                live_forget_newest(c);
        else if (agent.live_blocks && live_is_hit(address, bytes))
                live_remove(address, bytes);
        atomic_store_explicit(&c->last_address, 0, memory_order_relaxed);
}

/* A block is about to be freed. */
static inline void live_dies(struct pg_cell *c, uint64_t address, uint64_t bytes)
{
        if (atomic_load_explicit(&c->last_address, memory_order_relaxed) == address) {
                live_dies_young(c, address, bytes);
                return;
        }
        if (__builtin_expect(live_is_pending(c), 0))
                live_settle(c);
        atomic_store_explicit(&c->last_address, 0, memory_order_relaxed);
        if (agent.live_blocks && live_is_hit(address, bytes))
                live_remove(address, bytes);
}

#endif
