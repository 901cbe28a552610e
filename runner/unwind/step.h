// SPDX-License-Identifier: MIT
/*
 * step.h - one step from a frame to its caller, inline because it is the innermost loop of everything.
 *
 * Reads memory only through struct pg_stack, which knows what may be read. The words that a step reads are
 * told to the caller: they and the registers are all that its result depends on.
 */
#ifndef PG_UNWIND_STEP_H
#define PG_UNWIND_STEP_H

#include <stddef.h>

#include "runner/unwind/machine.h"
#include "runner/unwind/rule.h"

struct pg_regs {
        uint64_t pc, sp, bp;
        const uint64_t *
                all; // the register file in ucontext order (machine.h) of an interrupted frame, for it and its
                     // caller; else NULL
        bool exact;  // pc is an interrupted instruction, not a return address
        bool bp_lost;
};

/* Readable stack memory [lo, hi), found at (address + shift). It should begin 128 bytes below an interrupted sp:
 * rules of epilogues point at words just popped, which the red zone keeps (psABI, 3.2.2). */
struct pg_stack {
        uint64_t lo, hi;
        uint64_t shift; // 0 in the process itself; offline: where the copy is, minus lo (two's complement)
        /* Asked when a word outside is needed: may move lo and hi and say yes. NULL: never. */
        bool (*more)(struct pg_stack *s, uint64_t address);
};

/* Words that a step read, in the order of reading: at most four. */
struct pg_words {
        uint64_t address[4], value[4];
        uint32_t n;
};

static inline bool pg_stack_word(struct pg_stack *s, uint64_t address, struct pg_words *words, uint64_t *ret)
{
        if (__builtin_expect(address - s->lo > s->hi - s->lo - 8 || s->hi - s->lo < 8 || address & 7, 0) &&
            (address & 7 || !s->more || !s->more(s, address)))
                return false;
        *ret = *(const uint64_t *)(uintptr_t)(address + s->shift);
        words->address[words->n] = address;
        words->value[words->n++] = *ret;
        return true;
}

/* Where the rule of a frame is looked up: a return address may be the first one of the next function. */
static inline uint64_t pg_regs_lookup(const struct pg_regs *r)
{
        return r->exact ? r->pc : r->pc - 1;
}

enum pg_stop pg_step_signal(struct pg_regs *r, struct pg_stack *s); // step.c

/*
 * A register that is neither sp nor bp. In an interrupted frame that is what was interrupted. In its caller it is the
 * same for registers that a call may change: hand-written code (AES-GCM of OpenSSL) counts its CFA from one of them
 * across calls of subroutines that leave it alone, and says so in the caller's CFI. Those that a callee has to save it
 * may have saved and changed.
 */
static inline bool pg_step_register(const struct pg_regs *r, uint32_t dwarf, uint64_t *ret)
{
        if (!r->all || (!r->exact && !pg_machine_is_volatile(dwarf)))
                return false;
        *ret = pg_machine_register(r->all, dwarf);
        return true;
}

