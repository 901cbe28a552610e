// SPDX-License-Identifier: MIT
/*
 * count.c - the peak of the live heap, and what happens off the fast path.
 *
 * A thread that finds no cell shares cell 0 by atomic adds. The peak is exact while the process has one cell
 * ("solo"); the second cell's claimer moves the first one's live bytes into the slot's, and from then on each
 * cell may hold back at most its slack.
 */
#include "runner/agent/count.h"

#include <dlfcn.h>
#include <linux/membarrier.h>

#include "runner/agent/cells.h"
#include "runner/agent/chance.h"
#include "runner/agent/glibc.h"
#include "runner/agent/raw.h"
#include "runner/agent/rules.h"

bool count_samples_stacks, count_is_plain;
_Thread_local struct count_thread count_self = { .generation = COUNT_NO_GENERATION,
                                                 .quick = COUNT_NO_GENERATION };

enum {
        SLACK_MIN_BYTES = 256,
        SLACK_MAX_BYTES = 65536,
        SLACK_PEAK_PART = 1024, // slack is this part of the peak
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
        int64_t peak = atomic_load_explicit(&agent.slot->peak_bytes, memory_order_relaxed);
        if (live > peak)
                atomic_fetch_add_explicit(&agent.slot->peak, 1, memory_order_relaxed);
        return largest(&agent.slot->peak_bytes, live);
}

/* The solo cell's live bytes go into the slot's, once, by whoever comes first; its peak stays the one to exceed. */
static void hand_over(struct pg_cell *c, int64_t net)
{
        int64_t expected = PG_NOT_FLUSHED;
        if (atomic_compare_exchange_strong_explicit(&c->flushed_bytes, &expected, net, memory_order_acq_rel,
                                                    memory_order_relaxed)) {
                largest(&agent.slot->peak_bytes, (int64_t)agent.slot->inherited_bytes + c->solo_peak_bytes);
                add_live(net);
        }
}

/*
 * The process gets a second cell. The owner of the first one stores its net and then looks at solo; here solo
 * is cleared and then net is read. The barrier in all threads of the process lies between the two for both
 * sides, so that either the owner sees that it is no longer alone, or its last change is seen here.
 */
void count_leave_solo(void)
{
        struct pg_cell *first = &agent.cells[1];
        atomic_store_explicit(&agent.slot->multi, 1, memory_order_relaxed);
        if (atomic_load_explicit(&first->flushed_bytes, memory_order_acquire) != PG_NOT_FLUSHED)
                return;
        atomic_store_explicit(&first->solo, 0, memory_order_seq_cst);
        int command = agent.borrowed ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_PRIVATE_EXPEDITED;
        raw_call(SYS_membarrier, command, 0, 0, 0, 0,
                 0); // where a filter forbids it, the peak may miss one event
        hand_over(first, atomic_load_explicit(&first->net_bytes, memory_order_seq_cst));
}

static int64_t slack_for(int64_t peak)
{
        int64_t slack = peak / SLACK_PEAK_PART;
        return slack < SLACK_MIN_BYTES ? SLACK_MIN_BYTES : slack > SLACK_MAX_BYTES ? SLACK_MAX_BYTES : slack;
}

PG_SLOW_PATH void count_flush(struct pg_cell *c, int64_t net)
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

int64_t count_live_bytes(void)
{
        int64_t live = (int64_t)agent.slot->inherited_bytes;
        for (uint32_t i = 0, n = cells_count(); i < n; i++)
                live += atomic_load_explicit(&agent.cells[i].net_bytes, memory_order_relaxed);
        return live;
}

/* ---- stacks ----------------------------------------------------------------------------------------------
 */

void count_forget_addresses(void)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_relaxed);
        if (agent.state < AGENT_COUNTING || g == 0)
                return;
        rules_forget();
        agent_next_generation();
}

/* Poisson over bytes; the event stands for 1 / probability events, in units of PG_SCALE_ONE. */
PG_SLOW_PATH uint32_t count_sampled_stack(struct pg_cell *c, uint64_t bytes, const uint64_t *frame)
{
        double mean = (double)agent.header->stack_interval_bytes;
        if (!chance_passes(&c->stack_until_bytes, bytes, mean, &c->random) || bytes == 0)
                return 0;
        double scale = PG_SCALE_ONE / chance_hit((double)bytes / mean);
        uint32_t node = stack_here(frame);
        stack_count(node, (uint64_t)(scale + 0.5), (uint64_t)(scale * (double)bytes + 0.5));
        return node;
}

/* ---- cells -----------------------------------------------------------------------------------------------
 */

