// SPDX-License-Identifier: MIT
/*
 * test_config.c - what perfgate.json says reaches the structs, with defaults and paths in place.
 */
#include "tests/unit/assert_near.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/config/config.h"
#include "runner/base/buf.h"
#include "tests/unit/fixture_cases.h"

static struct pg_config *parse_as(const char *name, const char *text)
{
        struct pg_error err = { 0 };
        struct pg_config *c = NULL;
        if (!pg_config_parse(name, text, strlen(text), &c, &err))
                fail_msg("%s", err.text);
        return c;
}

/* The example of the user's documentation, word by word. */
static const char example[] =
        "{\n"
        "  \"$schema\": \"perfgate-config-v1.schema.json\",\n"
        "  \"benchmarks\": [\n"
        "    {\n"
        "      \"name\": \"parse-large\",\n"
        "      \"command\": [\"./build/parse\", \"fixtures/large.json\"],\n"
        "      \"cwd\": \".\", \"env\": {\"LC_ALL\": \"C\"}, \"stdin\": null,\n"
        "      \"runs\": 5, \"warmup\": 1, \"timeout\": \"60s\", \"expect_exit\": 0,\n"
        "      \"metrics\": [\"allocations\", \"peak_heap\", \"cpu_share\"],\n"
        "      \"thresholds\": { \"allocations\": { \"max_increase\": \"0%\" } }\n"
        "    }\n"
        "  ],\n"
        "  \"thresholds\": {\n"
        "    \"allocations\": { \"max_increase\": \"1%\",  \"max\": 15000 },\n"
        "    \"peak_heap\":   { \"max_increase\": \"5%\",  \"max\": \"150MiB\" },\n"
        "    \"cpu_share\":   { \"max_increase\": \"5pp\", \"min_share\": \"2%\",\n"
        "                     \"functions\": { \"sha256_*\": { \"max\": \"30%\" } } },\n"
        "    \"cpu_time\":    { \"max_increase\": \"10%\", \"action\": \"warn\" }\n"
        "  }\n"
        "}\n";

static void assert_bound(struct pg_bound got, enum pg_limit_form form, double value)
{
        assert_int_equal(got.form, form);
        assert_near(got.value, value, 1e-12);
}

static void the_documented_example_means_what_it_says(void **state)
{
        (void)state;
        PG_AUTO_CONFIG struct pg_config *c = parse_as("perfgate.json", example);
        assert_int_equal(c->n_benchmarks, 1);
        const struct pg_workload *w = &c->benchmarks[0].workload;
        assert_string_equal(w->name, "parse-large");
        assert_string_equal(w->command[0], "./build/parse");
        assert_string_equal(w->command[1], "fixtures/large.json");
        assert_null(w->command[2]);
        assert_string_equal(w->cwd, ".");
        assert_string_equal(w->env[0], "LC_ALL=C");
        assert_null(w->env[1]);
        assert_null(w->stdin_path);
        assert_int_equal(w->runs, 5);
        assert_int_equal(w->warmup, 1);
        assert_int_equal(w->timeout_ns, 60000000000);
        assert_int_equal(w->expect_exit, 0);
        assert_true(c->benchmarks[0].names_metrics);
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                assert_int_equal(w->metrics[i],
                                 i == PG_ALLOCATIONS || i == PG_PEAK_HEAP || i == PG_CPU_SHARE);
}

static void the_documented_limits_mean_what_they_say(void **state)
{
        (void)state;
        PG_AUTO_CONFIG struct pg_config *c = parse_as("perfgate.json", example);
        const struct pg_thresholds *own = &c->benchmarks[0].thresholds, *all = &c->thresholds;
        assert_bound(own->of[PG_ALLOCATIONS].max_increase, PG_LIMIT_RELATIVE, 0);
        assert_int_equal(own->of[PG_ALLOCATIONS].max.form, PG_LIMIT_NONE); // merging is not done here
        assert_true(own->set[PG_ALLOCATIONS] && !own->set[PG_PEAK_HEAP]);
        assert_bound(all->of[PG_ALLOCATIONS].max_increase, PG_LIMIT_RELATIVE, 0.01);
        assert_bound(all->of[PG_ALLOCATIONS].max, PG_LIMIT_ABSOLUTE, 15000);
        assert_bound(all->of[PG_PEAK_HEAP].max, PG_LIMIT_ABSOLUTE, 150 * 1048576.0);
        const struct pg_threshold *share = &all->of[PG_CPU_SHARE];
        assert_bound(share->max_increase, PG_LIMIT_POINTS, 5);
        assert_true(share->has_min_share);
        assert_near(share->min_share_ratio, 0.02, 1e-12);
        assert_int_equal(share->n_functions, 1);
        assert_string_equal(share->functions[0].glob, "sha256_*");
        assert_bound(share->functions[0].threshold.max, PG_LIMIT_POINTS, 30);
        assert_true(all->of[PG_CPU_TIME].has_action && all->of[PG_CPU_TIME].action == PG_ACTION_WARN);
        assert_false(all->of[PG_ALLOCATIONS].has_action || all->set[PG_WALL_TIME]);
}

