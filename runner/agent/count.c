// SPDX-License-Identifier: MIT
/*
 * count.c - cells, the peak of the live heap, and what happens off the fast path.
 *
 * Cells of ended threads are taken over by new ones, counters and all: sums stay exact. A thread that finds
 * no cell shares cell 0 by atomic adds. The peak is exact while the process has one cell ("solo"); the second
 * cell's claimer moves the first one's live bytes into the slot's, and from then on each cell may hold back
 * at most its slack.
 */
#include "runner/agent/count.h"

#include <dlfcn.h>
#include <linux/membarrier.h>

#include "runner/agent/modules.h"
#include "runner/agent/raw.h"
#include "runner/agent/sites.h"

_Thread_local struct count_thread count_self = { .generation = COUNT_NO_GENERATION };

enum {
        SLACK_MIN_BYTES = 256,
        SLACK_MAX_BYTES = 65536,
        SLACK_PEAK_PART = 1024, // slack is this part of the peak
        REUSE_PROBES = 4,       // cells looked at before a fresh one is taken
        REUSE_PROBES_FULL = 64, // ... when there is none
        SHARED_RETRY = 4096,    // a thread in the shared cell looks for its own again after so many calls
};

/* Before attaching: any thread, by atomic adds. */
static struct {
        uint64_t allocations, bytes, frees;
        int64_t net, peak;
} early;

static void add(uint64_t *counter, uint64_t n)
{
        if (n)
                __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static int64_t largest(_Atomic int64_t *value, int64_t candidate)
{
        int64_t seen = atomic_load_explicit(value, memory_order_relaxed);
        while (seen < candidate &&
               !atomic_compare_exchange_weak_explicit(value, &seen, candidate, memory_order_relaxed,
                                                      memory_order_relaxed))
                ;
        return seen < candidate ? candidate : seen;
}

/* ---- live heap and its peak ------------------------------------------------------------------------------
 */

/* Returns the peak so far. */
static int64_t add_live(int64_t change)
{
        int64_t live =
                atomic_fetch_add_explicit(&agent.slot->live_bytes, change, memory_order_relaxed) + change;
        return largest(&agent.slot->peak_bytes, live);
}

/* The solo cell's live bytes go into the slot's, once, by whoever comes first. */
static void hand_over(struct pg_cell *c, int64_t net)
{
        int64_t expected = PG_NOT_FLUSHED;
        if (atomic_compare_exchange_strong_explicit(&c->flushed_bytes, &expected, net, memory_order_acq_rel,
                                                    memory_order_relaxed))
                add_live(net);
}

/*
 * The process gets a second cell. The owner of the first one stores its net and then looks at solo; here solo
 * is cleared and then net is read. The barrier in all threads of the process lies between the two for both
 * sides, so that either the owner sees that it is no longer alone, or its last change is seen here.
 */
static void leave_solo(void)
{
        struct pg_cell *first = &agent.cells[1];
        atomic_store_explicit(&agent.slot->multi, 1, memory_order_relaxed);
        if (atomic_load_explicit(&first->flushed_bytes, memory_order_acquire) != PG_NOT_FLUSHED)
                return;
        atomic_store_explicit(&first->solo, 0, memory_order_seq_cst);
        int command = agent.borrowed ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_PRIVATE_EXPEDITED;
        raw_call(SYS_membarrier, command, 0, 0, 0, 0, 0);
        hand_over(first, atomic_load_explicit(&first->net_bytes, memory_order_seq_cst));
}

static int64_t slack_for(int64_t peak)
{
        int64_t slack = peak / SLACK_PEAK_PART;
        return slack < SLACK_MIN_BYTES ? SLACK_MIN_BYTES : slack > SLACK_MAX_BYTES ? SLACK_MAX_BYTES : slack;
}

__attribute__((noinline)) void count_flush(struct pg_cell *c, int64_t net)
{
        if (atomic_load_explicit(&c->flushed_bytes, memory_order_acquire) == PG_NOT_FLUSHED)
                hand_over(c, net);
        int64_t change = net - atomic_load_explicit(&c->flushed_bytes, memory_order_acquire);
        atomic_store_explicit(&c->flushed_bytes, net, memory_order_relaxed);
        c->slack_bytes = slack_for(add_live(change));
        if (atomic_load_explicit(&agent.slot->slack_bytes, memory_order_relaxed) < (uint64_t)c->slack_bytes)
                atomic_store_explicit(&agent.slot->slack_bytes, (uint64_t)c->slack_bytes,
                                      memory_order_relaxed);
}

static uint32_t cell_count(void)
{
        uint32_t n = atomic_load_explicit(&agent.slot->n_cells, memory_order_acquire);
        return n < PG_CELLS_MAX ? n : PG_CELLS_MAX;
}

int64_t count_live_bytes(void)
{
        int64_t live = (int64_t)agent.slot->inherited_bytes;
        for (uint32_t i = 0, n = cell_count(); i < n; i++)
                live += atomic_load_explicit(&agent.cells[i].net_bytes, memory_order_relaxed);
        return live;
}

/* ---- sites -----------------------------------------------------------------------------------------------
 */

/* Taken out of the cache before it is added to the table: a kill in between loses it from the sites only, and
 * the reader puts what is missing there into [other]. */
static void evict(struct pg_cell_site *s)
{
        if (s->pc == 0)
                return;
        s->pc = 0;
        atomic_signal_fence(memory_order_seq_cst);
        sites_add(s->place, s->allocations, s->bytes);
}

__attribute__((noinline)) void count_replace_site(struct pg_cell_site *s, uint64_t pc)
{
        evict(s);
        s->place = agent_place(pc);
        s->allocations = 0;
        s->bytes = 0;
        atomic_signal_fence(memory_order_seq_cst);
        s->pc = pc;
}

static void evict_all(struct pg_cell *c)
{
        for (uint32_t i = 0; i < PG_CELL_SITES; i++)
                evict(&c->sites[i]);
}

void count_forget_addresses(void)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_relaxed);
        if (agent.state == AGENT_COUNTING && g != 0)
                agent_next_generation();
}

