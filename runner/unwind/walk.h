// SPDX-License-Identifier: MIT
/*
 * walk.h - whole stacks: step by step with cached rules until the outermost frame or a marked stop.
 *
 * For everybody who takes whole stacks: the sampler inside a target and the engines outside. No allocation,
 * no lock; safe in a signal handler when find is.
 */
#ifndef PG_UNWIND_WALK_H
#define PG_UNWIND_WALK_H

#include "runner/unwind/cache.h"
#include "runner/unwind/step.h"

struct pg_unwinder {
        struct pg_rule_cache cache; // entries NULL: none
        /* The rule for an address (pg_cfi_rule of its module; PG_CFA_CHAIN where there is no CFI and frame
         * pointers may be tried), with the module's number as owner. Never 0. */
        pg_rule (*find)(void *context, uint64_t address);
        /* The stack that sp lies in after a signal frame switched stacks; false: unknown. NULL: stay. What s was must
         * stay readable until the walk ends: the registers of the interrupted frame are there. */
        bool (*switch_stack)(void *context, uint64_t sp, struct pg_stack *s);
        void *context;
};

struct pg_walked {
        uint64_t address; // looked up: interrupted instruction, or return address minus one
        pg_rule rule;
};

/* Rule of an address by the cache. */
static inline pg_rule pg_unwinder_rule(struct pg_unwinder *u, uint64_t address)
{
        pg_rule rule = u->cache.entries ? pg_rule_cache_get(&u->cache, address) : 0;
        if (__builtin_expect(rule == 0, 0)) {
                rule = u->find(u->context, address);
                if (u->cache.entries)
                        pg_rule_cache_put(&u->cache, address, rule);
        }
        return rule;
}

/**
 * The frames from r outwards, innermost first. Writes at most max (>= 1) of them and returns how many; *ret_end
 * says why it ended: PG_STOP_ROOT is a complete stack. r and s are used up. The last frame written is kept
 * whatever the end is: an unknown caller does not take its callee away.
 */
uint32_t pg_walk(struct pg_unwinder *u, struct pg_regs *r, struct pg_stack *s, struct pg_walked *ret,
                 uint32_t max, enum pg_stop *ret_end);

#endif
