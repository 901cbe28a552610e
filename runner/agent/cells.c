// SPDX-License-Identifier: MIT
/*
 * cells.c - claiming cells: first those of ended threads, then fresh ones.
 */
#include "runner/agent/cells.h"

#include "runner/agent/count.h"
#include "runner/agent/raw.h"

enum {
        REUSE_PROBES = 4,       // cells looked at before a fresh one is taken
        REUSE_PROBES_FULL = 64, // ... when there is none
};

uint32_t cells_count(void)
{
        uint32_t n = atomic_load_explicit(&agent.slot->n_cells, memory_order_acquire);
        return n < PG_CELLS_MAX ? n : PG_CELLS_MAX;
}

static bool take_over(struct pg_cell *c, int32_t tid)
{
        int32_t owner = atomic_load_explicit(&c->tid, memory_order_acquire);
        if (owner == 0 || (owner != tid && !raw_thread_is_gone(agent.pid, owner)))
                return false;
        return atomic_compare_exchange_strong_explicit(&c->tid, &owner, tid, memory_order_acq_rel,
                                                       memory_order_relaxed);
}

/* The search goes on where the last one stopped. */
static struct pg_cell *reuse(int32_t tid, uint32_t probes)
{
        static _Atomic uint32_t cursor;
        uint32_t n = cells_count() - 1; // without the shared one
        for (uint32_t i = 0; i < probes && i < n; i++) {
                uint32_t at = atomic_fetch_add_explicit(&cursor, 1, memory_order_relaxed) % n + 1;
                if (take_over(&agent.cells[at], tid))
                        return &agent.cells[at];
        }
        return NULL;
}

static struct pg_cell *fresh(int32_t tid)
{
        uint32_t i = cells_count();
        if (i < PG_CELLS_MAX)
                i = atomic_fetch_add_explicit(&agent.slot->n_cells, 1, memory_order_acq_rel);
        if (i >= PG_CELLS_MAX)
                return NULL;
        if (i > 1 && agent.state == AGENT_COUNTING)
                count_leave_solo();
        atomic_store_explicit(&agent.cells[i].tid, tid, memory_order_release);
        return &agent.cells[i];
}

struct pg_cell *cells_claim(void)
{
        int32_t tid = raw_gettid();
        if (tid <= 0) // a filter of the target's forbids to ask
                return NULL;
        struct pg_cell *c = reuse(tid, REUSE_PROBES);
        if (!c)
                c = fresh(tid);
        if (!c)
                c = reuse(tid, REUSE_PROBES_FULL);
        if (c)
                atomic_fetch_add_explicit(&agent.slot->n_threads, 1, memory_order_relaxed);
        return c;
}