/* ---- cells -----------------------------------------------------------------------------------------------
 */

static bool take_over(struct pg_cell *c, int32_t tid)
{
        int32_t owner = atomic_load_explicit(&c->tid, memory_order_acquire);
        if (owner == 0 || (owner != tid && !raw_thread_is_gone(agent.pid, owner)))
                return false;
        return atomic_compare_exchange_strong_explicit(&c->tid, &owner, tid, memory_order_acq_rel,
                                                       memory_order_relaxed);
}

/* A cell whose thread has ended; the search goes on where the last one stopped. */
static struct pg_cell *reuse_cell(int32_t tid, uint32_t probes)
{
        static _Atomic uint32_t cursor;
        uint32_t n = cell_count() - 1; // without the shared one
        for (uint32_t i = 0; i < probes && i < n; i++) {
                uint32_t at = atomic_fetch_add_explicit(&cursor, 1, memory_order_relaxed) % n + 1;
                if (take_over(&agent.cells[at], tid))
                        return &agent.cells[at];
        }
        return NULL;
}

static struct pg_cell *fresh_cell(int32_t tid)
{
        uint32_t i = cell_count();
        if (i < PG_CELLS_MAX)
                i = atomic_fetch_add_explicit(&agent.slot->n_cells, 1, memory_order_acq_rel);
        if (i >= PG_CELLS_MAX)
                return NULL;
        if (i > 1)
                leave_solo();
        atomic_store_explicit(&agent.cells[i].tid, tid, memory_order_release);
        return &agent.cells[i];
}

static struct pg_cell *claim_cell(void)
{
        int32_t tid = raw_gettid();
        struct pg_cell *c = reuse_cell(tid, REUSE_PROBES);
        if (!c)
                c = fresh_cell(tid);
        if (!c)
                c = reuse_cell(tid, REUSE_PROBES_FULL);
        if (c)
                atomic_fetch_add_explicit(&agent.slot->n_threads, 1, memory_order_relaxed);
        return c;
}

static bool may_look_for_cell(void)
{
        return !agent.borrowed && count_self.shared_counts % SHARED_RETRY == 0;
}

__attribute__((noinline)) struct pg_cell *count_adopt(void)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_acquire);
        if (agent.state < AGENT_COUNTING)
                return NULL;
        if (g == 0) {
                agent_reattach_after_fork();
                g = atomic_load_explicit(&agent_generation, memory_order_acquire);
        }
        if (agent.state == AGENT_SAMPLING)
                count_self.generation =
                        g; // no cell, and no need to ask again: the wrappers must cost little here
        if (agent.state != AGENT_COUNTING || count_self.paused)
                return NULL;
        if (!count_self.cell || count_self.epoch != agent.epoch) {
                count_self.cell = may_look_for_cell() ? claim_cell() : NULL;
                count_self.epoch = agent.epoch;
        }
        if (!count_self.cell)
                return NULL;
        evict_all(count_self.cell);
        count_self.generation = g;
        return count_self.cell;
}

