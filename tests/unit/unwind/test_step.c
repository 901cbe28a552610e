// SPDX-License-Identifier: MIT
/*
 * test_step.c - rules in a word, single steps on a made stack, and walks over several. Register numbers are those
 * of the psABI (figure 3.36), the signal frame is the C library's ucontext_t; expected frames are by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <cmocka.h>

#include "runner/unwind/walk.h"

/* ---- rules ---- */

static void parts_come_back_as_they_were(void **state)
{
        (void)state;
        static const struct pg_rule_parts cases[] = {
                { .cfa = PG_CFA_SP, .cfa_offset = 8 },
                { .cfa = PG_CFA_BP, .bp = PG_BP_AT_CFA, .cfa_offset = 16, .bp_offset = -16 },
                { .cfa = PG_CFA_REGISTER, .register_no = 10, .bp = PG_BP_AT_BP },
                { .cfa = PG_CFA_REGISTER, .register_no = 16, .cfa_offset = 8 },
                { .cfa = PG_CFA_AT_SP, .add = 8, .cfa_offset = 5000 },
                { .cfa = PG_CFA_AT_BP, .cfa_offset = -8, .bp = PG_BP_AT_BP, .bp_offset = -24 },
                { .cfa = PG_CFA_AT_BP, .add = 248, .cfa_offset = -8 },
                { .cfa = PG_CFA_SP, .ra = PG_RA_REGISTER, .register_no = 5 },
                { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED },
                { .cfa = PG_CFA_SIGNAL },
                { .cfa = PG_CFA_CHAIN, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
                { .cfa = PG_CFA_SP, .cfa_offset = (1 << 23) - 8, .bp = PG_BP_LOST },
                { .cfa = PG_CFA_SP, .cfa_offset = -(1 << 23) },
                { .cfa = PG_CFA_BP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = (1 << 14) - 8 },
                { .cfa = PG_CFA_BP, .cfa_offset = -8, .bp = PG_BP_AT_CFA, .bp_offset = -(1 << 14) },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct pg_rule_parts *p = &cases[i];
                pg_rule r = pg_rule_with_owner(pg_rule_pack(*p), i % 2 ? 0xffff : 1);
                assert_int_equal(pg_rule_cfa(r), p->cfa);
                assert_int_equal(pg_rule_ra(r), p->ra);
                assert_int_equal(pg_rule_bp(r), p->bp);
                bool adds = p->cfa == PG_CFA_AT_SP || p->cfa == PG_CFA_AT_BP; // both in the same bits
                assert_int_equal(adds ? pg_rule_add(r) : pg_rule_register(r), adds ? p->add : p->register_no);
                assert_true(pg_rule_cfa_offset(r) == p->cfa_offset);
                assert_true(pg_rule_bp_offset(r) == p->bp_offset);
                assert_int_equal(pg_rule_owner(r), i % 2 ? 0xffff : 1);
        }
}

static void an_index_takes_the_place_of_what_is_added(void **state)
{
        (void)state;
        pg_rule r = pg_rule_pack(
                (struct pg_rule_parts){ .cfa = PG_CFA_AT_INDEX, .register_no = 9, .cfa_offset = 8 });
        assert_int_equal(pg_rule_cfa(r), PG_CFA_AT_INDEX);
        assert_int_equal(pg_rule_register(r), 9);
        assert_int_equal(pg_rule_add(r), 8);
}

static void a_frame_that_does_not_fit_is_a_stop(void **state)
{
        (void)state;
        static const struct pg_rule_parts cases[] = {
                { .cfa = PG_CFA_SP, .cfa_offset = 12 },
                { .cfa = PG_CFA_SP, .cfa_offset = 1 << 23 },
                { .cfa = PG_CFA_SP, .cfa_offset = -(1 << 23) - 8 },
                { .cfa = PG_CFA_SP, .cfa_offset = INT64_MIN },
                { .cfa = PG_CFA_AT_SP, .add = 12 },
                { .cfa = PG_CFA_AT_INDEX, .register_no = 9, .add = 8 },
                { .cfa = PG_CFA_AT_SP, .add = 256 },
                { .cfa = PG_CFA_AT_SP, .add = 8, .ra = PG_RA_REGISTER, .register_no = 5 },
                { .cfa = PG_CFA_AT_INDEX, .ra = PG_RA_REGISTER, .register_no = 5 },
                { .cfa = PG_CFA_REGISTER, .register_no = 32 },
                { .cfa = PG_CFA_REGISTER, .ra = PG_RA_REGISTER, .register_no = 2 },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                pg_rule r = pg_rule_pack(cases[i]);
                assert_int_equal(pg_rule_cfa(r), PG_CFA_STOP);
                assert_int_equal(pg_rule_why(r), PG_STOP_UNSUPPORTED);
        }
}

static void a_bp_that_does_not_fit_is_lost(void **state)
{
        (void)state;
        static const int64_t offsets[] = { 1 << 14, -(1 << 14) - 8, -12, INT64_MAX };
        for (size_t i = 0; i < 4; i++) {
                pg_rule r = pg_rule_pack((struct pg_rule_parts){
                        .cfa = PG_CFA_SP, .cfa_offset = 64, .bp = PG_BP_AT_CFA, .bp_offset = offsets[i] });
                assert_int_equal(pg_rule_cfa(r), PG_CFA_SP);
                assert_int_equal(pg_rule_bp(r), PG_BP_LOST);
                assert_true(pg_rule_cfa_offset(r) == 64);
        }
}

static void a_stop_keeps_its_reason(void **state)
{
        (void)state;
        for (int why = PG_STOP_NOT; why < PG_STOP_COUNT; why++) {
                pg_rule r = pg_rule_with_owner(pg_rule_stop((enum pg_stop)why), 0xffff);
                assert_int_equal(pg_rule_cfa(r), PG_CFA_STOP);
                assert_int_equal(pg_rule_why(r), why);
        }
}

static void registers_are_where_the_c_library_has_them(void **state)
{
        (void)state;
        static const int by_dwarf[PG_DWARF_REGISTERS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI,
                                                          REG_RDI, REG_RBP, REG_RSP, REG_R8,  REG_R9,
                                                          REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
                                                          REG_R15, REG_RIP };
        uint64_t all[PG_GREGS];
        for (uint64_t i = 0; i < PG_GREGS; i++)
                all[i] = 100 + i;
        for (uint32_t i = 0; i < PG_DWARF_REGISTERS; i++)
                assert_int_equal(pg_machine_register(all, i), 100 + by_dwarf[i]);
        assert_int_equal(pg_machine_register(all, PG_DWARF_REGISTERS), 0);
        assert_int_equal(pg_machine_register(all, 31), 0);
        assert_int_equal(PG_SIGNAL_GREGS_OFFSET, offsetof(ucontext_t, uc_mcontext.gregs));
}

/* ---- memory ---- */

enum { BASE = 0x10000, WORDS = 16 };

/* A stack at BASE whose word i is 0x1000 + i. */
static uint64_t memory[WORDS];
static struct pg_stack stack_of_words(void)
{
        for (uint64_t i = 0; i < WORDS; i++)
                memory[i] = 0x1000 + i;
        return (struct pg_stack){ .lo = BASE,
                                  .hi = BASE + sizeof(memory),
                                  .shift = (uint64_t)(uintptr_t)memory - BASE };
}

static void only_whole_words_inside_are_read(void **state)
{
        (void)state;
        static const struct {
                uint64_t address;
                bool can;
        } cases[] = { { BASE, true },        { BASE + 120, true },      { BASE - 8, false },
                      { BASE + 128, false }, { BASE + 4, false },       { BASE + 121, false },
                      { 0, false },          { UINT64_MAX - 7, false }, { UINT64_MAX, false } };
        struct pg_stack s = stack_of_words();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct pg_words w = { .n = 0 };
                uint64_t got = 7;
                assert_int_equal(pg_stack_word(&s, cases[i].address, &w, &got), cases[i].can);
                assert_int_equal(w.n, cases[i].can);
                if (!cases[i].can)
                        continue;
                assert_int_equal(got, 0x1000 + (cases[i].address - BASE) / 8);
                assert_int_equal(w.address[0], cases[i].address);
                assert_int_equal(w.value[0], got);
        }
}

