// SPDX-License-Identifier: MIT
/*
 * walk.c - the loop around pg_step.
 */
#include "runner/unwind/walk.h"

uint32_t pg_walk(struct pg_unwinder *u, struct pg_regs *r, struct pg_stack *s, struct pg_walked *ret,
                 uint32_t max, enum pg_stop *ret_end)
{
        uint32_t n = 0;
        *ret_end = PG_STOP_DEPTH;
        while (n < max) {
                struct pg_words words;
                uint64_t address = pg_regs_lookup(r);
                pg_rule rule = pg_unwinder_rule(u, address);
                ret[n++] = (struct pg_walked){ address, rule };
                enum pg_stop why = pg_step(rule, r, s, &words);
                if (why == PG_STOP_NOT && r->exact && u->switch_stack &&
                    !u->switch_stack(u->context, r->sp, s))
                        why = PG_STOP_MEMORY;
                if (why != PG_STOP_NOT) {
                        *ret_end = why;
                        return n;
                }
        }
        return n;
}
