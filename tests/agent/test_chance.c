// SPDX-License-Identifier: MIT
/*
 * test_chance.c - Poisson sampling over bytes: the functions against libm, and the estimates that come of it against
 * the truth, over as many seeds as make chance small.
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>

#include "runner/agent/chance.h"

static void functions_are_libms(void **state)
{
        (void)state;
        for (double x = 1e-9; x < 39; x *= 1.1) {
                assert_near(chance_exp_minus(x) / exp(-x), 1, 1e-8);
                assert_near(chance_hit(x) / -expm1(-x), 1, 1e-8);
        }
        for (double u = 1; u > 1e-16; u *= 0.93)
                assert_near(chance_minus_log(u), -log(u), 1e-7 * -log(u) + 1e-15);
        assert_near(chance_exp_minus(50), 0, 0);
}

/* A program's allocations: small ones, some of the interval's size, few beyond it. */
static uint64_t size_of(uint64_t *state)
{
        uint64_t r = chance_next(state);
        return r % 100 < 90 ? 16 + r % 500 : r % 100 < 99 ? 1000 + r % 6000 : 20000;
}

enum { INTERVAL_BYTES = 4096, ALLOCATIONS = 2000 };

struct estimate {
        double bytes, count; // as sampled
        double true_bytes;
};

static struct estimate run(uint64_t seed)
{
        struct estimate e = { 0 };
        uint64_t sizes = 12345, random = seed; // the same program, other chance
        int64_t until = chance_distance(INTERVAL_BYTES, &random);
        for (int i = 0; i < ALLOCATIONS; i++) {
                uint64_t n = size_of(&sizes);
                e.true_bytes += (double)n;
                if (!chance_passes(&until, n, INTERVAL_BYTES, &random))
                        continue;
                double p = chance_hit((double)n / INTERVAL_BYTES);
                e.bytes += (double)n / p;
                e.count += 1 / p;
        }
        return e;
}

/* The mean of 10,000 runs is the truth within four standard errors (1 chance in 16,000 for a right generator, and the
 * seeds are fixed); the 95 % interval from the estimate itself, with the variance of compare/sites.c (interval *
 * bytes at most), covers the truth in 95 % +- 2 of them, or more because that variance is a bound. */
static void estimates_are_unbiased_and_their_interval_covers(void **state)
{
        (void)state;
        enum { RUNS = 10000 };
        double bytes = 0, squares = 0, count = 0, counts = 0, truth = 0;
        int covered = 0;
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
                struct estimate e = run(seed << 20);
                truth = e.true_bytes;
                bytes += e.bytes / RUNS;
                squares += (e.bytes - truth) * (e.bytes - truth) / RUNS;
                count += e.count / RUNS;
                counts += (e.count - ALLOCATIONS) * (e.count - ALLOCATIONS) / RUNS;
                covered += fabs(e.bytes - truth) <= 1.96 * sqrt(INTERVAL_BYTES * e.bytes);
        }
        printf("%.0f bytes: mean %.0f, deviation %.2f %%, covered %.2f %%\n", truth, bytes,
               100 * sqrt(squares) / truth, 100.0 * covered / RUNS);
        assert_near(bytes, truth, 4 * sqrt(squares / RUNS));
        assert_near(count, ALLOCATIONS, 4 * sqrt(counts / RUNS));
        assert_true(covered >= 0.93 * RUNS);
        assert_true(squares <= INTERVAL_BYTES * truth);
}

/* Blocks far smaller than the interval: the bound is tight, and so is the interval. */
static void the_interval_of_small_blocks_is_tight(void **state)
{
        (void)state;
        enum { RUNS = 10000, BLOCKS = 20000, BYTES = 32 };
        int covered = 0;
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
                uint64_t random = seed << 20;
                int64_t until = chance_distance(INTERVAL_BYTES, &random);
                double bytes = 0;
                for (int i = 0; i < BLOCKS; i++)
                        if (chance_passes(&until, BYTES, INTERVAL_BYTES, &random))
                                bytes += BYTES / chance_hit((double)BYTES / INTERVAL_BYTES);
                covered += fabs(bytes - BYTES * BLOCKS) <= 1.96 * sqrt(INTERVAL_BYTES * bytes);
        }
        printf("covered %.2f %%\n", 100.0 * covered / RUNS);
        assert_near(100.0 * covered / RUNS, 95, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(functions_are_libms),
                cmocka_unit_test(estimates_are_unbiased_and_their_interval_covers),
                cmocka_unit_test(the_interval_of_small_blocks_is_tight),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
