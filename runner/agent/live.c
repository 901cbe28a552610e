// SPDX-License-Identifier: MIT
/*
 * live.c - the table of live blocks, in shared memory: what is in it when the process ends, however it ends,
 * lives at the end.
 *
 * Neighbours in the heap have neighbouring buckets. Places are
 * claimed and given back by atomic operations on the address, so any thread may free any block. A block has its
 * address when all else of it is there. When the table fills up the level rises, and who raised it takes out what is
 * in the sample no more; a thread that put a block in meanwhile sees the new level and does it itself.
 */
#include "runner/agent/live.h"

#include "runner/agent/cells.h"
#include "runner/agent/count.h"

enum { FULL_EIGHTHS = 5, CROWDED_EIGHTHS = 6 };

/* While one thread allocates, what other threads must see in one piece can be done in two. */
static bool is_alone(void)
{
        return !atomic_load_explicit(&agent.slot->multi, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
        if (is_alone())
                atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                                      memory_order_relaxed);
        else
                atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- which blocks are in the sample ---- */

_Atomic uint32_t live_shift = LIVE_OFF;

void live_start(void)
{
        uint32_t shift = agent.live_blocks ? pg_live_shift(0) : LIVE_OFF;
        atomic_store_explicit(&live_shift, shift, memory_order_relaxed);
}

static uint32_t level_now(void)
{
        return atomic_load_explicit(&agent.slot->live_level, memory_order_acquire);
}

/* ---- what was live at the peak ---- */

static void start_peak(struct pg_node_peak *n, uint32_t peak)
{
        uint32_t seen = atomic_load_explicit(&n->peak, memory_order_relaxed);
        if (seen == peak || !atomic_compare_exchange_strong_explicit(
                                    &n->peak, &seen, peak, memory_order_relaxed, memory_order_relaxed))
                return;
        atomic_store_explicit(&n->bytes, 0, memory_order_relaxed);
        atomic_store_explicit(&n->blocks_256ths, 0, memory_order_relaxed);
}

/* A block of the sample is freed. */
static void leave_peak(uint32_t node, uint32_t first_peak, uint64_t address, uint64_t bytes)
{
        uint32_t level = level_now();
        if (!live_was_at_peak(first_peak) ||
            !pg_live_is_hit(address, bytes, level)) // the level has just risen
                return;
        uint32_t peak = atomic_load_explicit(&agent.slot->peak, memory_order_relaxed);
        struct pg_node_peak *n = &agent.peaks[node];
        double p = pg_live_probability(bytes, level);
        start_peak(n, peak);
        add(&n->bytes, (uint64_t)((double)bytes / p + 0.5));
        add(&n->blocks_256ths, (uint64_t)(256 / p + 0.5));
}

/* ---- the table ---- */

/* A cell tells its changes some at a time. */
static inline void count_blocks(struct pg_cell *c, int32_t change)
{
        enum { AT_ONCE = 64 };
        if (c) {
                change += c->live_change;
                c->live_change = change;
                if (__builtin_expect(change > -AT_ONCE && change < AT_ONCE, 1))
                        return;
                c->live_change = 0;
        }
        atomic_fetch_add_explicit(&agent.slot->live_blocks, change, memory_order_relaxed);
}

static bool exchange(struct pg_live_block *b, uint64_t expected, uint64_t address)
{
        if (!is_alone())
                return atomic_compare_exchange_strong_explicit(&b->address, &expected, address,
                                                               memory_order_acq_rel, memory_order_relaxed);
        atomic_store_explicit(&b->address, address, memory_order_relaxed);
        return true;
}

static struct pg_live_block *find(uint64_t address)
{
        for (uint32_t which = 0; which < PG_LIVE_CHOICES; which++) {
                struct pg_live_block *b = live_bucket(address, which);
                for (uint32_t i = 0; i < PG_LIVE_BUCKET; i++)
                        if (atomic_load_explicit(&b[i].address, memory_order_acquire) == address)
                                return &b[i];
        }
        return NULL;
}

/* A place for a block at address, PG_LIVE_CLAIMED: to be filled, and then given its address. */
static struct pg_live_block *claim(uint64_t address)
{
        for (uint32_t which = 0; which < PG_LIVE_CHOICES; which++) {
                struct pg_live_block *b = live_bucket(address, which);
                for (uint32_t i = 0; i < PG_LIVE_BUCKET; i++)
                        if (atomic_load_explicit(&b[i].address, memory_order_relaxed) == 0 &&
                            exchange(&b[i], 0, PG_LIVE_CLAIMED))
                                return &b[i];
        }
        return NULL;
}

/* False: it is gone already. */
static bool take_out(struct pg_live_block *b, uint64_t address)
{
        if (!exchange(b, address, 0))
                return false;
        count_blocks(count_self.cell, -1);
        return true;
}

/* ---- the level ---- */

static inline bool is_fuller_than(uint32_t eighths)
{
        uint32_t places = (agent.live_mask + 1) * PG_LIVE_BUCKET;
        return atomic_load_explicit(&agent.slot->live_blocks, memory_order_relaxed) >
               (int32_t)(places / 8 * eighths);
}

/* While one thread makes room the table stays full for the others: they have to go up once more only when
 * blocks would get lost. */
static inline bool is_full(void)
{
        return is_fuller_than(FULL_EIGHTHS) &&
               (!atomic_load_explicit(&agent.slot->live_sweeping, memory_order_relaxed) ||
                is_fuller_than(CROWDED_EIGHTHS));
}

/* Blocks that are not in the sample any more. */
static void take_out_others(uint32_t level)
{
        for (size_t i = 0, n = ((size_t)agent.live_mask + 1) * PG_LIVE_BUCKET; i < n; i++) {
                struct pg_live_block *b = &agent.live_blocks[i];
                uint64_t address = atomic_load_explicit(&b->address, memory_order_acquire);
                uint64_t bytes = atomic_load_explicit(&b->bytes, memory_order_relaxed);
                if (address && address != PG_LIVE_CLAIMED && !pg_live_is_hit(address, bytes, level))
                        take_out(b, address);
        }
}

/* Threads that raise the level one after another end with the last one's. */
static void follow_level(void)
{
        uint32_t level;
        do {
                level = level_now();
                atomic_store_explicit(&live_shift, pg_live_shift(level), memory_order_seq_cst);
        } while (level != level_now());
}

/* One level up. O(table), which then takes half as many new blocks as it had to fill again. */
static void raise_level(void)
{
        uint32_t level = level_now();
        if (level == PG_LIVE_LEVEL_MAX)
                return;
        atomic_store_explicit(&agent.slot->live_sweeping, 1, memory_order_relaxed);
        if (atomic_compare_exchange_strong_explicit(&agent.slot->live_level, &level, level + 1,
                                                    memory_order_seq_cst, memory_order_relaxed)) {
                follow_level();
                take_out_others(level + 1);
        }
        atomic_store_explicit(&agent.slot->live_sweeping, 0, memory_order_relaxed);
}

/* ---- the newest block of a thread, before it is in the table ---- */

/* The block is pending no more. False: somebody else saw to that. */
static bool end_pending(struct pg_cell *c, uint64_t address)
{
        if (!is_alone())
                return atomic_compare_exchange_strong_explicit(&c->pending, &address, 0, memory_order_seq_cst,
                                                               memory_order_relaxed);
        if (atomic_load_explicit(&c->pending, memory_order_relaxed) != address)
                return false;
        atomic_store_explicit(&c->pending, 0, memory_order_relaxed);
        return true;
}

/* Where it is; NULL when it does not belong there any more, or finds no place. */
static struct pg_live_block *insert(struct pg_cell *c, uint64_t address, uint32_t level)
{
        if (!pg_live_is_hit(address, c->last_bytes, level))
                return NULL;
        struct pg_live_block *b = claim(address);
        if (!b) {
                atomic_fetch_add_explicit(&agent.slot->live_lost, 1, memory_order_relaxed);
                return NULL;
        }
        atomic_store_explicit(&b->bytes, c->last_bytes, memory_order_relaxed);
        atomic_store_explicit(&b->peak, c->last_peak, memory_order_relaxed);
        atomic_store_explicit(&b->node, c->last_node, memory_order_relaxed);
        atomic_store_explicit(&b->address, address, memory_order_release);
        count_blocks(c, 1);
        return b;
}

/*
 * The block is in the table before it is pending no more, so that whoever frees it meanwhile finds it in one
 * of the two; who finds it pending leaves the table's copy to us. It is in the table before the level is
 * looked at again, so that either we see a new one or who raised it sees the block.
 */
PG_SLOW_PATH void live_settle(struct pg_cell *c)
{
        uint64_t address = atomic_load_explicit(&c->pending, memory_order_relaxed), bytes = c->last_bytes;
        if (!address) // another thread freed it just now
                return;
        if (is_full())
                raise_level();
        uint32_t level = level_now();
        struct pg_live_block *b = insert(c, address, level);
        bool freed = !end_pending(c, address); // a barrier where there are other threads
        if (b && (freed || (level_now() != level && !pg_live_is_hit(address, bytes, level_now()))))
                take_out(b, address);
}

PG_SLOW_PATH void live_newest_was_at_peak(const struct pg_cell *c)
{
        leave_peak(c->last_node, c->last_peak, atomic_load_explicit(&c->last_address, memory_order_relaxed),
                   c->last_bytes);
}

/* Freed while it is that thread's newest, which is not in the table, or not known to be. False: it got there. */
static bool take_from(struct pg_cell *c, uint64_t address)
{
        uint32_t node = c->last_node, peak = c->last_peak;
        uint64_t bytes = c->last_bytes;
        if (!end_pending(c, address))
                return false;
        leave_peak(node, peak, address, bytes);
        return true;
}

/* False: no thread holds the block as its newest. */
static bool remove_from_holder(uint64_t address)
{
        for (uint32_t i = 1, n = cells_count(); i < n; i++) {
                struct pg_cell *c = &agent.cells[i];
                if (atomic_load_explicit(&c->pending, memory_order_acquire) == address)
                        return take_from(c, address);
        }
        return false;
}

/* ---- a block that is in the table ---- */

static bool remove_from_table(uint64_t address, uint64_t bytes)
{
        struct pg_live_block *b = find(address);
        if (!b)
                return false;
        uint32_t node = atomic_load_explicit(&b->node, memory_order_relaxed);
        uint32_t peak = atomic_load_explicit(&b->peak, memory_order_relaxed);
        if (take_out(b, address))
                leave_peak(node, peak, address, bytes);
        return true;
}

/* It may move from a thread to the table between the two looks, but only once. A block that is nowhere was
 * never seen: it is older than the agent's table, or a fork's. */
PG_SLOW_PATH void live_remove(uint64_t address, uint64_t bytes)
{
        if (!remove_from_table(address, bytes) && !remove_from_holder(address))
                remove_from_table(address, bytes);
}
