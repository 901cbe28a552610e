// SPDX-License-Identifier: MIT
/*
 * test_gate.c - verdicts on metrics with one number per run, and over all benchmarks.
 *
 * Expected verdicts by hand from the rules that users are told; each case is the smallest that shows its
 * rule.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "tests/unit/compare/made.h"

/* Two snapshots with one benchmark each. */
struct pair {
        struct pg_snapshot *base, *head;
        struct pg_measurement *b, *h;
        struct pg_gate_options options;
        struct pg_gate_benchmark known; // in options when names_known is called
};

static struct pair pair_create(void)
{
        struct pair p = { .base = made_snapshot(), .head = made_snapshot(), .options = made_options() };
        p.b = made_benchmark(p.base, "parse");
        p.h = made_benchmark(p.head, "parse");
        return p;
}

static void require(struct pair *p, enum pg_metric metric)
{
        p->known.name = "parse";
        p->known.thresholds = p->options.thresholds;
        p->known.required[metric] = true;
        p->options.benchmarks = &p->known;
        p->options.n_benchmarks = 1;
}

/* Judges and checks verdict and exit code; the pair is gone afterwards, the gate lives on with its words. */
static void expect(struct pair *p, enum pg_verdict verdict, int exit_code, const char *reason)
{
        struct pg_gate *g = made_gate(p->base, p->head, &p->options);
        const struct pg_row *row = g->benchmarks[0].n_rows ? &g->benchmarks[0].rows[0] : NULL;
        const char *said = row ? row->reason : g->benchmarks[0].reason;
        if (g->verdict != verdict || g->exit_code != exit_code)
                fail_msg("%s, exit %d (%s)", pg_verdict_name(g->verdict), g->exit_code, said ? said : "-");
        if (reason && (!said || !strstr(said, reason)))
                fail_msg("'%s' does not say '%s'", said ? said : "", reason);
        if (!reason && said)
                fail_msg("unexpected reason '%s'", said);
        pg_gate_destroy(g);
        made_destroy(p->base);
        made_destroy(p->head);
}

static void an_exact_limit_is_exact(void **state)
{
        (void)state;
        static const struct {
                uint64_t base, head;
                enum pg_verdict want;
        } cases[] = {
                { 1000, 1010, PG_PASS }, // + 1 % is allowed
                { 1000, 1011, PG_FAIL },
                { 1000, 1000, PG_PASS },
                { 1000, 900, PG_PASS },
                { 99, 100, PG_FAIL },  // + 1.01 %
                { 100, 101, PG_PASS }, // exactly 1 %
                { 0, 0, PG_PASS },
                { 0, 1, PG_FAIL }, // any rise from zero is infinite
                { 9000000000000000000u, 9090000000000000000u,
                  PG_PASS }, // beyond what a double can tell apart
                { 9000000000000000000u, 9090000000000000001u, PG_FAIL },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                made_series(p.base, p.b, PG_ALLOCATIONS, cases[i].base, cases[i].base);
                made_series(p.head, p.h, PG_ALLOCATIONS, cases[i].head, cases[i].head);
                expect(&p, cases[i].want, cases[i].want == PG_FAIL ? 2 : 0,
                       cases[i].base == 0 && cases[i].head ? "baseline is 0" : NULL);
        }
}

static void zero_per_cent_means_any_rise(void **state)
{
        (void)state;
        for (uint64_t more = 0; more < 2; more++) {
                struct pair p = pair_create();
                p.options.thresholds.of[PG_ALLOCATIONS].max_increase =
                        (struct pg_bound){ PG_LIMIT_RELATIVE, 0 };
                made_series(p.base, p.b, PG_ALLOCATIONS, 1000000, 1000000);
                made_series(p.head, p.h, PG_ALLOCATIONS, 1000000 + more, 1000000 + more);
                expect(&p, more ? PG_FAIL : PG_PASS, more ? 2 : 0, NULL);
        }
}

