// SPDX-License-Identifier: MIT
/*
 * cfi_expression.c - DWARF expressions of unwind information, evaluated with registers as unknowns.
 *
 * Compilers, linkers and hand-written assembler use expressions for few things: the stub that jumps through a
 * table is one word deeper after its push (decided by pc), a realigned stack keeps the CFA in a slot, a signal
 * frame has registers at fixed places. All of them are a register plus a number, or the word found there; in
 * big-number code an index register counts words on the stack.
 */
#include <dwarf.h>

#include "runner/unwind/cfi_bytes.h"
#include "runner/unwind/machine.h"

enum { STACK_MAX = 5 };

struct stack {
        struct pg_value v[STACK_MAX];
        uint32_t n;
        bool bad; // too deep, too shallow, or a value that cannot be held
};

static void push(struct stack *s, struct pg_value v)
{
        if (s->n == STACK_MAX || v.kind == PG_VALUE_UNKNOWN)
                s->bad = true;
        else
                s->v[s->n++] = v;
}

static struct pg_value pop(struct stack *s)
{
        if (s->n > 0)
                return s->v[--s->n];
        s->bad = true;
        return (struct pg_value){ .kind = PG_VALUE_UNKNOWN };
}

static struct pg_value constant(uint64_t c)
{
        return (struct pg_value){ .kind = PG_VALUE_CONSTANT, .offset = (int64_t)c };
}

static struct pg_value from_register(uint64_t number, int64_t offset, uint64_t pc)
{
        if (number == PG_DWARF_RA)
                return constant(pc + (uint64_t)offset);
        return (struct pg_value){ .kind = number < PG_DWARF_RA ? PG_VALUE_REGISTER : PG_VALUE_UNKNOWN,
                                  .register_no = (uint16_t)number,
                                  .offset = offset };
}

static struct pg_value plus(struct pg_value v, uint64_t c)
{
        if (v.kind == PG_VALUE_EIGHT)
                v.kind = PG_VALUE_UNKNOWN;
        else if (v.kind == PG_VALUE_WORD)
                v.add = (int64_t)((uint64_t)v.add + c);
        else
                v.offset = (int64_t)((uint64_t)v.offset + c);
        return v;
}

static struct pg_value word_at(struct pg_value address)
{
        address.kind = address.kind == PG_VALUE_REGISTER ? PG_VALUE_WORD : PG_VALUE_UNKNOWN;
        return address;
}

static struct pg_value plus_index(struct pg_value v, struct pg_value eight)
{
        v.kind = v.kind == PG_VALUE_REGISTER && !v.index ? PG_VALUE_REGISTER : PG_VALUE_UNKNOWN;
        v.index = (uint16_t)(eight.register_no + 1);
        return v;
}

static struct pg_value times(struct pg_value v, int64_t c)
{
        v.kind = v.kind == PG_VALUE_REGISTER && !v.index && v.offset == 0 && c == 8 ? PG_VALUE_EIGHT
                                                                                    : PG_VALUE_UNKNOWN;
        return v;
}

/* Two known numbers; comparisons are signed (DWARF 5, 2.5.1.5). False: no such operator. */
static bool fold(uint8_t op, int64_t a, int64_t b, uint64_t *ret)
{
        uint64_t x = (uint64_t)a, y = (uint64_t)b;
        switch (op) {
        case DW_OP_plus:
                *ret = x + y;
                return true;
        case DW_OP_minus:
                *ret = x - y;
                return true;
        case DW_OP_mul:
                *ret = x * y;
                return true;
        case DW_OP_and:
                *ret = x & y;
                return true;
        case DW_OP_or:
                *ret = x | y;
                return true;
        case DW_OP_shl:
                *ret = y < 64 ? x << y : 0;
                return true;
        case DW_OP_shr:
                *ret = y < 64 ? x >> y : 0;
                return true;
        case DW_OP_ge:
                *ret = a >= b;
                return true;
        case DW_OP_gt:
                *ret = a > b;
                return true;
        case DW_OP_le:
                *ret = a <= b;
                return true;
        case DW_OP_lt:
                *ret = a < b;
                return true;
        case DW_OP_eq:
                *ret = a == b;
                return true;
        case DW_OP_ne:
                *ret = a != b;
                return true;
        default:
                return false;
        }
}

