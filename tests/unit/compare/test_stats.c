// SPDX-License-Identifier: MIT
/*
 * test_stats.c - median, range and standard error; expected values by hand.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>

#include "compare/stats.h"

static void median_and_range_of_hand_counted_samples(void **state)
{
        (void)state;
        static const struct {
                double x[5];
                size_t n;
                double median, min, max;
        } cases[] = {
                { { 7 }, 1, 7, 7, 7 },
                { { 3, 1 }, 2, 2, 1, 3 },
                { { 3, 1, 2 }, 3, 2, 1, 3 },
                { { 5, 5, 5, 5 }, 4, 5, 5, 5 },
                { { 9, 1, 3, 5 }, 4, 4, 1, 9 },
                { { 1, 2, 3, 4, 100 }, 5, 3, 1, 100 },
                { { 4503599627370495, 4503599627370496 },
                  2,
                  4503599627370495.5,
                  4503599627370495,
                  4503599627370496 },
                { { 1.7e308, 1.7e308 }, 2, 1.7e308, 1.7e308, 1.7e308 }, // the sum of both is infinite
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                double x[5];
                for (size_t k = 0; k < cases[i].n; k++)
                        x[k] = cases[i].x[k];
                struct pg_spread s = pg_spread_of(x, cases[i].n);
                assert_near(s.median, cases[i].median, 0);
                assert_near(s.min, cases[i].min, 0);
                assert_near(s.max, cases[i].max, 0);
        }
}

static void no_sample_and_nan_give_nan(void **state)
{
        (void)state;
        double x[] = { 2, NAN, 1 };
        assert_true(isnan(pg_spread_of(x, 0).median));
        struct pg_spread s = pg_spread_of(x, 3);
        assert_true(isnan(s.median) && isnan(s.min) && isnan(s.max));
        assert_near(x[0], 2, 0);
        assert_near(x[2], 1, 0);
}

/* 0 to 999 in an order that is neither sorted nor reversed: 7 and 1,000 have no common factor. */
static void many_samples_are_sorted_like_few(void **state)
{
        (void)state;
        double x[1000];
        for (size_t i = 0; i < 1000; i++)
                x[i] = (double)(i * 7 % 1000);
        struct pg_spread s = pg_spread_of(x, 1000);
        assert_near(s.median, 499.5, 0);
        assert_near(s.max, 999, 0);
        for (size_t i = 0; i < 1000; i++)
                assert_near(x[i], (double)i, 0);
}

/* p = 0.3: sqrt(0.3 * 0.7 * (1/1000 + 1/1000)) = sqrt(0.00042). */
static void error_of_two_proportions(void **state)
{
        (void)state;
        assert_near(pg_proportion_error(0.2, 1000, 0.4, 1000), sqrt(0.00042), 1e-15);
        assert_near(pg_proportion_error(0, 10, 0, 20), 0, 0);
        assert_near(pg_proportion_error(1, 10, 1, 20), 0, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(median_and_range_of_hand_counted_samples),
                cmocka_unit_test(no_sample_and_nan_give_nan),
                cmocka_unit_test(many_samples_are_sorted_like_few),
                cmocka_unit_test(error_of_two_proportions),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
