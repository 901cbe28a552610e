// SPDX-License-Identifier: MIT
/*
 * sites.c - chained hash table in the slot: entries are reserved by an atomic add, linked in front of their
 * chain, never removed.
 *
 * Two threads may add the same new site at once; both entries count and the reader adds them up.
 */
#include "runner/agent/sites.h"

#include "runner/agent/attach.h"

enum { SITES_CHAIN_MAX = 4096 }; // no chain of ours is longer; a damaged one must not hold the target up

static uint32_t find(uint32_t head, pg_place place)
{
        for (uint32_t i = head, steps = 0; i != 0 && i < PG_SITES_MAX && steps < SITES_CHAIN_MAX; steps++) {
                struct pg_site_entry *e = &agent.sites[i];
                if (atomic_load_explicit(&e->place, memory_order_relaxed) == place)
                        return i;
                i = atomic_load_explicit(&e->next, memory_order_relaxed);
        }
        return 0;
}

static uint32_t insert(_Atomic uint32_t *head, pg_place place)
{
        uint32_t i = atomic_load_explicit(&agent.slot->n_sites, memory_order_relaxed);
        if (i < PG_SITES_MAX)
                i = atomic_fetch_add_explicit(&agent.slot->n_sites, 1, memory_order_relaxed);
        if (i >= PG_SITES_MAX)
                return 0;
        struct pg_site_entry *e = &agent.sites[i];
        atomic_store_explicit(&e->place, place, memory_order_relaxed);
        uint32_t first = atomic_load_explicit(head, memory_order_relaxed);
        do {
                atomic_store_explicit(&e->next, first, memory_order_relaxed);
        } while (!atomic_compare_exchange_weak_explicit(head, &first, i, memory_order_release,
                                                        memory_order_relaxed));
        return i;
}

void sites_add(pg_place place, uint64_t allocations, uint64_t bytes)
{
        _Atomic uint32_t *head =
                &agent.heads[place * 0x9e3779b97f4a7c15ull / (UINT64_MAX / PG_SITE_HEADS + 1)];
        uint32_t i = find(atomic_load_explicit(head, memory_order_acquire), place);
        if (i == 0)
                i = insert(head, place);
        atomic_fetch_add_explicit(&agent.sites[i].allocations, allocations, memory_order_relaxed);
        atomic_fetch_add_explicit(&agent.sites[i].bytes, bytes, memory_order_relaxed);
}
