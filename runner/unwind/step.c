// SPDX-License-Identifier: MIT
/*
 * step.c - the step out of a signal handler: all registers from the kernel's frame, on whatever stack.
 */
#include "runner/unwind/step.h"

enum pg_stop pg_step_signal(struct pg_regs *r, struct pg_stack *s)
{
        struct pg_words unused = { .n = 0 };
        uint64_t first = r->sp + PG_SIGNAL_GREGS_OFFSET, last, pc, sp, bp;
        if (!pg_stack_word(s, first + 8 * PG_GREG_PC, &unused, &pc) ||
            !pg_stack_word(s, first + 8 * PG_GREG_SP, &unused, &sp) ||
            !pg_stack_word(s, first + 8 * PG_GREG_BP, &unused, &bp) ||
            !pg_stack_word(s, first, &unused, &last))
                return PG_STOP_MEMORY;
        *r = (struct pg_regs){ .pc = pc, .sp = sp, .bp = bp, .exact = true };
        r->all = (const uint64_t *)(uintptr_t)(first + s->shift);
        return PG_STOP_NOT;
}
