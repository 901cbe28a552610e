// SPDX-License-Identifier: MIT
/*
 * test_shares.c - verdicts on functions' shares, and who is named for a rise.
 *
 * Profiles are milliseconds per run by hand, so shares are fractions that the comments write out.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "tests/unit/compare/made.h"

struct pair {
        struct pg_snapshot *base, *head;
        struct pg_measurement *b, *h;
        struct pg_gate_options options;
        struct pg_gate *gate;
};

static struct pair pair_create(size_t runs)
{
        struct pair p = { .base = made_snapshot(), .head = made_snapshot(), .options = made_options() };
        p.b = made_benchmark(p.base, "a");
        p.h = made_benchmark(p.head, "a");
        made_profile(p.base, p.b, runs);
        made_profile(p.head, p.h, runs);
        return p;
}

static void pair_destroy(struct pair *p)
{
        pg_gate_destroy(p->gate);
        made_destroy(p->base);
        made_destroy(p->head);
}

static void judge(struct pair *p)
{
        pg_gate_destroy(p->gate);
        p->gate = made_gate(p->base, p->head, &p->options);
}

/* The row of a function (NULL: the one that stands for the whole profile), or a failed test. */
static const struct pg_row *row_of(const struct pair *p, const char *function)
{
        const struct pg_benchmark_verdict *b = &p->gate->benchmarks[0];
        for (size_t i = 0; i < b->n_rows; i++)
                if (b->rows[i].metric == PG_CPU_SHARE &&
                    (function ? b->rows[i].function && strcmp(b->rows[i].function, function) == 0
                              : !b->rows[i].function))
                        return &b->rows[i];
        fail_msg("no row for %s", function ? function : "the profile");
        return NULL;
}

static void expect(const struct pg_row *row, enum pg_verdict verdict, const char *reason)
{
        if (row->verdict != verdict)
                fail_msg("%s (%s)", pg_verdict_name(row->verdict), row->reason ? row->reason : "-");
        if (reason ? !row->reason || !strstr(row->reason, reason) : row->reason != NULL)
                fail_msg("'%s' is not '%s'", row->reason ? row->reason : "-", reason ? reason : "-");
}

/* hot takes 100 of 500 ms (20 %), then 300 of 700 (42.9 %): 200 ms more are 40 points of the baseline's
 * total. */
static void make_slower(struct pair *p)
{
        made_function(p->base, p->b, "hot", "hot.c", 3, 100, 101, 99);
        made_function(p->base, p->b, "rest", "rest.c", 9, 400, 401, 399);
        made_function(p->head, p->h, "hot", "hot.c", 5, 300, 301, 299);
        made_function(p->head, p->h, "rest", "rest.c", 9, 400, 401, 399);
}

static void a_function_that_got_slower_fails(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        judge(&p);
        const struct pg_row *row = row_of(&p, "hot");
        expect(row, PG_FAIL, NULL);
        assert_near(row->baseline, 20, 1e-9);
        assert_near(row->current, 300 / 7.0, 1e-9);
        assert_near(row->change, 300 / 7.0 - 20, 1e-9);
        assert_near(row->low, 100 * 299 / 698.0 - 100 * 101 / 502.0, 1e-9);
        assert_near(row->high, 100 * 301 / 702.0 - 100 * 99 / 498.0, 1e-9);
        assert_int_equal(row->n_culprits, 1);
        assert_string_equal(row->culprits[0].function, "hot");
        assert_string_equal(row->culprits[0].file, "hot.c");
        assert_int_equal(row->culprits[0].line, 5);
        expect(row_of(&p, "rest"), PG_PASS, NULL);
        assert_int_equal(row_of(&p, "rest")->n_culprits, 0);
        assert_int_equal(p.gate->exit_code, 2);
        assert_string_equal(p.gate->benchmarks[0].rows[0].function, "hot"); // largest worsening first
        pair_destroy(&p);
}

