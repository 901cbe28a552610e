// SPDX-License-Identifier: MIT
/*
 * test_odd_stacks.c - stacks that are deep, many, foreign or gone: counts stay exact, every stack is
 * libunwind's or says that it is cut, and the program does what it does without an agent.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "tests/agent/difference.h"
#include "tests/agent/undisturbed.h"
#include "tests/programs/oracle_run.h"

static struct verdict_sums *sums;

struct row {
        const char *kind;
        int count;
        bool is_cut; // deeper than the agent keeps: [truncated]
        bool unseen; // allocations by a thread or process that the oracle cannot tell from its parent
};

static const struct row rows[] = {
        { .kind = "deep-10", .count = 3000 },
        { .kind = "deep-1000", .count = 500 },
        { .kind = "deep-100000", .count = 50, .is_cut = true },
        { .kind = "staircase", .count = 3000, .is_cut = true },
        { .kind = "many", .count = 3000 },
        { .kind = "coroutines-mapped", .count = 3000 },
        { .kind = "coroutines-in-heap", .count = 3000 },
        { .kind = "coroutines-below-limit", .count = 3000 },
        { .kind = "coroutines-shifted", .count = 300 },
        { .kind = "coroutines-shifted-below-limit", .count = 300 },
        { .kind = "signals", .count = 3000 },
        { .kind = "signals-left-by-jump", .count = 3000 },
        { .kind = "jumps", .count = 3000 },
        { .kind = "vforks", .count = 300, .unseen = true },
        { .kind = "clones", .count = 300, .unseen = true },
};
enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

static void argv_of(const struct row *row, char number[16], const char *argv[4])
{
        snprintf(number, 16, "%d", row->count);
        argv[0] = target("odd_stacks");
        argv[1] = row->kind;
        argv[2] = number;
        argv[3] = NULL;
}

static void the_program_does_what_it_does(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ROWS; i++) {
                char number[16];
                const char *argv[4];
                argv_of(&rows[i], number, argv);
                assert_undisturbed(argv, NULL, 0, was_measured);
        }
}

static void counts_are_exact(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ROWS; i++) {
                char number[16];
                const char *const argv[] = { target("odd_stacks"), rows[i].kind, "COUNT", NULL };
                snprintf(number, sizeof(number), "%d", rows[i].count);
                struct difference d = difference_of(argv, number, 0, NULL);
                if (d.allocations != rows[i].count || d.bytes != 48 * rows[i].count || d.live != 0)
                        fail_msg("%s: %lld allocations, %lld bytes, %lld live", rows[i].kind,
                                 (long long)d.allocations, (long long)d.bytes, (long long)d.live);
        }
}

/* Every reused stack beside a full walk, and every stack beside libunwind's. */
static void check_stacks(const struct row *row)
{
        struct counted c;
        char number[16];
        const char *argv[4];
        argv_of(row, number, argv);
        oracle_run(argv, 1, 1, sums, &c);
        const struct pg_captured_quality q = c.captured->processes[0].quality;
        uint64_t equal = sums->kinds[VERDICT_EQUAL], we_stop = sums->kinds[VERDICT_WE_STOP];
        uint64_t seen = equal + we_stop + sums->kinds[VERDICT_THEY_STOP] + sums->kinds[VERDICT_DIFFERENT];
        int status = c.exit_status;
        counted_free(&c);
        printf("%-24s %6" PRIu64 " equal, %5" PRIu64 " cut, %5" PRIu64 " other, %6" PRIu64
               " verified, %" PRIu64 " different\n",
               row->kind, equal, we_stop, seen - equal - we_stop, q.stacks_verified, q.stacks_different);
        assert_int_equal(status, 0);
        assert_int_equal(q.stacks_different, 0);
        assert_int_equal(q.unknown, 0);
        assert_int_equal(seen, equal + we_stop);
        assert_int_equal(q.truncated != 0, row->is_cut);
        assert_int_equal(we_stop, q.truncated);
        if (!row->unseen)
                assert_true(seen >= (uint64_t)row->count);
}

static void stacks_are_libunwinds(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ROWS; i++)
                check_stacks(&rows[i]);
}

/* ---- more stacks than fit ---- */

/* The agent takes a small part of a limited address space: 2^18 frames of this one. */
static void limit_memory(void)
{
        const struct rlimit limit = { 1ul << 30, 1ul << 30 };
        setrlimit(RLIMIT_AS, &limit);
}

/* Each event of such a stack is counted, the second in a row as well as the first. */
static void more_stacks_than_fit_become_other(void **state)
{
        (void)state;
        enum { COUNT = 100000 };
        const char *const argv[] = { target("odd_stacks"), "many", "100000", NULL };
        const struct pg_capture_request request = { .mode = PG_MODE_COUNT, .verify_every = 7 };
        struct counted c;
        run_requested(&request, argv, limit_memory, &c);
        const struct pg_captured_process *p = c.captured->processes;
        uint64_t sum = 0, other = 0, allocations = c.allocations;
        for (size_t i = 0; i < p->n_nodes; i++) {
                sum += p->nodes[i].count;
                if (p->nodes[i].place == PG_PLACE_PSEUDO(PG_NODE_OTHER))
                        other += p->nodes[i].count;
        }
        struct pg_captured_quality q = p->quality;
        int status = c.exit_status;
        uint64_t damaged = c.captured->n_damaged;
        counted_free(&c);
        assert_int_equal(status, 0);
        assert_int_equal(damaged, 0);
        assert_true(allocations >= COUNT && allocations < COUNT + 10); // and standard output's buffer
        assert_int_equal(sum, allocations);
        assert_true(q.stacks_other > 0);
        assert_int_equal(other, q.stacks_other);
        assert_int_equal(q.stacks_different, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_program_does_what_it_does),
                cmocka_unit_test(counts_are_exact),
                cmocka_unit_test(stacks_are_libunwinds),
                cmocka_unit_test(more_stacks_than_fit_become_other),
        };
        /* Mappings lie as near to the main stack as they get, and tests repeat. */
        if (personality(ADDR_NO_RANDOMIZE) < 0)
                return 1;
        sums = oracle_set_up();
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        oracle_tear_down(sums);
        return failed;
}