static void a_stack_of_less_than_a_word_has_none(void **state)
{
        (void)state;
        for (uint64_t size = 0; size < 8; size++) {
                struct pg_stack s = stack_of_words();
                struct pg_words w = { .n = 0 };
                uint64_t got;
                s.hi = s.lo + size;
                assert_false(pg_stack_word(&s, s.lo, &w, &got));
        }
}

static int asked;
static bool refuse(struct pg_stack *s, uint64_t address)
{
        (void)s, (void)address;
        asked++;
        return false;
}
static bool extend(struct pg_stack *s, uint64_t address)
{
        asked++;
        s->hi = address + 8;
        return true;
}

static void more_is_asked_for_what_is_outside(void **state)
{
        (void)state;
        struct pg_stack s = stack_of_words();
        struct pg_words w = { .n = 0 };
        uint64_t got;
        s.hi = BASE + 64;
        s.more = refuse;
        asked = 0;
        assert_true(pg_stack_word(&s, BASE + 56, &w, &got));
        assert_int_equal(asked, 0);
        assert_false(pg_stack_word(&s, BASE + 64, &w, &got));
        assert_int_equal(asked, 1);
        assert_false(pg_stack_word(&s, BASE + 65, &w, &got)); // never for half words
        assert_int_equal(asked, 1);
        s.more = extend;
        assert_true(pg_stack_word(&s, BASE + 64, &w, &got));
        assert_int_equal(got, 0x1008);
        assert_int_equal(s.hi, BASE + 72);
}

