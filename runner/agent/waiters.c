// SPDX-License-Identifier: MIT
/*
 * waiters.c - the table of waiting threads: buckets of places, each claimed by setting its bit.
 *
 * A place changes hands without a lock, so an unlocker may read one that is just being left and entered for
 * another lock. Then it moves that wait's start by the few nanoseconds between its own reading of the clock
 * and now; times that lie in the future count nothing.
 */
#include "runner/agent/waiters.h"

#include "runner/agent/raw.h"

alignas(PG_CAPTURE_PAGE) struct waiters_bucket waiters[WAITERS_BUCKETS];
_Static_assert(sizeof(waiters) % PG_CAPTURE_PAGE == 0, "the table has its pages alone");

void waiters_start(void)
{
        raw_call(SYS_madvise, (long)waiters, sizeof(waiters), MADV_WIPEONFORK, 0, 0, 0);
}

static struct waiter *place_at(uint32_t place)
{
        return &waiters[place / WAITERS_IN_BUCKET].places[place % WAITERS_IN_BUCKET];
}

static uint32_t claim(uint32_t bucket)
{
        _Atomic uint64_t *taken = &waiters[bucket].taken;
        uint64_t bits = atomic_load_explicit(taken, memory_order_relaxed);
        while (~bits) {
                uint32_t bit = (uint32_t)__builtin_ctzll(~bits);
                if (atomic_compare_exchange_weak_explicit(taken, &bits, bits | 1ull << bit,
                                                          memory_order_acquire, memory_order_relaxed))
                        return bucket * WAITERS_IN_BUCKET + bit;
        }
        return WAITERS_NONE;
}

uint32_t waiters_enter(const void *lock, uint64_t now_ns)
{
        uint32_t home = waiters_bucket_of(lock), place = WAITERS_NONE, i = 0;
        for (; i < WAITERS_PROBES && place == WAITERS_NONE; i++)
                place = claim((home + i) % WAITERS_BUCKETS);
        if (place == WAITERS_NONE)
                return place;
        struct waiter *w = place_at(place);
        atomic_store_explicit(&w->since_ns, now_ns | 1, memory_order_relaxed);
        atomic_store_explicit(&w->lock, lock, memory_order_release);
        if (i > 1)
                atomic_fetch_add_explicit(&waiters[home].displaced, 1, memory_order_relaxed);
        return place;
}

void waiters_leave(uint32_t place)
{
        if (place >= WAITERS_NONE)
                return;
        uint32_t bucket = place / WAITERS_IN_BUCKET;
        const void *lock = atomic_exchange_explicit(&place_at(place)->lock, NULL, memory_order_relaxed);
        uint32_t home = waiters_bucket_of(lock);
        if (bucket != home)
                atomic_fetch_sub_explicit(&waiters[home].displaced, 1, memory_order_relaxed);
        atomic_fetch_and_explicit(&waiters[bucket].taken, ~(1ull << place % WAITERS_IN_BUCKET),
                                  memory_order_release);
}

static void take(struct waiter *w, uint64_t now_ns, struct waiters_delay *sum)
{
        uint64_t since_ns = atomic_load_explicit(&w->since_ns, memory_order_relaxed);
        if (since_ns + WAITERS_GRAIN_NS > now_ns)
                return;
        since_ns = atomic_exchange_explicit(&w->since_ns, now_ns & ~1ull, memory_order_relaxed);
        if (since_ns >= now_ns)
                return;
        sum->waits += since_ns & 1;
        sum->ns += now_ns - since_ns;
}

static void take_from(struct waiters_bucket *b, const void *lock, uint64_t now_ns, struct waiters_delay *sum)
{
        for (uint64_t bits = atomic_load_explicit(&b->taken, memory_order_acquire); bits; bits &= bits - 1) {
                struct waiter *w = &b->places[__builtin_ctzll(bits)];
                if (atomic_load_explicit(&w->lock, memory_order_acquire) == lock)
                        take(w, now_ns, sum);
        }
}

void waiters_take(const void *lock, uint64_t now_ns, struct waiters_delay *sum)
{
        take_from(&waiters[waiters_bucket_of(lock)], lock, now_ns, sum);
}

void waiters_take_displaced(const void *lock, uint64_t now_ns, struct waiters_delay *sum)
{
        uint32_t home = waiters_bucket_of(lock);
        if (!atomic_load_explicit(&waiters[home].displaced, memory_order_relaxed))
                return;
        for (uint32_t i = 1; i < WAITERS_PROBES; i++)
                take_from(&waiters[(home + i) % WAITERS_BUCKETS], lock, now_ns, sum);
}
