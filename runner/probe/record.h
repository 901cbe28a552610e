// SPDX-License-Identifier: MIT
/*
 * record.h - inside the target: where the probe's wrappers note what a call gave.
 *
 * The probe stands in front of the agent, so it sees what the target sees. It keeps the agent's guest rules
 * (no heap, no descriptor, no thread, no output, errno kept); what it disturbs all the same it disturbs in
 * every run alike.
 */
#ifndef PG_PROBE_RECORD_H
#define PG_PROBE_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/probe/layout.h"

#define PROBE_PUBLIC __attribute__((visibility("default")))

/* Where this program's counters are; NULL before the start and in a run that has no probe file. */
extern struct pg_probe_image *probe_image __attribute__((visibility("hidden")));

/* The next definition of name, found once and kept in *slot. Async-signal-safe once found. */
void *probe_next(void **slot, const char *name);

/* Above 0 while a call of this thread is inside what is not the target's own business: blocks do not count. */
extern _Thread_local int probe_depth __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* Finds what must be there in signal handlers and forked children; by the constructor. */
void probe_resolve_calls(void);
void probe_resolve_heap(void);

static inline void probe_add(_Atomic uint64_t *counter, uint64_t n)
{
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void probe_opened(enum pg_opener call, int fd)
{
        if (!probe_image || fd < 0)
                return;
        probe_add(&probe_image->opened[call][fd < PG_PROBE_NUMBERS - 1 ? fd : PG_PROBE_NUMBERS - 1], 1);
}

static inline void probe_waited(enum pg_wait call, bool interrupted)
{
        if (interrupted && probe_image)
                probe_add(&probe_image->interrupted[call], 1);
}

/* Mixes b into a: splitmix64's finish (Steele, Lea, Flood 2014). */
static inline uint64_t probe_mix(uint64_t a, uint64_t b)
{
        uint64_t z = a * 0x9e3779b97f4a7c15u + b + 1;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

#endif