/* ---- steps ---- */

enum { PC = 0x400000, BP = 0x7777 };

static const uint64_t file[PG_GREGS] = { [REG_R10] = BASE + 64, [REG_RDI] = 0x5555, [REG_RBX] = BASE + 32 };

/* From pc PC and sp BASE + 16; memory word i is 0x1000 + i. */
static const struct step_case {
        const char *what;
        struct pg_rule_parts rule;
        uint64_t bp;
        bool no_file, exact, bp_lost;
        enum pg_stop want;
        uint64_t pc, sp, bp_after;
        bool bp_lost_after;
        uint32_t n_words;
} steps[] = {
        { .what = "sp",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 16 },
          .bp = BP,
          .pc = 0x1003,
          .sp = BASE + 32,
          .bp_after = BP,
          .n_words = 1 },
        { .what = "bp, and bp saved",
          .rule = { .cfa = PG_CFA_BP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
          .bp = BASE + 40,
          .pc = 0x1006,
          .sp = BASE + 56,
          .bp_after = 0x1005,
          .n_words = 2 },
        { .what = "bp lost before",
          .rule = { .cfa = PG_CFA_BP, .cfa_offset = 16 },
          .bp = BASE + 40,
          .bp_lost = true,
          .want = PG_STOP_REGISTER },
        { .what = "bp lost before and found again",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 24, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
          .bp_lost = true,
          .pc = 0x1004,
          .sp = BASE + 40,
          .bp_after = 0x1003,
          .n_words = 2 },
        { .what = "bp lost here",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_LOST },
          .bp = BP,
          .pc = 0x1003,
          .sp = BASE + 32,
          .bp_after = BP,
          .bp_lost_after = true,
          .n_words = 1 },
        { .what = "register",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 10 },
          .bp = BP,
          .pc = 0x1007,
          .sp = BASE + 64,
          .bp_after = BP,
          .n_words = 1 },
        { .what = "register of the interrupted frame",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 3 },
          .bp = BP,
          .exact = true,
          .pc = 0x1003,
          .sp = BASE + 32,
          .bp_after = BP,
          .n_words = 1 },
        { .what = "register that the callee may have saved and changed",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 3 },
          .want = PG_STOP_REGISTER },
        { .what = "register that callees have",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 10 },
          .no_file = true,
          .want = PG_STOP_REGISTER },
        { .what = "return address in a register",
          .rule = { .cfa = PG_CFA_SP, .ra = PG_RA_REGISTER, .register_no = 5 },
          .bp = BP,
          .pc = 0x5555,
          .sp = BASE + 16,
          .bp_after = BP },
        { .what = "the same in a caller",
          .rule = { .cfa = PG_CFA_SP, .ra = PG_RA_REGISTER, .register_no = 5 },
          .no_file = true,
          .want = PG_STOP_REGISTER },
        { .what = "frame pointer chain",
          .rule = { .cfa = PG_CFA_CHAIN, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
          .bp = BASE + 40,
          .pc = 0x1006,
          .sp = BASE + 56,
          .bp_after = 0x1005,
          .n_words = 2 },
        { .what = "end of a frame pointer chain",
          .rule = { .cfa = PG_CFA_CHAIN, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
          .want = PG_STOP_ROOT },
        { .what = "frame pointer chain by a lost bp",
          .rule = { .cfa = PG_CFA_CHAIN, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 },
          .bp_lost = true,
          .want = PG_STOP_REGISTER },
        { .what = "outermost", .rule = { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED }, .want = PG_STOP_ROOT },
        { .what = "the CFA does not grow", .rule = { .cfa = PG_CFA_SP }, .want = PG_STOP_LOOP },
        { .what = "the CFA shrinks", .rule = { .cfa = PG_CFA_BP }, .bp = BASE + 8, .want = PG_STOP_LOOP },
        { .what = "the CFA shrinks, register",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = -8, .ra = PG_RA_REGISTER, .register_no = 5 },
          .want = PG_STOP_LOOP },
        { .what = "the CFA wraps around",
          .rule = { .cfa = PG_CFA_BP, .cfa_offset = 16 },
          .bp = UINT64_MAX - 7,
          .want = PG_STOP_LOOP },
        { .what = "beyond the stack",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 120 },
          .want = PG_STOP_MEMORY },
        { .what = "bp slot beyond the stack",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -40 },
          .want = PG_STOP_MEMORY },
        { .what = "odd CFA", .rule = { .cfa = PG_CFA_BP }, .bp = BASE + 33, .want = PG_STOP_MEMORY },
        { .what = "saved bp by bp",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 10, .bp = PG_BP_AT_BP },
          .bp = BASE + 24,
          .exact = true,
          .pc = 0x1007,
          .sp = BASE + 64,
          .bp_after = 0x1003,
          .n_words = 2 },
        { .what = "saved bp by bp at sp",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 10, .bp = PG_BP_AT_BP },
          .bp = BASE + 16,
          .exact = true,
          .pc = 0x1007,
          .sp = BASE + 64,
          .bp_after = 0x1002,
          .n_words = 2 },
        { .what = "bp restored already",
          .rule = { .cfa = PG_CFA_REGISTER, .register_no = 10, .bp = PG_BP_AT_BP },
          .bp = BASE + 64,
          .exact = true,
          .pc = 0x1007,
          .sp = BASE + 64,
          .bp_after = BASE + 64,
          .n_words = 1 },
        { .what = "bp restored already, data",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 8, .bp = PG_BP_AT_BP },
          .bp = 3,
          .exact = true,
          .pc = 0x1002,
          .sp = BASE + 24,
          .bp_after = 3,
          .n_words = 1 },
        { .what = "bp out of a caller's frame",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 8, .bp = PG_BP_AT_BP },
          .bp = BASE + 64,
          .pc = 0x1002,
          .sp = BASE + 24,
          .bp_after = BASE + 64,
          .bp_lost_after = true,
          .n_words = 1 },
        { .what = "saved bp by a lost bp",
          .rule = { .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_AT_BP },
          .bp = BASE + 16,
          .bp_lost = true,
          .want = PG_STOP_REGISTER },
        { .what = "word at a lost bp",
          .rule = { .cfa = PG_CFA_AT_BP, .cfa_offset = -8 },
          .bp = BASE + 24,
          .bp_lost = true,
          .want = PG_STOP_REGISTER },
        { .what = "word at bp outside",
          .rule = { .cfa = PG_CFA_AT_BP, .cfa_offset = -8 },
          .bp = BASE,
          .want = PG_STOP_MEMORY },
        { .what = "no frame at all", .rule = { .cfa = PG_CFA_NONE }, .want = PG_STOP_UNSUPPORTED },
};

