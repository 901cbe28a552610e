// SPDX-License-Identifier: MIT
/*
 * test_lock_stacks.c - a capture of lock mode, taken apart. Expected values are those of the capture below, by hand.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/measure/call_tree.h"
#include "runner/measure/lock_stacks.h"

enum { MAIN = 0x100, WORK = 0x200, LEAF = 0x300 };

/* Parents, places, counts, nanoseconds. */
static struct pg_captured_node nodes[] = {
        { 0 },
        { .place = PG_PLACE_PSEUDO(PG_NODE_OTHER), .count = 5, .amount = 500 }, // belongs to nobody
        { .place = PG_PLACE_PSEUDO(PG_NODE_WAITER), .count = 1, .amount = 7 },  // a wait without a stack
        { .place = PG_PLACE_PSEUDO(PG_NODE_HOLDER) },
        { .place = PG_PLACE_PSEUDO(PG_NODE_READER) },
        { .place = PG_PLACE_PSEUDO(PG_NODE_CONDITION) },
        { .place = PG_PLACE_PSEUDO(PG_NODE_RELEASER) },
        { .parent = 2, .place = PG_PLACE(0, MAIN) },
        { .parent = 7, .place = PG_PLACE(0, WORK), .count = 2, .amount = 100 },
        { .parent = 8, .place = PG_PLACE(0, LEAF), .count = 3, .amount = 1000 },
        { .parent = 3, .place = PG_PLACE(0, MAIN), .count = 4, .amount = 900 },
        { .parent = 4, .place = PG_PLACE(0, MAIN), .count = 1, .amount = 20000 },
        { .parent = 5, .place = PG_PLACE(0, MAIN), .count = 9, .amount = 5000000 },
        { .parent = 6,
          .place = PG_PLACE(0, WORK),
          .count = 0,
          .amount = 50 }, // a part of a wait counted elsewhere
};
static struct pg_captured_module modules[] = { { "/bin/true", 0x400000, 0x500000, 0x400000, true } };
static struct pg_captured_process process = {
        .pid = 1,
        .program = "/bin/true",
        .modules = modules,
        .n_modules = 1,
        .nodes = nodes,
        .n_nodes = sizeof(nodes) / sizeof(*nodes),
};
static struct pg_captured captured = { .processes = &process, .n_processes = 1 };

static struct pg_captured_process *take(enum pg_lock_part part, struct pg_arena *a)
{
        static struct pg_captured out;
        struct pg_error err = { 0 };
        assert_true(pg_lock_stacks(&captured, part, a, &out, &err));
        assert_int_equal(out.n_processes, 1);
        return &out.processes[0];
}

/* The node with this value, which must be alone. */
static const struct pg_captured_node *with_amount(const struct pg_captured_process *p, uint64_t amount)
{
        const struct pg_captured_node *found = NULL;
        for (size_t i = 1; i < p->n_nodes; i++)
                if (p->nodes[i].amount == amount) {
                        assert_null(found);
                        found = &p->nodes[i];
                }
        assert_non_null(found);
        return found;
}

/* Checks the stack of a value, outermost frame first. */
static void assert_stack(const struct pg_captured_process *p, uint64_t count, uint64_t amount, size_t n,
                         const pg_place *stack)
{
        const struct pg_captured_node *node = with_amount(p, amount);
        assert_int_equal(node->count, count);
        for (size_t i = n; i-- > 0; node = &p->nodes[node->parent])
                assert_int_equal(node->place, stack[i]);
        assert_ptr_equal(node, &p->nodes[0]);
}

static uint64_t sum_of(const struct pg_captured_process *p)
{
        uint64_t sum = 0;
        for (size_t i = 0; i < p->n_nodes; i++)
                sum += p->nodes[i].amount;
        return sum;
}

