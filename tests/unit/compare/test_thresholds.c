// SPDX-License-Identifier: MIT
/*
 * test_thresholds.c - limits as people write them; expected values by hand from the meaning of the words.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "compare/thresholds.h"

static void a_rise_is_relative_absolute_or_in_points(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                enum pg_metric metric;
                enum pg_limit_form form;
                double value;
        } good[] = {
                { "5%", PG_ALLOCATIONS, PG_LIMIT_RELATIVE, 0.05 },
                { "+5 %", PG_ALLOCATIONS, PG_LIMIT_RELATIVE, 0.05 },
                { "0%", PG_CPU_TIME, PG_LIMIT_RELATIVE, 0 },
                { "99.999999%", PG_PEAK_HEAP, PG_LIMIT_RELATIVE, 0.99999999 },
                { "+105%", PG_PEAK_HEAP, PG_LIMIT_RELATIVE, 1.05 },
                { "15000", PG_ALLOCATIONS, PG_LIMIT_ABSOLUTE, 15000 },
                { "0", PG_LEAKED_BYTES, PG_LIMIT_ABSOLUTE, 0 },
                { "+1", PG_ALLOCATIONS, PG_LIMIT_ABSOLUTE, 1 },
                { "150MiB", PG_PEAK_HEAP, PG_LIMIT_ABSOLUTE, 157286400 },
                { "1.5MiB", PG_PEAK_RSS, PG_LIMIT_ABSOLUTE, 1572864 },
                { "10ms", PG_WALL_TIME, PG_LIMIT_ABSOLUTE, 1e7 },
                { "15000", PG_CPU_TIME, PG_LIMIT_ABSOLUTE, 15000 },
                { "5pp", PG_CPU_SHARE, PG_LIMIT_POINTS, 5 },
                { "0.5 pp", PG_CPU_SHARE, PG_LIMIT_POINTS, 0.5 },
        };
        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                struct pg_error err = { 0 };
                struct pg_bound got = { 0 };
                if (!pg_parse_max_increase(good[i].text, good[i].metric, &got, &err))
                        fail_msg("%s: %s", good[i].text, err.text);
                assert_int_equal(got.form, good[i].form);
                assert_near(got.value, good[i].value, 1e-15);
        }
}

/* Each text with words that its message must hold: what to write instead. */
static void what_could_be_misread_is_refused_with_what_to_write(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                enum pg_metric metric;
                const char *hint;
        } bad[] = {
                { "1.05", PG_ALLOCATIONS, "\"5%\"" },
                { "0.05", PG_PEAK_HEAP, "\"5%\"" },
                { "105%", PG_ALLOCATIONS, "\"+105%\"" },
                { "105%", PG_ALLOCATIONS, "\"5%\"" },
                { "100%", PG_ALLOCATIONS, "\"+100%\"" },
                { "-5%", PG_ALLOCATIONS, "negative" },
                { "5pp", PG_ALLOCATIONS, "\"5%\"" },
                { "5%", PG_CPU_SHARE, "\"5pp\"" },
                { "5", PG_CPU_SHARE, "\"5pp\"" },
                { "101pp", PG_CPU_SHARE, "0 to 100" },
                { "10ms", PG_PEAK_HEAP, "150MiB" },
                { "10MiB", PG_WALL_TIME, "30s" },
                { "10MiB", PG_ALLOCATIONS, "whole number" },
                { "nan", PG_ALLOCATIONS, "\"5%\"" },
                { "inf%", PG_ALLOCATIONS, "\"5%\"" },
                { "", PG_ALLOCATIONS, "\"5%\"" },
                { "%", PG_ALLOCATIONS, "\"5%\"" },
                { "5 % ", PG_ALLOCATIONS, "whole number" },
                { "5%%", PG_ALLOCATIONS, "whole number" },
                { "1e9", PG_ALLOCATIONS, "whole number" },
                { "0.1234567%", PG_ALLOCATIONS, "6 decimals" },
                { "+1000001%", PG_ALLOCATIONS, "+1000000%" },
                { "9007199254740993000", PG_ALLOCATIONS, "too large" },
        };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error err = { 0 };
                struct pg_bound got = { PG_LIMIT_POINTS, 77 };
                if (pg_parse_max_increase(bad[i].text, bad[i].metric, &got, &err))
                        fail_msg("'%s' was taken as %g", bad[i].text, got.value);
                assert_int_equal(err.code, PG_EUSAGE);
                if (!strstr(err.text, bad[i].hint))
                        fail_msg("'%s': \"%s\" does not say %s", bad[i].text, err.text, bad[i].hint);
                assert_near(got.value, 77, 0); // written on success only
        }
}

static void a_highest_value_is_absolute_or_a_share(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_bound b;
        assert_true(pg_parse_max("15000", PG_ALLOCATIONS, &b, &err));
        assert_int_equal(b.form, PG_LIMIT_ABSOLUTE);
        assert_near(b.value, 15000, 0);
        assert_true(pg_parse_max("30%", PG_CPU_SHARE, &b, &err));
        assert_int_equal(b.form, PG_LIMIT_POINTS);
        assert_near(b.value, 30, 0);
        static const struct {
                const char *text;
                enum pg_metric metric;
                const char *hint;
        } bad[] = {
                { "5%", PG_ALLOCATIONS, "max_increase" }, { "1.5", PG_ALLOCATIONS, "ratio" },
                { "30", PG_CPU_SHARE, "\"30%\"" },        { "101%", PG_CPU_SHARE, "0 to 100" },
                { "-1", PG_PEAK_HEAP, "negative" },       { "", PG_WALL_TIME, "10ms" },
        };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error e = { 0 };
                assert_false(pg_parse_max(bad[i].text, bad[i].metric, &b, &e));
                if (!strstr(e.text, bad[i].hint))
                        fail_msg("'%s': \"%s\" does not say %s", bad[i].text, e.text, bad[i].hint);
        }
}

