// SPDX-License-Identifier: MIT
/*
 * live_sampling.h - which live blocks stand for all of them, decided by where they lie.
 *
 * The address space is divided into windows of 16 * 4^level bytes, and in each one 16-byte granule is marked by
 * a hash, uniformly. A block that covers a mark is in the sample. Whether it is can be seen from its address and
 * size alone: a free asks no table, threads agree without talking, and a run with fixed addresses repeats. The
 * marks of a level are among those of the level below, so widening the windows only takes blocks out. Marks repeat
 * every 4 MiB of addresses, so that a table can hold them.
 *
 * Each byte is as likely as any other to be marked, so a block of s bytes inside one window is in the sample
 * with probability s / window; pg_live_probability has the rest. Dividing by it makes sums over live blocks
 * unbiased (Horvitz and Thompson, JASA 47 (1952) 663-685).
 */
#ifndef PG_CAPTURE_LIVE_SAMPLING_H
#define PG_CAPTURE_LIVE_SAMPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        PG_LIVE_GRANULE_BITS = 4,
        PG_LIVE_STEP_BITS = 2,
        PG_LIVE_LEVEL_MAX = 16, // windows of 64 GiB
        PG_LIVE_PERIOD_BITS = 22,
};

static inline uint32_t pg_live_window_bits(uint32_t level)
{
        return PG_LIVE_GRANULE_BITS + PG_LIVE_STEP_BITS * level;
}

/* Mean bytes that a block in the sample stands for; 0: all blocks are in it. */
static inline uint64_t pg_live_interval(uint32_t level)
{
        return level ? 1ull << pg_live_window_bits(level) : 0;
}

/* A hash of a window of an even level: bits 60-63 say which sixteenth of it has the mark. */
static inline uint64_t pg_live_hash(uint64_t window, uint32_t even_level)
{
        uint64_t h = (window ^ (uint64_t)even_level << 56) * 0xd6e8feb86659fd93ull;
        return (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
}

/* Which quarter of a window of an odd level has the mark, by the hash of the window around it: where that one has its
 * mark, or by two bits of its own, because a block across two windows takes their marks to be independent. */
static inline uint64_t pg_live_quarter(uint64_t window, uint32_t odd_level)
{
        uint64_t h = pg_live_hash(window >> PG_LIVE_STEP_BITS, odd_level + 1), which = window & 3;
        return (h >> (which == h >> 62 ? 60 : 52 + 2 * which)) & 3;
}

/* Narrows *window, of *level > 0, to the part of it that has the mark, by one hash. */
static inline void pg_live_narrow(uint64_t *window, uint32_t *level)
{
        if (*level & 1) {
                *window = *window << PG_LIVE_STEP_BITS | pg_live_quarter(*window, *level);
                *level -= 1;
        } else {
                *window = *window << 2 * PG_LIVE_STEP_BITS | pg_live_hash(*window, *level) >> 60;
                *level -= 2;
        }
}

/* Windows whose marks differ from each other; then they repeat. A power of two. */
static inline uint64_t pg_live_windows(uint32_t level)
{
        uint32_t bits = pg_live_window_bits(level);
        return bits < PG_LIVE_PERIOD_BITS ? 1ull << (PG_LIVE_PERIOD_BITS - bits) : 1;
}

/* Bytes from the start of a window to its mark. */
static inline uint64_t pg_live_mark(uint64_t window, uint32_t level)
{
        uint64_t size = 1ull << pg_live_window_bits(level);
        window &= pg_live_windows(level) - 1;
        while (level > 0)
                pg_live_narrow(&window, &level);
        return window << PG_LIVE_GRANULE_BITS & (size - 1);
}

/* A level with what decisions need at hand. */
struct pg_live_view {
        uint32_t level, bits;  // bits: of a window's size
        uint64_t window_mask;  // pg_live_windows - 1
        const uint16_t *marks; // in granules, of windows 0 to window_mask; NULL: each is computed
};

static inline struct pg_live_view pg_live_view(uint32_t level, const uint16_t *marks)
{
        return (struct pg_live_view){ level, pg_live_window_bits(level), pg_live_windows(level) - 1, marks };
}

static inline uint64_t pg_live_view_mark(const struct pg_live_view *v, uint64_t window)
{
        if (__builtin_expect(!v->marks, 0))
                return (window << v->bits) + pg_live_mark(window, v->level);
        return (window << v->bits) + ((uint64_t)v->marks[window & v->window_mask] << PG_LIVE_GRANULE_BITS);
}

/* Start and end of the granules that a block covers, if only in part: some allocators have blocks of 8 bytes. */
static inline uint64_t pg_live_start(uint64_t address)
{
        return address & ~15ull;
}
static inline uint64_t pg_live_end(uint64_t address, uint64_t bytes)
{
        return (address + bytes + 15) & ~15ull;
}

/* Granules [from, to), in one window or across several. */
static __attribute__((noinline, unused)) bool pg_live_view_hit_any(const struct pg_live_view *v,
                                                                   uint64_t from, uint64_t to)
{
        uint64_t first = from >> v->bits, last = (to - 1) >> v->bits, mark = pg_live_view_mark(v, first);
        if (first == last)
                return mark >= from && mark < to;
        return last - first >= 2 || mark >= from || pg_live_view_mark(v, last) < to;
}

/* Whether a block is in the sample of that level. */
static inline __attribute__((always_inline)) bool pg_live_view_hit(const struct pg_live_view *v,
                                                                   uint64_t address, uint64_t bytes)
{
        uint64_t from = pg_live_start(address), to = pg_live_end(address, bytes);
        uint64_t first = from >> v->bits;
        if (__builtin_expect(first != (to - 1) >> v->bits || !v->marks, 0))
                return pg_live_view_hit_any(v, from, to);
        uint64_t mark =
                (first << v->bits) + ((uint64_t)v->marks[first & v->window_mask] << PG_LIVE_GRANULE_BITS);
        return mark - from < to - from;
}

static inline bool pg_live_is_hit(uint64_t address, uint64_t bytes, uint32_t level)
{
        struct pg_live_view v = pg_live_view(level, NULL);
        return level == 0 || pg_live_view_hit(&v, address, bytes);
}

/* Its probability over all placements of marks: 1 for a block with a whole window inside. > 0 for bytes > 0. */
static inline double pg_live_probability(uint64_t address, uint64_t bytes, uint32_t level)
{
        if (level == 0)
                return 1;
        uint64_t from = pg_live_start(address), to = pg_live_end(address, bytes),
                 window = pg_live_interval(level);
        uint64_t first = from / window, last = (to - 1) / window;
        if (last - first >= 2)
                return 1;
        if (first == last)
                return (double)(to - from) / (double)window;
        double left = (double)(last * window - from) / (double)window;
        double right = (double)(to - last * window) / (double)window;
        return 1 - (1 - left) * (1 - right);
}

#endif
