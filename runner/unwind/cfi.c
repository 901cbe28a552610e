// SPDX-License-Identifier: MIT
/*
 * cfi.c - runs the instructions of one FDE up to an address and packs what they say into a rule.
 *
 * Only what decides about the caller's pc, sp and bp is kept while they run: the CFA and the rules of these
 * three registers, eight bytes each, so that the remembered rows fit on a signal handler's stack. A part that
 * a rule cannot hold spoils only the rows that use it. Stack use is below 1 KiB in all.
 *
 * Source: DWARF 5, 6.4.2 and 6.4.3; LSB core 5.0, 10.4 for the GNU instructions.
 */
#include <dwarf.h>

#include "runner/unwind/cfi_bytes.h"
#include "runner/unwind/machine.h"

/* Stack that a finished step used is free for the next one. */
#define OUT_OF_LINE __attribute__((noinline))

/* How one of the parts is found. */
enum kind {
        UNSPECIFIED,
        UNDEFINED,
        SAME,
        AT_CFA,     // saved at CFA + value
        CFA_PLUS,   // is CFA + value
        REGISTER,   // is register + value
        EXPRESSION, // saved at the address of the expression at offset value of the bytes; as the CFA: is it
        VALUE,      // is the value of the expression at offset value
        UNKNOWN,    // anything else
};

struct part {
        uint8_t kind, register_no;
        int32_t value;
};

enum { CFA, RA, BP, SP, PARTS };

struct row {
        struct part parts[PARTS];
};

enum { REMEMBERED_MAX = 4 };

/* The row for an address, and what its expressions need. */
struct found {
        const struct pg_cfi *cfi;
        const struct pg_fde *fde;
        uint64_t address;
        struct row row;
};

/* Only while instructions run. */
struct machine {
        const struct pg_cfi *cfi;
        const struct pg_fde *fde;
        uint64_t location, address; // of the row, and the one that is looked for
        bool is_initial;            // the CIE's instructions are running
        enum pg_stop why;           // other than PG_STOP_NOT: no row
        struct part others;         // what is said of all other registers
        struct row now, initial, remembered[REMEMBERED_MAX];
        uint32_t n_remembered;
};

/* ---- instructions ---- */

static struct part make_part(enum kind kind, uint64_t register_no, int64_t value)
{
        if (register_no >= PG_DWARF_RA || value != (int32_t)value)
                return (struct part){ .kind = UNKNOWN };
        return (struct part){ (uint8_t)kind, (uint8_t)register_no, (int32_t)value };
}

static uint32_t part_of(uint64_t register_no)
{
        return register_no == PG_DWARF_RA   ? RA
               : register_no == PG_DWARF_BP ? BP
               : register_no == PG_DWARF_SP ? SP
                                            : PARTS;
}

static struct part *slot(struct machine *m, uint64_t register_no)
{
        uint32_t i = part_of(register_no);
        return i < PARTS ? &m->now.parts[i] : &m->others;
}

/* Skips an expression and keeps where it is. */
static struct part take_expression(struct machine *m, struct pg_cursor *c, enum kind kind)
{
        int64_t at = c->p - m->cfi->bytes;
        pg_take(c, pg_take_uleb(c));
        return make_part(kind, 0, at);
}

static int64_t factored(const struct machine *m, uint64_t n)
{
        return (int64_t)(n * (uint64_t)m->fde->cie.data_align);
}

static void set(struct machine *m, uint64_t register_no, enum kind kind, int64_t value)
{
        *slot(m, register_no) = make_part(kind, 0, value);
}

static void set_register(struct machine *m, uint64_t register_no, uint64_t other)
{
        *slot(m, register_no) = make_part(REGISTER, other, 0);
}

static void restore(struct machine *m, uint64_t register_no)
{
        uint32_t i = part_of(register_no);
        if (m->is_initial) // there is nothing yet to go back to
                m->why = PG_STOP_DAMAGED;
        else if (i < PARTS)
                m->now.parts[i] = m->initial.parts[i];
}

static void remember(struct machine *m)
{
        if (m->n_remembered == REMEMBERED_MAX)
                m->why = PG_STOP_UNSUPPORTED;
        else
                m->remembered[m->n_remembered++] = m->now;
}

