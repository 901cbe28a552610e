// SPDX-License-Identifier: MIT
/*
 * shadow.h - the true call stack of a single-stepped program, kept from what its instructions do.
 *
 * Knows nothing of unwind information. A call pushes its return address and where that lies; a return pops the
 * entry whose address it reads, and it is an error when that is not the innermost one; entering a signal
 * handler pushes what the kernel interrupted; a long jump drops the entries that it leaves behind. A tail call
 * is a jump: its caller is gone, here as in the machine. What the program does with the stack otherwise (vfork
 * takes its return address off for a while) changes nothing.
 */
#ifndef PG_TESTS_UNWIND_SHADOW_H
#define PG_TESTS_UNWIND_SHADOW_H

#include "tests/unwind/target.h"

struct shadow_frame {
        uint64_t pc; // return address, or the interrupted instruction
        uint64_t sp; // of the caller once its callee has returned (CFA), or as it was interrupted
        bool interrupted;
};

struct shadow_stack {
        uint64_t lo, hi;
};

enum { SHADOW_DEPTH = 1024, SHADOW_SIGNALS = 65 };

struct shadow {
        struct shadow_frame frames[SHADOW_DEPTH]; // outermost first; the program's entry has none
        uint32_t n;
        struct shadow_stack main, alternate;
        uint64_t handlers[SHADOW_SIGNALS]; // 0 (SIG_DFL) or 1 (SIG_IGN) where there is none
        uint32_t calls, returns, signals, long_jumps, vforks;
};

/** The stack at a program's entry. */
void shadow_start(struct shadow *s, const struct user_regs_struct *regs);

/** The stack that sp is in, NULL for neither. */
const struct shadow_stack *shadow_stack_of(const struct shadow *s, uint64_t sp);

/** One step was made from before to after, delivering signal (0: none). False when the truth is lost: the
 * message says why. */
bool shadow_step(struct shadow *s, const struct target *t, int signal, const struct user_regs_struct *before,
                 const struct user_regs_struct *after);

#endif