/* The rest went from 400 to 100 ms: hot has 50 % instead of 20 %, in the same 100 ms. */
static void a_share_that_rose_because_the_rest_got_faster_passes(void **state)
{
        (void)state;
        static const struct {
                double hot;
                const char *reason;
        } cases[] = {
                { 100, "did not rise" },
                { 110, "only 2.0 points" }, // 10 of 500 ms: a machine drifts by as much
        };
        for (size_t i = 0; i < 2; i++) {
                struct pair p = pair_create(3);
                double hot = cases[i].hot;
                made_function(p.base, p.b, "hot", NULL, 0, 100, 101, 99);
                made_function(p.base, p.b, "rest", NULL, 0, 400, 401, 399);
                made_function(p.head, p.h, "hot", NULL, 0, hot, hot + 1, hot - 1);
                made_function(p.head, p.h, "rest", NULL, 0, 100, 101, 99);
                judge(&p);
                expect(row_of(&p, "hot"), PG_PASS, cases[i].reason);
                assert_true(row_of(&p, "hot")->change > 5);
                assert_int_equal(p.gate->exit_code, 0);
                pair_destroy(&p);
        }
}

static void exactly_the_limit_passes(void **state)
{
        (void)state;
        struct pair p = pair_create(3); // 20 of 100 ms, then 25 of 100: 5 points
        made_function(p.base, p.b, "hot", NULL, 0, 20, 20, 20);
        made_function(p.base, p.b, "rest", NULL, 0, 80, 80, 80);
        made_function(p.head, p.h, "hot", NULL, 0, 25, 25, 25);
        made_function(p.head, p.h, "rest", NULL, 0, 75, 75, 75);
        judge(&p);
        expect(row_of(&p, "hot"), PG_PASS, NULL);
        pair_destroy(&p);
}

static void overlapping_runs_are_inconclusive(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "hot", NULL, 0, 100, 400, 99);
        made_function(p.base, p.b, "rest", NULL, 0, 400, 400, 400);
        made_function(p.head, p.h, "hot", NULL, 0, 300, 301, 299);
        made_function(p.head, p.h, "rest", NULL, 0, 400, 400, 400);
        judge(&p);
        expect(row_of(&p, "hot"), PG_INCONCLUSIVE, "noise of the runs");
        assert_int_equal(p.gate->exit_code, 0); // "rest" was judged
        p.options.strict = true;
        judge(&p);
        assert_int_equal(p.gate->exit_code, 4);
        p.options.thresholds.of[PG_CPU_SHARE].action = PG_ACTION_WARN;
        judge(&p);
        expect(row_of(&p, "hot"), PG_PASS, "noise of the runs");
        pair_destroy(&p);
}

/* Of three runs each, the lowest new share (31 of 131, 23.7 %) is within 5 points of the highest old one (20
 * %); of five it need not be. */
static void few_runs_must_all_be_beyond_the_limit(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "hot", NULL, 0, 25, 25, 25);
        made_function(p.base, p.b, "rest", NULL, 0, 100, 100, 100);
        made_function(p.head, p.h, "hot", NULL, 0, 31, 60, 60);
        made_function(p.head, p.h, "rest", NULL, 0, 100, 100, 100);
        judge(&p);
        expect(row_of(&p, "hot"), PG_INCONCLUSIVE, "noise of the runs");
        pair_destroy(&p);
        p = pair_create(5);
        made_function(p.base, p.b, "hot", NULL, 0, 25, 25, 25, 25, 25);
        made_function(p.base, p.b, "rest", NULL, 0, 100, 100, 100, 100, 100);
        made_function(p.head, p.h, "hot", NULL, 0, 31, 60, 60, 60, 60);
        made_function(p.head, p.h, "rest", NULL, 0, 100, 100, 100, 100, 100);
        judge(&p);
        expect(row_of(&p, "hot"), PG_FAIL, NULL);
        pair_destroy(&p);
}

/* 20 % to 26 % are 6 points. By counting 3 x 70 samples a side: sqrt(0.23 * 0.77 * 2 / 210) = 4.1 points. */
static void few_samples_show_no_small_rise(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        for (size_t i = 0; i < 3; i++)
                p.b->profile_samples[i] = p.h->profile_samples[i] = 70;
        made_function(p.base, p.b, "hot", NULL, 0, 20, 20, 20);
        made_function(p.base, p.b, "rest", NULL, 0, 80, 80, 80);
        made_function(p.head, p.h, "hot", NULL, 0, 28.1, 28.1, 28.1);
        made_function(p.head, p.h, "rest", NULL, 0, 80, 80, 80);
        judge(&p);
        expect(row_of(&p, "hot"), PG_INCONCLUSIVE, "210 and 210 samples show no rise below 16.4 points");
        pair_destroy(&p);
}