static void a_step_reads_what_its_rule_says(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                const struct step_case *c = &steps[i];
                struct pg_stack s = stack_of_words();
                struct pg_regs r = { .pc = PC,
                                     .sp = BASE + 16,
                                     .bp = c->bp,
                                     .all = c->no_file ? NULL : file,
                                     .exact = c->exact,
                                     .bp_lost = c->bp_lost };
                struct pg_regs before = r;
                struct pg_words w;
                enum pg_stop got = pg_step(pg_rule_pack(c->rule), &r, &s, &w);
                if (got != c->want)
                        fail_msg("%s: %d, expected %d", c->what, got, c->want);
                if (got != PG_STOP_NOT) {
                        if (r.pc != before.pc || r.sp != before.sp || r.bp != before.bp ||
                            r.all != before.all || r.exact != before.exact || r.bp_lost != before.bp_lost)
                                fail_msg("%s: registers changed", c->what);
                        continue;
                }
                if (r.pc != c->pc || r.sp != c->sp || r.bp != c->bp_after || r.bp_lost != c->bp_lost_after ||
                    w.n != c->n_words || r.exact || r.all != (c->exact ? file : NULL))
                        fail_msg("%s: pc 0x%lx sp 0x%lx bp 0x%lx, %u words", c->what, r.pc, r.sp, r.bp, w.n);
        }
}

