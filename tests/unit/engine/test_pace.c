// SPDX-License-Identifier: MIT
/*
 * test_pace.c - points in CPU time. Expected values are by hand: one point in each period, anywhere in it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "runner/engine/pace.h"

enum { PERIOD = 1000 };

static void a_whole_period_has_one_point(void **state)
{
        (void)state;
        uint64_t random = 1;
        for (uint64_t start = 0; start < 5000; start += 77) {
                struct pg_pace p = pg_pace_start(start, PERIOD, &random);
                for (uint64_t i = 1; i <= 100; i++)
                        assert_int_equal(pg_pace_take(&p, start + i * PERIOD - 1, PERIOD, &random), 1);
        }
}

static void a_long_time_has_as_many_points_as_periods(void **state)
{
        (void)state;
        uint64_t random = 2;
        struct pg_pace p = pg_pace_start(0, PERIOD, &random);
        assert_int_equal(pg_pace_take(&p, 1000000ull * PERIOD - 1, PERIOD, &random), 1000000);
        assert_int_equal(pg_pace_take(&p, 1000000ull * PERIOD - 1, PERIOD, &random), 0);
        assert_int_equal(pg_pace_take(&p, 1000005ull * PERIOD - 1, PERIOD, &random), 5);
}

/* Looking often or seldom makes no difference to the sum, and nothing is taken before it is due. */
static void points_are_taken_once(void **state)
{
        (void)state;
        uint64_t random = 3;
        struct pg_pace p = pg_pace_start(0, PERIOD, &random);
        uint64_t sum = 0, now = 0;
        for (int i = 0; i < 10000; i++) {
                now += pg_pace_draw(&random, 5 * PERIOD);
                uint64_t due = p.due_ns, n = pg_pace_take(&p, now, PERIOD, &random);
                assert_int_equal(n > 0, due <= now);
                assert_true(p.due_ns > now);
                sum += n;
        }
        assert_true(sum == now / PERIOD || sum == now / PERIOD + 1);
}

/* Lives of a quarter of a period: 10,000 of them have 2,500 points; the deviation is the root of 10,000 /
 * 4 * 3 / 4, and five of those are 217. */
static void short_lives_have_their_part(void **state)
{
        (void)state;
        uint64_t random = 4, sum = 0;
        for (int i = 0; i < 10000; i++) {
                struct pg_pace p = pg_pace_start(12345, PERIOD, &random);
                sum += pg_pace_take(&p, 12345 + PERIOD / 4, PERIOD, &random);
        }
        assert_in_range(sum, 2500 - 217, 2500 + 217);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_whole_period_has_one_point),
                cmocka_unit_test(a_long_time_has_as_many_points_as_periods),
                cmocka_unit_test(points_are_taken_once),
                cmocka_unit_test(short_lives_have_their_part),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