static void too_few_samples_judge_nothing(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        p.h->profile_samples[0] = p.h->profile_samples[1] = 66;
        p.h->profile_samples[2] = 67;
        judge(&p);
        assert_int_equal(p.gate->benchmarks[0].n_rows, 1);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "only 199 samples");
        assert_false(row_of(&p, NULL)->weighs); // nobody asked for it
        assert_int_equal(p.gate->exit_code, 4); // and there was nothing else
        pair_destroy(&p);
}

static void profiles_of_two_kinds_are_not_compared(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        p.b->engines.cpu_clock = "cpu-timer";
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "two clocks (cpu-timer, task-clock)");
        assert_true(row_of(&p, NULL)->weighs);
        p.b->engines.cpu_clock = "task-clock";
        p.b->sample_rate_hz = 250;
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "two rates (250 Hz, 997 Hz)");
        p.b->sample_rate_hz = 997;
        p.b->engines.cpu = "perf";
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "two engines (perf, agent)");
        pair_destroy(&p);
}

static void a_profile_that_failed_its_self_check_does_not_decide(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        p.h->profile_doubt = "samples were lost";
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "samples were lost");
        p.h->profile_doubt = NULL;
        p.b->profile_doubt = "samples were lost";
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "in the baseline: samples were lost");
        /* Nor does it where all functions but one are ignored. */
        struct pg_function_threshold f = {
                .glob = "hot", .threshold = { .max = { PG_LIMIT_POINTS, 1 }, .has_action = true }
        };
        p.options.thresholds.of[PG_CPU_SHARE].action = PG_ACTION_IGNORE;
        p.options.thresholds.of[PG_CPU_SHARE].functions = &f;
        p.options.thresholds.of[PG_CPU_SHARE].n_functions = 1;
        judge(&p);
        expect(row_of(&p, NULL), PG_INCONCLUSIVE, "in the baseline: samples were lost");
        pair_destroy(&p);
}

static void a_collapsed_profile_is_suspicious(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "hot", NULL, 0, 1000, 1000, 1000);
        made_function(p.head, p.h, "hot", NULL, 0, 99, 99, 99);
        judge(&p);
        expect(row_of(&p, NULL), PG_WARN, "suspicious");
        pair_destroy(&p);
}

static void another_machine_only_warns(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        p.head->host.cpu_model = "Other CPU";
        judge(&p);
        expect(row_of(&p, "hot"), PG_WARN, "another machine (CPU model)");
        pair_destroy(&p);
}

static void new_and_gone_functions_are_compared_with_nothing(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "old", NULL, 0, 50, 50, 50);
        made_function(p.base, p.b, "rest", NULL, 0, 400, 400, 400);
        made_function(p.head, p.h, "fresh", NULL, 0, 100, 100, 100);
        made_function(p.head, p.h, "rest", NULL, 0, 400, 400, 400);
        judge(&p);
        expect(row_of(&p, "fresh"), PG_FAIL, "new function");
        assert_near(row_of(&p, "fresh")->baseline, 0, 0);
        assert_near(row_of(&p, "fresh")->current, 20, 1e-9);
        expect(row_of(&p, "old"), PG_PASS, "gone function");
        pair_destroy(&p);
}

/* The name alone tells rows apart, else the module's file does, too. */
static void functions_of_one_name_are_told_apart(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "rest", NULL, 0, 400, 400, 400);
        made_function(p.base, p.b, "update", NULL, 0, 100, 100, 100);
        made_function(p.head, p.h, "rest", NULL, 0, 400, 400, 400);
        made_function(p.head, p.h, "update", NULL, 0, 100, 100, 100);
        made_function(p.head, p.h, "update", NULL, 0, 60, 60, 60);
        p.b->functions[1].module = p.h->functions[1].module = "liba.so";
        p.h->functions[2].module = "libb.so";
        judge(&p);
        const struct pg_benchmark_verdict *b = &p.gate->benchmarks[0];
        size_t named = 0;
        for (size_t i = 0; i < b->n_rows; i++) {
                const struct pg_row *row = &b->rows[i];
                if (row->metric != PG_CPU_SHARE || strcmp(row->function, "update") != 0)
                        continue;
                assert_string_equal(row->module,
                                    row->has_baseline && row->baseline > 0 ? "liba.so" : "libb.so");
                named++;
        }
        assert_int_equal(named, 2);
        assert_null(row_of(&p, "rest")->module);
        pair_destroy(&p);
}

