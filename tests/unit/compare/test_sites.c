// SPDX-License-Identifier: MIT
/*
 * test_sites.c - which call sites are named for a rise, with sites by hand on both sides.
 *
 * Every expected value was added up by hand from the rows above it.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "tests/unit/compare/made.h"

enum { MOST = 32 };

/* One metric of one benchmark on two sides. */
struct trial {
        struct pg_snapshot *base, *head;
        struct pg_measurement *b, *h;
        struct pg_gate_options options;
        struct pg_gate *gate;
        struct pg_site base_sites[MOST], head_sites[MOST];
};

static struct trial t;

static int setup(void **state)
{
        (void)state;
        t = (struct trial){ .base = made_snapshot(), .head = made_snapshot(), .options = made_options() };
        t.b = made_benchmark(t.base, "a");
        t.h = made_benchmark(t.head, "a");
        t.b->sites = t.base_sites;
        t.h->sites = t.head_sites;
        t.b->site_quality = t.h->site_quality = (struct pg_site_quality){ .rule = "r", .has_live = true };
        t.options.thresholds.of[PG_LEAKED_BYTES] =
                (struct pg_threshold){ .max_increase = { PG_LIMIT_ABSOLUTE, 0 } };
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        pg_gate_destroy(t.gate);
        made_destroy(t.base);
        made_destroy(t.head);
        return 0;
}

static void add(struct pg_measurement *m, struct pg_site site)
{
        assert_in_range(m->n_sites, 0, MOST - 1);
        if (!site.module)
                site.module = "bench";
        m->sites[m->n_sites++] = site;
}

#define BASE(...) add(t.b, (struct pg_site){ __VA_ARGS__ })
#define HEAD(...) add(t.h, (struct pg_site){ __VA_ARGS__ })

static const struct pg_row *judge(enum pg_metric metric, uint64_t from, uint64_t to)
{
        made_series(t.base, t.b, metric, from, from);
        made_series(t.head, t.h, metric, to, to);
        pg_gate_destroy(t.gate);
        t.gate = made_gate(t.base, t.head, &t.options);
        const struct pg_benchmark_verdict *b = &t.gate->benchmarks[0];
        for (size_t i = 0; i < b->n_rows; i++)
                if (b->rows[i].metric == metric) {
                        assert_int_equal(b->rows[i].verdict, PG_FAIL);
                        return &b->rows[i];
                }
        fail_msg("no row");
        return NULL;
}

static void assert_named(const struct pg_row *row, size_t i, const char *function, uint32_t line, double from,
                         double to)
{
        if (i >= row->n_culprits)
                fail_msg("%zu culprits (%s)", row->n_culprits, row->reason ? row->reason : "-");
        const struct pg_culprit *c = &row->culprits[i];
        assert_string_equal(c->function, function);
        assert_int_equal(c->line, line);
        assert_near(c->baseline, from, 0);
        assert_near(c->current, to, 0);
        assert_near(c->change, to - from, 0);
}

static void assert_unnamed(const struct pg_row *row, const char *reason)
{
        assert_int_equal(row->n_culprits, 0);
        if (!reason)
                assert_null(row->reason);
        else if (!row->reason || !strstr(row->reason, reason))
                fail_msg("'%s' is not '%s'", row->reason ? row->reason : "-", reason);
}

/* ---- live bytes ---- */

static void each_metric_has_its_own_culprit(void **state)
{
        (void)state;
        BASE("cache", .file = "c.c", .line = 1, .allocations = 10, .allocated_bytes = 100, .peak_bytes = 100);
        BASE("churn", .file = "c.c", .line = 2, .allocations = 10, .allocated_bytes = 100);
        BASE("lose", .file = "c.c", .line = 3, .allocations = 10, .allocated_bytes = 100, .leaked_bytes = 1);
        HEAD("cache", .file = "c.c", .line = 1, .allocations = 10, .allocated_bytes = 100, .peak_bytes = 900);
        HEAD("churn", .file = "c.c", .line = 2, .allocations = 99, .allocated_bytes = 100);
        HEAD("lose", .file = "c.c", .line = 3, .allocations = 10, .allocated_bytes = 600, .leaked_bytes = 65);
        assert_named(judge(PG_ALLOCATIONS, 30, 119), 0, "churn", 2, 10, 99);
        assert_named(judge(PG_ALLOCATED_BYTES, 300, 800), 0, "lose", 3, 100, 600);
        assert_named(judge(PG_PEAK_HEAP, 100, 900), 0, "cache", 1, 100, 900);
        const struct pg_row *row = judge(PG_LEAKED_BYTES, 1, 65);
        assert_int_equal(row->n_culprits, 1);
        assert_named(row, 0, "lose", 3, 1, 65);
        assert_false(row->culprits[0].estimated);
}

