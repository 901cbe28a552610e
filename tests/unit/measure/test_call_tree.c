// SPDX-License-Identifier: MIT
/*
 * test_call_tree.c - trees of processes made by hand, merged, folded and exported. Expected values by hand.
 *
 * The modules are files that do not exist, so that a frame is named "MODULE+0xADDRESS".
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/measure/call_tree.h"
#include "tests/unit/alloc_failure.h"

static struct pg_arena *arena;
static struct pg_code_map *map;
static struct pg_call_tree *tree;
static struct pg_error err;

static int setup(void **state)
{
        (void)state;
        err = (struct pg_error){ 0 };
        arena = pg_arena_create();
        map = arena ? pg_code_map_create(arena) : NULL;
        tree = map ? pg_call_tree_create(map) : NULL;
        return tree ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        pg_call_tree_destroy(tree);
        pg_code_map_destroy(map);
        pg_arena_destroy(arena);
        return 0;
}

enum { PROGRAM, LIBRARY, AGENT };
static struct pg_captured_module modules[] = {
        [PROGRAM] = { .path = "/nowhere/prog", .start = 0x1000, .end = 0x9000, .is_main = true },
        [LIBRARY] = { .path = "/nowhere/lib.so", .start = 0x11000, .end = 0x19000, .bias = 0x10000 },
        [AGENT] = { .path = "/somewhere/agent.so", .start = 0x21000, .end = 0x29000, .bias = 0x20000 },
};

static struct pg_captured_process process_of(const char *program, struct pg_captured_node *nodes, size_t n)
{
        return (struct pg_captured_process){
                .pid = 7, .program = program, .modules = modules, .n_modules = 3, .nodes = nodes, .n_nodes = n
        };
}

static void add_run(struct pg_captured_process *p, size_t n, enum pg_agent_time agent)
{
        const struct pg_captured c = { .processes = p, .n_processes = n };
        if (!pg_call_tree_add_run(tree, &c, "/elsewhere/agent.so", agent, &err))
                fail_msg("%s", err.text);
}

/* "[PROCESS:]outermost;...;innermost=VALUE VALUE...", one line for each sample. */
static char *exported(enum pg_profile_kind kind)
{
        struct pg_profile_builder *b = pg_profile_builder_create(kind, 1);
        struct pg_profile *p = NULL;
        PG_AUTO_BUF struct pg_buf out = { 0 };
        uint8_t *marks = calloc(pg_code_map_count(map) + 1, 1);
        pg_call_tree_mark_points(tree, marks);
        assert_true(pg_code_map_symbolize(map, marks, &err));
        free(marks);
        if (!pg_call_tree_export(tree, b, &err) || !pg_profile_finish(b, 0, 0, &p, &err))
                fail_msg("%s", err.text);
        for (size_t i = 0; i < p->n_samples; i++) {
                const struct pg_profile_sample *s = &p->samples[i];
                if (s->process)
                        pg_buf_printf(&out, "%s:", s->process);
                for (size_t k = s->n_locations; k-- > 0;)
                        pg_buf_printf(&out, "%s%c",
                                      p->functions[p->locations[s->locations[k]].lines[0].function].name,
                                      k ? ';' : '=');
                for (size_t v = 0; v < p->n_sample_types; v++)
                        pg_buf_printf(&out, "%lld%c", (long long)s->values[v],
                                      v + 1 < p->n_sample_types ? ' ' : '\n');
        }
        pg_profile_destroy(p);
        pg_profile_builder_destroy(b);
        return pg_buf_steal(&out);
}

static void expect_exported(enum pg_profile_kind kind, const char *want)
{
        char *got = exported(kind);
        assert_string_equal(got, want);
        free(got);
}

static void a_tree_becomes_samples(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100) },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1200), .count = 3, .amount = 300 },
                { .parent = 2, .place = PG_PLACE(LIBRARY, 0x50), .count = 2, .amount = 20 },
                { .parent = 0, .place = PG_PLACE_PSEUDO(PG_NODE_UNKNOWN) },
                { .parent = 4, .place = PG_PLACE(LIBRARY, 0x60), .count = 1, .amount = 7 },
                { .parent = 0, .place = PG_PLACE_PSEUDO(PG_NODE_OTHER), .count = 4, .amount = 44 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 7);
        add_run(&p, 1, PG_AGENT_LEFT_OUT);
        expect_exported(PG_PROFILE_CPU, "[other]=4 44\n"
                                        "[unknown];lib.so+0x60=1 7\n"
                                        "prog+0x1100;prog+0x1200=3 300\n"
                                        "prog+0x1100;prog+0x1200;lib.so+0x50=2 20\n");
}

