// SPDX-License-Identifier: MIT
/*
 * test_stacks.c - captured stacks built from outside: one tree per process with sums by hand, and no leak when memory
 * runs out at any point.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runner/capture/printable.h"
#include "runner/capture/stacks.h"
#include "tests/unit/alloc_failure.h"

enum { OUTER = 0x10, MIDDLE = 0x20, INNER = 0x30 };

static pg_place in_first_module(uint64_t address)
{
        return PG_PLACE(0, address);
}

/* Two processes, the younger one first; false only when out of memory. */
static bool build(struct pg_stacks *s, struct pg_error *err)
{
        const pg_place deep[] = { in_first_module(INNER), in_first_module(MIDDLE), in_first_module(OUTER) };
        const pg_place other[] = { in_first_module(INNER), in_first_module(OUTER) };
        const struct pg_captured_module module = { "/bin/a\nb", 0x1000, 0x2000, 0x1000, true };
        uint32_t young, old, number;
        return pg_stacks_add_process(s, 11, 10, "young", 200, true, &young, err) &&
               pg_stacks_add_process(s, 10, 1, "", 100, false, &old, err) &&
               pg_stacks_set_program(s, old, "old", err) &&
               pg_stacks_add_module(s, old, &module, &number, err) &&
               pg_stacks_add(s, old, deep, 3, 1, 1000, PG_STOP_ROOT, err) &&
               pg_stacks_add(s, old, deep, 3, 1, 1000, PG_STOP_ROOT, err) &&
               pg_stacks_add(s, old, deep + 1, 2, 1, 1000, PG_STOP_ROOT, err) &&
               pg_stacks_add(s, old, other, 2, 5, 5000, PG_STOP_ROOT, err) &&
               pg_stacks_add(s, young, other, 2, 1, 7, PG_STOP_MEMORY, err) &&
               pg_stacks_add(s, young, other, 1, 1, 7, PG_STOP_NO_CFI, err) &&
               pg_stacks_add(s, young, other, 0, 1, 7, PG_STOP_NO_CFI, err);
}

/* What capture.h promises of trees. */
static void assert_tree(const struct pg_captured_process *p)
{
        assert_true(p->n_nodes >= 1);
        for (uint32_t i = 1; i < p->n_nodes; i++) {
                assert_true(p->nodes[i].parent < i);
                for (uint32_t k = 1; k < i; k++)
                        assert_false(p->nodes[k].parent == p->nodes[i].parent &&
                                     p->nodes[k].place == p->nodes[i].place);
        }
}

/* The node of a stack given outermost first, 0 when there is none. */
static uint32_t node_of(const struct pg_captured_process *p, const pg_place *path, size_t n)
{
        uint32_t at = 0;
        for (size_t i = 0; i < n; i++) {
                uint32_t child = 0;
                for (uint32_t k = 1; k < p->n_nodes; k++)
                        if (p->nodes[k].parent == at && p->nodes[k].place == path[i])
                                child = k;
                if (!child)
                        return 0;
                at = child;
        }
        return at;
}
#define NODE(p, ...)                                                                                         \
        node_of(p, (const pg_place[]){ __VA_ARGS__ },                                                        \
                sizeof((const pg_place[]){ __VA_ARGS__ }) / sizeof(pg_place))

static void stacks_become_trees_with_sums(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_STACKS struct pg_stacks *s = pg_stacks_create();
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured *c;
        assert_true(build(s, &err) && pg_stacks_finish(s, a, &c, &err));
        assert_int_equal(c->n_processes, 2);
        const struct pg_captured_process *old = &c->processes[0],
                                         *young = &c->processes[1]; // in order of start
        assert_string_equal(old->program, "old");
        assert_int_equal(old->pid, 10);
        assert_int_equal(young->ppid, 10);
        assert_true(young->forked && !old->forked);
        assert_tree(old);
        assert_tree(young);

        pg_place o = in_first_module(OUTER), m = in_first_module(MIDDLE), i = in_first_module(INNER);
        assert_int_equal(old->n_nodes, 5); // root, outer, middle, inner below it, inner below outer
        assert_int_equal(old->nodes[NODE(old, o, m, i)].count, 2);
        assert_int_equal(old->nodes[NODE(old, o, m, i)].amount, 2000);
        assert_int_equal(old->nodes[NODE(old, o, m)].count, 1);
        assert_int_equal(old->nodes[NODE(old, o, i)].amount, 5000);
        assert_int_equal(old->nodes[NODE(old, o)].count, 0);
        assert_int_equal(old->sample_count, 8);
        assert_int_equal(old->sample_weight_ns, 8000);
        assert_int_equal(old->quality.truncated + old->quality.unknown, 0);
        assert_int_equal(old->n_modules, 1);
        assert_string_equal(old->modules[0].path, "/bin/a?b"); // a line feed is not printable
}

