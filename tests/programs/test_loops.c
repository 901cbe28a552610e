// SPDX-License-Identifier: MIT
/*
 * test_loops.c - libraries that are loaded and unloaded thousands of times, one where the other was: counts
 * and samples are named after the right one, and every stack is complete.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <string.h>

#include "tests/agent/harness.h"

enum { ROUNDS = 2000, VERIFY = 7 };

static const char *const rounds_text = "2000";

struct sum {
        uint64_t count, amount, nodes;
};

/* Stacks whose innermost frame is in the library of that name. by_program: the program must be its caller. */
static struct sum inside(const struct pg_captured_process *p, const char *library, bool by_program)
{
        struct sum sum = { 0 };
        for (size_t i = 1; i < p->n_nodes; i++) {
                const struct pg_captured_node *n = &p->nodes[i];
                uint32_t m = PG_PLACE_MODULE(n->place);
                if (n->count == 0 || m >= p->n_modules || !strstr(p->modules[m].path, library))
                        continue;
                while (PG_PLACE_MODULE(n->place) == m && n != p->nodes)
                        n = &p->nodes[n->parent];
                uint32_t above = PG_PLACE_MODULE(n->place);
                if (by_program && (above >= p->n_modules || !p->modules[above].is_main))
                        fail_msg("a stack in %s is not called by the program", library);
                sum.count += p->nodes[i].count;
                sum.amount += p->nodes[i].amount;
                sum.nodes++;
        }
        return sum;
}

static void measure(const struct pg_capture_request *request, const char *settings, struct counted *c)
{
        const char *const argv[] = { target("loop_loader"), rounds_text, NULL };
        run_set_up(request, settings, argv, NULL, c);
        assert_int_equal(c->exit_status, 0);
        assert_string_equal(c->output, "same places\n");
        assert_int_equal(c->captured->n_processes, 1);
        assert_int_equal(c->captured->n_damaged, 0);
}

/* 3 blocks of 40 bytes and 5 of 72 a round, by hand from the source. */
static void allocations_are_named_after_their_library(void **state)
{
        (void)state;
        struct counted c;
        measure(&(struct pg_capture_request){ .mode = PG_MODE_COUNT, .verify_every = VERIFY }, "", &c);
        const struct pg_captured_process *p = c.captured->processes;
        struct sum a = inside(p, "/loop_a.so", true), b = inside(p, "/loop_b.so", true);
        struct pg_captured_quality q = p->quality;
        counted_free(&c);
        assert_int_equal(a.count, 3 * ROUNDS);
        assert_int_equal(a.amount, 3 * 40 * ROUNDS);
        assert_int_equal(b.count, 5 * ROUNDS);
        assert_int_equal(b.amount, 5 * 72 * ROUNDS);
        assert_int_equal(q.stacks_different, 0);
        assert_true(q.stacks_verified > 0);
        assert_int_equal(q.truncated + q.unknown + q.stacks_other, 0);
}

/* The loader calls their constructors and destructors. loop_b works three times as long: three quarters of
 * the samples, within five standard deviations. */
static void samples_are_named_after_their_library(void **state)
{
        (void)state;
        struct counted c;
        measure(&(struct pg_capture_request){ .mode = PG_MODE_SAMPLE, .rate_hz = 4999 }, ",clock=event", &c);
        const struct pg_captured_process *p = c.captured->processes;
        double a = (double)inside(p, "/loop_a.so", false).count,
               b = (double)inside(p, "/loop_b.so", false).count;
        uint64_t incomplete = p->quality.truncated + p->quality.unknown, all = p->sample_count;
        counted_free(&c);
        if (a + b < 100)
                fail_msg("%g samples in loop_a.so and %g in loop_b.so", a, b);
        double n = a + b, error = 5 * sqrt(n * 0.75 * 0.25);
        assert_near(b, 0.75 * n, error);
        if ((double)incomplete > 0.01 * (double)all)
                fail_msg("%" PRIu64 " of %" PRIu64 " stacks are not complete", incomplete, all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(allocations_are_named_after_their_library),
                cmocka_unit_test(samples_are_named_after_their_library),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