static void absolute_limits_hold_beside_relative_ones(void **state)
{
        (void)state;
        static const struct {
                uint64_t base, head;
                enum pg_verdict want;
                const char *reason;
        } cases[] = {
                { 15000, 15000, PG_PASS, NULL },
                { 15001, 15001, PG_FAIL, "15,000" }, // judged on the new value alone
                { 100, 102, PG_FAIL, NULL },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                p.options.thresholds.of[PG_ALLOCATIONS].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 15000 };
                made_series(p.base, p.b, PG_ALLOCATIONS, cases[i].base, cases[i].base);
                made_series(p.head, p.h, PG_ALLOCATIONS, cases[i].head, cases[i].head);
                expect(&p, cases[i].want, cases[i].want == PG_FAIL ? 2 : 0, cases[i].reason);
        }
}

static void actions_decide_how_hard_a_limit_is(void **state)
{
        (void)state;
        static const struct {
                enum pg_action action;
                bool fail_on_warn;
                enum pg_verdict want;
                int exit_code;
        } cases[] = {
                { PG_ACTION_FAIL, false, PG_FAIL, 2 },
                { PG_ACTION_WARN, false, PG_WARN, 0 },
                { PG_ACTION_WARN, true, PG_WARN, 3 },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                p.options.fail_on_warn = cases[i].fail_on_warn;
                p.options.thresholds.of[PG_ALLOCATIONS].action = cases[i].action;
                made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
                made_series(p.head, p.h, PG_ALLOCATIONS, 200, 200);
                expect(&p, cases[i].want, cases[i].exit_code, NULL);
        }
}

static void what_has_no_limit_is_reported_and_evaluates_nothing(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_LEAKED_BYTES, 64, 64);
        made_series(p.head, p.h, PG_LEAKED_BYTES, 6400, 6400);
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->benchmarks[0].n_rows, 1);
        assert_false(g->benchmarks[0].rows[0].weighs);
        assert_null(g->benchmarks[0].rows[0].limit);
        assert_int_equal(g->verdict, PG_INCONCLUSIVE);
        assert_int_equal(g->exit_code, 4);
        assert_string_equal(g->reason, "nothing was compared with a limit");
        pg_gate_destroy(g);

        p.options.thresholds.of[PG_LEAKED_BYTES].max_increase = (struct pg_bound){ PG_LIMIT_RELATIVE, 0.5 };
        expect(&p, PG_FAIL, 2, NULL);
}

static void an_ignored_metric_evaluates_nothing(void **state)
{
        (void)state;
        struct pair p = pair_create();
        p.options.thresholds.of[PG_ALLOCATIONS].action = PG_ACTION_IGNORE;
        made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 900, 900);
        expect(&p, PG_INCONCLUSIVE, 4, NULL);
}

static void differing_repeats_are_judged_by_medians(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_ALLOCATIONS, 1000, 1001);
        made_series(p.head, p.h, PG_ALLOCATIONS, 1005, 1006); // + 0.5 %
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        const struct pg_row *row = &g->benchmarks[0].rows[0];
        assert_int_equal(row->kind, PG_STATISTICAL);
        assert_int_equal(row->verdict, PG_PASS);
        assert_near(row->baseline, 1000.5, 0);
        assert_near(row->low, 4 / 1000.5, 1e-15);  // 1005 - 1001
        assert_near(row->high, 6 / 1000.5, 1e-15); // 1006 - 1000
        pg_gate_destroy(g);
        made_series(p.head, p.h, PG_ALLOCATIONS, 1500, 1501);
        expect(&p, PG_FAIL, 2, "judged by medians");
}

