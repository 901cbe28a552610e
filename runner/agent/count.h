// SPDX-License-Identifier: MIT
/*
 * count.h - the counters behind every interposed allocation function.
 *
 * A thread writes into its own cell with plain stores; nothing is locked, nothing waits. The fast path is one
 * comparison of the thread's generation with the process's: it differs in a thread without a cell, in a
 * forked child, after an unload of a library, and wherever nothing is counted.
 */
#ifndef PG_AGENT_COUNT_H
#define PG_AGENT_COUNT_H

#include <stddef.h>
#include <stdint.h>

#include "runner/agent/attach.h"
#include "runner/agent/real.h"

enum { COUNT_NO_GENERATION = 0xffffffffu };

struct count_thread {
        uint32_t generation; // agent_generation when cell was last looked at
        uint32_t epoch;      // agent.epoch in which cell was claimed: before a fork it is the parent's
        struct pg_cell *cell;
        uint64_t shared_counts; // allocations that went into the shared cell
        uint32_t paused;        // we allocate for ourselves
        bool forking;           // fork_live_bytes is set
        int64_t fork_live_bytes;
};
extern _Thread_local struct count_thread count_self
        __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* In the constructor when counting: the main thread's cell, and what was counted before. */
void count_start(void);
/* In a forked child that has its slot. */
void count_after_fork(void);
/* Live heap of this process now, inherited bytes included; exact when no other thread allocates meanwhile. */
int64_t count_live_bytes(void);
/* After a library was unloaded: addresses may mean something else from now on. */
void count_forget_addresses(void);

/* Slow paths. */
struct pg_cell *count_adopt(void); // this thread's cell, NULL when it has none
void count_block_without_cell(void *p, uint64_t bytes, uint64_t pc);
void count_free_without_cell(void *p);
void count_freed_without_cell(int64_t bytes);
void count_reallocation_without_cell(void *p, uint64_t bytes, int64_t old_bytes, uint64_t pc);
void count_flush(struct pg_cell *c, int64_t net);
void count_replace_site(struct pg_cell_site *s, uint64_t pc);

static inline struct pg_cell *count_cell(void)
{
        if (pg_likely(count_self.generation == atomic_load_explicit(&agent_generation, memory_order_relaxed)))
                return count_self.cell;
        return count_adopt();
}

static inline void count_net(struct pg_cell *c, int64_t change)
{
        int64_t net = atomic_load_explicit(&c->net_bytes, memory_order_relaxed) + change;
        atomic_store_explicit(&c->net_bytes, net, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); // the other half is the membarrier in leave_solo()
        if (pg_likely(atomic_load_explicit(&c->solo, memory_order_relaxed))) {
                if (net > c->solo_peak_bytes)
                        c->solo_peak_bytes = net;
                return;
        }
        uint64_t flushed = (uint64_t)atomic_load_explicit(&c->flushed_bytes, memory_order_relaxed);
        uint64_t slack = (uint64_t)c->slack_bytes;
        if (pg_unlikely((uint64_t)net - flushed + slack > 2 * slack))
                count_flush(c, net);
}

static inline void count_site(struct pg_cell *c, uint64_t bytes, uint64_t pc)
{
        struct pg_cell_site *s = &c->sites[pc * 0x9e3779b97f4a7c15ull / (UINT64_MAX / PG_CELL_SITES + 1)];
        if (pg_unlikely(s->pc != pc))
                count_replace_site(s, pc);
        s->allocations++;
        s->bytes += bytes;
}

/* A block that was given out: bytes as asked for, pc the return address of the call. */
static inline __attribute__((always_inline)) void count_allocation(void *p, uint64_t bytes, uint64_t pc)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_block_without_cell(p, bytes, pc);
                return;
        }
        c->allocations++;
        c->allocated_bytes += bytes;
        count_site(c, bytes, pc);
        count_net(c, (int64_t)real.usable_size(p));
}

/* A block of the allocator that is about to be freed; p is not NULL. */
static inline __attribute__((always_inline)) void count_free(void *p)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_free_without_cell(p);
                return;
        }
        c->frees++;
        count_net(c, -(int64_t)real.usable_size(p));
}

/* What this thread has counted so far: unchanged over a call of a real function when that reached none of
 * ours.
 */
struct count_mark {
        const struct pg_cell *cell;
        uint64_t allocations;
};

static inline struct count_mark count_look(void)
{
        const struct pg_cell *c = count_self.cell;
        return (struct count_mark){ c, c ? c->allocations : count_self.shared_counts };
}

static inline struct count_mark count_mark(void)
{
        count_cell(); // a cell of this process, from here on the same one
        return count_look();
}

/* Counts p, from a real function that may have counted it inside, unless it did. */
static inline void count_allocation_once(void *p, uint64_t bytes, uint64_t pc, struct count_mark mark)
{
        struct count_mark now = count_look();
        if (now.cell == mark.cell && now.allocations == mark.allocations)
                count_allocation(p, bytes, pc);
}

/* The same for blocks that a real function freed: bytes is what the block held. */
static inline uint64_t count_frees(void)
{
        const struct pg_cell *c = count_self.cell;
        return c ? c->frees : count_self.shared_counts;
}

static inline void count_freed(int64_t bytes)
{
        struct pg_cell *c = count_cell();
        if (!c) {
                count_freed_without_cell(bytes);
                return;
        }
        c->frees++;
        count_net(c, -bytes);
}

/* What this thread allocates in between is ours and does not count. */
static inline uint32_t count_pause(void)
{
        uint32_t generation = count_self.generation;
        count_self.generation = COUNT_NO_GENERATION;
        count_self.paused++;
        return generation;
}

static inline void count_resume(uint32_t generation)
{
        count_self.paused--;
        count_self.generation = generation;
}

#endif