/* 2 % of 1,000 ms are 20 ms. */
static void small_functions_are_not_judged(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "at", NULL, 0, 20, 20, 20);
        made_function(p.base, p.b, "below", NULL, 0, 19, 19, 19);
        made_function(p.base, p.b, "rest", NULL, 0, 961, 961, 961);
        made_function(p.head, p.h, "at", NULL, 0, 20, 20, 20);
        made_function(p.head, p.h, "below", NULL, 0, 19, 19, 19);
        made_function(p.head, p.h, "rest", NULL, 0, 961, 961, 961);
        judge(&p);
        assert_int_equal(p.gate->benchmarks[0].n_rows, 2);
        expect(row_of(&p, "at"), PG_PASS, NULL);

        /* A highest share below min_share, named for a function, is kept an eye on all the same. */
        struct pg_function_threshold f = { .glob = "bel*", .threshold.max = { PG_LIMIT_POINTS, 1 } };
        p.options.thresholds.of[PG_CPU_SHARE].functions = &f;
        p.options.thresholds.of[PG_CPU_SHARE].n_functions = 1;
        judge(&p);
        assert_string_equal(row_of(&p, "below")->limit, "+5 pp, 1 %");
        expect(row_of(&p, "below"), PG_FAIL, "above the highest share allowed, 1 %");

        /* 1.9 % of 300 samples are hardly more than 1 %: four times sqrt(0.01 * 0.99 / 300) are 2.3 points.
         */
        for (size_t i = 0; i < 3; i++)
                p.b->profile_samples[i] = p.h->profile_samples[i] = 100;
        judge(&p);
        expect(row_of(&p, "below"), PG_INCONCLUSIVE, "300 samples show no excess below 2.3 points");
        pair_destroy(&p);
}

static void later_globs_override_earlier_ones(void **state)
{
        (void)state;
        struct pg_function_threshold f[] = {
                { .glob = "h*",
                  .threshold = { .max_increase = { PG_LIMIT_POINTS, 50 }, .max = { PG_LIMIT_POINTS, 90 } } },
                { .glob = "hot", .threshold = { .max = { PG_LIMIT_POINTS, 30 } } },
                { .glob = "cold", .threshold = { .max = { PG_LIMIT_POINTS, 1 } } },
        };
        struct pair p = pair_create(3);
        make_slower(&p); // 20 % to 42.9 %
        p.options.thresholds.of[PG_CPU_SHARE].functions = f;
        p.options.thresholds.of[PG_CPU_SHARE].n_functions = 3;
        judge(&p);
        assert_string_equal(row_of(&p, "hot")->limit, "+50 pp, 30 %");
        expect(row_of(&p, "hot"), PG_FAIL, "above the highest share allowed, 30 %");
        f[1].threshold = (struct pg_threshold){ .has_action = true, .action = PG_ACTION_IGNORE };
        judge(&p);
        expect(row_of(&p, "hot"), PG_PASS, NULL);
        assert_false(row_of(&p, "hot")->weighs);
        pair_destroy(&p);
}

/* Above 30 % on both sides: broken whatever the baseline had. Below on base, above on head only because the
 * rest got faster: not broken. */