/* 30 sites that rose alike: 27 are nine tenths. */
static void culprits_are_named_until_nine_tenths_are_explained(void **state)
{
        (void)state;
        static char names[30][8];
        for (uint32_t i = 0; i < 30; i++) {
                snprintf(names[i], sizeof(names[i]), "f%u", i);
                BASE(names[i], .line = 3, .allocations = 100);
                HEAD(names[i], .line = 3, .allocations = 200);
        }
        assert_int_equal(judge(PG_ALLOCATIONS, 3000, 6000)->n_culprits, 27);
}

/* A leak where there was none: the row's change is infinite, the culprit's is not. */
static void a_first_leak_is_named(void **state)
{
        (void)state;
        BASE("lose", .line = 3, .allocations = 10);
        HEAD("lose", .line = 3, .allocations = 10, .leaked_bytes = 64);
        assert_named(judge(PG_LEAKED_BYTES, 0, 64), 0, "lose", 3, 0, 64);
}

/* Nothing was allocated before: that is known, and so is who allocates now. */
static void an_empty_baseline_is_one(void **state)
{
        (void)state;
        HEAD("grow", .line = 3, .allocations = 10);
        assert_named(judge(PG_ALLOCATIONS, 0, 10), 0, "grow", 3, 0, 10);
}

static void what_the_baseline_does_not_know_is_said(void **state)
{
        (void)state;
        BASE("f", .line = 3, .allocations = 10, .peak_bytes = 0);
        HEAD("f", .line = 3, .allocations = 20, .peak_bytes = 500);
        t.b->site_quality.has_live = false;
        assert_unnamed(judge(PG_PEAK_HEAP, 100, 600),
                       "the baseline does not know where live bytes came from");
        assert_named(judge(PG_ALLOCATIONS, 10, 20), 0, "f", 3, 10, 20);
        t.b->site_quality.has_live = true;
        t.h->site_quality.has_live = false;
        assert_unnamed(judge(PG_PEAK_HEAP, 100, 600), "live bytes were not traced to call sites");
}

/* Older baselines name the direct callers of the allocator: everybody above a wrapper would look new. */
static void sites_by_other_rules_are_not_compared(void **state)
{
        (void)state;
        BASE("xmalloc", .line = 3, .allocations = 1000);
        HEAD("parse", .line = 7, .allocations = 1100);
        t.b->site_quality.rule = NULL;
        assert_unnamed(judge(PG_ALLOCATIONS, 1000, 1100), "by other rules, refresh it");
        t.b->site_quality.rule = "s";
        assert_unnamed(judge(PG_ALLOCATIONS, 1000, 1100), "by other rules, refresh it");
        t.b->site_quality = t.h->site_quality = (struct pg_site_quality){ 0 }; // two old ones are alike
        HEAD("xmalloc", .line = 3, .allocations = 0);
        assert_named(judge(PG_ALLOCATIONS, 1000, 2100), 0, "parse", 7, 0, 1100);
}

/* ---- estimates ---- */

/* One block each 4,096 bytes: of 1,000,000 bytes the standard deviation is 64,000, and of the difference of
 * 1,000,000 and 1,250,000 it is 96,000; three of them are 288,000. */
static void an_estimate_must_rise_beyond_its_uncertainty(void **state)
{
        (void)state;
        t.b->site_quality.live_interval_bytes = t.h->site_quality.live_interval_bytes = 4096;
        BASE("f", .line = 3, .allocations = 10, .peak_bytes = 1000000);
        HEAD("f", .line = 3, .allocations = 10, .peak_bytes = 1250000);
        assert_unnamed(judge(PG_PEAK_HEAP, 1000000, 1250000), "beyond the uncertainty of sampling");
        t.h->sites[0].peak_bytes = 1350000;
        const struct pg_row *row = judge(PG_PEAK_HEAP, 1000000, 1350000);
        assert_named(row, 0, "f", 3, 1000000, 1350000);
        assert_true(row->culprits[0].estimated);
        assert_int_equal(row->estimate_interval_bytes, 4096);
        row = judge(PG_ALLOCATIONS, 10, 20); // which are exact
        assert_int_equal(row->estimate_interval_bytes, 0);
        assert_unnamed(row, "no call site explains the rise");
        assert_null(strstr(row->reason, "sampling"));
}

