// SPDX-License-Identifier: MIT
/*
 * test_plan.c - configuration and options to workloads and limits. Each test has a folder of its own.
 */
#include "tests/unit/assert_near.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/cli/plan.h"

static char folder[] = "/tmp/perfgate-test-XXXXXX", before[4096];

static int setup(void **state)
{
        (void)state;
        strcpy(folder + strlen(folder) - 6, "XXXXXX");
        return getcwd(before, sizeof(before)) && mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
        (void)state;
        unlink("perfgate.json");
        return chdir(before) == 0 ? rmdir(folder) : -1;
}

/* perfgate.json with one benchmark "a", its further keys, and the file's further keys. */
static void config(const char *of_benchmark, const char *of_file)
{
        FILE *f = fopen("perfgate.json", "w");
        assert_non_null(f);
        fprintf(f, "{\"benchmarks\":[{\"name\":\"a\",\"command\":[\"true\"]%s}]%s}", of_benchmark, of_file);
        assert_int_equal(fclose(f), 0);
}

static struct pg_plan *make(const struct pg_plan_args *args)
{
        struct pg_error err = { 0 };
        struct pg_plan *p = NULL;
        if (!pg_plan_make(args, &p, &err))
                fail_msg("%s", err.text);
        return p;
}

static void refuse(const struct pg_plan_args *args, enum pg_code code, const char *text)
{
        struct pg_error err = { 0 };
        struct pg_plan *p = NULL;
        assert_false(pg_plan_make(args, &p, &err));
        assert_null(p);
        assert_int_equal(err.code, code);
        if (!strstr(err.text, text))
                fail_msg("'%s' does not say '%s'", err.text, text);
}

static void add(struct pg_option_list *list, const char *value)
{
        list->values[list->n++] = value;
        list->values[list->n] = NULL;
}

static void expect_metric(const struct pg_plan *p, enum pg_metric m, bool measured, bool required)
{
        if (p->workloads[0].metrics[m] != measured || p->gates[0].required[m] != required)
                fail_msg("%s: measured %d, required %d", pg_metric_names[m], p->workloads[0].metrics[m],
                         p->gates[0].required[m]);
}

static const char *command[] = { "/usr/bin/jq", "-c", ".", NULL };

static void a_command_needs_no_file(void **state)
{
        (void)state;
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        args.command = (char **)command;
        PG_AUTO_PLAN struct pg_plan *p = make(&args);
        const struct pg_workload *w = &p->workloads[0];
        assert_int_equal(p->n, 1);
        assert_string_equal(w->name, "jq");
        assert_string_equal(p->gates[0].name, "jq");
        assert_string_equal(w->command[2], ".");
        assert_string_equal(w->cwd, ".");
        assert_int_equal(w->runs, 5);
        assert_int_equal(w->warmup, 1);
        assert_int_equal(w->timeout_ns, 60000000000);
        expect_metric(p, PG_ALLOCATIONS, true, false);
        expect_metric(p, PG_CPU_SHARE, true, false);
        expect_metric(p, PG_INSTRUCTIONS, false, false);
        assert_int_equal(p->gate.n_benchmarks, 1);
        assert_ptr_equal(p->gate.benchmarks, p->gates);
}

static void a_name_is_what_a_folder_may_be_called(void **state)
{
        (void)state;
        const char *nothing[] = { "", NULL }, *root[] = { "/", NULL }, *below[] = { "a/b/", NULL };
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        args.command = (char **)nothing;
        refuse(&args, PG_EUSAGE, "'' is not a command");
        args.command = (char **)root;
        refuse(&args, PG_EUSAGE, "'/' is not a command");
        args.command = (char **)below;
        refuse(&args, PG_EUSAGE, "'a/b/' is not a command");
}