/* The CFA in a slot: at sp + 8 with 8 to add, and at bp - 8; bp itself saved at bp. */
static void a_cfa_may_be_a_word_of_the_stack(void **state)
{
        (void)state;
        struct pg_stack s = stack_of_words();
        struct pg_words w;
        memory[3] = BASE + 56;
        struct pg_regs r = { .pc = PC, .sp = BASE + 16, .bp = BP };
        pg_rule at_sp =
                pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_AT_SP, .cfa_offset = 8, .add = 8 });
        assert_int_equal(pg_step(at_sp, &r, &s, &w), PG_STOP_NOT);
        assert_int_equal(r.pc, 0x1007);
        assert_int_equal(r.sp, BASE + 64);
        assert_int_equal(w.n, 2);
        assert_int_equal(w.address[0], BASE + 24);
        assert_int_equal(w.value[0], BASE + 56);
        assert_int_equal(w.address[1], BASE + 56);

        r = (struct pg_regs){ .pc = PC, .sp = BASE + 16, .bp = BASE + 32 };
        pg_rule at_bp = pg_rule_pack(
                (struct pg_rule_parts){ .cfa = PG_CFA_AT_BP, .cfa_offset = -8, .bp = PG_BP_AT_BP });
        assert_int_equal(pg_step(at_bp, &r, &s, &w), PG_STOP_NOT);
        assert_int_equal(r.pc, 0x1006);
        assert_int_equal(r.sp, BASE + 56);
        assert_int_equal(r.bp, 0x1004);
        assert_int_equal(w.n, 3);
}