static void time_only_counts_when_all_runs_are_worse(void **state)
{
        (void)state;
        static const struct {
                const char *what;
                uint64_t head[5];
                size_t n;
                enum pg_action action;
                enum pg_verdict want;
                const char *reason;
        } cases[] = {
                { "disjoint", { 130, 131, 132, 133, 134 }, 5, PG_ACTION_FAIL, PG_FAIL, NULL },
                { "disjoint", { 130, 131, 132, 133, 134 }, 5, PG_ACTION_WARN, PG_WARN, NULL },
                { "one run as fast",
                  { 104, 131, 132, 133, 134 },
                  5,
                  PG_ACTION_FAIL,
                  PG_INCONCLUSIVE,
                  "noise" },
                { "one run as fast", { 104, 131, 132, 133, 134 }, 5, PG_ACTION_WARN, PG_PASS, "noise" },
                { "too few", { 130, 131 }, 2, PG_ACTION_FAIL, PG_INCONCLUSIVE, "only 2 runs" },
                { "few, disjoint", { 105, 131, 132 }, 3, PG_ACTION_FAIL, PG_INCONCLUSIVE, "noise" },
                { "few, just 10 %", { 114, 131, 132 }, 3, PG_ACTION_FAIL, PG_INCONCLUSIVE, "noise" },
                { "few, beyond", { 115, 131, 132 }, 3, PG_ACTION_FAIL, PG_FAIL, NULL }, // 115 > 1.1 * 104
                { "many, disjoint", { 105, 131, 132, 133, 134 }, 5, PG_ACTION_FAIL, PG_FAIL, NULL },
                { "within 10 %", { 105, 106, 107, 108, 109 }, 5, PG_ACTION_FAIL, PG_PASS, NULL },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                p.options.thresholds.of[PG_CPU_TIME].action = cases[i].action;
                made_series(p.base, p.b, PG_ALLOCATIONS, 1, 1); // something that can be judged for sure
                made_series(p.head, p.h, PG_ALLOCATIONS, 1, 1);
                made_series(p.base, p.b, PG_CPU_TIME, 100, 101, 102, 103, 104);
                made_series_of(p.head, p.h, PG_CPU_TIME, cases[i].head, cases[i].n);
                struct pg_gate *g = made_gate(p.base, p.head, &p.options);
                const struct pg_row *row = &g->benchmarks[0].rows[1];
                if (row->verdict != cases[i].want)
                        fail_msg("%s: %s", cases[i].what, pg_verdict_name(row->verdict));
                assert_true(!cases[i].reason == !row->reason);
                if (row->reason)
                        assert_non_null(strstr(row->reason, cases[i].reason));
                pg_gate_destroy(g);
                made_destroy(p.base);
                made_destroy(p.head);
        }
}

static void time_from_another_machine_only_warns(void **state)
{
        (void)state;
        static const struct {
                struct pg_host host;
                enum pg_verdict want;
                const char *reason;
        } cases[] = {
                { { "Other CPU", "x86_64", "6.1.0-18-amd64", "glibc 2.36", "", 4 }, PG_WARN, "CPU model" },
                { { "Test CPU 3000", "x86_64", "6.10.0-18-amd64", "glibc 2.36", "", 4 }, PG_WARN, "kernel" },
                { { "Test CPU 3000", "x86_64", "6.1.0-18-amd64", "glibc 2.41", "", 4 }, PG_WARN, "libc" },
                { { "Test CPU 3000", "x86_64", "6.1.0-18-amd64", "glibc 2.36", "", 2 }, PG_WARN, "cores" },
                { { "Test CPU 3000", "x86_64", "6.1.9-77-amd64", "glibc 2.36", "other", 4 }, PG_FAIL, NULL },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                p.head->host = cases[i].host;
                p.options.thresholds.of[PG_WALL_TIME].action = PG_ACTION_FAIL;
                made_series(p.base, p.b, PG_WALL_TIME, 100, 101, 102);
                made_series(p.head, p.h, PG_WALL_TIME, 200, 201, 202);
                expect(&p, cases[i].want, cases[i].want == PG_FAIL ? 2 : 0, cases[i].reason);
        }
        struct pair p = pair_create(); // counts do not depend on the machine's speed
        p.head->host.cpu_model = "Other CPU";
        made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 200, 200);
        expect(&p, PG_FAIL, 2, NULL);
}

