// SPDX-License-Identifier: MIT
/*
 * cache.h - rules by address, shared by all threads without a lock.
 *
 * Direct-mapped. An entry holds the rule and (rule xor hash of the address): a reader that meets two writers'
 * halves sees that they do not belong together and takes it for a miss (R. Hyatt, T. Mann: A lockless
 * transposition table implementation for parallel search, ICGA Journal 25, 2002). The hash and not the address:
 * two rules that differ in one offset differ in one bit, and so do two addresses.
 */
#ifndef PG_UNWIND_CACHE_H
#define PG_UNWIND_CACHE_H

#include <stdatomic.h>

#include "runner/unwind/rule.h"

struct pg_rule_entry {
        _Atomic uint64_t check, rule; // all zero: empty
};

struct pg_rule_cache {
        struct pg_rule_entry *entries; // 1 << bits of them, zero at first
        uint32_t bits;                 // 1 to 63
};

/* Different for different addresses; its upper bits choose the entry. */
static inline uint64_t pg_rule_cache_hash(uint64_t address)
{
        return address * 0x9e3779b97f4a7c15ull;
}

static inline struct pg_rule_entry *pg_rule_cache_entry(const struct pg_rule_cache *c, uint64_t hash)
{
        return &c->entries[hash >> (64 - c->bits)];
}

/* The rule for address, 0 when it is not there. */
static inline pg_rule pg_rule_cache_get(const struct pg_rule_cache *c, uint64_t address)
{
        uint64_t hash = pg_rule_cache_hash(address);
        struct pg_rule_entry *e = pg_rule_cache_entry(c, hash);
        pg_rule rule = atomic_load_explicit(&e->rule, memory_order_relaxed);
        uint64_t check = atomic_load_explicit(&e->check, memory_order_relaxed);
        return __builtin_expect((check ^ rule) == hash, 1) ? rule : 0;
}

static inline void pg_rule_cache_put(const struct pg_rule_cache *c, uint64_t address, pg_rule rule)
{
        uint64_t hash = pg_rule_cache_hash(address);
        struct pg_rule_entry *e = pg_rule_cache_entry(c, hash);
        atomic_store_explicit(&e->check, rule ^ hash, memory_order_relaxed);
        atomic_store_explicit(&e->rule, rule, memory_order_relaxed);
}

/* When code was unloaded. Other threads may put old rules back meanwhile; whoever unloads sees to it that none
 * runs in the old code. */
static inline void pg_rule_cache_clear(const struct pg_rule_cache *c)
{
        for (uint64_t i = 0; i < 1ull << c->bits; i++) {
                atomic_store_explicit(&c->entries[i].check, 0, memory_order_relaxed);
                atomic_store_explicit(&c->entries[i].rule, 0, memory_order_relaxed);
        }
}

#endif