static struct pg_value binary(uint8_t op, struct pg_value a, struct pg_value b)
{
        uint64_t folded;
        if (a.kind == PG_VALUE_CONSTANT && b.kind == PG_VALUE_CONSTANT &&
            fold(op, a.offset, b.offset, &folded))
                return constant(folded);
        if (op == DW_OP_plus && b.kind == PG_VALUE_CONSTANT)
                return plus(a, (uint64_t)b.offset);
        if (op == DW_OP_plus && a.kind == PG_VALUE_CONSTANT)
                return plus(b, (uint64_t)a.offset);
        if (op == DW_OP_plus && b.kind == PG_VALUE_EIGHT)
                return plus_index(a, b);
        if (op == DW_OP_mul && b.kind == PG_VALUE_CONSTANT)
                return times(a, b.offset);
        if (op == DW_OP_minus && b.kind == PG_VALUE_CONSTANT)
                return plus(a, -(uint64_t)b.offset);
        return (struct pg_value){ .kind = PG_VALUE_UNKNOWN };
}

static bool take_constant(struct pg_cursor *c, uint8_t op, uint64_t *ret)
{
        switch (op) {
        case DW_OP_const1u:
                *ret = pg_take_u8(c);
                return true;
        case DW_OP_const1s:
                *ret = (uint64_t)(int8_t)pg_take_u8(c);
                return true;
        case DW_OP_const2u:
                *ret = pg_take_u16(c);
                return true;
        case DW_OP_const2s:
                *ret = (uint64_t)(int16_t)pg_take_u16(c);
                return true;
        case DW_OP_const4u:
                *ret = pg_take_u32(c);
                return true;
        case DW_OP_const4s:
                *ret = (uint64_t)(int32_t)pg_take_u32(c);
                return true;
        case DW_OP_const8u:
        case DW_OP_const8s:
                *ret = pg_take_u64(c);
                return true;
        case DW_OP_constu:
                *ret = pg_take_uleb(c);
                return true;
        case DW_OP_consts:
                *ret = (uint64_t)pg_take_sleb(c);
                return true;
        default:
                *ret = (uint64_t)op - DW_OP_lit0;
                return op >= DW_OP_lit0 && op <= DW_OP_lit31;
        }
}

static void apply(struct stack *s, struct pg_cursor *c, uint64_t pc)
{
        uint8_t op = pg_take_u8(c);
        uint64_t number;
        if (take_constant(c, op, &number)) {
                push(s, constant(number));
        } else if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
                push(s, from_register((uint64_t)op - DW_OP_breg0, pg_take_sleb(c), pc));
        } else if (op == DW_OP_bregx) {
                number = pg_take_uleb(c);
                push(s, from_register(number, pg_take_sleb(c), pc));
        } else if (op == DW_OP_deref) {
                push(s, word_at(pop(s)));
        } else if (op == DW_OP_plus_uconst) {
                push(s, plus(pop(s), pg_take_uleb(c)));
        } else if (op != DW_OP_nop) {
                struct pg_value b = pop(s), a = pop(s);
                push(s, binary(op, a, b));
        }
}

struct pg_value pg_cfi_evaluate(struct pg_cursor c, const struct pg_value *first, uint64_t pc)
{
        struct stack s;
        s.n = 0;
        s.bad = false;
        if (first)
                push(&s, *first);
        while (pg_cursor_left(&c) > 0 && !s.bad)
                apply(&s, &c, pc);
        struct pg_value top = pop(&s);
        if (s.bad || c.bad)
                top.kind = PG_VALUE_UNKNOWN;
        return top;
}