static void a_highest_share_counts_alone_unless_the_rest_got_faster(void **state)
{
        (void)state;
        static const struct {
                double base_hot, base_rest, head_hot, head_rest;
                enum pg_verdict want;
                const char *reason;
        } cases[] = {
                { 40, 60, 40, 60, PG_FAIL, "above" },
                { 20, 80, 20, 20, PG_PASS, "did not rise" },
                { 20, 80, 60, 80, PG_FAIL, "above" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create(2);
                p.options.thresholds.of[PG_CPU_SHARE].max = (struct pg_bound){ PG_LIMIT_POINTS, 30 };
                p.options.thresholds.of[PG_CPU_SHARE].max_increase.form = PG_LIMIT_NONE;
                made_function(p.base, p.b, "hot", NULL, 0, cases[i].base_hot, cases[i].base_hot);
                made_function(p.base, p.b, "rest", NULL, 0, cases[i].base_rest, cases[i].base_rest);
                made_function(p.head, p.h, "hot", NULL, 0, cases[i].head_hot, cases[i].head_hot);
                made_function(p.head, p.h, "rest", NULL, 0, cases[i].head_rest, cases[i].head_rest);
                judge(&p);
                expect(row_of(&p, "hot"), cases[i].want, cases[i].reason);
                pair_destroy(&p);
        }
}

static void a_table_that_is_not_sorted_is_matched_all_the_same(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p);
        struct pg_function first = p.h->functions[0];
        p.h->functions[0] = p.h->functions[1];
        p.h->functions[1] = first;
        judge(&p);
        expect(row_of(&p, "hot"), PG_FAIL, NULL);
        pair_destroy(&p);
}

static void runs_without_cpu_time_have_no_shares(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        made_function(p.base, p.b, "hot", NULL, 0, 0, 50, 50);
        made_function(p.base, p.b, "rest", NULL, 0, 0, 50, 50);
        made_function(p.head, p.h, "hot", NULL, 0, 50, 50, 50);
        made_function(p.head, p.h, "rest", NULL, 0, 50, 50, 50);
        judge(&p);
        assert_near(row_of(&p, "hot")->baseline, 50, 1e-9);
        expect(row_of(&p, "hot"), PG_PASS, NULL);
        pair_destroy(&p);
}

/* ---- culprits of other rows ---- */

static const struct pg_row *first_row(struct pair *p)
{
        judge(p);
        return &p->gate->benchmarks[0].rows[0];
}

/* 60 + 35 + 5 more: the first two are 95 %, and 90 % are enough. */
static void call_sites_are_named_until_most_is_explained(void **state)
{
        (void)state;
        struct pair p = pair_create(1);
        made_series(p.base, p.b, PG_ALLOCATIONS, 1000, 1000);
        made_series(p.head, p.h, PG_ALLOCATIONS, 1100, 1100);
        made_site(p.base, p.b, "less", "l.c", 1, 100, 0);
        made_site(p.base, p.b, "little", "x.c", 1, 300, 0);
        made_site(p.base, p.b, "much", "y.c", 20, 300, 0);
        made_site(p.base, p.b, "some", "z.c", 1, 300, 0);
        made_site(p.head, p.h, "less", "l.c", 1, 100, 0);
        made_site(p.head, p.h, "little", "x.c", 1, 305, 0);
        made_site(p.head, p.h, "much", "y.c", 20, 301, 0);
        made_site(p.head, p.h, "much", "y.c", 22, 59, 0);
        made_site(p.head, p.h, "some", "z.c", 1, 335, 0);
        const struct pg_row *row = first_row(&p);
        assert_int_equal(row->verdict, PG_FAIL);
        assert_int_equal(row->n_culprits, 2);
        assert_string_equal(row->culprits[0].function, "much");
        assert_int_equal(row->culprits[0].line, 22); // the line that rose most, of all in the function
        assert_near(row->culprits[0].baseline, 300, 0);
        assert_near(row->culprits[0].current, 360, 0);
        assert_near(row->culprits[0].change, 60, 0);
        assert_string_equal(row->culprits[1].function, "some");
        pair_destroy(&p);
}

static void a_rise_that_nobody_explains_says_so(void **state)
{
        (void)state;
        struct pair p = pair_create(1);
        made_series(p.base, p.b, PG_ALLOCATIONS, 1000, 1000);
        made_series(p.head, p.h, PG_ALLOCATIONS, 2000, 2000);
        made_site(p.base, p.b, "f", NULL, 0, 100, 0);
        made_site(p.head, p.h, "f", NULL, 0, 100, 0);
        expect(first_row(&p), PG_FAIL, "no call site explains the rise");
        pair_destroy(&p);

        p = pair_create(1); // without sites there is nothing to say
        made_series(p.base, p.b, PG_PEAK_HEAP, 1000, 1000);
        made_series(p.head, p.h, PG_PEAK_HEAP, 2000, 2000);
        expect(first_row(&p), PG_FAIL, NULL);
        assert_int_equal(p.gate->benchmarks[0].rows[0].n_culprits, 0);
        pair_destroy(&p);
}

