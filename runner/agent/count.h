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
#include "runner/agent/live.h"
#include "runner/agent/real.h"
#include "runner/agent/stack.h"

enum { COUNT_NO_GENERATION = 0xffffffffu };

struct count_thread {
        uint32_t generation; // agent_generation when cell was last looked at
        uint32_t quick;      // the same where quick.h may be used, else COUNT_NO_GENERATION
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
/* The process gets a second cell. */
void count_leave_solo(void);

/* Slow paths. */
struct pg_cell *count_adopt(void); // this thread's cell, NULL when it has none
void count_block_without_cell(void *p, uint64_t bytes);
void count_free_without_cell(void *p);
void count_freed_without_cell(int64_t bytes);
void count_leave_table_without_cell(void *p, int64_t bytes);
void count_reallocation_without_cell(void *p, uint64_t bytes, int64_t old_bytes);
void count_flush(struct pg_cell *c, int64_t net);
uint32_t count_sampled_stack(struct pg_cell *c, uint64_t bytes, const uint64_t *frame);

static inline struct pg_cell *count_cell(void)
{
        if (pg_likely(count_self.generation == atomic_load_explicit(&agent_generation, memory_order_relaxed)))
                return count_self.cell;
        return count_adopt();
}

static inline uint32_t count_peak(void)
{
        return atomic_load_explicit(&agent.slot->peak, memory_order_relaxed);
}

static inline bool count_is_below(void)
{
        return atomic_load_explicit(&agent.slot->below, memory_order_relaxed);
}

/* A higher peak than ever of the one thread that allocates; it has a number of its own when something was freed
 * since the last one. */
static inline void count_new_peak(void)
{
        if (!count_is_below())
                return;
        atomic_store_explicit(&agent.slot->below, 0, memory_order_relaxed);
        atomic_store_explicit(&agent.slot->peak, count_peak() + 1, memory_order_relaxed);
}

/* Something is freed. */
static inline void count_fall(void)
{
        if (!count_is_below())
                atomic_store_explicit(&agent.slot->below, 1, memory_order_relaxed);
}

/* The cell's net changes; where it has company, returns true, and the change may have to be flushed. */
static inline __attribute__((always_inline)) bool count_change(struct pg_cell *c, int64_t change,
                                                               int64_t *ret_net)
{
        int64_t net = atomic_load_explicit(&c->net_bytes, memory_order_relaxed) + change;
        atomic_store_explicit(&c->net_bytes, net, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); // the other half is the membarrier in count_leave_solo()
        *ret_net = net;
        return pg_unlikely(!atomic_load_explicit(&c->solo, memory_order_relaxed));
}

static inline void count_flush_beyond_slack(struct pg_cell *c, int64_t net)
{
        uint64_t flushed = (uint64_t)atomic_load_explicit(&c->flushed_bytes, memory_order_relaxed);
        uint64_t slack = (uint64_t)c->slack_bytes;
        if (pg_unlikely((uint64_t)net - flushed + slack > 2 * slack))
                count_flush(c, net);
}

/* After count_change(): the first peak that a block born by it is part of. Where several threads allocate,
 * peaks are seen when a thread's slack is used up, and a block is part of the one that it brought about, or
 * of the next one. */
static inline uint32_t count_solo_peak(struct pg_cell *c, int64_t net)
{
        if (pg_unlikely(net > c->solo_peak_bytes)) {
                c->solo_peak_bytes = net;
                count_new_peak();
        }
        return count_peak() + count_is_below();
}

static inline uint32_t count_company_peak(struct pg_cell *c, int64_t net)
{
        uint32_t before = count_peak();
        count_flush_beyond_slack(c, net);
        uint32_t peak = count_peak();
        return peak + (peak == before);
}

/* So many bytes more are live; fewer when a block became a smaller one, after count_leave_table(). Returns
 * the first peak that a block born by it is part of. */
static inline __attribute__((always_inline)) uint32_t count_up(struct pg_cell *c, int64_t bytes)
{
        int64_t net;
        return count_change(c, bytes, &net) ? count_company_peak(c, net) : count_solo_peak(c, net);
}

static inline __attribute__((always_inline)) void count_down(struct pg_cell *c, int64_t bytes)
{
        int64_t net;
        if (count_change(c, -bytes, &net))
                count_flush_beyond_slack(c, net);
        else
                count_fall();
}

/* A block that was given out: bytes as asked for. Its node's counters have it. */
static inline __attribute__((always_inline)) void count_block(struct pg_cell *c, void *p, uint64_t bytes,
                                                              uint32_t node)
{
        c->allocations++;
        c->allocated_bytes += bytes;
        uint64_t usable_bytes = real_usable_size(p);
        uint32_t peak = count_up(c, (int64_t)usable_bytes);
        live_born(c, (uint64_t)(uintptr_t)p, usable_bytes, node, peak);
}

/* Not every allocation has a stack: pg_file_header.stack_interval_bytes. */
extern bool count_samples_stacks __attribute__((visibility("hidden")));
/* Each has one, and blocks tell their size. */
extern bool count_is_plain __attribute__((visibility("hidden")));

/* The stack of the calling function gets the allocation; returns its node, 0 when it was left out by chance. */
static inline __attribute__((always_inline)) uint32_t count_stack(struct pg_cell *c, uint64_t bytes,
                                                                  const uint64_t *frame)
{
        if (pg_unlikely(count_samples_stacks))
                return count_sampled_stack(c, bytes, frame);
        uint32_t node = stack_here(frame);
        stack_count(node, 1, bytes);
        return node;
}

/* A block that was given out: bytes as asked for, frame the one of the interposed function. */
static inline __attribute__((always_inline)) void count_allocation(void *p, uint64_t bytes,
                                                                   const uint64_t *frame)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c))
                count_block_without_cell(p, bytes);
        else
                count_block(c, p, bytes, count_stack(c, bytes, frame));
}

