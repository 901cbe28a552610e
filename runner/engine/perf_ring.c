// SPDX-License-Identifier: MIT
/*
 * perf_ring.c - merging reader over single-producer rings of the kernel.
 */
#include "runner/engine/perf_ring.h"

#include <string.h>

#include "runner/engine/perf_record.h"

void pg_perf_ring_init(struct pg_perf_ring *ring, struct perf_event_mmap_page *page, const void *data,
                       uint64_t data_bytes)
{
        *ring = (struct pg_perf_ring){ .page = page, .data = data, .data_bytes = data_bytes };
        ring->tail = ring->head = page->data_tail;
        ring->time_ns = UINT64_MAX;
}

static void copy_out(const struct pg_perf_ring *r, uint64_t at, void *to, size_t n)
{
        uint64_t offset = at & (r->data_bytes - 1);
        size_t first = n < r->data_bytes - offset ? n : (size_t)(r->data_bytes - offset);
        memcpy(to, r->data + offset, first);
        memcpy((uint8_t *)to + first, r->data, n - first);
}

/* Size of the record at tail; 0 when what is there is none. */
static size_t record_size(const struct pg_perf_ring *r, struct perf_event_header *ret)
{
        uint64_t left = r->head - r->tail;
        if (left < sizeof(*ret))
                return 0;
        copy_out(r, r->tail, ret, sizeof(*ret));
        return ret->size >= sizeof(*ret) && ret->size % 8 == 0 && ret->size <= left ? ret->size : 0;
}

static void give_back(struct pg_perf_ring *r)
{
        __atomic_store_n(&r->page->data_tail, r->tail, __ATOMIC_RELEASE);
}

/* Finds the time of the record at tail. */
static void look(struct pg_perf_ring *r, uint64_t *n_damaged)
{
        struct perf_event_header h;
        r->time_ns = UINT64_MAX;
        if (r->tail == r->head)
                return;
        size_t n = record_size(r, &h);
        if (n == 0) {
                r->tail = r->head;
                ++*n_damaged;
                return;
        }
        size_t offset = pg_perf_record_time_offset(&h, n);
        r->time_ns = 0; // without a time: at once
        if (offset < n)
                copy_out(r, r->tail + offset, &r->time_ns, sizeof(r->time_ns));
        if (r->time_ns == UINT64_MAX)
                r->time_ns--;
}

static void begin_round(struct pg_perf_ring *r, uint64_t *n_damaged)
{
        r->head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
        if (r->head - r->tail > r->data_bytes || r->tail % 8) { // no kernel writes that
                r->tail = r->head;
                ++*n_damaged;
        }
        look(r, n_damaged);
}

static struct pg_perf_ring *oldest(struct pg_perf_ring *rings, size_t n)
{
        struct pg_perf_ring *best = NULL;
        for (size_t i = 0; i < n; i++)
                if (rings[i].time_ns != UINT64_MAX && (!best || rings[i].time_ns < best->time_ns))
                        best = &rings[i];
        return best;
}

static bool hand_over(struct pg_perf_ring *r, void *scratch, pg_perf_record_function *function, void *user,
                      struct pg_error *err)
{
        struct perf_event_header h;
        size_t n = record_size(r, &h);
        uint64_t offset = r->tail & (r->data_bytes - 1);
        const void *record = r->data + offset;
        if (offset + n > r->data_bytes) {
                copy_out(r, r->tail, scratch, n);
                record = scratch;
        }
        bool ok = function(user, record, n, err);
        r->tail += n;
        give_back(r);
        return ok;
}

bool pg_perf_rings_read(struct pg_perf_ring *rings, size_t n, uint64_t until_ns, void *scratch,
                        pg_perf_record_function *function, void *user, uint64_t *n_damaged,
                        struct pg_error *err)
{
        struct pg_perf_ring *r;
        bool ok = true;
        for (size_t i = 0; i < n; i++)
                begin_round(&rings[i], n_damaged);
        while (ok && (r = oldest(rings, n)) && r->time_ns <= until_ns) {
                ok = hand_over(r, scratch, function, user, err);
                look(r, n_damaged);
        }
        for (size_t i = 0; i < n; i++)
                give_back(&rings[i]);
        return ok;
}
