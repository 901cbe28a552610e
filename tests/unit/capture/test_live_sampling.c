// SPDX-License-Identifier: MIT
/*
 * test_live_sampling.c - which blocks are in the sample: estimates over dense heaps are the truth at every level, mixed
 * sizes and equal ones, and a level's sample is part of that of the level below.
 */
#include "tests/unit/assert_near.h"

#include "runner/capture/live_sampling.h"

enum { BLOCKS = 400000, LEVELS = 11 };

static uint64_t state;

/* Sizes as malloc_usable_size tells them, blocks one behind another with its word in between. */
static uint64_t draw_bytes(void)
{
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t r = state >> 33;
        return 24 + 16 * (r % 10 < 9 ? r / 10 % 8 : r / 10 % 90);
}

struct sums {
        double bytes, true_bytes, blocks, variance_bytes2, variance_blocks2;
};

static struct sums estimate(uint64_t address, uint32_t level)
{
        struct sums s = { 0 };
        state = address + level;
        for (int i = 0; i < BLOCKS; i++) {
                uint64_t n = draw_bytes();
                double p = pg_live_probability(n, level);
                assert_true(p > 0 && p <= 1);
                s.true_bytes += (double)n;
                s.variance_bytes2 += (double)n * (double)n * (1 - p) / p;
                s.variance_blocks2 += (1 - p) / p;
                if (pg_live_is_hit(address, n, level)) {
                        s.bytes += (double)n / p;
                        s.blocks += 1 / p;
                }
                address += n + 8;
        }
        return s;
}

/* Within four standard deviations of independent choices, three heaps at each level. */
static void sums_over_the_sample_are_the_truth(void **unused)
{
        (void)unused;
        static const uint64_t heaps[] = { 0x55555555a2a0, 0x7ffff0000010, 0x602000000010 };
        for (uint32_t level = 0; level < LEVELS; level++)
                for (size_t i = 0; i < 3; i++) {
                        struct sums s = estimate(heaps[i], level);
                        assert_near(s.bytes, s.true_bytes, 4 * sqrt(s.variance_bytes2));
                        assert_near(s.blocks, BLOCKS, 4 * sqrt(s.variance_blocks2));
                }
}

/* Two blocks of 8 bytes in each 16, which are in the sample together: four standard deviations of the pairs. */
static void blocks_of_eight_bytes_are_estimated_as_well(void **unused)
{
        (void)unused;
        for (uint32_t level = 1; level < LEVELS; level++) {
                double bytes = 0, variance_bytes2 = 0;
                for (uint64_t i = 0; i < BLOCKS; i++) {
                        const uint64_t address = 0x7f0012340000 + 8 * i;
                        double p = pg_live_probability(8, level);
                        bytes += pg_live_is_hit(address, 8, level) ? 8 / p : 0;
                        variance_bytes2 += 2 * 64 * (1 - p) / p;
                }
                assert_near(bytes, 8 * BLOCKS, 4 * sqrt(variance_bytes2));
        }
}

/* Blocks of one size at one distance: the error of their number, as a part of the standard deviation that independent
 * choices have; root of the mean square over heaps at different addresses. */
static double error_in_deviations(uint64_t distance, uint32_t level)
{
        enum { N = 10000, HEAPS = 12 };
        const double p = pg_live_probability(distance - 8, level);
        double squares = 0;
        for (uint64_t heap = 0; heap < HEAPS; heap++) {
                const uint64_t address = 0x7f0000000010 + heap * 0x123456780;
                double blocks = 0;
                for (uint64_t i = 0; i < N; i++)
                        blocks += pg_live_is_hit(address + i * distance, distance - 8, level) ? 1 / p : 0;
                squares += (blocks - N) * (blocks - N);
        }
        return sqrt(squares / HEAPS) / sqrt(N * (1 - p) / p);
}

/* The promise of the header: a third of what independent choices do, for most distances; never more than thrice. */
static void equal_distances_do_not_lock_into_step(void **unused)
{
        (void)unused;
        double logs = 0;
        int n = 0;
        for (uint64_t distance = 32; distance <= 4096; distance += 16)
                for (uint32_t level = 1; level < LEVELS; level++) {
                        if (pg_live_probability(distance - 8, level) >= 1)
                                continue;
                        double error = error_in_deviations(distance, level);
                        assert_true(error < 3);
                        logs += log(error + 1e-9);
                        n++;
                }
        assert_true(exp(logs / n) < 1 / 3.0);
}

static void a_higher_level_only_takes_blocks_out(void **unused)
{
        (void)unused;
        uint64_t address = 0x55555555a2a0;
        state = 7;
        for (int i = 0; i < BLOCKS; i++) {
                uint64_t n = draw_bytes();
                for (uint32_t level = 1; level < LEVELS; level++)
                        if (pg_live_is_hit(address, n, level))
                                assert_true(pg_live_is_hit(address, n, level - 1));
                address += n + 8;
        }
}

/* Level 0 has all blocks, and every level those that are as large as its interval. */
static void large_blocks_are_always_in_the_sample(void **unused)
{
        (void)unused;
        for (uint32_t level = 0; level <= PG_LIVE_LEVEL_MAX; level++) {
                uint64_t n = level ? pg_live_interval(level) : 1;
                assert_true(pg_live_probability(n, level) >= 1);
                for (uint64_t address = 0x55555555a2a0; address < 0x55555555a2a0 + 16 * 5000; address += 16) {
                        assert_true(pg_live_is_hit(address, n, level));
                        assert_true(pg_live_is_hit(address, UINT64_MAX / 2, level));
                }
        }
}

/* 64 bytes at level 1, twice as many with each level, and at the last one as many as the number has values: 32 bits. */
static void intervals_double_up_to_4_gib(void **unused)
{
        (void)unused;
        assert_int_equal(pg_live_interval(0), 0);
        assert_int_equal(pg_live_interval(1), 64);
        for (uint32_t level = 2; level <= PG_LIVE_LEVEL_MAX; level++)
                assert_int_equal(pg_live_interval(level), 2 * pg_live_interval(level - 1));
        assert_int_equal(pg_live_interval(PG_LIVE_LEVEL_MAX), 1ull << 32);
        assert_int_equal(pg_live_shift(PG_LIVE_LEVEL_MAX), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sums_over_the_sample_are_the_truth),
                cmocka_unit_test(blocks_of_eight_bytes_are_estimated_as_well),
                cmocka_unit_test(equal_distances_do_not_lock_into_step),
                cmocka_unit_test(a_higher_level_only_takes_blocks_out),
                cmocka_unit_test(intervals_double_up_to_4_gib),
                cmocka_unit_test(large_blocks_are_always_in_the_sample),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