/* 10,000 allocations of 64 bytes, one sampled each 4,096 bytes: a count of 10,000 comes from 156 samples, so
 * its standard deviation is 800. Of the difference from 13,000 it is 1,213, from 15,000 1,265. */
static void sampled_counts_have_an_uncertainty_too(void **state)
{
        (void)state;
        t.b->site_quality.stack_interval_bytes = t.h->site_quality.stack_interval_bytes = 4096;
        BASE("f", .line = 3, .allocations = 10000, .allocated_bytes = 640000);
        HEAD("f", .line = 3, .allocations = 13000, .allocated_bytes = 832000);
        assert_unnamed(judge(PG_ALLOCATIONS, 10000, 13000), "beyond the uncertainty of sampling");
        t.h->sites[0].allocations = 15000;
        t.h->sites[0].allocated_bytes = 960000;
        assert_true(judge(PG_ALLOCATIONS, 10000, 15000)->culprits[0].estimated);
}

/* ---- temporary allocations ---- */

static void what_is_freed_at_once_is_marked(void **state)
{
        (void)state;
        BASE("f", .line = 3, .allocations = 100, .allocated_bytes = 1000, .temporary = 90);
        HEAD("f", .line = 3, .allocations = 200, .allocated_bytes = 2000, .temporary = 141);
        assert_true(judge(PG_ALLOCATIONS, 100, 200)->culprits[0].freed_at_once); // 51 of 100 more
        assert_true(judge(PG_ALLOCATED_BYTES, 1000, 2000)->culprits[0].freed_at_once);
        t.h->sites[0].temporary = 140;
        assert_false(judge(PG_ALLOCATIONS, 100, 200)->culprits[0].freed_at_once); // half is not most
        t.h->sites[0].temporary = 51;
        t.h->sites[0].allocations = 100; // as many, but larger: all of them count
        assert_true(judge(PG_ALLOCATED_BYTES, 1000, 2000)->culprits[0].freed_at_once);
        t.h->sites[0].peak_bytes = 900;
        assert_false(judge(PG_PEAK_HEAP, 100, 900)->culprits[0].freed_at_once);
}

/* ---- code that moved ---- */

/* A line was put in above both: 10 and 20 are 11 and 21 now. Line by line, 11 would look worst. */
static void lines_that_moved_are_laid_against_each_other(void **state)
{
        (void)state;
        BASE("f", .file = "f.c", .line = 10, .allocations = 1000);
        BASE("f", .file = "f.c", .line = 20, .allocations = 5);
        HEAD("f", .file = "f.c", .line = 11, .allocations = 1000);
        HEAD("f", .file = "f.c", .line = 21, .allocations = 105);
        assert_named(judge(PG_ALLOCATIONS, 1005, 1105), 0, "f", 21, 1005, 1105);
}

/* A call was put in between, and the lines below it moved. */
static void a_new_line_among_moved_ones_is_found(void **state)
{
        (void)state;
        BASE("f", .file = "f.c", .line = 10, .allocations = 300);
        BASE("f", .file = "f.c", .line = 20, .allocations = 400);
        BASE("f", .file = "f.c", .line = 30, .allocations = 500);
        HEAD("f", .file = "f.c", .line = 10, .allocations = 300);
        HEAD("f", .file = "f.c", .line = 15, .allocations = 90);
        HEAD("f", .file = "f.c", .line = 21, .allocations = 400);
        HEAD("f", .file = "f.c", .line = 31, .allocations = 500);
        assert_named(judge(PG_ALLOCATIONS, 1200, 1290), 0, "f", 15, 1200, 1290);
}

/* As often as the old call, which moved: their sizes tell them apart, whichever of them comes first. */
static void of_lines_with_equal_counts_the_new_one_is_told_by_its_size(void **state)
{
        (void)state;
        BASE("f", .file = "f.c", .line = 10, .allocations = 200, .allocated_bytes = 3200);
        HEAD("f", .file = "f.c", .line = 12, .allocations = 200, .allocated_bytes = 3200);
        HEAD("f", .file = "f.c", .line = 13, .allocations = 200, .allocated_bytes = 20000);
        assert_named(judge(PG_ALLOCATIONS, 200, 400), 0, "f", 13, 200, 400);
        t.h->sites[0].allocated_bytes = 20000;
        t.h->sites[1].allocated_bytes = 3200;
        assert_named(judge(PG_ALLOCATIONS, 200, 400), 0, "f", 12, 200, 400);
}

