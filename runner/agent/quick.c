// SPDX-License-Identifier: MIT
/*
 * quick.c - what quick.h leaves out.
 */
#include "runner/agent/quick.h"

PG_SLOW_PATH void *quick_allocation_late(void *p, uint64_t bytes, const uint64_t *frame)
{
        count_allocation(p, bytes, frame);
        return p;
}

PG_SLOW_PATH void *quick_block_late(void *p, struct pg_cell *c, uint32_t node, uint64_t usable_bytes)
{
        int64_t net = atomic_load_explicit(&c->net_bytes, memory_order_relaxed);
        bool solo = atomic_load_explicit(&c->solo, memory_order_relaxed);
        uint32_t peak = solo ? count_solo_peak(c, net) : count_company_peak(c, net);
        live_born(c, (uint64_t)(uintptr_t)p, usable_bytes, node, peak);
        return p;
}

PG_SLOW_PATH void quick_free_late(void *p)
{
        if (real_is_early(p))
                return;
        count_free(p);
        real.free(p);
}

PG_SLOW_PATH void quick_free_rest(void *p, struct pg_cell *c, uint64_t bytes)
{
        if (real_is_early(p))
                return;
        c->frees++;
        live_dies(c, (uint64_t)(uintptr_t)p, bytes);
        count_down(c, (int64_t)bytes);
        real.free(p);
}

PG_SLOW_PATH void quick_free_flush(void *p, struct pg_cell *c, int64_t net)
{
        count_flush_beyond_slack(c, net);
        real.free(p);
}