static void shares_and_actions_are_read(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        double ratio;
        enum pg_action action;
        assert_true(pg_parse_share("2%", &ratio, &err));
        assert_near(ratio, 0.02, 1e-17);
        assert_true(pg_parse_share("100%", &ratio, &err));
        assert_true(pg_parse_action("ignore", &action, &err));
        assert_int_equal(action, PG_ACTION_IGNORE);
        static const char *const bad[] = { "2", "101%", "-1%", "", "+2%", "2pp" };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error e = { 0 };
                assert_false(pg_parse_share(bad[i], &ratio, &e));
        }
        assert_false(pg_parse_action("wran", &action, &err));
        assert_non_null(strstr(err.text, "\"warn\""));
}

static void an_inner_object_overrides_key_by_key(void **state)
{
        (void)state;
        struct pg_function_threshold f = { .glob = "sha256_*" };
        struct pg_threshold outer = { .max_increase = { PG_LIMIT_RELATIVE, 0.01 },
                                      .max = { PG_LIMIT_ABSOLUTE, 100 },
                                      .functions = &f,
                                      .n_functions = 1 };
        struct pg_threshold inner = { .max = { PG_LIMIT_ABSOLUTE, 50 },
                                      .has_action = true,
                                      .action = PG_ACTION_IGNORE };
        struct pg_threshold t = pg_threshold_merge(&outer, &inner);
        assert_near(t.max_increase.value, 0.01, 0);
        assert_near(t.max.value, 50, 0);
        assert_int_equal(t.action, PG_ACTION_IGNORE);
        assert_ptr_equal(t.functions, &f);
}

static void a_named_limit_replaces_a_default_that_only_warns(void **state)
{
        (void)state;
        struct pg_thresholds file = { 0 };
        file.set[PG_WALL_TIME] = file.set[PG_CPU_TIME] = file.set[PG_ALLOCATIONS] = true;
        file.of[PG_WALL_TIME].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 1e9 };
        file.of[PG_CPU_TIME].has_action = true; // "action": "fail" and no limit: the default's 10 % fails
        file.of[PG_ALLOCATIONS].max = (struct pg_bound){ PG_LIMIT_ABSOLUTE, 10 };
        struct pg_thresholds t = pg_thresholds_merge(&pg_default_thresholds, &file);
        assert_int_equal(t.of[PG_WALL_TIME].action, PG_ACTION_FAIL);
        assert_int_equal(t.of[PG_WALL_TIME].max_increase.form, PG_LIMIT_NONE);
        assert_int_equal(t.of[PG_CPU_TIME].action, PG_ACTION_FAIL);
        assert_near(t.of[PG_CPU_TIME].max_increase.value, 0.10, 0);
        assert_near(t.of[PG_ALLOCATIONS].max_increase.value, 0.01, 0);
        assert_int_equal(t.of[PG_PEAK_RSS].action, PG_ACTION_WARN);

        /* A benchmark's limit over a file that says "warn" keeps the file's word. */
        file.of[PG_WALL_TIME].has_action = true;
        file.of[PG_WALL_TIME].action = PG_ACTION_WARN;
        struct pg_thresholds own = { 0 };
        own.set[PG_WALL_TIME] = true;
        own.of[PG_WALL_TIME].max_increase = (struct pg_bound){ PG_LIMIT_RELATIVE, 0.2 };
        t = pg_thresholds_merge(&pg_default_thresholds, &file);
        t = pg_thresholds_merge(&t, &own);
        assert_int_equal(t.of[PG_WALL_TIME].action, PG_ACTION_WARN);
        assert_near(t.of[PG_WALL_TIME].max.value, 1e9, 0);
}

static void the_command_line_overrides_a_limit(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_thresholds t = pg_default_thresholds;
        assert_true(pg_thresholds_override(&t, "cpu_share=3pp", &err));
        assert_near(t.of[PG_CPU_SHARE].max_increase.value, 3, 0);
        assert_near(t.of[PG_CPU_SHARE].min_share_ratio, 0.02, 0);
        assert_true(t.set[PG_CPU_SHARE]);
        assert_true(pg_thresholds_override(&t, "cpu_time=50%", &err));
        assert_int_equal(t.of[PG_CPU_TIME].action, PG_ACTION_FAIL);
        static const struct {
                const char *text, *hint;
        } bad[] = { { "allocation=1%", "\"allocations\"" },
                    { "allocations", "METRIC=LIMIT" },
                    { "=1%", "METRIC=LIMIT" },
                    { "allocations=1.05", "allocations: '1.05'" },
                    { "xyzzy=1%", "no metric" } };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error e = { 0 };
                assert_false(pg_thresholds_override(&t, bad[i].text, &e));
                assert_int_equal(e.code, PG_EUSAGE);
                if (!strstr(e.text, bad[i].hint))
                        fail_msg("'%s': \"%s\" does not say %s", bad[i].text, e.text, bad[i].hint);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_rise_is_relative_absolute_or_in_points),
                cmocka_unit_test(what_could_be_misread_is_refused_with_what_to_write),
                cmocka_unit_test(a_highest_value_is_absolute_or_a_share),
                cmocka_unit_test(shares_and_actions_are_read),
                cmocka_unit_test(an_inner_object_overrides_key_by_key),
                cmocka_unit_test(a_named_limit_replaces_a_default_that_only_warns),
                cmocka_unit_test(the_command_line_overrides_a_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