/* A block of the allocator that is about to be freed; p is not NULL. */
static inline __attribute__((always_inline)) void count_free(void *p)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_free_without_cell(p);
                return;
        }
        uint64_t bytes = real_usable_size(p);
        c->frees++;
        live_dies(c, (uint64_t)(uintptr_t)p, bytes);
        count_down(c, (int64_t)bytes);
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
static inline __attribute__((always_inline)) void
count_allocation_once(void *p, uint64_t bytes, const uint64_t *frame, struct count_mark mark)
{
        struct count_mark now = count_look();
        if (now.cell == mark.cell && now.allocations == mark.allocations)
                count_allocation(p, bytes, frame);
}

/* Before a real function that frees or moves p may give its address to another thread: p leaves the table of live
 * blocks. It was part of the peaks so far, and is of no higher one, whatever comes in its place. */
static inline void count_leave_table(void *p, int64_t bytes)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_leave_table_without_cell(p, bytes);
                return;
        }
        live_dies(c, (uint64_t)(uintptr_t)p, (uint64_t)bytes);
        count_fall();
}

/* Unchanged over a call of a real function when that reached none of ours that frees. */
static inline uint64_t count_frees(void)
{
        const struct pg_cell *c = count_self.cell;
        return c ? c->frees : count_self.shared_counts;
}

/* A block that held so many bytes was freed, and had left the table. */
static inline void count_freed(int64_t bytes)
{
        struct pg_cell *c = count_cell();
        if (!c) {
                count_freed_without_cell(bytes);
                return;
        }
        c->frees++;
        count_down(c, bytes);
}

/* The cell is this thread's in that generation. */
static inline void count_set_generation(uint32_t generation)
{
        count_self.generation = generation;
        count_self.quick = count_is_plain ? generation : COUNT_NO_GENERATION;
}

/* What this thread allocates in between is ours and does not count. */
static inline uint32_t count_pause(void)
{
        uint32_t generation = count_self.generation;
        count_set_generation(COUNT_NO_GENERATION);
        count_self.paused++;
        return generation;
}

static inline void count_resume(uint32_t generation)
{
        count_self.paused--;
        count_set_generation(generation);
}

#endif