static bool may_look_for_cell(void)
{
        return !agent.borrowed && count_self.shared_counts % SHARED_RETRY == 0;
}

/* The same numbers in every run, so that runs repeat; others in each cell. */
static void start_chance(struct pg_cell *c)
{
        c->random = (uint64_t)(c - agent.cells);
        c->stack_until_bytes = chance_distance((double)agent.header->stack_interval_bytes, &c->random);
}

PG_SLOW_PATH struct pg_cell *count_adopt(void)
{
        uint32_t g = atomic_load_explicit(&agent_generation, memory_order_acquire);
        if (agent.state < AGENT_COUNTING)
                return NULL;
        if (g == 0) {
                agent_reattach_after_fork();
                g = atomic_load_explicit(&agent_generation, memory_order_acquire);
        }
        if (count_self.paused)
                return NULL;
        if (!count_self.cell || count_self.epoch != agent.epoch) {
                count_self.cell = may_look_for_cell() ? cells_claim() : NULL;
                count_self.epoch = agent.epoch;
                if (count_self.cell) // its last thread's newest block is not ours
                        atomic_store_explicit(&count_self.cell->last_address, 0, memory_order_relaxed);
        }
        if (!count_self.cell)
                return NULL;
        if (!count_self.cell->random)
                start_chance(count_self.cell);
        stack_adopt(count_self.cell);
        count_set_generation(g);
        return count_self.cell;
}

/* What one call did. */
struct event {
        uint64_t allocations, bytes, frees;
        int64_t net;
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
        count_leave_solo();
        struct pg_cell *c = &agent.cells[0];
        add(&c->allocations, e->allocations);
        add(&c->allocated_bytes, e->bytes);
        add(&c->frees, e->frees);
        atomic_fetch_add_explicit(&c->net_bytes, e->net, memory_order_relaxed);
        add_live(e->net);
        count_self.shared_counts++;
        if (e->allocations)
                stack_count(PG_NODE_OTHER, e->allocations, e->bytes);
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
        int64_t n = (int64_t)real_usable_size(p);
        count_self.paused--;
        return n;
}

PG_SLOW_PATH void count_block_without_cell(void *p, uint64_t bytes)
{
        if (counts_without_cell() && !real_is_early(p))
                count_event(&(struct event){ 1, bytes, 0, usable_size(p) });
}

/* It may be a block of a thread with a cell. In a child that goes on in its parent's slot it is the child's copy. */
PG_SLOW_PATH void count_leave_table_without_cell(void *p, int64_t bytes)
{
        uint64_t address = (uint64_t)(uintptr_t)p;
        if (counts_without_cell() && !agent.borrowed && live_is_hit(address, (uint64_t)bytes))
                live_remove(address, (uint64_t)bytes);
}

PG_SLOW_PATH void count_freed_without_cell(int64_t bytes)
{
        if (counts_without_cell())
                count_event(&(struct event){ .frees = 1, .net = -bytes });
}

PG_SLOW_PATH void count_free_without_cell(void *p)
{
        if (!counts_without_cell())
                return;
        int64_t bytes = usable_size(p);
        count_leave_table_without_cell(p, bytes);
        count_freed_without_cell(bytes);
}

PG_SLOW_PATH void count_reallocation_without_cell(void *p, uint64_t bytes, int64_t old_bytes)
{
        int64_t new_bytes = p ? usable_size(p) : 0;
        if (counts_without_cell())
                count_event(&(struct event){ p != NULL, p ? bytes : 0, 1, new_bytes - old_bytes });
}

/* ---- beginnings ------------------------------------------------------------------------------------------
 */

/* The first cell is solo before any thread can see it. */
static void prepare(void)
{
        struct pg_cell *first = &agent.cells[1];
        live_start();
        count_samples_stacks = agent.header->stack_interval_bytes != 0;
        count_is_plain = !count_samples_stacks && real_has_headers;
        atomic_store_explicit(&first->flushed_bytes, PG_NOT_FLUSHED, memory_order_relaxed);
        atomic_store_explicit(&first->solo, 1, memory_order_relaxed);
        raw_call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

/* Brings an allocator that is not libc's through its first calls (tcmalloc allocates in the first
 * malloc_usable_size). Libc's needs none of it, and its heap stays untouched. */
static void warm_up(void)
{
        if (real_is_libc())
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
        if (early.allocations)
                stack_count(PG_NODE_OTHER, early.allocations, early.bytes);
        atomic_store_explicit(&c->net_bytes, early.net, memory_order_relaxed);
}

void count_after_fork(void)
{
        if (!agent.borrowed)
                prepare();
        count_adopt();
}