static inline bool pg_step_cfa(pg_rule rule, const struct pg_regs *r, struct pg_stack *s,
                               struct pg_words *words, uint64_t *ret, enum pg_stop *why)
{
        int64_t offset = pg_rule_cfa_offset(rule);
        *why = PG_STOP_REGISTER;
        switch (pg_rule_cfa(rule)) {
        case PG_CFA_SP:
                *ret = r->sp + (uint64_t)offset;
                return true;
        case PG_CFA_CHAIN:
                *why = r->bp == 0 && !r->bp_lost ? PG_STOP_ROOT
                                                 : PG_STOP_REGISTER; // psABI 3.4.1: the deepest frame's
                *ret = r->bp + (uint64_t)offset;
                return r->bp != 0 && !r->bp_lost;
        case PG_CFA_BP:
                *ret = r->bp + (uint64_t)offset;
                return !r->bp_lost;
        case PG_CFA_REGISTER:
                if (!pg_step_register(r, pg_rule_register(rule), ret))
                        return false;
                *ret += (uint64_t)offset;
                return true;
        case PG_CFA_AT_INDEX:
                if (!pg_step_register(r, pg_rule_register(rule), ret))
                        return false;
                offset = (int64_t)((uint64_t)offset + 8 * *ret);
                __attribute__((fallthrough));
        case PG_CFA_AT_SP:
        case PG_CFA_AT_BP:
                if (pg_rule_cfa(rule) == PG_CFA_AT_BP && r->bp_lost)
                        return false;
                *why = PG_STOP_MEMORY;
                if (!pg_stack_word(s, (pg_rule_cfa(rule) == PG_CFA_AT_BP ? r->bp : r->sp) + (uint64_t)offset,
                                   words, ret))
                        return false;
                *ret += pg_rule_add(rule);
                return true;
        default:
                *why = pg_rule_cfa(rule) == PG_CFA_STOP ? pg_rule_why(rule) : PG_STOP_UNSUPPORTED;
                return false;
        }
}

/**
 * Makes r the caller's registers. On PG_STOP_NOT they are; else r is unchanged and the reason is returned.
 * words gets what was read (words->n is set by this call). After a signal frame, which may switch stacks, s may
 * have to be found anew: sp is then anywhere, and words->n is 0 with r->exact set.
 */
static inline enum pg_stop pg_step(pg_rule rule, struct pg_regs *r, struct pg_stack *s,
                                   struct pg_words *words)
{
        enum pg_stop why;
        uint64_t cfa, pc, bp = r->bp;
        bool bp_lost = r->bp_lost;
        words->n = 0;
        if (__builtin_expect(pg_rule_cfa(rule) == PG_CFA_SIGNAL, 0))
                return pg_step_signal(r, s);
        if (pg_rule_cfa(rule) != PG_CFA_STOP && pg_rule_ra(rule) == PG_RA_UNDEFINED)
                return PG_STOP_ROOT;
        if (!pg_step_cfa(rule, r, s, words, &cfa, &why))
                return why;
        if (cfa <= r->sp && !(cfa == r->sp && pg_rule_ra(rule) == PG_RA_REGISTER)) // vfork has popped it
                return PG_STOP_LOOP;
        if (__builtin_expect(pg_rule_ra(rule) == PG_RA_REGISTER, 0)) {
                if (!pg_step_register(r, pg_rule_register(rule), &pc))
                        return PG_STOP_REGISTER;
        } else if (!pg_stack_word(s, cfa - 8, words, &pc)) {
                return PG_STOP_MEMORY;
        }
        switch (pg_rule_bp(rule)) {
        case PG_BP_SAME:
                break;
        case PG_BP_AT_CFA:
                if (!pg_stack_word(s, cfa + (uint64_t)pg_rule_bp_offset(rule), words, &bp))
                        return PG_STOP_MEMORY;
                bp_lost = false;
                break;
        case PG_BP_AT_BP:
                if (bp_lost)
                        return PG_STOP_REGISTER;
                /* GCC keeps this rule behind the `leave` of realigned functions (seen in 12.2): bp is the caller's
                 * there already, and tells so by pointing out of the frame. */
                if (__builtin_expect(r->bp - r->sp >= cfa - r->sp, 0))
                        bp_lost = !r->exact;
                else if (!pg_stack_word(s, r->bp + (uint64_t)pg_rule_bp_offset(rule), words, &bp))
                        return PG_STOP_MEMORY;
                break;
        case PG_BP_LOST:
                bp_lost = true;
                break;
        }
        if (pc == 0) // where threads of some libraries begin
                return PG_STOP_ROOT;
        *r = (struct pg_regs){
                .pc = pc, .sp = cfa, .bp = bp, .all = r->exact ? r->all : NULL, .bp_lost = bp_lost
        };
        return PG_STOP_NOT;
}

#endif
