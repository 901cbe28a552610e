// SPDX-License-Identifier: MIT
/*
 * rules.h - unwinding rules of this process by address, cached.
 *
 * Nearly all rules fit into half a word; with the part of the address that the place in the table does not tell
 * they make one word, so that a look-up is one load. The others have a table of their own (unwind/cache.h).
 */
#ifndef PG_AGENT_RULES_H
#define PG_AGENT_RULES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "runner/capture/layout.h"
#include "runner/unwind/walk.h"

/* bits 0-7: module; 8-20: CFA offset / 8; 21-25: bp is saved so many words below the CFA; 26: it is saved;
 * 27: the CFA counts from bp; 31-63: what rules_index leaves out of the address. */
enum {
        RULES_BITS = 15,
        RULE_MODULE_MAX = 255,
        RULE_SAVES_BP = 1 << 26,
        RULE_FROM_BP = 1 << 27,
        RULE_BODY_BITS = 31,
};

extern _Atomic uint64_t rules_short[1 << RULES_BITS] __attribute__((visibility("hidden")));
/* Everything else, and whole walks. */
extern struct pg_unwinder rules_all __attribute__((visibility("hidden")));

/* Calls of one function are neighbours in the table, as they are in the code; no two are less than four bytes apart. */
static inline uint32_t rules_index(uint64_t address)
{
        return (uint32_t)(address >> 2) & ((1u << RULES_BITS) - 1);
}
static inline uint64_t rules_rest(uint64_t address)
{
        return address >> (RULES_BITS + 2) << 2 | (address & 3);
}

/* The short form; false: not cached, or too long. */
static inline bool rules_find_short(uint64_t address, uint32_t *ret)
{
        uint64_t entry = atomic_load_explicit(&rules_short[rules_index(address)], memory_order_relaxed);
        *ret = (uint32_t)entry & ((1u << RULE_BODY_BITS) - 1);
        return __builtin_expect(entry >> RULE_BODY_BITS == rules_rest(address), 1);
}

static inline uint64_t rules_short_cfa_offset(uint32_t rule)
{
        return (rule >> 8 & 0x1fff) << 3;
}
static inline uint64_t rules_short_bp_below(uint32_t rule)
{
        return (rule >> 21 & 31) << 3;
}

/* Place of an address whose rule has this owner. */
static inline pg_place rules_place(uint64_t address, uint32_t owner)
{
        return PG_PLACE(owner, address);
}

/* The full rule; cached in the short form too when it fits. */
pg_rule rules_find(uint64_t address);

/* Code was unloaded: forgets all. */
void rules_forget(void);

#endif
