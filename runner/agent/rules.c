// SPDX-License-Identifier: MIT
/*
 * rules.c - from the loader's tables to rules, when an address turns up for the first time.
 *
 * Frame pointers are followed only where no unwind information exists.
 */
#include "runner/agent/rules.h"

#include <dlfcn.h>
#include <link.h>

#include "runner/agent/bounds.h"
#include "runner/agent/glibc.h"
#include "runner/agent/modules.h"
#include "runner/unwind/cfi.h"

_Atomic uint64_t rules_short[1 << RULES_BITS];

static struct pg_rule_entry entries[1 << RULES_BITS];

static pg_rule chain_rule(void)
{
        return pg_rule_pack((struct pg_rule_parts){
                .cfa = PG_CFA_CHAIN, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 });
}

static pg_rule outermost_rule(void)
{
        return pg_rule_pack(
                (struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 8, .ra = PG_RA_UNDEFINED });
}

/* A file whose segments are not mapped as one piece (a large program at a fixed address) has a range for each;
 * the unwind information is then in another one than the code. */
static pg_rule rule_of_module(const struct dl_find_object *code, uint64_t address)
{
        struct dl_find_object o;
        if (!code->dlfo_eh_frame || _dl_find_object(code->dlfo_eh_frame, &o) != 0)
                return pg_rule_stop(PG_STOP_NO_CFI);
        const struct pg_cfi cfi = {
                .bytes = o.dlfo_map_start,
                .address = (uintptr_t)o.dlfo_map_start,
                .size = (size_t)((uintptr_t)o.dlfo_map_end - (uintptr_t)o.dlfo_map_start),
                .hdr_address = (uintptr_t)code->dlfo_eh_frame,
        };
        return pg_cfi_rule(&cfi, address);
}

static bool has_no_cfi(pg_rule rule)
{
        return pg_rule_cfa(rule) == PG_CFA_STOP && pg_rule_why(rule) == PG_STOP_NO_CFI;
}

/* n bytes can be read there. A chain of frame pointers may lead anywhere: between two segments, or to code that may be
 * executed only. */
static bool is_code(uint64_t address, uint64_t n)
{
        return bounds_readable(address, address + n);
}

/* A return address that is a function's first instruction, behind a gap: nobody called from there, it was laid at the
 * end of the stack when that was made (__start_context of glibc). The gap is padding: no code that ends with ret. */
static bool is_laid_by_hand(const struct dl_find_object *o, uint64_t address)
{
        const uint8_t ret = 0xc3;
        return address + 1 < (uintptr_t)o->dlfo_map_end && *(const uint8_t *)(uintptr_t)address != ret &&
               !has_no_cfi(rule_of_module(o, address + 1));
}

static pg_rule rule_without_cfi(const struct dl_find_object *o, uint64_t address)
{
        if (!is_code(address, 1))
                return pg_rule_stop(PG_STOP_NO_CFI);
        if (is_code(address, PG_SIGNAL_RETURN_BYTES) &&
            pg_cfi_is_signal_return((const uint8_t *)(uintptr_t)address, PG_SIGNAL_RETURN_BYTES))
                return pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SIGNAL });
        return is_laid_by_hand(o, address) ? outermost_rule() : chain_rule();
}

/* In no module: generated code, or no code at all. While an exception lands, libgcc has overwritten what its own frame
 * had saved, and a walk through that finds anything. */
static pg_rule rule_without_module(uint64_t address)
{
        pg_rule rule =
                address >> 47 == 0 && is_code(address, 1) ? chain_rule() : pg_rule_stop(PG_STOP_NO_CFI);
        return pg_rule_with_owner(rule, PG_MODULE_NONE);
}

static pg_rule find(void *unused, uint64_t address)
{
        (void)unused;
        struct dl_find_object o;
        if (_dl_find_object((void *)(uintptr_t)address, &o) != 0)
                return rule_without_module(address);
        pg_rule rule = rule_of_module(&o, address);
        return pg_rule_with_owner(has_no_cfi(rule) ? rule_without_cfi(&o, address) : rule, agent_module(&o));
}

static bool switch_stack(void *unused, uint64_t sp, struct pg_stack *s)
{
        (void)unused;
        bounds_foreign(s, sp);
        return true;
}

struct pg_unwinder rules_all = {
        .cache = { entries, RULES_BITS },
        .find = find,
        .switch_stack = switch_stack,
};

/* The short form of a rule, 0 when it has none. */
static uint32_t shorten(pg_rule rule)
{
        int64_t offset = pg_rule_cfa_offset(rule), below = -pg_rule_bp_offset(rule);
        bool saves_bp = pg_rule_bp(rule) == PG_BP_AT_CFA;
        if ((pg_rule_cfa(rule) != PG_CFA_SP && pg_rule_cfa(rule) != PG_CFA_BP) ||
            pg_rule_ra(rule) != PG_RA_AT_CFA || (!saves_bp && pg_rule_bp(rule) != PG_BP_SAME) ||
            pg_rule_owner(rule) >= RULE_MODULE_MAX || offset <= 0 || offset >> 3 > 0x1fff ||
            (saves_bp && (below <= 0 || below >> 3 > 31)))
                return 0;
        return pg_rule_owner(rule) | (uint32_t)(offset >> 3) << 8 |
               (saves_bp ? RULE_SAVES_BP | (uint32_t)(below >> 3) << 21 : 0) |
               (pg_rule_cfa(rule) == PG_CFA_BP ? RULE_FROM_BP : 0);
}

pg_rule rules_find(uint64_t address)
{
        pg_rule rule = pg_unwinder_rule(&rules_all, address);
        uint32_t body = shorten(rule);
        if (body && address >> 48 == 0)
                atomic_store_explicit(&rules_short[rules_index(address)],
                                      rules_rest(address) << RULE_BODY_BITS | body, memory_order_relaxed);
        return rule;
}

void rules_forget(void)
{
        pg_rule_cache_clear(&rules_all.cache);
        for (size_t i = 0; i < 1 << RULES_BITS; i++)
                atomic_store_explicit(&rules_short[i], 0, memory_order_relaxed);
}
