// SPDX-License-Identifier: MIT
/*
 * test_live.c - bytes live at the peak and at the end, by call stack, while every block is in the table.
 *
 * Which call site has how much stands in fixtures/targets/alloc_live.c; sites are told by the bytes asked for.
 */
#include "tests/unit/assert_near.h"

#include "tests/agent/harness.h"

/* Of one call site, by how many blocks there were and their bytes in all. */
struct row {
        const char *mode;
        uint64_t count, amount;
        uint64_t peak_bytes_min, peak_bytes_max, live_bytes_min,
                live_bytes_max; // usable sizes: a little more
};

enum { ROUNDING = 8192 }; // blocks that are mapped are whole pages

static const struct row rows[] = {
        { "grow", 15, 13500000, 1600000, 1600000 + ROUNDING, 1600000, 1600000 + ROUNDING },
        { "grow", 1, 100000, 0, 0, 0, 0 },
        /* What failed to move is the same block, of a caller that is not known any more. */
        { "fail", 1, 16, 16, 24, 0, 0 },
        { "churn", 40000, 8000000, 0, 512 * 200, 0, 0 }, // a thread may hold back 256 bytes of what is freed
        { "churn", 40000, 8320000, 8640000 - 65536, 8640000, 8640000, 8640000 }, // 216 each
        { "early", 1, 50000003, 50000003, 50000003 + ROUNDING, 0, 0 },
        { "early", 1, 1000003, 0, 0, 0, 0 },
        { "handed", 1, 123459, 123459, 123459 + 24, 0, 0 },
        { "handed", 1, 24, 0, 0, 0, 0 },
        { "handed", 1, 32, 0, 0, 32, 40 },
};

static const struct pg_captured_node *site(const struct pg_captured_process *p, const struct row *row)
{
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].count == row->count && p->nodes[i].amount == row->amount)
                        return &p->nodes[i];
        fail_msg("%s: no site has %llu blocks of %llu bytes", row->mode, (unsigned long long)row->count,
                 (unsigned long long)row->amount);
        return NULL;
}

static void check_row(const struct pg_captured_process *p, const struct row *row)
{
        const struct pg_captured_node *n = site(p, row);
        if (n->peak_bytes < row->peak_bytes_min || n->peak_bytes > row->peak_bytes_max ||
            n->live_bytes < row->live_bytes_min || n->live_bytes > row->live_bytes_max)
                fail_msg("%s: %llu blocks of %llu bytes: %llu at the peak, %llu at the end", row->mode,
                         (unsigned long long)row->count, (unsigned long long)row->amount,
                         (unsigned long long)n->peak_bytes, (unsigned long long)n->live_bytes);
}

/* Sites add up to the process: at the end exactly, at the peak but for what threads hold back. */
static void check_sums(const struct pg_captured_process *p, const char *mode)
{
        uint64_t peak = 0, live = 0;
        for (size_t i = 0; i < p->n_nodes; i++) {
                peak += p->nodes[i].peak_bytes;
                live += p->nodes[i].live_bytes;
        }
        if ((int64_t)live != p->live_bytes || peak > p->peak_bytes + p->peak_uncertainty_bytes)
                fail_msg("%s: sites have %llu at the peak and %llu at the end, the process %llu and %lld",
                         mode, (unsigned long long)peak, (unsigned long long)live,
                         (unsigned long long)p->peak_bytes, (long long)p->live_bytes);
}

static void sites_have_what_they_hold(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const argv[] = { target("alloc_live"), rows[i].mode, NULL };
                struct counted c;
                run_counted(argv, NULL, &c);
                assert_int_equal(c.exit_status, 0);
                assert_int_equal(c.captured->n_damaged, 0);
                check_sums(&c.captured->processes[0], rows[i].mode);
                check_row(&c.captured->processes[0], &rows[i]);
                counted_free(&c);
        }
}

static void a_block_of_an_ended_thread_is_not_temporary(void **state)
{
        (void)state;
        const char *const argv[] = { target("alloc_live"), "inherit", NULL };
        const struct row row = { "inherit", 50, 250000, 0, 0, 0, 0 };
        struct counted c;
        run_counted(argv, NULL, &c);
        assert_int_equal(site(&c.captured->processes[0], &row)->temporary, 0);
        counted_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sites_have_what_they_hold),
                cmocka_unit_test(a_block_of_an_ended_thread_is_not_temporary),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
