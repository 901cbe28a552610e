// SPDX-License-Identifier: MIT
/*
 * test_units.c - numbers with units; expected values by hand.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/base/units.h"

static void sizes_are_read_in_binary_and_decimal_units(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                uint64_t want;
        } good[] = {
                { "512", 512 },
                { "1KiB", 1024 },
                { "150MiB", 157286400 },
                { "1.5 MiB", 1572864 },
                { "10 kB", 10000 },
                { "2GB", 2000000000 },
                { "0", 0 },
                { "1TiB", 1099511627776 },
        };
        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                struct pg_error err = { 0 };
                uint64_t got;
                assert_true(pg_parse_size(good[i].text, &got, &err));
                assert_int_equal(got, good[i].want);
        }
        static const char *const bad[] = { "",    "MiB", "-1",   "1 mib",       "1e3", "0x10",  "nan",
                                           "inf", "1.",  "1..2", "99999999TiB", "5%",  "1 MiB " };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error err = { 0 };
                uint64_t got = 77;
                assert_false(pg_parse_size(bad[i], &got, &err));
                assert_int_equal(err.code, PG_EUSAGE);
                assert_int_equal(got, 77);
        }
}

static void durations_need_a_unit(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        uint64_t ns;
        assert_true(pg_parse_duration("60s", &ns, &err));
        assert_int_equal(ns, 60000000000);
        assert_true(pg_parse_duration("1.5s", &ns, &err));
        assert_int_equal(ns, 1500000000);
        assert_true(pg_parse_duration("2m", &ns, &err));
        assert_int_equal(ns, 120000000000);
        static const char *const bad[] = { "60", "0s", "-1s", "400000h", "s", "" };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error e = { 0 };
                assert_false(pg_parse_duration(bad[i], &ns, &e));
                assert_int_equal(e.code, PG_EUSAGE);
        }
}

static void counts_reject_signs_and_overflow(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        uint64_t n;
        assert_true(pg_parse_count("18446744073709551615", &n, &err));
        assert_true(n == UINT64_MAX);
        static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "18446744073709551616", "0x1", "1.0" };
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pg_error e = { 0 };
                assert_false(pg_parse_count(bad[i], &n, &e));
        }
}

static void people_see_three_significant_digits(void **state)
{
        (void)state;
        char s[PG_NUMBER_MAX];
        assert_string_equal(pg_format_count(0, s), "0");
        assert_string_equal(pg_format_count(999, s), "999");
        assert_string_equal(pg_format_count(1234567, s), "1,234,567");
        assert_string_equal(pg_format_count(UINT64_MAX, s), "18,446,744,073,709,551,615");
        assert_string_equal(pg_format_size(1023, s), "1023 B");
        assert_string_equal(pg_format_size(1024, s), "1.00 KiB");
        assert_string_equal(pg_format_size(157286400, s), "150 MiB");
        assert_string_equal(pg_format_size(UINT64_MAX, s), "16.0 EiB");
        assert_string_equal(pg_format_duration(999, s), "999 ns");
        assert_string_equal(pg_format_duration(1230000, s), "1.23 ms");
        assert_string_equal(pg_format_duration(200000000000, s), "3 m 20 s");
        assert_string_equal(pg_format_change(0.0523, s), "+5.23 %");
        assert_string_equal(pg_format_change(-0.5, s), "-50.0 %");
        assert_string_equal(pg_format_change(0, s), "=");
        assert_string_equal(pg_format_change(0.00001, s), "< +0.01 %");
        assert_string_equal(pg_format_change(INFINITY, s), "new");
}

static void the_nearest_word_is_named_only_when_it_is_near(void **state)
{
        (void)state;
        static const char *const words[] = { "run", "compare", "baseline", "top", NULL };
        assert_string_equal(pg_nearest("comapre", words), "compare");
        assert_string_equal(pg_nearest("rnu", words), "run");
        assert_string_equal(pg_nearest("basline", words), "baseline");
        assert_null(pg_nearest("xyzzy", words));
        assert_null(pg_nearest("", words));
        char far[501]; // a third of its length is more than any word here has
        memset(far, 'r', sizeof(far) - 1);
        far[sizeof(far) - 1] = '\0';
        assert_null(pg_nearest(far, words));
}

static void one_of_a_thing_has_no_s(void **state)
{
        (void)state;
        assert_string_equal(pg_plural(1), "");
        assert_string_equal(pg_plural(0), "s");
        assert_string_equal(pg_plural(2), "s");
        assert_string_equal(pg_plural((1ull << 32) + 1), "s");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes_are_read_in_binary_and_decimal_units),
                cmocka_unit_test(durations_need_a_unit),
                cmocka_unit_test(counts_reject_signs_and_overflow),
                cmocka_unit_test(people_see_three_significant_digits),
                cmocka_unit_test(the_nearest_word_is_named_only_when_it_is_near),
                cmocka_unit_test(one_of_a_thing_has_no_s),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