static void a_collapse_is_suspicious(void **state)
{
        (void)state;
        static const struct {
                enum pg_metric metric;
                uint64_t base, head;
                enum pg_verdict want;
                const char *reason;
        } cases[] = {
                { PG_ALLOCATIONS, 1000, 0, PG_WARN, "nothing was measured" },
                { PG_ALLOCATIONS, 1000, 99, PG_WARN, "more than 90 %" },
                { PG_ALLOCATIONS, 1000, 100, PG_PASS, NULL }, // exactly 90 % better
                { PG_PEAK_HEAP, 1 << 20, 4096, PG_WARN, "more than 90 %" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                made_series(p.base, p.b, cases[i].metric, cases[i].base, cases[i].base);
                made_series(p.head, p.h, cases[i].metric, cases[i].head, cases[i].head);
                expect(&p, cases[i].want, 0, cases[i].reason);
        }
        struct pair p = pair_create(); // a leak may well be gone
        p.options.thresholds.of[PG_LEAKED_BYTES].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 100 };
        made_series(p.base, p.b, PG_LEAKED_BYTES, 64, 64);
        made_series(p.head, p.h, PG_LEAKED_BYTES, 0, 0);
        expect(&p, PG_PASS, 0, NULL);
}

static void what_cannot_be_had_is_never_green(void **state)
{
        (void)state;
        enum { NOBODY_ASKED, REQUIRED, IN_BASE };
        static const struct {
                int how;
                enum pg_verdict want_row, want;
                int exit_code;
        } cases[] = {
                { NOBODY_ASKED, PG_INCONCLUSIVE, PG_PASS, 0 }, // the row says so, the rest decides
                { REQUIRED, PG_INCONCLUSIVE, PG_INCONCLUSIVE, 4 },
                { IN_BASE, PG_WARN, PG_WARN, 0 },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pair p = pair_create();
                made_series(p.base, p.b, PG_CPU_TIME, 100, 101, 102);
                made_series(p.head, p.h, PG_CPU_TIME, 100, 101, 102);
                made_unavailable(p.h, PG_ALLOCATIONS, "statically linked");
                if (cases[i].how == REQUIRED)
                        require(&p, PG_ALLOCATIONS);
                if (cases[i].how == IN_BASE)
                        made_series(p.base, p.b, PG_ALLOCATIONS, 5, 5);
                struct pg_gate *g = made_gate(p.base, p.head, &p.options);
                const struct pg_row *row = &g->benchmarks[0].rows[0];
                assert_int_equal(row->status, PG_ROW_UNAVAILABLE);
                assert_int_equal(row->verdict, cases[i].want_row);
                assert_false(row->has_current);
                assert_non_null(strstr(row->reason, "statically linked"));
                assert_int_equal(g->n_unavailable, 1);
                assert_int_equal(g->verdict, cases[i].want);
                assert_int_equal(g->exit_code, cases[i].exit_code);
                pg_gate_destroy(g);
                made_destroy(p.base);
                made_destroy(p.head);
        }
}

static void a_required_metric_that_nobody_measured_is_missing(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_CPU_TIME, 100, 101, 102);
        made_series(p.head, p.h, PG_CPU_TIME, 100, 101, 102);
        require(&p, PG_INSTRUCTIONS);
        expect(&p, PG_INCONCLUSIVE, 4, "was not measured");
}

static void a_regression_outranks_a_missing_metric(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_PEAK_HEAP, 100, 100);
        made_series(p.head, p.h, PG_PEAK_HEAP, 200, 200);
        made_unavailable(p.h, PG_ALLOCATIONS, "no");
        require(&p, PG_ALLOCATIONS);
        expect(&p, PG_FAIL, 2, "no");
}

