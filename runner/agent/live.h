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
/* The newest block of the cell is freed at once, while it is pending, and was part of the last peak. */
void live_newest_was_at_peak(const struct pg_cell *c);
/* A block of the sample is freed. */
void live_remove(uint64_t address, uint64_t bytes);

/* pg_live_shift of the slot's level, or for a moment of a lower one; LIVE_OFF when live bytes are not attributed. */
enum { LIVE_OFF = 64 };
extern _Atomic uint32_t live_shift __attribute__((visibility("hidden")));

/* After the slot was mapped: its level is 0. */
void live_start(void);

/* Whether a block is in the sample, to which none is added by a raised level. */
static inline __attribute__((always_inline)) bool live_is_hit(uint64_t address, uint64_t bytes)
{
        uint32_t shift = atomic_load_explicit(&live_shift, memory_order_relaxed);
        return shift != LIVE_OFF && pg_live_passes(address, bytes, shift);
}

static inline struct pg_live_block *live_bucket(uint64_t address, uint32_t which)
{
        return &agent.live_blocks[pg_live_bucket(address, agent.live_mask + 1, which) * PG_LIVE_BUCKET];
}

static inline bool live_was_at_peak(uint32_t first_peak)
{
        return first_peak <= atomic_load_explicit(&agent.slot->peak, memory_order_relaxed);
}

static inline bool live_is_pending(const struct pg_cell *c)
{
        return atomic_load_explicit(&c->pending, memory_order_relaxed) != 0;
}

/* The block that was given out is the newest of the cell, which has none pending; when it is in the sample it goes into
 * the table with the thread's next event, unless that frees it. peak: the first one that it is part of. */
static inline __attribute__((always_inline)) void live_note(struct pg_cell *c, uint64_t address,
                                                            uint64_t bytes, uint32_t node, uint32_t peak)
{
        c->last_node = node;
        atomic_store_explicit(&c->last_address, address, memory_order_relaxed);
        if (!live_is_hit(address, bytes))
                return;
        c->last_bytes = bytes;
        c->last_peak = peak;
        atomic_store_explicit(&c->pending, address, memory_order_release);
        __builtin_prefetch(live_bucket(address, 0), 1);
}

/* The same, whatever is pending. */
static inline __attribute__((always_inline)) void live_born(struct pg_cell *c, uint64_t address,
                                                            uint64_t bytes, uint32_t node, uint32_t peak)
{
        if (__builtin_expect(live_is_pending(c), 0))
                live_settle(c);
        live_note(c, address, bytes, node, peak);
}

static inline void live_count_temporary(uint32_t node)
{
        _Atomic uint32_t *t = &agent.nodes[node].temporary;
        atomic_store_explicit(t, atomic_load_explicit(t, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* live_dies() without a call. False: there is more to it, and nothing was done. */
static inline __attribute__((always_inline)) bool live_dies_quickly(struct pg_cell *c, uint64_t address,
                                                                    uint64_t bytes)
{
        bool pending = live_is_pending(c);
        if (atomic_load_explicit(&c->last_address, memory_order_relaxed) == address) {
                if (pending ? live_was_at_peak(c->last_peak)
                            : !atomic_load_explicit(&c->solo, memory_order_relaxed))
                        return false;
                live_count_temporary(c->last_node);
                atomic_store_explicit(&c->pending, 0, memory_order_relaxed);
        } else if (pending || live_is_hit(address, bytes)) {
                return false;
        }
        atomic_store_explicit(&c->last_address, 0, memory_order_relaxed);
        return true;
}

/* The newest block is freed as the thread's next event. */
static inline __attribute__((always_inline)) void live_dies_young(struct pg_cell *c, uint64_t address,
                                                                  uint64_t bytes)
{
        live_count_temporary(c->last_node);
        if (live_is_pending(c)) {
                if (__builtin_expect(live_was_at_peak(c->last_peak), 0))
                        live_newest_was_at_peak(c);
                atomic_store_explicit(&c->pending, 0, memory_order_relaxed);
        } else if (!atomic_load_explicit(&c->solo, memory_order_relaxed) && live_is_hit(address, bytes)) {
                live_remove(address, bytes); // another thread freed it and got the address anew
        }
}

/* A block is about to be freed. */
static inline __attribute__((always_inline)) void live_dies(struct pg_cell *c, uint64_t address,
                                                            uint64_t bytes)
{
        if (atomic_load_explicit(&c->last_address, memory_order_relaxed) == address) {
                live_dies_young(c, address, bytes);
        } else {
                if (__builtin_expect(live_is_pending(c), 0))
                        live_settle(c);
                if (live_is_hit(address, bytes))
                        live_remove(address, bytes);
        }
        atomic_store_explicit(&c->last_address, 0, memory_order_relaxed);
}

#endif