static void what_is_not_said_has_the_documented_default(void **state)
{
        (void)state;
        PG_AUTO_CONFIG struct pg_config *c =
                parse_as("perfgate.json", "{\"benchmarks\":[{\"name\":\"n\",\"command\":[\"true\"]}]}");
        const struct pg_workload *w = &c->benchmarks[0].workload;
        assert_int_equal(w->runs, PG_DEFAULT_RUNS);
        assert_int_equal(w->warmup, PG_DEFAULT_WARMUP);
        assert_int_equal(w->timeout_ns, PG_DEFAULT_TIMEOUT_NS);
        assert_int_equal(w->expect_exit, 0);
        assert_string_equal(w->cwd, ".");
        assert_null(w->env);
        assert_null(w->stdin_path);
        assert_null(w->allocator_wrappers);
        assert_false(c->benchmarks[0].names_metrics);
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                assert_int_equal(w->metrics[i], pg_metrics[i].on_by_default);
                assert_false(c->thresholds.set[i] || c->benchmarks[0].thresholds.set[i]);
        }
}

static void assert_wrappers(const struct pg_config *c, size_t benchmark, const char *const *want)
{
        const char *const *got = c->benchmarks[benchmark].workload.allocator_wrappers;
        assert_non_null(got);
        for (; *want; got++, want++) {
                assert_non_null(*got);
                assert_string_equal(*got, *want);
        }
        assert_null(*got);
}

static void wrappers_of_the_file_and_the_benchmark_add_up(void **state)
{
        (void)state;
        PG_AUTO_CONFIG struct pg_config *c =
                parse_as("perfgate.json", "{\"benchmarks\":["
                                          "{\"name\":\"a\",\"command\":[\"x\"]},"
                                          "{\"name\":\"b\",\"command\":[\"x\"],"
                                          "\"allocator_wrappers\":[\"own_*\",\"pool_new\",\"last\"]}],"
                                          "\"allocator_wrappers\":[\"pool_new\",\"*_alloc\"]}");
        assert_wrappers(c, 0, (const char *const[]){ "pool_new", "*_alloc", NULL });
        assert_wrappers(c, 1, (const char *const[]){ "pool_new", "*_alloc", "own_*", "last", NULL });
}

static void wrappers_of_one_benchmark_are_its_own(void **state)
{
        (void)state;
        PG_AUTO_CONFIG struct pg_config *c = parse_as("perfgate.json", "{\"benchmarks\":["
                                                                       "{\"name\":\"a\",\"command\":[\"x\"],"
                                                                       "\"allocator_wrappers\":[\"own_*\"]},"
                                                                       "{\"name\":\"b\",\"command\":[\"x\"],"
                                                                       "\"allocator_wrappers\":[]}]}");
        assert_wrappers(c, 0, (const char *const[]){ "own_*", NULL });
        assert_null(c->benchmarks[1].workload.allocator_wrappers);
}

/* By hand. Folder of the file, cwd and program as written; cwd, program and standard input as they come out.
 */
static const struct {
        const char *file, *cwd, *program, *want_cwd, *want_program, *want_stdin;
} placed[] = {
        { "perfgate.json", ".", "./x", ".", "./x", "in" },
        { "perfgate.json", "sub", "./x", "sub", ".././x", "in" },
        { "perfgate.json", "sub/./deep/", "bin/x", "sub/./deep/", "../../bin/x", "in" },
        { "perfgate.json", "sub", "x", "sub", "x", "in" },
        { "perfgate.json", "sub", "/bin/x", "sub", "/bin/x", "in" },
        { "a/b/perfgate.json", ".", "./x", "a/b", "./x", "a/b/in" },
        { "a/b/perfgate.json", "sub", "./x", "a/b/sub", ".././x", "a/b/in" },
        { "/perfgate.json", "sub", "x", "/sub", "x", "/in" },
        { "/proc/perfgate.json", "..", "self/exe", "/proc/..", "/proc/self/exe", "/proc/in" },
        { "/proc/perfgate.json", "/tmp", "self/exe", "/tmp", "/proc/self/exe", "/proc/in" },
};

