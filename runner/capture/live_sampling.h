// SPDX-License-Identifier: MIT
/*
 * live_sampling.h - which live blocks stand for all of them, decided by their address and size.
 *
 * The address gives a number that is evenly spread over [0, interval): the block is in the sample when it is
 * below the block's bytes, so with probability bytes / interval, and 1 for large ones. A free asks no table,
 * threads agree without talking, and a run with fixed addresses repeats. Each level's interval is twice
 * that of the one below and its sample a part of that one's, so going up only takes blocks out.
 *
 * The number is the fraction of (address / 16) * golden ratio, the heap lying wherever the kernel put it.
 * Granules next to each other are spread over the unit interval as evenly as a sequence can be (Knuth, The
 * Art of Computer Programming 3, 6.4, theorem S), so neighbours seldom are in the sample together, and sums
 * over a heap of mixed sizes vary by a third of what independent choices do, or less. Blocks at equal
 * distances of nearly a Fibonacci number of granules are not spread so well: test_live_sampling.c has the
 * worst of them. Dividing by the probability makes sums over live blocks unbiased (Horvitz and Thompson, JASA
 * 47 (1952) 663-685).
 */
#ifndef PG_CAPTURE_LIVE_SAMPLING_H
#define PG_CAPTURE_LIVE_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

enum {
        PG_LIVE_FIRST_BITS = 6, // intervals of 64 bytes at level 1
        PG_LIVE_STEP_BITS = 1,
        PG_LIVE_LEVEL_MAX = 27, // 4 GiB
};

static inline uint32_t pg_live_interval_bits(uint32_t level)
{
        return level ? PG_LIVE_FIRST_BITS + PG_LIVE_STEP_BITS * (level - 1) : 0;
}

/* Mean bytes that a block in the sample stands for; 0: all blocks are in it. level <= PG_LIVE_LEVEL_MAX. */
static inline uint64_t pg_live_interval(uint32_t level)
{
        return level ? 1ull << pg_live_interval_bits(level) : 0;
}

/* What pg_live_passes needs to know of a level: 32 - bits of its interval. */
static inline uint32_t pg_live_shift(uint32_t level)
{
        return 32 - pg_live_interval_bits(level);
}

/* Whether a block of bytes > 0 is in the sample; shift: pg_live_shift of the level. */
static inline __attribute__((always_inline)) bool pg_live_passes(uint64_t address, uint64_t bytes,
                                                                 uint32_t shift)
{
        return ((address >> 4) * 0x9e3779b97f4a7c15ull >> 32) >> shift < bytes;
}

static inline bool pg_live_is_hit(uint64_t address, uint64_t bytes, uint32_t level)
{
        return pg_live_passes(address, bytes, pg_live_shift(level));
}

/* Of being in the sample; > 0 for bytes > 0. */
static inline double pg_live_probability(uint64_t bytes, uint32_t level)
{
        uint64_t interval = pg_live_interval(level);
        return bytes >= interval ? 1 : (double)bytes / (double)interval;
}

#endif