/* A second run finds the frames of the first, and adds one. */
static void runs_are_added_up(void **state)
{
        (void)state;
        struct pg_captured_node first[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 10 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1200), .count = 2, .amount = 20 },
        };
        struct pg_captured_node second[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(LIBRARY, 0x50), .count = 5, .amount = 50 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 11 },
                { .parent = 2, .place = PG_PLACE(PROGRAM, 0x1200), .count = 2, .amount = 22 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", first, 3);
        struct pg_captured_process again = process_of("/nowhere/prog", second, 4);
        size_t n = 0;
        add_run(&p, 1, PG_AGENT_LEFT_OUT);
        pg_call_tree_nodes(tree, &n);
        assert_int_equal(n, 3);
        add_run(&again, 1, PG_AGENT_LEFT_OUT);
        pg_call_tree_nodes(tree, &n);
        assert_int_equal(n, 4);
        add_run(&again, 1, PG_AGENT_LEFT_OUT);
        pg_call_tree_nodes(tree, &n);
        assert_int_equal(n, 4);
        expect_exported(PG_PROFILE_CPU, "prog+0x1100=3 32\n"
                                        "prog+0x1100;prog+0x1200=6 64\n"
                                        "lib.so+0x50=10 100\n");
}

/* 20,000 frames twice: the index grows on the way and still finds each. */
static void large_runs_are_added_up(void **state)
{
        (void)state;
        enum { N = 20001 };
        struct pg_captured_node *nodes = calloc(N, sizeof(*nodes));
        for (uint32_t i = 1; i < N; i++)
                nodes[i] = (struct pg_captured_node){ .parent = (i - 1) / 3,
                                                      .place = PG_PLACE(PROGRAM, 0x1000 + 16 * i),
                                                      .count = 1,
                                                      .amount = i };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, N);
        for (int run = 0; run < 3; run++)
                add_run(&p, 1, PG_AGENT_LEFT_OUT);
        size_t n = 0;
        const struct pg_call_node *merged = pg_call_tree_nodes(tree, &n);
        assert_int_equal(n, N);
        for (uint32_t i = 1; i < N; i++) {
                assert_int_equal(merged[i].amount, 3 * i);
                assert_int_equal(merged[i].parent, (i - 1) / 3);
        }
        free(nodes);
}

/* prog -> agent -> lib: the agent's frame goes, what is below it stays. */
static void frames_of_the_agent_are_left_out(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 10 },
                { .parent = 1, .place = PG_PLACE(AGENT, 0x10), .count = 100, .amount = 1000 },
                { .parent = 2, .place = PG_PLACE(LIBRARY, 0x50), .count = 2, .amount = 20 },
                { .parent = 0, .place = PG_PLACE(AGENT, 0x20), .count = 1, .amount = 5 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 5);
        add_run(&p, 1, PG_AGENT_LEFT_OUT);
        expect_exported(PG_PROFILE_CPU, "prog+0x1100=1 10\nprog+0x1100;lib.so+0x50=2 20\n");
}

/* An allocation is the target's whoever stands in between. */
static void allocations_in_the_agent_are_the_callers(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { .count = 1, .amount = 8 }, // without any frame
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 10 },
                { .parent = 1, .place = PG_PLACE(AGENT, 0x10), .count = 100, .amount = 1000 },
                { .parent = 0, .place = PG_PLACE(AGENT, 0x20), .count = 1, .amount = 5 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 4);
        add_run(&p, 1, PG_AGENT_TO_CALLER);
        expect_exported(PG_PROFILE_HEAP, "[unknown]=2 13 0 0\nprog+0x1100=101 1010 0 0\n");
}