static void options_lie_over_the_file(void **state)
{
        (void)state;
        config(",\"runs\":7,\"warmup\":2,\"timeout\":\"9s\"", "");
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        struct pg_plan *p = make(&args);
        assert_int_equal(p->workloads[0].runs, 7);
        assert_int_equal(p->workloads[0].warmup, 2);
        assert_int_equal(p->workloads[0].timeout_ns, 9000000000);
        assert_int_equal(p->time_budget_ns, 0);
        pg_plan_destroy(p);
        args.runs = 3;
        args.warmup = 0;
        args.timeout_ns = 1;
        args.time_budget_ns = 2;
        p = make(&args);
        assert_int_equal(p->workloads[0].runs, 3);
        assert_int_equal(p->workloads[0].warmup, 0);
        assert_int_equal(p->workloads[0].timeout_ns, 1);
        assert_int_equal(p->time_budget_ns, 2);
        pg_plan_destroy(p);
        args.runs = 10001; // as in a file
        refuse(&args, PG_EUSAGE, "--runs: at most 10000");
        args.runs = 10000;
        args.warmup = 10001;
        refuse(&args, PG_EUSAGE, "--warmup: at most 10000");
}

static void named_metrics_are_required(void **state)
{
        (void)state;
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        args.command = (char **)command;
        args.metrics = "wall_time,peak_rss";
        struct pg_plan *p = make(&args);
        expect_metric(p, PG_WALL_TIME, true, true);
        expect_metric(p, PG_PEAK_RSS, true, true);
        expect_metric(p, PG_ALLOCATIONS, false, false);
        pg_plan_destroy(p);
        args.metrics = "wall_tme";
        refuse(&args, PG_EUSAGE, "unknown metric 'wall_tme', did you mean 'wall_time'?");
        args.metrics = "wall_time,";
        refuse(&args, PG_EUSAGE, "unknown metric ''");
        args.metrics = "a-name-that-is-longer-than-any-metric-could-be-and-than-the-room-for-one-is";
        refuse(&args, PG_EUSAGE, "unknown metric 'a-name");
}

#define LIMIT(metric, keys) "\"thresholds\":{\"" metric "\":{" keys "}}"

/* A limit on what nobody measures would be kept for ever. */
static void a_limit_asks_for_its_metric(void **state)
{
        (void)state;
        static const struct {
                const char *of_benchmark, *of_file, *option, *metrics;
                bool measured, required; // instructions, which are not measured by default
        } cases[] = {
                { "", "", NULL, NULL, false, false },
                { "", "," LIMIT("instructions", "\"max_increase\":\"1%\""), NULL, NULL, true, true },
                { "," LIMIT("instructions", "\"max\":5"), "", NULL, NULL, true, true },
                { "", "", "instructions=1%", NULL, true, true },
                { "", "," LIMIT("instructions", "\"max\":5,\"action\":\"ignore\""), NULL, NULL, false,
                  false },
                // a benchmark's list stands against the file's limits, not against its own or the option's
                { ",\"metrics\":[\"wall_time\"]", "," LIMIT("instructions", "\"max\":5"), NULL, NULL, false,
                  false },
                { ",\"metrics\":[\"wall_time\"]," LIMIT("instructions", "\"max\":5"), "", NULL, NULL, true,
                  true },
                { ",\"metrics\":[\"wall_time\"]", "", "instructions=1%", NULL, true, true },
                // --metrics is the last word
                { "", "," LIMIT("instructions", "\"max\":5"), NULL, "wall_time", false, false },
                { "", "", NULL, "instructions", true, true },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_plan_args args = PG_PLAN_ARGS_INIT;
                config(cases[i].of_benchmark, cases[i].of_file);
                args.metrics = cases[i].metrics;
                if (cases[i].option)
                        add(&args.thresholds, cases[i].option);
                PG_AUTO_PLAN struct pg_plan *p = make(&args);
                expect_metric(p, PG_INSTRUCTIONS, cases[i].measured, cases[i].required);
        }
}

/* A limit makes a metric required that is measured anyhow. */
static void a_limited_metric_is_required(void **state)
{
        (void)state;
        config("", "," LIMIT("allocations", "\"max\":5"));
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        PG_AUTO_PLAN struct pg_plan *p = make(&args);
        expect_metric(p, PG_ALLOCATIONS, true, true);
        expect_metric(p, PG_PEAK_HEAP, true, false);
}

static double limit_of(const struct pg_plan *p)
{
        return p->gates[0].thresholds.of[PG_ALLOCATIONS].max_increase.value;
}