static void recall(struct machine *m)
{
        if (m->n_remembered == 0)
                m->why = PG_STOP_DAMAGED;
        else
                m->now = m->remembered[--m->n_remembered];
}

static void set_cfa(struct machine *m, uint64_t register_no, int64_t offset)
{
        m->now.parts[CFA] = make_part(REGISTER, register_no, offset);
}

/* Half of a CFA: the other half must be a register and offset already. */
static void change_cfa_register(struct machine *m, uint64_t register_no)
{
        struct part *cfa = &m->now.parts[CFA];
        *cfa = cfa->kind == REGISTER ? make_part(REGISTER, register_no, cfa->value)
                                     : (struct part){ UNKNOWN, 0, 0 };
}
static void change_cfa_offset(struct machine *m, int64_t offset)
{
        struct part *cfa = &m->now.parts[CFA];
        *cfa = cfa->kind == REGISTER ? make_part(REGISTER, cfa->register_no, offset)
                                     : (struct part){ UNKNOWN, 0, 0 };
}

/* False when the row that is looked for is complete. */
static bool move_to(struct machine *m, const struct pg_cursor *c, uint64_t location)
{
        if (c->bad || m->is_initial) {
                m->why = PG_STOP_DAMAGED;
                return false;
        }
        if (location - m->fde->start > m->address - m->fde->start)
                return false;
        m->location = location;
        return true;
}
static inline __attribute__((always_inline)) bool advance(struct machine *m, const struct pg_cursor *c,
                                                          uint64_t delta)
{
        uint64_t left = m->address - m->location, bytes;
        if (__builtin_mul_overflow(delta, m->fde->cie.code_align, &bytes) || bytes > left)
                bytes = left + 1; // beyond
        return move_to(m, c, m->location + bytes);
}

static void run_cfa(struct machine *m, struct pg_cursor *c, uint8_t op)
{
        uint64_t register_no;
        switch (op) {
        case DW_CFA_def_cfa:
                register_no = pg_take_uleb(c);
                set_cfa(m, register_no, (int64_t)pg_take_uleb(c));
                break;
        case DW_CFA_def_cfa_sf:
                register_no = pg_take_uleb(c);
                set_cfa(m, register_no, factored(m, (uint64_t)pg_take_sleb(c)));
                break;
        case DW_CFA_def_cfa_register:
                change_cfa_register(m, pg_take_uleb(c));
                break;
        case DW_CFA_def_cfa_offset:
                change_cfa_offset(m, (int64_t)pg_take_uleb(c));
                break;
        case DW_CFA_def_cfa_offset_sf:
                change_cfa_offset(m, factored(m, (uint64_t)pg_take_sleb(c)));
                break;
        case DW_CFA_def_cfa_expression:
                m->now.parts[CFA] = take_expression(m, c, EXPRESSION);
                break;
        case DW_CFA_remember_state:
                remember(m);
                break;
        case DW_CFA_restore_state:
                recall(m);
                break;
        case DW_CFA_GNU_args_size: // of interest to whoever throws through the frame
                pg_take_uleb(c);
                break;
        case DW_CFA_nop:
                break;
        default:
                m->why = PG_STOP_UNSUPPORTED;
                break;
        }
}

static void run_register(struct machine *m, struct pg_cursor *c, uint8_t op)
{
        uint64_t r = pg_take_uleb(c);
        switch (op) {
        case DW_CFA_offset_extended:
                set(m, r, AT_CFA, factored(m, pg_take_uleb(c)));
                break;
        case DW_CFA_offset_extended_sf:
                set(m, r, AT_CFA, factored(m, (uint64_t)pg_take_sleb(c)));
                break;
        case DW_CFA_GNU_negative_offset_extended:
                set(m, r, AT_CFA, factored(m, -pg_take_uleb(c)));
                break;
        case DW_CFA_val_offset:
                set(m, r, CFA_PLUS, factored(m, pg_take_uleb(c)));
                break;
        case DW_CFA_val_offset_sf:
                set(m, r, CFA_PLUS, factored(m, (uint64_t)pg_take_sleb(c)));
                break;
        case DW_CFA_restore_extended:
                restore(m, r);
                break;
        case DW_CFA_undefined:
                set(m, r, UNDEFINED, 0);
                break;
        case DW_CFA_same_value:
                set(m, r, SAME, 0);
                break;
        case DW_CFA_register:
                set_register(m, r, pg_take_uleb(c));
                break;
        case DW_CFA_expression:
                *slot(m, r) = take_expression(m, c, EXPRESSION);
                break;
        case DW_CFA_val_expression:
                *slot(m, r) = take_expression(m, c, VALUE);
                break;
        }
}

