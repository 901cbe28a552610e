// SPDX-License-Identifier: MIT
/*
 * quick.h - malloc and free where nothing unusual is to be done: what count.h does, without a call.
 *
 * Code without calls saves no registers. Whatever is out of the ordinary ends in a call of quick.c that does all the
 * rest. The stack is looked up before the block is made, so that its node's memory is on its way while the allocator
 * works.
 */
#ifndef PG_AGENT_QUICK_H
#define PG_AGENT_QUICK_H

#include "runner/agent/count.h"

/* What is known of an allocation before it is made. */
struct quick_ahead {
        struct pg_cell *c;
        uint32_t node;
        uint32_t generation; // in which this is true; COUNT_NO_GENERATION: nothing is known yet
};

static inline __attribute__((always_inline)) struct quick_ahead quick_ahead(const uint64_t *frame)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_relaxed);
        if (pg_unlikely(count_self.quick != g))
                return (struct quick_ahead){ .generation = COUNT_NO_GENERATION };
        struct quick_ahead a = { count_self.cell, stack_here(frame), g };
        __builtin_prefetch(&agent.nodes[a.node], 1);
        return a;
}

/* Counts the block from the beginning; returns p, as the next one. */
void *quick_allocation_late(void *p, uint64_t bytes, const uint64_t *frame);
/* The rest, when the cell's net has changed. */
void *quick_block_late(void *p, struct pg_cell *c, uint32_t node, uint64_t usable_bytes);

/* The block that was announced is there; returns p. A signal handler may have forked meanwhile: then the generation is
 * another one. */
static inline __attribute__((always_inline)) void *quick_allocation(struct quick_ahead a, void *p,
                                                                    uint64_t bytes, const uint64_t *frame)
{
        struct pg_cell *c = a.c;
        const uint64_t address = (uint64_t)(uintptr_t)p;
        int64_t net;
        if (pg_unlikely(a.generation != atomic_load_explicit(&agent_generation, memory_order_relaxed)))
                return quick_allocation_late(p, bytes, frame);
        stack_count(a.node, 1, bytes);
        c->allocations++;
        c->allocated_bytes += bytes;
        uint64_t usable_bytes = real_header_bytes(p);
        if (pg_unlikely(count_change(c, (int64_t)usable_bytes, &net)) || pg_unlikely(live_is_pending(c)))
                return quick_block_late(p, c, a.node, usable_bytes);
        uint32_t peak = count_solo_peak(c, net);
        live_note(c, address, usable_bytes, a.node, peak);
        return p;
}

/* All of free(), and what is left of it when the block's size is known. */
void quick_free_late(void *p);
void quick_free_rest(void *p, struct pg_cell *c, uint64_t bytes);
/* The rest of it, when the cell's net has changed. */
void quick_free_flush(void *p, struct pg_cell *c, int64_t net);

static inline __attribute__((always_inline)) void quick_free(void *p)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_relaxed);
        if (pg_unlikely(count_self.quick != g))
                return quick_free_late(p);
        struct pg_cell *c = count_self.cell;
        const uint64_t address = (uint64_t)(uintptr_t)p, bytes = real_header_bytes(p);
        int64_t net;
        if (pg_unlikely(!live_dies_quickly(c, address, bytes)))
                return quick_free_rest(p, c, bytes);
        if (pg_unlikely(real_is_early(p)))
                return;
        c->frees++;
        if (pg_unlikely(count_change(c, -(int64_t)bytes, &net)))
                return quick_free_flush(p, c, net);
        count_fall();
        real.free(p);
}

#endif