/* A call is gone and another one is called more often. */
static void a_gone_line_does_not_hide_another(void **state)
{
        (void)state;
        BASE("f", .file = "f.c", .line = 10, .allocations = 300);
        BASE("f", .file = "f.c", .line = 20, .allocations = 40);
        HEAD("f", .file = "f.c", .line = 18, .allocations = 640);
        assert_named(judge(PG_ALLOCATIONS, 340, 640), 0, "f", 18, 340, 640);
}

/* No line is gone, so none has moved: 10 rose by 90, although 30 alone would explain the sum. */
static void lines_that_stayed_are_compared_as_they_are(void **state)
{
        (void)state;
        BASE("f", .file = "f.c", .line = 10, .allocations = 10);
        BASE("f", .file = "f.c", .line = 20, .allocations = 100);
        HEAD("f", .file = "f.c", .line = 10, .allocations = 100);
        HEAD("f", .file = "f.c", .line = 20, .allocations = 10);
        HEAD("f", .file = "f.c", .line = 30, .allocations = 60);
        assert_named(judge(PG_ALLOCATIONS, 110, 170), 0, "f", 10, 110, 170);
}

static void a_renamed_function_is_compared_with_its_old_name(void **state)
{
        (void)state;
        BASE("grow", .file = "g.c", .line = 10, .allocations = 100, .allocated_bytes = 1000);
        BASE("old_name", .file = "g.c", .line = 20, .allocations = 5000, .allocated_bytes = 80000);
        BASE("other_old", .file = "g.c", .line = 30, .allocations = 4600, .allocated_bytes = 80000);
        HEAD("grow", .file = "g.c", .line = 10, .allocations = 400, .allocated_bytes = 4000);
        HEAD("new_name", .file = "g.c", .line = 20, .allocations = 5010, .allocated_bytes = 80160);
        HEAD("other_new", .file = "g.c", .line = 30, .allocations = 4600, .allocated_bytes = 80000);
        const struct pg_row *row = judge(PG_ALLOCATIONS, 9700, 10010);
        assert_int_equal(row->n_culprits, 1); // 300 of 310
        assert_named(row, 0, "grow", 10, 100, 400);
}

/* Neither one that allocates otherwise nor one of another module is taken for the gone one. */
static void a_new_function_is_new(void **state)
{
        (void)state;
        BASE("gone", .file = "g.c", .line = 10, .allocations = 1000, .allocated_bytes = 1000);
        BASE("gone_too", .module = "lib.so", .line = 10, .allocations = 2000, .allocated_bytes = 16000);
        HEAD("fresh", .file = "g.c", .line = 20, .allocations = 2000, .allocated_bytes = 16000);
        HEAD("grown", .file = "g.c", .line = 20, .allocations = 1200, .allocated_bytes = 1000);
        const struct pg_row *row = judge(PG_ALLOCATIONS, 3000, 3200);
        assert_named(row, 0, "fresh", 20, 0, 2000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(each_metric_has_its_own_culprit, setup, teardown),
                cmocka_unit_test_setup_teardown(a_first_leak_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(culprits_are_named_until_nine_tenths_are_explained, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(an_empty_baseline_is_one, setup, teardown),
                cmocka_unit_test_setup_teardown(what_the_baseline_does_not_know_is_said, setup, teardown),
                cmocka_unit_test_setup_teardown(sites_by_other_rules_are_not_compared, setup, teardown),
                cmocka_unit_test_setup_teardown(an_estimate_must_rise_beyond_its_uncertainty, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(sampled_counts_have_an_uncertainty_too, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_freed_at_once_is_marked, setup, teardown),
                cmocka_unit_test_setup_teardown(lines_that_moved_are_laid_against_each_other, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_new_line_among_moved_ones_is_found, setup, teardown),
                cmocka_unit_test_setup_teardown(of_lines_with_equal_counts_the_new_one_is_told_by_its_size,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_gone_line_does_not_hide_another, setup, teardown),
                cmocka_unit_test_setup_teardown(lines_that_stayed_are_compared_as_they_are, setup, teardown),
                cmocka_unit_test_setup_teardown(a_renamed_function_is_compared_with_its_old_name, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_new_function_is_new, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