static bool is_of_register(uint8_t op)
{
        return (op >= DW_CFA_offset_extended && op <= DW_CFA_register) || op == DW_CFA_expression ||
               op == DW_CFA_offset_extended_sf || op == DW_CFA_val_offset || op == DW_CFA_val_offset_sf ||
               op == DW_CFA_val_expression || op == DW_CFA_GNU_negative_offset_extended;
}

/* One instruction; false when the row that is looked for is complete. */
static inline __attribute__((always_inline)) bool run_one(struct machine *m, struct pg_cursor *c)
{
        uint8_t op = pg_take_u8(c), low = op & 0x3f;
        switch (op & 0xc0) {
        case DW_CFA_advance_loc:
                return advance(m, c, low);
        case DW_CFA_offset:
                set(m, low, AT_CFA, factored(m, pg_take_uleb(c)));
                return true;
        case DW_CFA_restore:
                restore(m, low);
                return true;
        }
        switch (op) {
        case DW_CFA_set_loc:
                return move_to(m, c, pg_take_encoded(c, m->cfi, m->fde->cie.encoding));
        case DW_CFA_advance_loc1:
                return advance(m, c, pg_take_u8(c));
        case DW_CFA_advance_loc2:
                return advance(m, c, pg_take_u16(c));
        case DW_CFA_advance_loc4:
                return advance(m, c, pg_take_u32(c));
        }
        if (is_of_register(op))
                run_register(m, c, op);
        else
                run_cfa(m, c, op);
        return true;
}

static void run(struct machine *m, struct pg_cursor c)
{
        while (pg_cursor_left(&c) > 0 && m->why == PG_STOP_NOT && run_one(m, &c))
                ;
        if (c.bad)
                m->why = PG_STOP_DAMAGED;
}

OUT_OF_LINE static enum pg_stop find_row(struct found *f)
{
        struct machine m;
        m.cfi = f->cfi;
        m.fde = f->fde;
        m.location = f->fde->start;
        m.address = f->address;
        m.why = PG_STOP_NOT;
        m.n_remembered = 0;
        for (uint32_t i = 0; i < PARTS; i++)
                m.now.parts[i] = (struct part){ .kind = UNSPECIFIED };
        m.is_initial = true;
        run(&m, f->fde->cie.instructions);
        m.is_initial = false;
        m.initial = m.now;
        if (m.why == PG_STOP_NOT)
                run(&m, f->fde->instructions);
        f->row = m.now;
        return m.why;
}

/* ---- from a row to a rule ---- */

static struct pg_value evaluate(const struct found *f, struct part p, bool with_cfa)
{
        static const struct pg_value cfa = { .kind = PG_VALUE_REGISTER, .register_no = PG_VALUE_CFA };
        struct pg_cursor c = pg_cursor_at(f->cfi, (size_t)p.value, f->cfi->size);
        uint64_t length = pg_take_uleb(&c);
        if (length > pg_cursor_left(&c))
                return (struct pg_value){ .kind = PG_VALUE_UNKNOWN };
        c.end = c.p + length;
        return pg_cfi_evaluate(c, with_cfa ? &cfa : NULL, f->address);
}

static struct pg_value register_plus(uint32_t register_no, int64_t offset)
{
        return (struct pg_value){ .kind = PG_VALUE_REGISTER,
                                  .register_no = (uint16_t)register_no,
                                  .offset = offset };
}

static struct pg_value cfa_of(const struct found *f)
{
        struct part p = f->row.parts[CFA];
        if (p.kind == REGISTER)
                return register_plus(p.register_no, p.value);
        if (p.kind == EXPRESSION)
                return evaluate(f, p, false);
        return (struct pg_value){ .kind = PG_VALUE_UNKNOWN };
}

/* What the caller's register is. One that is found relative to the same register as the CFA is put as relative
 * to the CFA, which is known longer. */