/* The slot by an index: word 5 is at sp + 8 * 2 + 8. */
static void the_slot_of_a_cfa_may_be_indexed(void **state)
{
        (void)state;
        static const uint64_t all[PG_GREGS] = { [REG_R9] = 2 }, far[PG_GREGS] = { [REG_R9] = UINT64_MAX / 8 };
        pg_rule rule = pg_rule_pack(
                (struct pg_rule_parts){ .cfa = PG_CFA_AT_INDEX, .register_no = 9, .cfa_offset = 8 });
        struct pg_stack s = stack_of_words();
        struct pg_words w;
        memory[5] = BASE + 56;
        struct pg_regs r = { .pc = PC, .sp = BASE + 16, .all = all };
        assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_NOT);
        assert_int_equal(r.pc, 0x1007);
        assert_int_equal(r.sp, BASE + 64);
        assert_int_equal(w.address[0], BASE + 40);
        r = (struct pg_regs){ .pc = PC, .sp = BASE, .all = far };
        assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_LOOP); // wraps around to word 0, no address
        r = (struct pg_regs){ .pc = PC, .sp = BASE + 16 };
        assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_REGISTER);
}

static void a_return_to_nowhere_is_the_outermost_frame(void **state)
{
        (void)state;
        struct pg_stack s = stack_of_words();
        struct pg_words w;
        struct pg_regs r = { .pc = PC, .sp = BASE + 16 };
        memory[2] = 0;
        pg_rule rule = pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 8 });
        assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_ROOT);
        assert_int_equal(r.pc, PC);
}

static void a_stop_rule_stops_with_its_reason(void **state)
{
        (void)state;
        struct pg_stack s = stack_of_words();
        struct pg_words w;
        struct pg_regs r = { .pc = PC, .sp = BASE + 16 };
        assert_int_equal(pg_step(pg_rule_stop(PG_STOP_NO_CFI), &r, &s, &w), PG_STOP_NO_CFI);
        assert_int_equal(pg_step(pg_rule_stop(PG_STOP_DAMAGED), &r, &s, &w), PG_STOP_DAMAGED);
        assert_int_equal(w.n, 0);
}

static void interrupted_code_is_looked_up_where_it_is(void **state)
{
        (void)state;
        assert_int_equal(pg_regs_lookup(&(struct pg_regs){ .pc = PC, .exact = true }), PC);
        assert_int_equal(pg_regs_lookup(&(struct pg_regs){ .pc = PC }), PC - 1);
}

/* ---- signals and walks ---- */

enum { HANDLER = 0x500000, TRAMPOLINE = 0x600000, INTERRUPTED = 0x700000, OUTERMOST = 0x800000 };

/* An alternate stack: the handler's return address, then the kernel's frame. */
static struct {
        uint64_t return_address;
        ucontext_t context;
} alternate;

static struct pg_stack alternate_stack(void)
{
        memset(&alternate, 0, sizeof(alternate));
        alternate.return_address = TRAMPOLINE;
        greg_t *g = alternate.context.uc_mcontext.gregs;
        g[REG_RIP] = INTERRUPTED;
        g[REG_RSP] = BASE + 16;
        g[REG_RBP] = BP;
        g[REG_RDI] = 0x5555;
        uint64_t lo = (uintptr_t)&alternate;
        return (struct pg_stack){ .lo = lo, .hi = lo + (sizeof(alternate) & ~7ull) };
}

static void a_signal_frame_has_all_registers(void **state)
{
        (void)state;
        struct pg_stack s = alternate_stack();
        struct pg_words w;
        struct pg_regs r = { .pc = TRAMPOLINE, .sp = (uintptr_t)&alternate.context, .bp_lost = true };
        pg_rule rule = pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SIGNAL });
        assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_NOT);
        assert_int_equal(r.pc, INTERRUPTED);
        assert_int_equal(r.sp, BASE + 16);
        assert_int_equal(r.bp, BP);
        assert_true(r.exact);
        assert_false(r.bp_lost);
        assert_int_equal(w.n, 0);
        assert_int_equal(pg_machine_register(r.all, 5), 0x5555);
}