/* Two of one program and one of another; live bytes are those of the process with the highest peak. */
static void processes_are_told_apart(void **state)
{
        (void)state;
        struct pg_captured_node small[] = {
                { 0 },
                { .parent = 0,
                  .place = PG_PLACE(PROGRAM, 0x1100),
                  .count = 1,
                  .amount = 10,
                  .peak_blocks = 1,
                  .peak_bytes = 24,
                  .live_blocks = 1,
                  .live_bytes = 24 },
        };
        struct pg_captured_node large[] = {
                { 0 },
                { .parent = 0,
                  .place = PG_PLACE(PROGRAM, 0x1100),
                  .count = 2,
                  .amount = 20,
                  .peak_blocks = 2,
                  .peak_bytes = 48,
                  .live_blocks = 1,
                  .live_bytes = 25 },
                { .parent = 0,
                  .place = PG_PLACE_PSEUDO(PG_NODE_INHERITED),
                  .peak_blocks = 1,
                  .peak_bytes = 16,
                  .live_blocks = 1,
                  .live_bytes = 16 },
        };
        struct pg_captured_process p[] = {
                process_of("/bin/sh", small, 2),
                process_of("/nowhere/prog", large, 3),
                process_of("/usr/bin/sh", small, 2),
        };
        p[0].execed = true; // what it held was handed on
        p[1].peak_bytes = 64;
        p[2].peak_bytes = 24;
        add_run(p, 3, PG_AGENT_TO_CALLER);
        size_t n = 0;
        const struct pg_call_node *nodes = pg_call_tree_nodes(tree, &n);
        assert_int_equal(n, 5);
        assert_int_equal(nodes[1].leaked_bytes, 0);
        assert_int_equal(nodes[2].leaked_bytes, 25);
        assert_int_equal(nodes[3].leaked_bytes, 0); // inherited
        assert_int_equal(nodes[4].leaked_bytes, 24);
        expect_exported(PG_PROFILE_HEAP, "prog/1:[inherited]=0 0 1 16\n"
                                         "prog/1:prog+0x1100=2 20 2 48\n"
                                         "sh/1:prog+0x1100=1 10 0 0\n"
                                         "sh/2:prog+0x1100=1 10 0 0\n");
}

/* 300 processes: 200 are told apart, the others are one, and nothing is lost. */
static void very_many_processes_share_a_label(void **state)
{
        (void)state;
        enum { N = 300 };
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 10 },
        };
        struct pg_captured_process p[N];
        for (int i = 0; i < N; i++)
                p[i] = process_of("/bin/sh", nodes, 2);
        add_run(p, N, PG_AGENT_LEFT_OUT);
        char *got = exported(PG_PROFILE_CPU);
        assert_non_null(strstr(got, "sh/200:prog+0x1100=1 10\n"));
        assert_null(strstr(got, "sh/201:"));
        assert_non_null(strstr(got, "[others]:prog+0x1100=100 1000\n"));
        free(got);
}

/*
 * Of 1,000,000 events a stack holds next to nothing with fewer than 10. The two leaves of 6 and 7 go to their caller,
 * which stays with 13; a leaf of 9 goes on with its caller's 0 to the caller of that.
 */
static void small_stacks_are_folded_into_their_callers(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 999900, .amount = 999900 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1200) },
                { .parent = 2, .place = PG_PLACE(LIBRARY, 0x10), .count = 6, .amount = 6 },
                { .parent = 2, .place = PG_PLACE(LIBRARY, 0x20), .count = 7, .amount = 7 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1300) },
                { .parent = 5, .place = PG_PLACE(LIBRARY, 0x30), .count = 9, .amount = 9 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1400), .count = 10, .amount = 10 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1500), .count = 1, .amount = 1 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1600), .count = 67, .amount = 67 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 10);
        struct pg_fold fold;
        add_run(&p, 1, PG_AGENT_LEFT_OUT);
        pg_call_tree_fold(tree, &fold);
        assert_int_equal(fold.stacks, 7);
        assert_int_equal(fold.folded, 2); // seven stacks became five
        expect_exported(PG_PROFILE_CPU, "prog+0x1100=999909 999909\n"
                                        "prog+0x1100;prog+0x1200=13 13\n"
                                        "prog+0x1100;prog+0x1400=10 10\n"
                                        "prog+0x1100;prog+0x1600=67 67\n"
                                        "prog+0x1500=1 1\n");
}

/* Much of one value is enough to stay. */
static void a_stack_that_is_large_in_one_value_stays(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0,
                  .place = PG_PLACE(PROGRAM, 0x1100),
                  .count = 1000000,
                  .amount = 1000000,
                  .peak_bytes = 1000000 },
                { .parent = 1,
                  .place = PG_PLACE(PROGRAM, 0x1200),
                  .count = 1,
                  .amount = 1,
                  .peak_bytes = 11 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1300), .count = 1, .amount = 11 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1400), .count = 11, .amount = 0 },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1500), .count = 9, .amount = 9, .peak_bytes = 9 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 6);
        struct pg_fold fold;
        add_run(&p, 1, PG_AGENT_TO_CALLER);
        pg_call_tree_fold(tree, &fold);
        assert_int_equal(fold.stacks, 5);
        assert_int_equal(fold.folded, 1);
        expect_exported(PG_PROFILE_HEAP, "prog+0x1100=1000009 1000009 0 1000009\n"
                                         "prog+0x1100;prog+0x1200=1 1 0 11\n"
                                         "prog+0x1100;prog+0x1300=1 11 0 0\n"
                                         "prog+0x1100;prog+0x1400=11 0 0 0\n");
}