static void functions_are_named_for_cpu_time(void **state)
{
        (void)state;
        struct pair p = pair_create(3);
        make_slower(&p); // 200 ms more in hot
        made_series(p.base, p.b, PG_CPU_TIME, 500000000, 501000000, 502000000);
        made_series(p.head, p.h, PG_CPU_TIME, 700000000, 701000000, 702000000);
        judge(&p);
        const struct pg_benchmark_verdict *b = &p.gate->benchmarks[0];
        const struct pg_row *row = &b->rows[b->n_rows - 1];
        assert_int_equal(row->metric, PG_CPU_TIME);
        assert_int_equal(row->verdict, PG_WARN);
        assert_int_equal(row->n_culprits, 1);
        assert_string_equal(row->culprits[0].function, "hot");
        assert_near(row->culprits[0].baseline, 1e8, 0);
        assert_near(row->culprits[0].change, 2e8, 0);
        made_series(p.head, p.h, PG_CPU_TIME, 4000000000, 4000000000, 4000000000); // 200 of 3,500 ms
        judge(&p);
        b = &p.gate->benchmarks[0];
        expect(&b->rows[b->n_rows - 1], PG_WARN, "no function explains the rise");
        assert_int_equal(b->rows[b->n_rows - 1].n_culprits, 0);
        pair_destroy(&p);
}

/* A sample is 500 ms / 1,000 = 0.5 ms: 4 ms more are 8 samples, three roots of them 8.5; 6 ms are 12 of 10.4. */
static void a_few_samples_name_nobody(void **state)
{
        (void)state;
        for (int enough = 0; enough < 2; enough++) {
                struct pair p = pair_create(3);
                double late = enough ? 6 : 4;
                made_function(p.base, p.b, "rest", NULL, 0, 500, 500, 500);
                made_function(p.head, p.h, "rest", NULL, 0, 500 - late, 500 - late, 500 - late);
                made_function(p.head, p.h, "late", NULL, 0, late, late, late);
                made_series(p.base, p.b, PG_CPU_TIME, 10000000, 10000000, 10000000);
                made_series(p.head, p.h, PG_CPU_TIME, 16000000, 16000000, 16000000);
                judge(&p);
                const struct pg_benchmark_verdict *b = &p.gate->benchmarks[0];
                const struct pg_row *row = &b->rows[b->n_rows - 1];
                expect(row, PG_WARN, enough ? NULL : "no function explains the rise");
                assert_int_equal(row->n_culprits, enough);
                pair_destroy(&p);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_function_that_got_slower_fails),
                cmocka_unit_test(a_few_samples_name_nobody),
                cmocka_unit_test(a_share_that_rose_because_the_rest_got_faster_passes),
                cmocka_unit_test(exactly_the_limit_passes),
                cmocka_unit_test(overlapping_runs_are_inconclusive),
                cmocka_unit_test(few_runs_must_all_be_beyond_the_limit),
                cmocka_unit_test(few_samples_show_no_small_rise),
                cmocka_unit_test(too_few_samples_judge_nothing),
                cmocka_unit_test(profiles_of_two_kinds_are_not_compared),
                cmocka_unit_test(a_profile_that_failed_its_self_check_does_not_decide),
                cmocka_unit_test(a_collapsed_profile_is_suspicious),
                cmocka_unit_test(another_machine_only_warns),
                cmocka_unit_test(new_and_gone_functions_are_compared_with_nothing),
                cmocka_unit_test(functions_of_one_name_are_told_apart),
                cmocka_unit_test(small_functions_are_not_judged),
                cmocka_unit_test(later_globs_override_earlier_ones),
                cmocka_unit_test(a_highest_share_counts_alone_unless_the_rest_got_faster),
                cmocka_unit_test(a_table_that_is_not_sorted_is_matched_all_the_same),
                cmocka_unit_test(runs_without_cpu_time_have_no_shares),
                cmocka_unit_test(call_sites_are_named_until_most_is_explained),
                cmocka_unit_test(a_rise_that_nobody_explains_says_so),
                cmocka_unit_test(functions_are_named_for_cpu_time),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