static void a_cut_signal_frame_is_a_stop(void **state)
{
        (void)state;
        pg_rule rule = pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SIGNAL });
        struct pg_stack s = alternate_stack();
        uint64_t lo = (uintptr_t)&alternate.context.uc_mcontext.gregs[0];
        uint64_t hi = (uintptr_t)&alternate.context.uc_mcontext.gregs[REG_RIP + 1];
        for (int i = 0; i < 2; i++) {
                struct pg_words w;
                struct pg_regs r = { .pc = TRAMPOLINE, .sp = (uintptr_t)&alternate.context };
                s.lo = i == 0 ? lo + 8 : lo;
                s.hi = i == 0 ? hi : hi - 8;
                assert_int_equal(pg_step(rule, &r, &s, &w), PG_STOP_MEMORY);
                assert_int_equal(r.pc, TRAMPOLINE);
        }
}

struct known_stack {
        struct pg_stack main;
        uint32_t found, switched;
        bool refuse;
};

static pg_rule find(void *context, uint64_t address)
{
        static const struct {
                uint64_t address;
                struct pg_rule_parts parts;
        } rules[] = {
                { HANDLER, { .cfa = PG_CFA_SP, .cfa_offset = 8 } },
                { TRAMPOLINE - 1, { .cfa = PG_CFA_SIGNAL } },
                { INTERRUPTED,
                  { .cfa = PG_CFA_SP, .cfa_offset = 8, .ra = PG_RA_REGISTER, .register_no = 5 } },
                { 0x5554, { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
                { OUTERMOST - 1, { .ra = PG_RA_UNDEFINED, .cfa = PG_CFA_SP } },
        };
        struct known_stack *k = context;
        k->found++;
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
                if (rules[i].address == address)
                        return pg_rule_pack(rules[i].parts);
        return pg_rule_stop(PG_STOP_NO_CFI);
}

static bool switch_stack(void *context, uint64_t sp, struct pg_stack *s)
{
        struct known_stack *k = context;
        k->switched++;
        if (k->refuse || sp < k->main.lo || sp >= k->main.hi)
                return false;
        *s = k->main;
        return true;
}

/* Handler on the alternate stack, interrupted function on the main one with its return address in a register,
 * its caller, and the outermost frame. */
static uint32_t walk(struct pg_unwinder *u, struct pg_walked *ret, uint32_t max, enum pg_stop *end)
{
        struct known_stack *k = u->context;
        struct pg_stack s = alternate_stack();
        k->main = stack_of_words();
        memory[4] = OUTERMOST; // interrupted at BASE + 16, called at BASE + 24, that frame ends at BASE + 40
        struct pg_regs r = { .pc = HANDLER, .sp = (uintptr_t)&alternate, .exact = true };
        return pg_walk(u, &r, &s, ret, max, end);
}

static void a_walk_goes_from_one_stack_to_the_other(void **state)
{
        (void)state;
        static const uint64_t want[] = { HANDLER, TRAMPOLINE - 1, INTERRUPTED, 0x5554, OUTERMOST - 1 };
        struct pg_walked got[10];
        enum pg_stop end;
        struct known_stack k = { .found = 0 };
        struct pg_unwinder u = { .find = find, .switch_stack = switch_stack, .context = &k };
        assert_int_equal(walk(&u, got, 10, &end), 5);
        assert_int_equal(end, PG_STOP_ROOT);
        for (size_t i = 0; i < 5; i++) {
                assert_int_equal(got[i].address, want[i]);
                assert_int_equal(got[i].rule, find(&k, want[i]));
        }
        assert_int_equal(k.switched, 1);
}

static void a_walk_without_the_other_stack_keeps_what_it_has(void **state)
{
        (void)state;
        struct pg_walked got[10];
        enum pg_stop end;
        struct known_stack k = { .refuse = true };
        struct pg_unwinder u = { .find = find, .switch_stack = switch_stack, .context = &k };
        assert_int_equal(walk(&u, got, 10, &end), 2);
        assert_int_equal(end, PG_STOP_MEMORY);
        u.switch_stack =
                NULL; // the registers of the interrupted frame do for one more, then its stack is needed
        assert_int_equal(walk(&u, got, 10, &end), 4);
        assert_int_equal(end, PG_STOP_MEMORY);
}

static void a_walk_ends_at_its_depth(void **state)
{
        (void)state;
        struct pg_walked got[3] = { 0 };
        enum pg_stop end;
        struct known_stack k = { .found = 0 };
        struct pg_unwinder u = { .find = find, .switch_stack = switch_stack, .context = &k };
        assert_int_equal(walk(&u, got, 2, &end), 2);
        assert_int_equal(end, PG_STOP_DEPTH);
        assert_int_equal(got[2].address, 0);
}

/* A damaged signal frame that leads to itself. */
static void a_circle_of_signal_frames_ends_at_the_depth(void **state)
{
        (void)state;
        struct pg_walked got[50];
        enum pg_stop end;
        struct known_stack k = { .found = 0 };
        struct pg_unwinder u = { .find = find, .context = &k };
        struct pg_stack s = alternate_stack();
        alternate.context.uc_mcontext.gregs[REG_RIP] = TRAMPOLINE - 1;
        alternate.context.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)&alternate.context;
        struct pg_regs r = { .pc = HANDLER, .sp = (uintptr_t)&alternate, .exact = true };
        assert_int_equal(pg_walk(&u, &r, &s, got, 50, &end), 50);
        assert_int_equal(end, PG_STOP_DEPTH);
}

static void rules_are_found_once(void **state)
{
        (void)state;
        struct pg_walked got[10];
        enum pg_stop end;
        struct known_stack k = { .found = 0 };
        struct pg_unwinder u = { .find = find, .switch_stack = switch_stack, .context = &k };
        u.cache.bits = 10;
        u.cache.entries = calloc(1 << 10, sizeof(struct pg_rule_entry));
        assert_non_null(u.cache.entries);
        for (int i = 0; i < 3; i++)
                assert_int_equal(walk(&u, got, 10, &end), 5);
        assert_int_equal(k.found, 5);
        free(u.cache.entries);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parts_come_back_as_they_were),
                cmocka_unit_test(an_index_takes_the_place_of_what_is_added),
                cmocka_unit_test(a_frame_that_does_not_fit_is_a_stop),
                cmocka_unit_test(a_bp_that_does_not_fit_is_lost),
                cmocka_unit_test(a_stop_keeps_its_reason),
                cmocka_unit_test(registers_are_where_the_c_library_has_them),
                cmocka_unit_test(only_whole_words_inside_are_read),
                cmocka_unit_test(a_stack_of_less_than_a_word_has_none),
                cmocka_unit_test(more_is_asked_for_what_is_outside),
                cmocka_unit_test(a_step_reads_what_its_rule_says),
                cmocka_unit_test(a_cfa_may_be_a_word_of_the_stack),
                cmocka_unit_test(the_slot_of_a_cfa_may_be_indexed),
                cmocka_unit_test(a_return_to_nowhere_is_the_outermost_frame),
                cmocka_unit_test(a_stop_rule_stops_with_its_reason),
                cmocka_unit_test(interrupted_code_is_looked_up_where_it_is),
                cmocka_unit_test(a_signal_frame_has_all_registers),
                cmocka_unit_test(a_cut_signal_frame_is_a_stop),
                cmocka_unit_test(a_walk_goes_from_one_stack_to_the_other),
                cmocka_unit_test(a_walk_without_the_other_stack_keeps_what_it_has),
                cmocka_unit_test(a_walk_ends_at_its_depth),
                cmocka_unit_test(a_circle_of_signal_frames_ends_at_the_depth),
                cmocka_unit_test(rules_are_found_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