/* What one call did. */
struct event {
        uint64_t allocations, bytes, frees;
        int64_t net;
        uint64_t pc;
};

static void count_early(const struct event *e)
{
        add(&early.allocations, e->allocations);
        add(&early.bytes, e->bytes);
        add(&early.frees, e->frees);
        int64_t live = __atomic_add_fetch(&early.net, e->net, __ATOMIC_RELAXED);
        if (live > early.peak)
                early.peak = live; // the loader's thread is alone
}

static void count_shared(const struct event *e)
{
        leave_solo();
        struct pg_cell *c = &agent.cells[0];
        add(&c->allocations, e->allocations);
        add(&c->allocated_bytes, e->bytes);
        add(&c->frees, e->frees);
        atomic_fetch_add_explicit(&c->net_bytes, e->net, memory_order_relaxed);
        add_live(e->net);
        count_self.shared_counts++;
        if (e->allocations)
                sites_add(agent_place(e->pc), e->allocations, e->bytes);
}

static bool counts_without_cell(void)
{
        return !count_self.paused && (agent.state == AGENT_COUNTING || agent.state == AGENT_EARLY);
}

static void count_event(const struct event *e)
{
        if (agent.state == AGENT_EARLY)
                count_early(e);
        else
                count_shared(e);
}

/* An allocator that asks for memory the first time it is asked for a size must not come back here for it. */
static int64_t usable_size(void *p)
{
        count_self.paused++;
        int64_t n = (int64_t)real.usable_size(p);
        count_self.paused--;
        return n;
}

__attribute__((noinline)) void count_block_without_cell(void *p, uint64_t bytes, uint64_t pc)
{
        if (counts_without_cell() && !real_is_early(p))
                count_event(&(struct event){ 1, bytes, 0, usable_size(p), pc });
}

__attribute__((noinline)) void count_freed_without_cell(int64_t bytes)
{
        if (counts_without_cell())
                count_event(&(struct event){ .frees = 1, .net = -bytes });
}

__attribute__((noinline)) void count_free_without_cell(void *p)
{
        if (counts_without_cell())
                count_freed_without_cell(usable_size(p));
}

__attribute__((noinline)) void count_reallocation_without_cell(void *p, uint64_t bytes, int64_t old_bytes,
                                                               uint64_t pc)
{
        int64_t new_bytes = p ? usable_size(p) : 0;
        if (counts_without_cell())
                count_event(&(struct event){ p != NULL, p ? bytes : 0, 1, new_bytes - old_bytes, pc });
}

/* ---- beginnings ------------------------------------------------------------------------------------------
 */

/* The first cell is solo before any thread can see it. */
static void prepare(void)
{
        struct pg_cell *first = &agent.cells[1];
        atomic_store_explicit(&first->flushed_bytes, PG_NOT_FLUSHED, memory_order_relaxed);
        atomic_store_explicit(&first->solo, 1, memory_order_relaxed);
        raw_call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

/* Brings an allocator that is not libc's through its first calls (tcmalloc allocates in the first
 * malloc_usable_size). Libc's needs none of it, and its heap stays untouched. */
static void warm_up(void)
{
        struct dl_find_object libc, allocator;
        if (_dl_find_object((void *)(uintptr_t)real.fork, &libc) != 0 ||
            _dl_find_object((void *)(uintptr_t)real.malloc, &allocator) != 0 ||
            libc.dlfo_link_map == allocator.dlfo_link_map)
                return;
        uint32_t generation = count_pause();
        void *p = real.malloc(1);
        if (p)
                real.usable_size(p);
        real.free(p);
        count_resume(generation);
}

void count_start(void)
{
        warm_up();
        prepare();
        struct pg_cell *c = count_adopt();
        if (!c)
                return;
        c->allocations = early.allocations;
        c->allocated_bytes = early.bytes;
        c->frees = early.frees;
        c->solo_peak_bytes = early.peak;
        atomic_store_explicit(&c->net_bytes, early.net, memory_order_relaxed);
}

void count_after_fork(void)
{
        if (!agent.borrowed)
                prepare();
        count_adopt();
}
