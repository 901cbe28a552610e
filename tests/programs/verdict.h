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

enum { VERDICT_FRAMES = 2100, VERDICT_SHOWN = 64, VERDICT_EXAMPLES = 48 };

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

struct verdict_example {
        uint32_t kind; // enum verdict
        uint32_t at;   // first frame that is not in both
        int32_t pid;
        uint32_t n_ours, n_theirs;
        bool ours_complete, theirs_complete;
        uint64_t ours[VERDICT_SHOWN], theirs[VERDICT_SHOWN]; // from frame `from` on
        uint32_t from;
        char module[2][96]; // of the frame in front of `at`, and of ours at `at`
        uint64_t module_address[2];
};

struct verdict_sums {
        _Atomic uint64_t kinds[VERDICT_KINDS];
        _Atomic uint64_t incomplete; // of all compared: ours is
        _Atomic uint64_t frames;     // compared
        _Atomic uint64_t unseen;     // events that could not be compared: ours was not found
        _Atomic uint32_t n_examples; // may run past VERDICT_EXAMPLES
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
        return ours->n == theirs->n ? VERDICT_EQUAL : ours->n > theirs->n ? VERDICT_THEY_STOP : VERDICT_WE_STOP;
}

/* Counts; an example to be filled in with modules when one is to be kept, else NULL. */
static inline struct verdict_example *verdict_add(struct verdict_sums *s, const struct verdict_stack *ours,
                                                  const struct verdict_stack *theirs, int32_t pid)
{
        uint32_t at;
        enum verdict v = verdict_of(ours, theirs, &at);
        atomic_fetch_add(&s->kinds[v], 1);
        atomic_fetch_add(&s->incomplete, !ours->complete);
        atomic_fetch_add(&s->frames, at);
        if (v == VERDICT_EQUAL && ours->complete)
                return NULL;
        uint32_t i = atomic_fetch_add(&s->n_examples, 1);
        if (i >= VERDICT_EXAMPLES)
                return NULL;
        struct verdict_example *e = &s->examples[i];
        *e = (struct verdict_example){ .kind = v,
                                       .at = at,
                                       .pid = pid,
                                       .n_ours = ours->n,
                                       .n_theirs = theirs->n,
                                       .ours_complete = ours->complete,
                                       .theirs_complete = theirs->complete,
                                       .from = at < 4 ? 0 : at - 4 };
        for (uint32_t k = 0; k < VERDICT_SHOWN; k++) {
                e->ours[k] = e->from + k < ours->n ? ours->address[e->from + k] : 0;
                e->theirs[k] = e->from + k < theirs->n ? theirs->address[e->from + k] : 0;
        }
        return e;
}

#endif
