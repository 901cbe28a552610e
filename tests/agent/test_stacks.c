// SPDX-License-Identifier: MIT
/*
 * test_stacks.c - call stacks of allocations where a thread does not stay on one stack or at one thing.
 */
#include "tests/unit/assert_near.h"

#include "tests/agent/harness.h"

static void run_verified(const char *name, const char *mode, struct counted *ret)
{
        const struct pg_capture_request request = { .mode = PG_MODE_COUNT, .verify_every = 3 };
        const char *const argv[] = { target(name), mode, NULL };
        run_requested(&request, argv, NULL, ret);
        if (ret->exit_status != 0)
                fail_msg("%s %s: exit status %d", name, mode, ret->exit_status);
        assert_int_equal(ret->captured->n_damaged, 0);
        assert_int_equal(ret->captured->processes[0].quality.stacks_different, 0);
}

static uint64_t largest_count_of_size(const struct pg_captured_process *p, uint64_t bytes)
{
        uint64_t most = 0;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].count > most && p->nodes[i].amount == bytes * p->nodes[i].count)
                        most = p->nodes[i].count;
        return most;
}

/* In the middle of a walk its stack is [other]. */
static void a_handler_may_allocate_at_any_time(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_signals", "return", &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        assert_int_equal(largest_count_of_size(p, 999), 100000);
        assert_true(p->quality.stacks_verified > 0);
        assert_true(p->quality.stacks_other < p->allocations / 10);
        counted_free(&c);
}

/* A walk that never ended is given up after 4096 others were turned away. */
static void a_handler_may_jump_out_at_any_time(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_signals", "jump", &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        assert_true(largest_count_of_size(p, 999) >= 100000 - 4096);
        counted_free(&c);
}

static void a_frame_across_pages_of_a_coroutine_is_read(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_stacks", "pages", &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        assert_int_equal(largest_count_of_size(p, 64), 256);
        assert_int_equal(p->quality.truncated, 0);
        assert_int_equal(p->quality.unknown, 0);
        counted_free(&c);
}

/* The second block's call is the first one's, but for the outer frames: its stack is [truncated] where they were. */
static void a_foreign_stack_may_go_in_part(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_stacks", "gone", &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        assert_int_equal(largest_count_of_size(p, 64), 1);
        assert_int_equal(p->quality.truncated, 1);
        assert_int_equal(p->quality.unknown, 0);
        counted_free(&c);
}

/* Where nothing can be read is no code, and so no frame. */
static void a_chain_may_lead_anywhere(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_stacks", "hole", &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        assert_int_equal(largest_count_of_size(p, 64), 1);
        assert_int_equal(p->quality.unknown, 1);
        counted_free(&c);
}

/* Stacks of allocations of so many bytes; checked by the program's own numbers, not by verifying, which would
 * repair what it checks. */
static void check_counts(const char *mode, uint64_t bytes, uint64_t larger, uint64_t smaller)
{
        const char *const argv[] = { target("alloc_stacks"), mode, NULL };
        struct counted c;
        run_requested(&(struct pg_capture_request){ .mode = PG_MODE_COUNT }, argv, NULL, &c);
        assert_int_equal(c.exit_status, 0);
        const struct pg_captured_process *p = &c.captured->processes[0];
        uint64_t all = 0, most = largest_count_of_size(p, bytes);
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].count && p->nodes[i].amount == bytes * p->nodes[i].count)
                        all += p->nodes[i].count;
        assert_int_equal(most, larger);
        assert_int_equal(all - most, smaller);
        counted_free(&c);
}

static void what_lies_further_out_tells_stacks_apart(void **state)
{
        (void)state;
        check_counts("callers", 100, 2000, 0);
        check_counts("callers", 200, 2000, 1000);
}

static void what_lies_in_between_tells_known_walks_apart(void **state)
{
        (void)state;
        check_counts("turns", 200, 1000, 1000);
}

static void the_frame_pointer_tells_stacks_apart(void **state)
{
        (void)state;
        check_counts("slides", 300, 1000, 1000);
}

static void a_frame_pointer_that_a_callee_leaves_alone_tells_stacks_apart(void **state)
{
        (void)state;
        check_counts("passes", 400, 1000, 1000);
}

static void a_stack_may_be_aligned_to_eight_bytes(void **state)
{
        (void)state;
        struct counted c;
        run_verified("alloc_stacks", "odd", &c);
        assert_int_equal(largest_count_of_size(&c.captured->processes[0], 64), 3000);
        counted_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_handler_may_allocate_at_any_time),
                cmocka_unit_test(a_handler_may_jump_out_at_any_time),
                cmocka_unit_test(a_frame_across_pages_of_a_coroutine_is_read),
                cmocka_unit_test(a_foreign_stack_may_go_in_part),
                cmocka_unit_test(a_chain_may_lead_anywhere),
                cmocka_unit_test(what_lies_further_out_tells_stacks_apart),
                cmocka_unit_test(what_lies_in_between_tells_known_walks_apart),
                cmocka_unit_test(the_frame_pointer_tells_stacks_apart),
                cmocka_unit_test(a_frame_pointer_that_a_callee_leaves_alone_tells_stacks_apart),
                cmocka_unit_test(a_stack_may_be_aligned_to_eight_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
