// SPDX-License-Identifier: MIT
/*
 * bounds.h - which stack a thread stands on, and how far it may be read.
 */
#ifndef PG_AGENT_BOUNDS_H
#define PG_AGENT_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/unwind/step.h"

struct bounds {
        uint64_t lo, hi;   // [lo, hi) is readable; lo is the page of the lowest stack pointer seen
        bool own;          // the thread's own stack: stays as long as the thread
        uint64_t own_end;  // of the thread's own stack
        uint64_t own_from; // no own stack lies below: for the main thread, by the limit on its size
};

/* For the calling thread. */
void bounds_start(struct bounds *b);

static inline bool bounds_contain(const struct bounds *b, uint64_t sp)
{
        return sp - b->lo < b->hi - b->lo;
}

/* sp is outside: finds the stack that it lies on. True: the same as before, only further down. */
bool bounds_find(struct bounds *b, uint64_t sp);

/* A stack that nothing is known of: each page is asked of the kernel when it is first needed. */
void bounds_foreign(struct pg_stack *ret, uint64_t sp);

/* What a walk that starts at sp may read. */
static inline void bounds_stack(const struct bounds *b, uint64_t sp, struct pg_stack *ret)
{
        if (__builtin_expect(!b->own, 0)) {
                bounds_foreign(ret, sp);
                return;
        }
        ret->lo = sp - PG_RED_ZONE_BYTES;
        ret->hi = b->hi;
        ret->shift = 0;
        ret->more = NULL;
}

/* Whether all pages of [from, to) can be read. A system call for each page. */
bool bounds_readable(uint64_t from, uint64_t to);

#endif
