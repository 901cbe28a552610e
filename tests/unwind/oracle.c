// SPDX-License-Identifier: MIT
/*
 * oracle.c - a small evaluator of DWARF expressions over numbers. It shares no code with runner/unwind.
 */
#include "oracle.h"

#include <dwarf.h>

enum { BP = 6, SP = 7, RA = 16 };

static uint64_t mix(uint64_t x) // splitmix64
{
        x += 0x9e3779b97f4a7c15ull;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ x >> 27) * 0x94d049bb133111ebull;
        return x ^ x >> 31;
}

struct world world_make(uint64_t seed, uint64_t pc)
{
        struct world w = { .seed = mix(seed) };
        for (uint32_t i = 0; i < WORLD_REGISTERS; i++)
                w.registers[i] = mix(w.seed + i);
        w.registers[RA] = pc;
        return w;
}

uint64_t world_word(const struct world *w, uint64_t address)
{
        return mix(w->seed ^ mix(address));
}

/* ---- reading ---- */

static bool read_register(Dwarf_Frame *frame, uint32_t number, struct place *p)
{
        if (dwarf_frame_register(frame, (int)number, p->space, &p->ops, &p->n) != 0)
                return false;
        p->kind = p->n > 0 ? PLACE_OPS : p->ops ? PLACE_UNDEFINED : PLACE_SAME;
        return true;
}

static bool place_uses_pc(const struct place *p)
{
        for (size_t i = 0; p->kind == PLACE_OPS && i < p->n; i++)
                if (p->ops[i].atom == DW_OP_breg0 + RA ||
                    (p->ops[i].atom == DW_OP_bregx && p->ops[i].number == RA))
                        return true;
        return false;
}

bool oracle_row_read(Dwarf_Frame *frame, bool all, struct oracle_row *ret)
{
        if (dwarf_frame_info(frame, &ret->start, &ret->end, &ret->is_signal_frame) != RA)
                return false;
        ret->cfa.kind = PLACE_OPS;
        if (dwarf_frame_cfa(frame, &ret->cfa.ops, &ret->cfa.n) != 0)
                return false;
        if (ret->cfa.n == 0)
                ret->cfa.kind = PLACE_UNDEFINED;
        ret->uses_pc = place_uses_pc(&ret->cfa);
        for (uint32_t i = 0; i < WORLD_REGISTERS; i++) {
                if (!all && i != BP && i != SP && i != RA)
                        continue;
                if (!read_register(frame, i, &ret->registers[i]))
                        return false;
                ret->uses_pc |= place_uses_pc(&ret->registers[i]);
        }
        return true;
}

/* ---- evaluating ---- */

struct numbers {
        uint64_t v[64];
        size_t n;
        bool bad;
};

static void push(struct numbers *s, uint64_t v)
{
        if (s->n == sizeof(s->v) / sizeof(*s->v))
                s->bad = true;
        else
                s->v[s->n++] = v;
}

static uint64_t pop(struct numbers *s)
{
        s->bad |= s->n == 0;
        return s->n ? s->v[--s->n] : 0;
}

static void two(struct numbers *s, uint8_t atom)
{
        uint64_t b = pop(s), a = pop(s);
        int64_t sa = (int64_t)a, sb = (int64_t)b;
        switch (atom) {
        case DW_OP_plus:
                return push(s, a + b);
        case DW_OP_minus:
                return push(s, a - b);
        case DW_OP_and:
                return push(s, a & b);
        case DW_OP_or:
                return push(s, a | b);
        case DW_OP_xor:
                return push(s, a ^ b);
        case DW_OP_mul:
                return push(s, a * b);
        case DW_OP_shl:
                return push(s, b > 63 ? 0 : a << b);
        case DW_OP_shr:
                return push(s, b > 63 ? 0 : a >> b);
        case DW_OP_eq:
                return push(s, a == b);
        case DW_OP_ne:
                return push(s, a != b);
        case DW_OP_lt:
                return push(s, sa < sb);
        case DW_OP_le:
                return push(s, sa <= sb);
        case DW_OP_gt:
                return push(s, sa > sb);
        case DW_OP_ge:
                return push(s, sa >= sb);
        }
        s->bad = true;
}

static bool is_constant(uint8_t atom)
{
        return atom == DW_OP_const1u || atom == DW_OP_const1s || atom == DW_OP_const2u ||
               atom == DW_OP_const2s || atom == DW_OP_const4u || atom == DW_OP_const4s ||
               atom == DW_OP_const8u || atom == DW_OP_const8s || atom == DW_OP_constu || atom == DW_OP_consts;
}

static void push_register(struct numbers *s, const struct world *w, uint64_t number, uint64_t offset)
{
        if (number < WORLD_REGISTERS)
                push(s, w->registers[number] + offset);
        else
                s->bad = true;
}

/* Operators after which the result is a value (and not the address of one) end an expression. */
static void one(struct numbers *s, const struct world *w, const Dwarf_Op *op, uint64_t cfa, bool *is_value)
{
        uint8_t a = op->atom;
        if (is_constant(a)) {
                push(s, op->number);
        } else if (a >= DW_OP_lit0 && a <= DW_OP_lit31) {
                push(s, (uint64_t)a - DW_OP_lit0);
        } else if (a >= DW_OP_breg0 && a <= DW_OP_breg31) {
                push_register(s, w, (uint64_t)a - DW_OP_breg0, op->number);
        } else if (a == DW_OP_bregx) {
                push_register(s, w, op->number, op->number2);
        } else if (a >= DW_OP_reg0 && a <= DW_OP_reg31) {
                push_register(s, w, (uint64_t)a - DW_OP_reg0, 0);
                *is_value = true;
        } else if (a == DW_OP_regx) {
                push_register(s, w, op->number, 0);
                *is_value = true;
        } else if (a == DW_OP_call_frame_cfa) {
                push(s, cfa);
        } else if (a == DW_OP_deref) {
                push(s, world_word(w, pop(s)));
        } else if (a == DW_OP_plus_uconst) {
                push(s, pop(s) + op->number);
        } else if (a == DW_OP_stack_value) {
                *is_value = true;
        } else if (a != DW_OP_nop) {
                two(s, a);
        }
}

static bool evaluate(const struct place *p, const struct world *w, uint64_t cfa, bool *ret_is_value,
                     uint64_t *ret)
{
        struct numbers s;
        s.n = 0;
        s.bad = false;
        *ret_is_value = false;
        for (size_t i = 0; i < p->n; i++)
                one(&s, w, &p->ops[i], cfa, ret_is_value);
        uint64_t top = pop(&s);
        if (s.bad)
                return false;
        *ret = top;
        return true;
}

bool oracle_cfa(const struct oracle_row *row, const struct world *w, uint64_t *ret)
{
        bool is_value;
        return row->cfa.kind == PLACE_OPS && evaluate(&row->cfa, w, 0, &is_value, ret);
}

bool oracle_register(const struct oracle_row *row, const struct world *w, uint32_t number, uint64_t *ret)
{
        const struct place *p = &row->registers[number];
        uint64_t cfa = 0, v;
        bool is_value;
        if (p->kind == PLACE_SAME) {
                *ret = w->registers[number];
                return true;
        }
        if (p->kind == PLACE_UNDEFINED)
                return false;
        (void)oracle_cfa(row, w, &cfa);
        if (!evaluate(p, w, cfa, &is_value, &v))
                return false;
        *ret = is_value ? v : world_word(w, v);
        return true;
}