static void a_value_without_baseline_value_is_not_judged(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_unavailable(p.b, PG_ALLOCATIONS, "statically linked");
        made_series(p.head, p.h, PG_ALLOCATIONS, 100, 100);
        p.options.thresholds.of[PG_PEAK_HEAP].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 50 };
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        assert_false(g->benchmarks[0].rows[0].weighs);
        assert_string_equal(g->benchmarks[0].rows[0].reason, "no baseline value: statically linked");
        assert_int_equal(g->exit_code, 4);
        pg_gate_destroy(g);
        made_series(p.head, p.h, PG_PEAK_HEAP, 40, 40); // a highest value needs none
        g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->verdict, PG_PASS);
        assert_int_equal(g->exit_code, 0);
        pg_gate_destroy(g);
        made_series(p.head, p.h, PG_PEAK_HEAP, 51, 51);
        expect(&p, PG_FAIL, 2, "no baseline value");
}

/* An older baseline is silent about what the configuration names since: that must be seen. */
static void a_required_value_without_baseline_value_warns(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_PEAK_HEAP, 100, 100);
        made_series(p.head, p.h, PG_PEAK_HEAP, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 100, 100);
        p.options.fail_on_warn = true;
        require(&p, PG_ALLOCATIONS);
        expect(&p, PG_WARN, 3, "no baseline value");
}

static void new_and_gone_benchmarks_warn(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, made_benchmark(p.head, "fresh"), PG_ALLOCATIONS, 5, 5);
        made_series(p.base, made_benchmark(p.base, "old"), PG_ALLOCATIONS, 5, 5);
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->n_benchmarks, 3);
        assert_int_equal(g->benchmarks[0].verdict, PG_PASS);
        assert_int_equal(g->benchmarks[1].verdict, PG_WARN);
        assert_non_null(strstr(g->benchmarks[1].reason, "new"));
        assert_string_equal(g->benchmarks[2].name, "old");
        assert_int_equal(g->benchmarks[2].verdict, PG_WARN);
        assert_non_null(strstr(g->benchmarks[2].reason, "gone"));
        assert_null(g->benchmarks[2].head);
        assert_int_equal(g->verdict, PG_WARN);
        assert_int_equal(g->exit_code, 0);
        pg_gate_destroy(g);
        p.options.fail_on_warn = true;
        g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->exit_code, 3);
        pg_gate_destroy(g);
        made_destroy(p.base);
        made_destroy(p.head);
}

static void nothing_in_common_is_4(void **state)
{
        (void)state;
        struct pair p = pair_create();
        p.h->name = "other";
        p.options.thresholds.of[PG_ALLOCATIONS].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 1000 };
        made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 100, 100);
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->verdict, PG_INCONCLUSIVE);
        assert_int_equal(g->exit_code, 4);
        assert_string_equal(g->reason, "no benchmark in common with the baseline");
        pg_gate_destroy(g);
        made_destroy(p.base);
        made_destroy(p.head);
}

static void empty_snapshots_are_4(void **state)
{
        (void)state;
        struct pg_snapshot *base = made_snapshot(), *head = made_snapshot();
        struct pg_gate_options options = made_options();
        struct pg_gate *g = made_gate(base, head, &options);
        assert_int_equal(g->exit_code, 4);
        pg_gate_destroy(g);
        g = made_gate(NULL, head, &options);
        assert_int_equal(g->exit_code, 4);
        assert_string_equal(g->reason, "nothing was measured");
        pg_gate_destroy(g);
        made_destroy(base);
        made_destroy(head);
}

static void without_a_baseline_only_highest_values_are_judged(void **state)
{
        (void)state;
        struct pair p = pair_create();
        made_series(p.head, p.h, PG_ALLOCATIONS, 100, 100);
        struct pg_gate *g = made_gate(NULL, p.head, &p.options);
        assert_false(g->has_base);
        assert_int_equal(g->verdict, PG_WARN);
        assert_int_equal(g->exit_code, 0);
        assert_string_equal(g->reason, "there is no baseline to compare with");
        pg_gate_destroy(g);
        p.options.thresholds.of[PG_ALLOCATIONS].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 99 };
        g = made_gate(NULL, p.head, &p.options);
        assert_int_equal(g->verdict, PG_FAIL);
        assert_int_equal(g->exit_code, 2);
        pg_gate_destroy(g);
        made_destroy(p.base);
        made_destroy(p.head);
}

