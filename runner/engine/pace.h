// SPDX-License-Identifier: MIT
/*
 * pace.h - when a thread is due for a sample: at one random point in each period of CPU time that it
 * consumes.
 *
 * A sample stands for as many periods as points were passed since the last one. The expected number of
 * points in T is T / period for any T, so threads that live for less than a period are seen as often as
 * they should be, and work that repeats at the period is not met at the same place every time.
 */
#ifndef PG_ENGINE_PACE_H
#define PG_ENGINE_PACE_H

#include <stdint.h>

struct pg_pace {
        uint64_t cell_ns; // CPU time at which the period of the next point begins
        uint64_t due_ns;  // the next point
};

/* xorshift64*, period 2^64 - 1 (S. Vigna: An experimental exploration of Marsaglia's xorshift generators,
 * ACM Trans. Math. Softw. 42, 2016). *state is never 0. */
static inline uint64_t pg_pace_random(uint64_t *state)
{
        uint64_t x = *state;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        *state = x;
        return x * 0x2545f4914f6cdd1dull;
}

/* A number in [0, below). */
static inline uint64_t pg_pace_draw(uint64_t *state, uint64_t below)
{
        return (uint64_t)((unsigned __int128)pg_pace_random(state) * below >> 64);
}

/* From consumed_ns on. */
static inline struct pg_pace pg_pace_start(uint64_t consumed_ns, uint64_t period_ns, uint64_t *random)
{
        return (struct pg_pace){ consumed_ns, consumed_ns + pg_pace_draw(random, period_ns) };
}

/* How many points were passed by now; they are taken away. */
static inline uint64_t pg_pace_take(struct pg_pace *p, uint64_t consumed_ns, uint64_t period_ns,
                                    uint64_t *random)
{
        uint64_t points = 0;
        if (consumed_ns < p->due_ns)
                return 0;
        if (consumed_ns - p->due_ns > 4 * period_ns) { // whole periods need no draw
                points = (consumed_ns - p->cell_ns) / period_ns - 1;
                p->cell_ns += points * period_ns;
                p->due_ns = p->cell_ns + pg_pace_draw(random, period_ns);
        }
        while (p->due_ns <= consumed_ns) {
                points++;
                p->cell_ns += period_ns;
                p->due_ns = p->cell_ns + pg_pace_draw(random, period_ns);
        }
        return points;
}

#endif