static void paths_are_relative_to_the_folder_of_the_file(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(placed) / sizeof(placed[0]); i++) {
                char text[256];
                snprintf(text, sizeof(text),
                         "{\"benchmarks\":[{\"name\":\"n\",\"command\":[\"%s\",\"./arg\"],\"cwd\":\"%s\","
                         "\"stdin\":\"in\"}]}",
                         placed[i].program, placed[i].cwd);
                PG_AUTO_CONFIG struct pg_config *c = parse_as(placed[i].file, text);
                const struct pg_workload *w = &c->benchmarks[0].workload;
                assert_string_equal(w->cwd, placed[i].want_cwd);
                assert_string_equal(w->command[0], placed[i].want_program);
                assert_string_equal(w->command[1], "./arg");
                assert_string_equal(w->stdin_path, placed[i].want_stdin);
        }
}

static void assert_load_fails(const char *path, enum pg_code code, int os_errno, const char *part)
{
        struct pg_error err = { 0 };
        struct pg_config *c = NULL;
        assert_false(pg_config_load(path, &c, &err));
        assert_null(c);
        assert_int_equal(err.code, code);
        assert_int_equal(err.os_errno, os_errno);
        if (strncmp(err.text, path, strlen(path)) != 0 || !strstr(err.text, part))
                fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void what_is_no_readable_file_is_named(void **state)
{
        (void)state;
        char path[] = "/tmp/perfgate-test-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0 && ftruncate(fd, (4 << 20) + 1) == 0);
        close(fd);
        assert_load_fails(path, PG_EUSAGE, 0, "at most 4 MiB");
        assert_int_equal(unlink(path), 0);
        assert_load_fails(path, PG_EOS, ENOENT, "No such file");
        assert_load_fails("fixtures", PG_EUSAGE, 0, "is a directory");
}

/* 4 MiB of whatever nests or repeats is read or refused in time linear in it, or nearly. */
static void large_configurations_end(void **state)
{
        (void)state;
        enum { N = 100000 };
        PG_AUTO_BUF struct pg_buf b = { 0 };
        pg_buf_puts(&b, "{\"benchmarks\":[{\"name\":\"n\",\"command\":[\"x\"],\"env\":{");
        for (int i = 0; i < N; i++)
                pg_buf_printf(&b, "%s\"v%d\":\"\"", i ? "," : "", i);
        pg_buf_puts(&b, "}}]}");
        PG_AUTO_CONFIG struct pg_config *c = parse_as("perfgate.json", b.data);
        assert_string_equal(c->benchmarks[0].workload.env[N - 1], "v99999=");
        assert_null(c->benchmarks[0].workload.env[N]);
}

static bool read_config(const char *name, const char *text, size_t len, struct pg_error *err)
{
        PG_AUTO_CONFIG struct pg_config *c = NULL;
        return pg_config_parse(name, text, len, &c, err);
}

static void every_valid_fixture_is_read(void **state)
{
        (void)state;
        assert_int_equal(run_cases("fixtures/configs/valid", true, read_config), 0);
}

static void every_invalid_fixture_gives_its_error(void **state)
{
        (void)state;
        assert_int_equal(run_cases("fixtures/configs/invalid", false, read_config), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_documented_example_means_what_it_says),
                cmocka_unit_test(the_documented_limits_mean_what_they_say),
                cmocka_unit_test(what_is_not_said_has_the_documented_default),
                cmocka_unit_test(wrappers_of_the_file_and_the_benchmark_add_up),
                cmocka_unit_test(wrappers_of_one_benchmark_are_its_own),
                cmocka_unit_test(paths_are_relative_to_the_folder_of_the_file),
                cmocka_unit_test(what_is_no_readable_file_is_named),
                cmocka_unit_test(large_configurations_end),
                cmocka_unit_test(every_valid_fixture_is_read),
                cmocka_unit_test(every_invalid_fixture_gives_its_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