static struct pg_value value_of(const struct found *f, uint32_t part, uint32_t register_no,
                                struct pg_value cfa)
{
        struct part p = f->row.parts[part];
        struct pg_value v = { .kind = PG_VALUE_UNKNOWN };
        if (p.kind == UNSPECIFIED || p.kind == SAME)
                v = register_plus(register_no, 0);
        else if (p.kind == REGISTER)
                v = register_plus(p.register_no, 0);
        else if (p.kind == AT_CFA || p.kind == CFA_PLUS)
                v = register_plus(PG_VALUE_CFA, p.value);
        else if (p.kind == EXPRESSION || p.kind == VALUE)
                v = evaluate(f, p, true);
        if (p.kind == AT_CFA || p.kind == EXPRESSION)
                v.kind = v.kind == PG_VALUE_REGISTER ? PG_VALUE_WORD : PG_VALUE_UNKNOWN;
        if (v.index)
                v.kind = PG_VALUE_UNKNOWN;
        if (v.kind == PG_VALUE_WORD && cfa.kind == PG_VALUE_REGISTER && v.register_no == cfa.register_no) {
                v.register_no = PG_VALUE_CFA;
                v.offset = (int64_t)((uint64_t)v.offset - (uint64_t)cfa.offset);
        }
        return v;
}

static bool is_word_at(struct pg_value v, uint32_t register_no, int64_t offset)
{
        return v.kind == PG_VALUE_WORD && !v.index && v.register_no == register_no && v.offset == offset &&
               v.add == 0;
}

/* Whether the caller's register is where the kernel puts it in a signal frame. */
OUT_OF_LINE static bool is_kernel_slot(const struct found *f, uint32_t part, uint32_t register_no,
                                       int64_t greg)
{
        static const struct pg_value no_cfa = { .kind = PG_VALUE_UNKNOWN };
        return is_word_at(value_of(f, part, register_no, no_cfa), PG_DWARF_SP,
                          PG_SIGNAL_GREGS_OFFSET + 8 * greg);
}

static bool is_kernel_frame(const struct found *f, struct pg_value cfa)
{
        return is_word_at(cfa, PG_DWARF_SP, PG_SIGNAL_GREGS_OFFSET + 8 * PG_GREG_SP) &&
               (f->row.parts[SP].kind == UNSPECIFIED || is_kernel_slot(f, SP, PG_DWARF_SP, PG_GREG_SP)) &&
               is_kernel_slot(f, RA, PG_DWARF_RA, PG_GREG_PC) &&
               is_kernel_slot(f, BP, PG_DWARF_BP, PG_GREG_BP);
}

static enum pg_rule_cfa cfa_kind(struct pg_value cfa)
{
        bool by_sp = cfa.register_no == PG_DWARF_SP, by_bp = cfa.register_no == PG_DWARF_BP;
        if (cfa.kind == PG_VALUE_REGISTER && !cfa.index)
                return by_sp ? PG_CFA_SP : by_bp ? PG_CFA_BP : PG_CFA_REGISTER;
        if (cfa.kind == PG_VALUE_WORD && cfa.index)
                return by_sp && cfa.add == 8 ? PG_CFA_AT_INDEX : PG_CFA_NONE;
        if (cfa.kind == PG_VALUE_WORD && cfa.add >= 0 && cfa.add < 1 << 20)
                return by_sp ? PG_CFA_AT_SP : by_bp ? PG_CFA_AT_BP : PG_CFA_NONE;
        return PG_CFA_NONE;
}

static bool pack_cfa(struct pg_value cfa, struct pg_rule_parts *ret)
{
        ret->cfa = cfa_kind(cfa);
        ret->cfa_offset = cfa.offset;
        if (ret->cfa == PG_CFA_REGISTER)
                ret->register_no = cfa.register_no;
        else if (ret->cfa == PG_CFA_AT_INDEX)
                ret->register_no = cfa.index - 1u;
        else if (cfa.kind == PG_VALUE_WORD)
                ret->add = (uint32_t)cfa.add;
        return ret->cfa != PG_CFA_NONE;
}

