// SPDX-License-Identifier: MIT
/*
 * verdict.h - our stack against libunwind's, frame by frame, and the sums of such comparisons.
 *
 * The sums may lie in memory that several processes share: all adds are atomic.
 */
#ifndef PG_TESTS_PROGRAMS_VERDICT_H
#define PG_TESTS_PROGRAMS_VERDICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { VERDICT_FRAMES = 2100, VERDICT_SHOWN = 10, VERDICT_NAMED = 10, VERDICT_EXAMPLES = 48 };

/* One stack, innermost first. */
struct verdict_stack {
        uint64_t address[VERDICT_FRAMES]; // ours: as looked up; theirs: the frame's instruction pointer
        bool exact[VERDICT_FRAMES];       // theirs: an interrupted instruction and no return address
        uint32_t n;
        bool complete; // it ends with the outermost frame, as far as its maker knows
};

enum verdict {
        VERDICT_EQUAL,
        VERDICT_THEY_STOP, // the same as far as theirs goes, which is shorter
        VERDICT_WE_STOP,   // the same as far as ours goes, which is shorter
        VERDICT_DIFFERENT, // two frames differ: one of the two is wrong
        VERDICT_KINDS
};

/* What is known about a stack that differs: at most one of these explains it. */
enum verdict_class { CLASS_NONE, CLASS_VDSO, CLASS_NO_CFI, CLASS_RESOLVER, CLASS_LANDING, CLASS_COUNT };

struct verdict_example {
        uint32_t kind;  // enum verdict
        uint32_t class; // enum verdict_class
        uint32_t at;    // first frame that is not in both
        uint32_t n_ours, n_theirs;
        bool ours_complete, theirs_complete;
        uint64_t ours[VERDICT_SHOWN], theirs[VERDICT_SHOWN]; // from frame `from` on
        uint32_t from;
        char module[VERDICT_NAMED][64]; // of ours
        uint64_t module_address[VERDICT_NAMED];
};

struct verdict_sums {
        _Atomic uint64_t kinds[VERDICT_KINDS];
        _Atomic uint64_t classes[CLASS_COUNT]; // of those that are not equal
        _Atomic uint64_t incomplete;           // of all compared: ours is
        _Atomic uint64_t frames;               // compared
        _Atomic uint64_t unseen;               // events that could not be compared: ours was not found
        _Atomic uint32_t n_examples;           // may run past VERDICT_EXAMPLES
        struct verdict_example examples[VERDICT_EXAMPLES];
};

static inline bool verdict_same(uint64_t ours, uint64_t theirs, bool exact)
{
        return ours == (theirs - !exact);
}

/* ret_at: the first frame that is not the same in both. */
static inline enum verdict verdict_of(const struct verdict_stack *ours, const struct verdict_stack *theirs,
                                      uint32_t *ret_at)
{
        uint32_t n = ours->n < theirs->n ? ours->n : theirs->n, i = 0;
        while (i < n && verdict_same(ours->address[i], theirs->address[i], theirs->exact[i]))
                i++;
        *ret_at = i;
        if (i < n)
                return VERDICT_DIFFERENT;
        return ours->n == theirs->n  ? VERDICT_EQUAL
               : ours->n > theirs->n ? VERDICT_THEY_STOP
                                     : VERDICT_WE_STOP;
}

static inline void verdict_show(struct verdict_example *e, const struct verdict_stack *ours,
                                const struct verdict_stack *theirs)
{
        e->n_ours = ours->n;
        e->n_theirs = theirs->n;
        e->ours_complete = ours->complete;
        e->theirs_complete = theirs->complete;
        e->from = e->at < 5 ? 0 : e->at - 5;
        for (uint32_t k = 0; k < VERDICT_SHOWN; k++) {
                e->ours[k] = e->from + k < ours->n ? ours->address[e->from + k] : 0;
                e->theirs[k] = e->from + k < theirs->n ? theirs->address[e->from + k] : 0;
        }
}

/* Counts a stack whose verdict is v, at that frame; an example to be filled in with modules when one is to be kept,
 * else NULL. */
static inline struct verdict_example *verdict_add(struct verdict_sums *s, enum verdict v, uint32_t at,
                                                  enum verdict_class class, const struct verdict_stack *ours,
                                                  const struct verdict_stack *theirs)
{
        atomic_fetch_add(&s->kinds[v], 1);
        atomic_fetch_add(&s->incomplete, !ours->complete);
        atomic_fetch_add(&s->frames, at);
        if (v == VERDICT_EQUAL)
                return NULL;
        atomic_fetch_add(&s->classes[class], 1);
        uint32_t i = atomic_fetch_add(&s->n_examples, 1);
        if (i >= VERDICT_EXAMPLES)
                return NULL;
        struct verdict_example *e = &s->examples[i];
        *e = (struct verdict_example){ .kind = v, .class = class, .at = at };
        verdict_show(e, ours, theirs);
        return e;
}

#endif
