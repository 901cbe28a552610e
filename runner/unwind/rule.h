// SPDX-License-Identifier: MIT
/*
 * rule.h - how to get from one frame to its caller, in one machine word.
 *
 * A rule says for one instruction where the caller's stack pointer (the CFA), return address and frame
 * pointer are. Everything that real code on this machine needs fits; what does not is a marked stop, never a
 * guess. A word can be stored and loaded atomically, so caches of rules need no lock.
 *
 *     CFA            = base + cfa_offset                      base: sp, bp, or a register of the first frame
 *                    | word at (base + cfa_offset) + add      base: sp, bp
 *                    | word at (sp + 8 * register of the first frame + cfa_offset) + 8
 *     return address = word at CFA - 8 | a register of the first frame | undefined: this is the outermost frame
 *     caller's bp    = bp | word at CFA + bp_offset | word at bp + bp_offset | lost
 *     signal frame   : everything from the ucontext_t that the kernel laid at sp
 */
#ifndef PG_UNWIND_RULE_H
#define PG_UNWIND_RULE_H

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t pg_rule;

enum pg_rule_cfa { // bits 0-3; PG_CFA_NONE makes no rule, so that 0 can stand for "not known yet"
        PG_CFA_NONE,
        PG_CFA_STOP,     // marked stop, see enum pg_stop
        PG_CFA_SP,       // sp + offset
        PG_CFA_BP,       // bp + offset
        PG_CFA_REGISTER, // first frame's register + offset
        PG_CFA_AT_SP,    // word at sp + offset, plus add
        PG_CFA_AT_BP,    // word at bp + offset, plus add (realigned stacks)
        PG_CFA_SIGNAL,   // the kernel's signal frame
        PG_CFA_CHAIN,    // no CFI: frame pointer chain, with doubt
        PG_CFA_AT_INDEX, // word at sp + 8 * first frame's register + offset, plus 8 (hand-written big-number code)
};
enum pg_rule_ra {        // bits 4-5
        PG_RA_AT_CFA,    // word at CFA - 8
        PG_RA_UNDEFINED, // outermost frame
        PG_RA_REGISTER,  // first frame's register (vfork)
};
enum pg_rule_bp { // bits 6-8
        PG_BP_SAME,
        PG_BP_AT_CFA, // word at CFA + offset
        PG_BP_AT_BP,  // word at bp + offset
        PG_BP_LOST,   // not restorable here: a caller that needs it is a marked stop
};

/* Why a walk ended. PG_STOP_ROOT is the only complete one. */
enum pg_stop {
        PG_STOP_NOT,         // it goes on
        PG_STOP_ROOT,        // the outermost frame
        PG_STOP_NO_CFI,      // nothing is known about this code
        PG_STOP_UNSUPPORTED, // CFI that no rule can hold
        PG_STOP_DAMAGED,     // CFI that makes no sense
        PG_STOP_REGISTER,    // needs a register that is not known any more
        PG_STOP_MEMORY,      // needs a word outside the stack
        PG_STOP_LOOP,        // the stack pointer did not grow
        PG_STOP_DEPTH,       // more frames than asked for
        PG_STOP_COUNT
};

/* bit 9: 0; bits 10-14: register (DWARF number), or add / 8 for PG_CFA_AT_SP and PG_CFA_AT_BP; 15-35: CFA offset
 * / 8; 36-47: bp offset / 8; 48-63: free for the owner (the agent keeps a module's number there). A stop has its
 * reason in bits 15-35. */
enum { PG_RULE_OWNER_SHIFT = 48 };

static inline enum pg_rule_cfa pg_rule_cfa(pg_rule r)
{
        return (enum pg_rule_cfa)(r & 15);
}
static inline enum pg_rule_ra pg_rule_ra(pg_rule r)
{
        return (enum pg_rule_ra)(r >> 4 & 3);
}
static inline enum pg_rule_bp pg_rule_bp(pg_rule r)
{
        return (enum pg_rule_bp)(r >> 6 & 7);
}
static inline uint32_t pg_rule_add(pg_rule r)
{
        return pg_rule_cfa(r) == PG_CFA_AT_INDEX ? 8 : (uint32_t)(r >> 10 & 31) * 8;
}
static inline uint32_t pg_rule_register(pg_rule r)
{
        return r >> 10 & 31;
}
static inline int64_t pg_rule_cfa_offset(pg_rule r)
{
        return ((int64_t)(r << 28) >> 43) * 8;
}
static inline int64_t pg_rule_bp_offset(pg_rule r)
{
        return ((int64_t)(r << 16) >> 52) * 8;
}
static inline uint32_t pg_rule_owner(pg_rule r)
{
        return (uint32_t)(r >> PG_RULE_OWNER_SHIFT);
}
static inline pg_rule pg_rule_with_owner(pg_rule r, uint32_t owner)
{
        return (r & 0xffffffffffffu) | (uint64_t)owner << PG_RULE_OWNER_SHIFT;
}
static inline pg_rule pg_rule_stop(enum pg_stop why)
{
        return PG_CFA_STOP | (pg_rule)why << 15;
}
static inline enum pg_stop pg_rule_why(pg_rule r)
{
        return (enum pg_stop)(r >> 15 & 0x1fffff);
}

/* The parts of a rule before they are packed; offsets in bytes. */
struct pg_rule_parts {
        enum pg_rule_cfa cfa;
        enum pg_rule_ra ra;
        enum pg_rule_bp bp;
        uint32_t add;         // for PG_CFA_AT_SP and PG_CFA_AT_BP
        uint32_t register_no; // for PG_CFA_REGISTER, PG_CFA_AT_INDEX, PG_RA_REGISTER; no two of them at once
        int64_t cfa_offset, bp_offset;
};

/* How many of the parts want bits 10-14. */
static inline int pg_rule_parts_users(const struct pg_rule_parts *p)
{
        bool by_cfa = p->cfa == PG_CFA_REGISTER || p->cfa == PG_CFA_AT_INDEX || p->cfa == PG_CFA_AT_SP ||
                      p->cfa == PG_CFA_AT_BP;
        return (int)by_cfa + (p->ra == PG_RA_REGISTER);
}

/** Packs parts. A CFA offset that does not fit (a multiple of 8 within 8 MiB), or an add (a multiple of 8 below
 * 256; no register beside it), is PG_STOP_UNSUPPORTED; a bp offset that does not fit (a multiple of 8 within
 * 16 KiB) makes the bp lost. */
static inline pg_rule pg_rule_pack(struct pg_rule_parts p)
{
        if (p.cfa_offset & 7 || p.cfa_offset < -(1 << 23) || p.cfa_offset >= 1 << 23 || (p.add & ~248u) ||
            p.register_no > 31 || (p.add && p.register_no) || pg_rule_parts_users(&p) > 1)
                return pg_rule_stop(PG_STOP_UNSUPPORTED);
        if (p.bp_offset & 7 || p.bp_offset < -(1 << 14) || p.bp_offset >= 1 << 14) {
                p.bp = PG_BP_LOST;
                p.bp_offset = 0;
        }
        return (pg_rule)p.cfa | (pg_rule)p.ra << 4 | (pg_rule)p.bp << 6 | (pg_rule)(p.add >> 3) << 10 |
               (pg_rule)p.register_no << 10 | ((pg_rule)(p.cfa_offset >> 3) & 0x1fffff) << 15 |
               ((pg_rule)(p.bp_offset >> 3) & 0xfff) << 36;
}

#endif