/* Only the frames of what stays have to be looked up. */
static void points_of_folded_stacks_are_not_marked(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100) },
                { .parent = 1, .place = PG_PLACE(PROGRAM, 0x1200), .count = 1000000, .amount = 1 },
                { .parent = 2, .place = PG_PLACE(PROGRAM, 0x1300), .count = 1, .amount = 0 },
        };
        struct pg_captured_process p = process_of("/nowhere/prog", nodes, 4);
        struct pg_fold fold;
        uint8_t marks[3] = { 0 };
        add_run(&p, 1, PG_AGENT_LEFT_OUT);
        assert_int_equal(pg_code_map_count(map), 3);
        pg_call_tree_fold(tree, &fold);
        pg_call_tree_mark_points(tree, marks);
        assert_memory_equal(marks, "\1\1\0", 3);
}

/* From capture to profile with one allocation after the other failing: PG_ENOMEM, and nothing is left behind. */
static bool whole_way(struct pg_captured_process *p, struct pg_error *e)
{
        const struct pg_captured c = { .processes = p, .n_processes = 2 };
        struct pg_fold fold;
        struct pg_profile *profile = NULL;
        uint8_t marks[8] = { 0 };
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_code_map *m = a ? pg_code_map_create(a) : NULL;
        PG_AUTO_CALL_TREE struct pg_call_tree *t = m ? pg_call_tree_create(m) : NULL;
        struct pg_profile_builder *b = t ? pg_profile_builder_create(PG_PROFILE_HEAP, 1) : NULL;
        bool ok = b ? pg_call_tree_add_run(t, &c, "agent.so", PG_AGENT_TO_CALLER, e) &&
                                  pg_call_tree_add_run(t, &c, "agent.so", PG_AGENT_TO_CALLER, e)
                    : pg_fail_nomem(e);
        if (ok) {
                pg_call_tree_fold(t, &fold);
                pg_call_tree_mark_points(t, marks);
                ok = pg_code_map_symbolize(m, marks, e) && pg_call_tree_export(t, b, e) &&
                     pg_profile_finish(b, 0, 0, &profile, e);
        }
        pg_profile_destroy(profile);
        pg_profile_builder_destroy(b);
        pg_call_tree_destroy(t);
        t = NULL;
        pg_code_map_destroy(m);
        return ok;
}

static void failures_leave_nothing_behind(void **state)
{
        (void)state;
        struct pg_captured_node nodes[] = {
                { .count = 1, .amount = 1 },
                { .parent = 0, .place = PG_PLACE(PROGRAM, 0x1100), .count = 1, .amount = 10 },
                { .parent = 1, .place = PG_PLACE(LIBRARY, 0x10), .count = 2, .amount = 20 },
        };
        struct pg_captured_process p[] = { process_of("/bin/sh", nodes, 3),
                                           process_of("/nowhere/prog", nodes, 3) };
        for (long i = 0;; i++) {
                struct pg_error e = { 0 };
                alloc_fail(i);
                bool ok = whole_way(p, &e);
                bool failed = alloc_failed();
                if (failed && ok)
                        continue; // one that is only for speed
                assert_int_equal(e.code, failed ? PG_ENOMEM : PG_OK);
                if (!failed) {
                        assert_true(ok && i > 20);
                        return;
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_tree_becomes_samples, setup, teardown),
                cmocka_unit_test_setup_teardown(runs_are_added_up, setup, teardown),
                cmocka_unit_test_setup_teardown(large_runs_are_added_up, setup, teardown),
                cmocka_unit_test_setup_teardown(frames_of_the_agent_are_left_out, setup, teardown),
                cmocka_unit_test_setup_teardown(allocations_in_the_agent_are_the_callers, setup, teardown),
                cmocka_unit_test_setup_teardown(processes_are_told_apart, setup, teardown),
                cmocka_unit_test_setup_teardown(very_many_processes_share_a_label, setup, teardown),
                cmocka_unit_test_setup_teardown(small_stacks_are_folded_into_their_callers, setup, teardown),
                cmocka_unit_test_setup_teardown(a_stack_that_is_large_in_one_value_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(points_of_folded_stacks_are_not_marked, setup, teardown),
                cmocka_unit_test(failures_leave_nothing_behind),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