static void the_call_is_the_innermost_frame(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured_process *w = take(PG_LOCK_WAITERS, a);
        const pg_place lock = PG_PLACE_PSEUDO(PG_NODE_WAITER), read = PG_PLACE_PSEUDO(PG_NODE_READER),
                       wait = PG_PLACE_PSEUDO(PG_NODE_CONDITION), main_ = PG_PLACE(0, MAIN),
                       work = PG_PLACE(0, WORK), leaf = PG_PLACE(0, LEAF);
        assert_stack(w, 1, 7, 1, (const pg_place[]){ lock });
        assert_stack(w, 2, 100, 3, (const pg_place[]){ main_, work, lock });
        assert_stack(w, 3, 1000, 4, (const pg_place[]){ main_, work, leaf, lock });
        assert_stack(w, 1, 20000, 2, (const pg_place[]){ main_, read });
        assert_stack(w, 9, 5000000, 2, (const pg_place[]){ main_, wait });
        assert_int_equal(sum_of(w), 7 + 100 + 1000 + 20000 + 5000000);

        struct pg_captured_process *h = take(PG_LOCK_HOLDERS, a);
        assert_stack(h, 4, 900, 2, (const pg_place[]){ main_, PG_PLACE_PSEUDO(PG_NODE_HOLDER) });
        assert_stack(h, 0, 50, 2, (const pg_place[]){ work, PG_PLACE_PSEUDO(PG_NODE_RELEASER) });
        assert_int_equal(sum_of(h), 950);
}

static void parents_come_first(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (int part = 0; part < 2; part++) {
                struct pg_captured_process *p = take((enum pg_lock_part)part, a);
                for (size_t i = 1; i < p->n_nodes; i++)
                        assert_true(p->nodes[i].parent < i);
        }
}

static void waits_for_conditions_are_not_lock_wait(void **state)
{
        (void)state;
        assert_int_equal(pg_lock_wait_ns(&captured), 7 + 100 + 1000 + 20000);
}

static void a_capture_without_events_is_empty(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured_node root = { 0 };
        struct pg_captured_process p = { .program = "/bin/true", .nodes = &root, .n_nodes = 1 };
        const struct pg_captured none = { .processes = &p, .n_processes = 1 };
        struct pg_captured out;
        struct pg_error err = { 0 };
        assert_true(pg_lock_stacks(&none, PG_LOCK_WAITERS, a, &out, &err));
        assert_int_equal(out.processes[0].n_nodes, 1);
        assert_int_equal(pg_lock_wait_ns(&none), 0);
}

/* The profile that becomes of it names the calls. */
static void the_profile_names_the_calls(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured out;
        struct pg_error err = { 0 };
        assert_true(pg_lock_stacks(&captured, PG_LOCK_WAITERS, a, &out, &err));
        struct pg_code_map *map = pg_code_map_create(a);
        struct pg_call_tree *tree = pg_call_tree_create(map);
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CONTENTION, 1);
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        assert_true(pg_call_tree_add_run(tree, &out, "libperfgate-locks.so", PG_AGENT_TO_CALLER, &err));
        assert_true(pg_code_map_symbolize(map, NULL, &err));
        assert_true(pg_code_map_export_program(map, b, &err) && pg_call_tree_export(tree, b, &err));
        assert_true(pg_profile_finish(b, 0, 0, &p, &err));
        assert_string_equal(p->sample_types[0].type, "contentions");
        assert_string_equal(p->sample_types[1].type, "delay");
        assert_string_equal(p->sample_types[1].unit, "nanoseconds");
        assert_string_equal(p->period_type.type, "contentions");
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        assert_true(pg_profile_top(p, p->default_type, a, &rows, &n, &sum, &err));
        assert_int_equal(sum, 7 + 100 + 1000 + 20000 + 5000000);
        assert_string_equal(rows[0].function, "pthread_cond_wait");
        assert_int_equal(rows[0].self, 5000000);
        assert_string_equal(rows[1].function, "pthread_rwlock_rdlock");
        assert_string_equal(rows[2].function, "pthread_mutex_lock");
        assert_int_equal(rows[2].self, 1107);
        pg_profile_builder_destroy(b);
        pg_call_tree_destroy(tree);
        pg_code_map_destroy(map);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_call_is_the_innermost_frame),
                cmocka_unit_test(parents_come_first),
                cmocka_unit_test(waits_for_conditions_are_not_lock_wait),
                cmocka_unit_test(a_capture_without_events_is_empty),
                cmocka_unit_test(the_profile_names_the_calls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