static void strict_turns_inconclusive_into_4(void **state)
{
        (void)state;
        for (int strict = 0; strict < 2; strict++) {
                struct pair p = pair_create();
                p.options.strict = strict;
                p.options.thresholds.of[PG_CPU_TIME].action = PG_ACTION_FAIL;
                made_series(p.base, p.b, PG_CPU_TIME, 100, 101, 102);
                made_series(p.head, p.h, PG_CPU_TIME, 101, 200, 201);
                made_series(p.base, p.b, PG_WALL_TIME, 100, 101, 102);
                made_series(p.head, p.h, PG_WALL_TIME, 100, 101, 102);
                expect(&p, PG_INCONCLUSIVE, strict ? 4 : 0, "noise");
        }
}

static void a_benchmarks_own_thresholds_hold_for_it_alone(void **state)
{
        (void)state;
        struct pair p = pair_create();
        require(&p, PG_ALLOCATIONS);
        p.known.thresholds.of[PG_ALLOCATIONS].max_increase.value = 0.5;
        made_series(p.base, p.b, PG_ALLOCATIONS, 100, 100);
        made_series(p.head, p.h, PG_ALLOCATIONS, 120, 120);
        made_series(p.base, made_benchmark(p.base, "zip"), PG_ALLOCATIONS, 100, 100);
        made_series(p.head, made_benchmark(p.head, "zip"), PG_ALLOCATIONS, 120, 120);
        struct pg_gate *g = made_gate(p.base, p.head, &p.options);
        assert_int_equal(g->benchmarks[0].verdict, PG_PASS);
        assert_string_equal(g->benchmarks[0].rows[0].limit, "+50 %");
        assert_int_equal(g->benchmarks[1].verdict, PG_FAIL);
        assert_string_equal(g->benchmarks[1].rows[0].limit, "+1 %");
        assert_int_equal(g->n_pass, 1);
        assert_int_equal(g->n_fail, 1);
        pg_gate_destroy(g);
        made_destroy(p.base);
        made_destroy(p.head);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exact_limit_is_exact),
                cmocka_unit_test(zero_per_cent_means_any_rise),
                cmocka_unit_test(absolute_limits_hold_beside_relative_ones),
                cmocka_unit_test(actions_decide_how_hard_a_limit_is),
                cmocka_unit_test(what_has_no_limit_is_reported_and_evaluates_nothing),
                cmocka_unit_test(an_ignored_metric_evaluates_nothing),
                cmocka_unit_test(differing_repeats_are_judged_by_medians),
                cmocka_unit_test(time_only_counts_when_all_runs_are_worse),
                cmocka_unit_test(time_from_another_machine_only_warns),
                cmocka_unit_test(a_collapse_is_suspicious),
                cmocka_unit_test(what_cannot_be_had_is_never_green),
                cmocka_unit_test(a_required_metric_that_nobody_measured_is_missing),
                cmocka_unit_test(a_regression_outranks_a_missing_metric),
                cmocka_unit_test(a_value_without_baseline_value_is_not_judged),
                cmocka_unit_test(a_required_value_without_baseline_value_warns),
                cmocka_unit_test(new_and_gone_benchmarks_warn),
                cmocka_unit_test(nothing_in_common_is_4),
                cmocka_unit_test(empty_snapshots_are_4),
                cmocka_unit_test(without_a_baseline_only_highest_values_are_judged),
                cmocka_unit_test(strict_turns_inconclusive_into_4),
                cmocka_unit_test(a_benchmarks_own_thresholds_hold_for_it_alone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
