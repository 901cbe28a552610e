// SPDX-License-Identifier: MIT
/*
 * waiters.h - which threads are waiting for which lock, so that whoever lets go of a lock can be told what it
 * has cost.
 *
 * A thread that found a lock taken enters itself with the time; the thread that unlocks looks whether anyone
 * is entered and takes the time that has passed since it was last taken. So every part of a wait is charged
 * once, to the holder that it was spent on. Parts shorter than a grain are left to the next holder: a lock that
 * changes hands every few nanoseconds must not take a stack each time. What is left at the end of a wait is
 * charged to nobody, nor is the wait of a thread that finds no room: nobody ever waits for this table. It is
 * ours: nothing is written into the target's locks. A thread that leaves its wait by a jump (a signal handler's, or
 * asynchronous cancellation) stays entered; neither may happen to it by the rules of the lock functions.
 */
#ifndef PG_AGENT_WAITERS_H
#define PG_AGENT_WAITERS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        WAITERS_BUCKETS = 256,
        WAITERS_IN_BUCKET = 64, // as many as a word has bits
        WAITERS_PROBES = 16,    // buckets that a lock's waiters may be in: its own and the next ones
        WAITERS_NONE = WAITERS_BUCKETS * WAITERS_IN_BUCKET,
        WAITERS_GRAIN_NS = 2000, // about what a thread pays for being put to sleep
};

struct waiter {
        const void *_Atomic lock;  // NULL while the place is free, being filled, or being left
        _Atomic uint64_t since_ns; // start of what has not been charged yet; odd while nothing has been
};

/* A lock's address leads to one bucket; those who find it full are in one of the next. */
struct waiters_bucket {
        alignas(64) _Atomic uint64_t taken; // a bit for each place
        _Atomic uint64_t displaced;         // how many of its waiters are in other buckets
        struct waiter places[WAITERS_IN_BUCKET];
};

extern struct waiters_bucket waiters[WAITERS_BUCKETS] __attribute__((visibility("hidden")));

/* In the constructor: forked children, which have none of these threads, get an empty table. */
void waiters_start(void);

/* The calling thread begins to wait for lock. Returns its place for waiters_leave(): WAITERS_NONE is one. */
uint32_t waiters_enter(const void *lock, uint64_t now_ns);
void waiters_leave(uint32_t place);

static inline uint32_t waiters_bucket_of(const void *lock)
{
        return (uint32_t)((uint64_t)(uintptr_t)lock * 0x9e3779b97f4a7c15ull >> 56);
}

/* False when nobody is entered for lock; true: perhaps somebody is. Two words of one cache line. */
static inline bool waiters_any(const void *lock)
{
        struct waiters_bucket *b = &waiters[waiters_bucket_of(lock)];
        return (atomic_load_explicit(&b->taken, memory_order_relaxed) |
                atomic_load_explicit(&b->displaced, memory_order_relaxed)) != 0;
}

/* What the threads that wait for a lock have waited since each began or was last taken into account. */
struct waiters_delay {
        uint64_t waits; // that have not been counted before
        uint64_t ns;
};

/* Adds that of those in the lock's own bucket: what an unlocker does before it lets go, because then one of them
 * leaves. */
void waiters_take(const void *lock, uint64_t now_ns, struct waiters_delay *sum);
/* ... and of the others, many, which can be done afterwards. */
void waiters_take_displaced(const void *lock, uint64_t now_ns, struct waiters_delay *sum);

_Static_assert(WAITERS_BUCKETS == 1 << (64 - 56), "the hash has as many values as there are buckets");

#endif