static void incomplete_stacks_have_a_pseudo_frame_outermost(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_STACKS struct pg_stacks *s = pg_stacks_create();
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured *c;
        assert_true(build(s, &err) && pg_stacks_finish(s, a, &c, &err));
        const struct pg_captured_process *young = &c->processes[1];
        pg_place truncated = PG_PLACE_PSEUDO(PG_NODE_TRUNCATED), unknown = PG_PLACE_PSEUDO(PG_NODE_UNKNOWN);
        assert_int_equal(
                young->nodes[NODE(young, truncated, in_first_module(OUTER), in_first_module(INNER))].count,
                1);
        assert_int_equal(young->nodes[NODE(young, unknown, in_first_module(INNER))].count, 1);
        assert_int_equal(young->nodes[NODE(young, unknown)].count, 1);
        assert_int_equal(young->quality.truncated, 1);
        assert_int_equal(young->quality.unknown, 2);
}

/* 20,000 different stacks of 40 frames with a common trunk of 39. */
static void many_stacks_share_their_trunk(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_STACKS struct pg_stacks *s = pg_stacks_create();
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured *c;
        uint32_t p;
        pg_place frames[40];
        assert_true(pg_stacks_add_process(s, 1, 0, "p", 0, false, &p, &err));
        for (uint64_t i = 1; i < 40; i++)
                frames[i] = in_first_module(i * 64);
        for (int round = 0; round < 2; round++)
                for (uint64_t i = 0; i < 20000; i++) {
                        frames[0] = in_first_module(0x100000 + i);
                        assert_true(pg_stacks_add(s, p, frames, 40, 1, 3, PG_STOP_ROOT, &err));
                }
        assert_true(pg_stacks_finish(s, a, &c, &err));
        assert_int_equal(c->processes[0].n_nodes, 1 + 39 + 20000);
        uint64_t count = 0;
        for (size_t i = 0; i < c->processes[0].n_nodes; i++)
                count += c->processes[0].nodes[i].count;
        assert_int_equal(count, 40000);
}

static void modules_beyond_the_last_number_have_none(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_STACKS struct pg_stacks *s = pg_stacks_create();
        const struct pg_captured_module module = { "/m", 0, 1, 0, false };
        uint32_t p, number = 0;
        assert_true(pg_stacks_add_process(s, 1, 0, "p", 0, false, &p, &err));
        for (uint32_t i = 0; i < PG_MODULE_NONE; i++) {
                assert_true(pg_stacks_add_module(s, p, &module, &number, &err));
                assert_int_equal(number, i);
        }
        assert_true(pg_stacks_add_module(s, p, &module, &number, &err));
        assert_int_equal(number, PG_MODULE_NONE);
}

static void running_out_of_memory_is_reported_everywhere(void **state)
{
        (void)state;
        long n = 0;
        for (bool failed = true; failed; n++) {
                struct pg_error err = { 0 };
                struct pg_captured *c = NULL;
                alloc_fail(n);
                struct pg_stacks *s = pg_stacks_create();
                struct pg_arena *a = pg_arena_create();
                bool ok = s && a && build(s, &err) && pg_stacks_finish(s, a, &c, &err);
                failed = alloc_failed();
                assert_int_equal(ok, !failed);
                if (failed && s && a)
                        assert_int_equal(err.code, PG_ENOMEM);
                pg_stacks_destroy(s);
                pg_arena_destroy(a);
        }
        assert_true(n > 10);
}

static void text_is_made_printable(void **state)
{
        (void)state;
        static const struct {
                const char *in, *want;
        } cases[] = {
                { "plain", "plain" },
                { "\303\244", "\303\244" },  // U+00E4
                { "\303", "?" },             // cut in the middle
                { "\300\200", "??" },        // overlong
                { "\355\240\200x", "???x" }, // a surrogate
                { "\302\205", "??" },        // U+0085, a control character
                { "a\tb\177", "a?b?" },
                { "\360\237\230\200", "\360\237\230\200" }, // U+1F600
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char text[16];
                strcpy(text, cases[i].in);
                pg_make_printable(text, strlen(text));
                assert_string_equal(text, cases[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stacks_become_trees_with_sums),
                cmocka_unit_test(incomplete_stacks_have_a_pseudo_frame_outermost),
                cmocka_unit_test(many_stacks_share_their_trunk),
                cmocka_unit_test(modules_beyond_the_last_number_have_none),
                cmocka_unit_test(running_out_of_memory_is_reported_everywhere),
                cmocka_unit_test(text_is_made_printable),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