OUT_OF_LINE static bool pack_ra(const struct found *f, struct pg_value cfa, struct pg_rule_parts *ret)
{
        struct pg_value ra = value_of(f, RA, PG_DWARF_RA, cfa);
        if (is_word_at(ra, PG_VALUE_CFA, -8)) {
                ret->ra = PG_RA_AT_CFA;
                return true;
        }
        if (ra.kind != PG_VALUE_REGISTER || ra.register_no >= PG_DWARF_RA || ra.offset != 0 ||
            (ret->cfa != PG_CFA_SP && ret->cfa != PG_CFA_BP)) // one register fits, see pg_rule_pack
                return false;
        ret->ra = PG_RA_REGISTER;
        ret->register_no = ra.register_no;
        return true;
}

OUT_OF_LINE static void pack_bp(const struct found *f, struct pg_value cfa, struct pg_rule_parts *ret)
{
        struct pg_value bp = value_of(f, BP, PG_DWARF_BP, cfa);
        ret->bp = PG_BP_LOST;
        if (bp.kind == PG_VALUE_REGISTER && bp.register_no == PG_DWARF_BP && bp.offset == 0)
                ret->bp = PG_BP_SAME;
        if (bp.kind != PG_VALUE_WORD || bp.add != 0)
                return;
        if (bp.register_no == PG_VALUE_CFA)
                ret->bp = PG_BP_AT_CFA;
        else if (bp.register_no == PG_DWARF_BP)
                ret->bp = PG_BP_AT_BP;
        ret->bp_offset = ret->bp == PG_BP_LOST ? 0 : bp.offset;
}

/* Whether the caller's sp is the CFA, as it is when nothing else is said. */
static bool sp_is_cfa(const struct found *f)
{
        struct part sp = f->row.parts[SP];
        return sp.kind == UNSPECIFIED || (sp.kind == CFA_PLUS && sp.value == 0);
}

OUT_OF_LINE static pg_rule rule_of(const struct found *f)
{
        struct pg_rule_parts parts = { .cfa = PG_CFA_SP };
        if (f->row.parts[RA].kind == UNDEFINED) {
                parts.ra = PG_RA_UNDEFINED;
                return pg_rule_pack(parts);
        }
        struct pg_value cfa = cfa_of(f);
        if (f->fde->cie.is_signal_frame)
                return is_kernel_frame(f, cfa) ? pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SIGNAL })
                                               : pg_rule_stop(PG_STOP_UNSUPPORTED);
        if (!sp_is_cfa(f) || !pack_cfa(cfa, &parts) || !pack_ra(f, cfa, &parts))
                return pg_rule_stop(PG_STOP_UNSUPPORTED);
        pack_bp(f, cfa, &parts);
        return pg_rule_pack(parts);
}

pg_rule pg_cfi_rule_of(const struct pg_cfi *cfi, size_t fde_offset, bool is_debug_frame, uint64_t address)
{
        struct pg_fde fde;
        enum pg_stop why = pg_fde_read(cfi, is_debug_frame, fde_offset, &fde);
        if (why != PG_STOP_NOT)
                return pg_rule_stop(why);
        if (address - fde.start >= fde.size)
                return pg_rule_stop(PG_STOP_NO_CFI);
        struct found found = { .cfi = cfi, .fde = &fde, .address = address };
        why = find_row(&found);
        return why == PG_STOP_NOT ? rule_of(&found) : pg_rule_stop(why);
}

pg_rule pg_cfi_rule(const struct pg_cfi *cfi, uint64_t address)
{
        size_t offset;
        enum pg_stop why = pg_fde_find(cfi, address, &offset);
        return why == PG_STOP_NOT ? pg_cfi_rule_of(cfi, offset, false, address) : pg_rule_stop(why);
}

bool pg_cfi_is_signal_return(const uint8_t *code, size_t n)
{
        /* mov $15, %rax (or %eax); syscall. 15 is rt_sigreturn. */
        static const uint8_t wide[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
        static const uint8_t narrow[] = { 0xb8, 15, 0, 0, 0, 0x0f, 0x05 };
        size_t i = 0, j = 0;
        while (i < sizeof(wide) && i < n && code[i] == wide[i])
                i++;
        while (j < sizeof(narrow) && j < n && code[j] == narrow[j])
                j++;
        return i == sizeof(wide) || j == sizeof(narrow);
}