static void the_closest_limit_holds(void **state)
{
        (void)state;
        static const char own[] = "," LIMIT("allocations", "\"max_increase\":\"3%\""),
                          files[] = "," LIMIT("allocations", "\"max_increase\":\"2%\"");
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        config("", "");
        struct pg_plan *p = make(&args);
        assert_near(limit_of(p), 0.01, 1e-12);
        pg_plan_destroy(p);
        config("", files);
        p = make(&args);
        assert_near(limit_of(p), 0.02, 1e-12);
        pg_plan_destroy(p);
        config(own, files);
        p = make(&args);
        assert_near(limit_of(p), 0.03, 1e-12);
        // of a benchmark that the file does not know
        assert_near(p->gate.thresholds.of[PG_ALLOCATIONS].max_increase.value, 0.02, 1e-12);
        pg_plan_destroy(p);
        add(&args.thresholds, "allocations=4%");
        p = make(&args);
        assert_near(limit_of(p), 0.04, 1e-12);
        pg_plan_destroy(p);
        add(&args.thresholds, "allocation=4%");
        refuse(&args, PG_EUSAGE, "--threshold: there is no metric 'allocation'");
}

static void filters_choose_by_name(void **state)
{
        (void)state;
        config("},{\"name\":\"b1\",\"command\":[\"true\"]},{\"name\":\"b2\",\"command\":[\"true\"]", "");
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        assert_true(pg_plan_selects(&args, "anything"));
        add(&args.filters, "b*");
        struct pg_plan *p = make(&args);
        assert_int_equal(p->n, 2);
        assert_string_equal(p->workloads[0].name, "b1");
        assert_string_equal(p->gates[1].name, "b2");
        pg_plan_destroy(p);
        add(&args.filters, "a");
        p = make(&args);
        assert_int_equal(p->n, 3);
        pg_plan_destroy(p);
        struct pg_plan_args none = PG_PLAN_ARGS_INIT;
        add(&none.filters, "c*");
        p = make(&none);
        assert_int_equal(p->n, 0);
        pg_plan_destroy(p);
}

static void what_to_measure_must_be_said_once(void **state)
{
        (void)state;
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        refuse(&args, PG_EUSAGE, "there is no perfgate.json here");
        args.config_path = "missing.json";
        refuse(&args, PG_EOS, "missing.json");
        args.command = (char **)command;
        refuse(&args, PG_EUSAGE, "use one");
}

static void limits_need_no_file_unless_one_is_named(void **state)
{
        (void)state;
        struct pg_option_list thresholds = { 0 };
        struct pg_error err = { 0 };
        struct pg_plan *p = NULL;
        add(&thresholds, "allocations=7%");
        assert_true(pg_plan_limits(NULL, &thresholds, &p, &err));
        assert_int_equal(p->gate.n_benchmarks, 0);
        assert_near(p->gate.thresholds.of[PG_ALLOCATIONS].max_increase.value, 0.07, 1e-12);
        assert_near(p->gate.thresholds.of[PG_PEAK_HEAP].max_increase.value, 0.05, 1e-12);
        pg_plan_destroy(p);
        config("," LIMIT("peak_heap", "\"max_increase\":\"9%\""), "");
        assert_true(pg_plan_limits(NULL, &thresholds, &p, &err));
        assert_int_equal(p->gate.n_benchmarks, 1);
        assert_near(p->gates[0].thresholds.of[PG_PEAK_HEAP].max_increase.value, 0.09, 1e-12);
        pg_plan_destroy(p);
        p = NULL;
        assert_false(pg_plan_limits("missing.json", &thresholds, &p, &err));
        assert_int_equal(err.code, PG_EOS);
        assert_int_equal(err.os_errno, ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_command_needs_no_file),           TEST(a_name_is_what_a_folder_may_be_called),
                TEST(options_lie_over_the_file),         TEST(named_metrics_are_required),
                TEST(a_limit_asks_for_its_metric),       TEST(a_limited_metric_is_required),
                TEST(the_closest_limit_holds),           TEST(filters_choose_by_name),
                TEST(what_to_measure_must_be_said_once), TEST(limits_need_no_file_unless_one_is_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
