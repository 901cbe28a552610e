// SPDX-License-Identifier: MIT
/*
 * clock.h - one time unit: nanoseconds in uint64_t.
 */
#ifndef PG_BASE_CLOCK_H
#define PG_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { PG_NS_PER_US = 1000, PG_NS_PER_MS = 1000000, PG_NS_PER_S = 1000000000 };

/** CLOCK_MONOTONIC now. Safe in a signal handler. */
static inline uint64_t pg_now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * PG_NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif
