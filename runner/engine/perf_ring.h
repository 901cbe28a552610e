// SPDX-License-Identifier: MIT
/*
 * perf_ring.h - the rings of one session read as one stream in order of time.
 *
 * The kernel writes a ring for each CPU. A thread that moves, or a parent and its child, leave records in several;
 * what belongs together is only right in order. Records are read where they lie, up to a moment that is long enough ago
 * for every ring to have shown what came before it.
 */
#ifndef PG_ENGINE_PERF_RING_H
#define PG_ENGINE_PERF_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/base/error.h"

enum { PG_PERF_RECORD_MAX = 65536 };

struct pg_perf_ring {
        struct perf_event_mmap_page *page; // then data; NULL: none
        const uint8_t *data;
        uint64_t data_bytes; // a power of two
        uint64_t tail, head; // read so far; what was there when the round began
        uint64_t time_ns;    // of the record at tail; UINT64_MAX: none is left in this round
};

/* What is called for each record, n bytes, 8-aligned; false ends the reading with err. */
typedef bool pg_perf_record_function(void *user, const void *record, size_t n, struct pg_error *err);

/** A ring over given memory: one page as the kernel lays it out, then data_bytes of data. */
void pg_perf_ring_init(struct pg_perf_ring *ring, struct perf_event_mmap_page *page, const void *data,
                       uint64_t data_bytes);

/**
 * Hands over all records that are there and not younger than until_ns, oldest first, and gives their room back.
 *
 * scratch     PG_PERF_RECORD_MAX bytes, 8-aligned, for records that wrap around the end of their ring
 * n_damaged   grows by the number of rings whose bytes made no sense; such a ring is emptied
 */
PG_MUST_CHECK bool pg_perf_rings_read(struct pg_perf_ring *rings, size_t n, uint64_t until_ns, void *scratch,
                                      pg_perf_record_function *function, void *user, uint64_t *n_damaged,
                                      struct pg_error *err);

#endif
