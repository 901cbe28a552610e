// SPDX-License-Identifier: MIT
/*
 * perf_record.c - a cursor over the words of a record; layouts from perf_event_open(2).
 */
#include "runner/engine/perf_record.h"

#include <string.h>

/* Other records end with what sample_id_all adds: pid and tid, time, stream. */
enum { TRAILER_BYTES = 24, TRAILER_TIME = 16, SAMPLE_TIME_OFFSET = 24 };

struct cursor {
        const uint8_t *at;
        size_t left;
        bool ok;
};

static const void *take(struct cursor *c, size_t n)
{
        const void *p = c->at;
        if (!c->ok || c->left < n) {
                c->ok = false;
                return NULL;
        }
        c->at += n;
        c->left -= n;
        return p;
}

static uint64_t take_u64(struct cursor *c)
{
        uint64_t v = 0;
        const void *p = take(c, sizeof(v));
        if (p)
                memcpy(&v, p, sizeof(v));
        return v;
}

static uint32_t take_u32(struct cursor *c)
{
        uint32_t v = 0;
        const void *p = take(c, sizeof(v));
        if (p)
                memcpy(&v, p, sizeof(v));
        return v;
}

/* ---- samples --------------------------------------------------------------------------------------------- */

static void take_chain(struct cursor *c, struct pg_perf_record *r)
{
        uint64_t n = take_u64(c);
        if (n > c->left / sizeof(uint64_t)) {
                c->ok = false;
                return;
        }
        r->sample.n_chain = n;
        r->sample.chain = take(c, n * sizeof(uint64_t));
}

/* The kernel's order of PG_PERF_REGS_MASK: ax bx cx dx si di bp sp ip, r8 to r15. */
static void take_regs(struct cursor *c, struct pg_perf_record *r)
{
        static const uint8_t position[PG_GREGS] = {
                13, 11, 14, 12, 9, 8, 10, 15, 16, 0, 1, 2, 3, 4, 5, 6, 7
        };
        uint64_t abi = take_u64(c);
        r->sample.has_regs = abi == PERF_SAMPLE_REGS_ABI_64;
        if (abi == PERF_SAMPLE_REGS_ABI_NONE)
                return;
        for (size_t i = 0; i < PG_GREGS; i++)
                r->sample.regs[position[i]] = take_u64(c);
}

/* Room of the size asked for, then how much of it was filled; an empty one has no such word. */
static void take_stack(struct cursor *c, struct pg_perf_record *r)
{
        uint64_t size = take_u64(c);
        if (size == 0)
                return;
        r->sample.stack = take(c, size);
        uint64_t filled = take_u64(c);
        r->sample.stack_asked_bytes = size;
        r->sample.stack_bytes = filled;
        c->ok = c->ok && filled <= size;
}

static void take_sample(struct cursor *c, struct pg_perf_record *r)
{
        r->kind = PG_PERF_SAMPLE;
        r->sample.ip = take_u64(c);
        r->pid = take_u32(c);
        r->tid = take_u32(c);
        r->time_ns = take_u64(c);
        r->sample.stream = take_u64(c);
        r->sample.period_ns = take_u64(c);
        take_chain(c, r);
        take_regs(c, r);
        take_stack(c, r);
}

/* ---- the others ------------------------------------------------------------------------------------------ */

static void take_map(struct cursor *c, uint16_t misc, struct pg_perf_record *r)
{
        r->kind = PG_PERF_MAP;
        r->pid = take_u32(c);
        r->tid = take_u32(c);
        r->map.start = take_u64(c);
        uint64_t size = take_u64(c);
        r->map.end = r->map.start + size;
        r->map.file_offset = take_u64(c);
        const uint8_t *identity =
                take(c, 24); // build-id with its length in front, or device, inode, generation
        if (!identity || r->map.end < r->map.start) {
                c->ok = false;
                return;
        }
        if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
                r->map.build_id_bytes = identity[0] <= 20 ? identity[0] : 0;
                r->map.build_id = identity + 4;
        } else {
                memcpy(&r->map.inode, identity + 8, sizeof(r->map.inode));
        }
        take(c, 8); // protection and flags
        r->map.path = (const char *)c->at;
        c->ok = c->ok && memchr(c->at, 0, c->left);
}

static void take_comm(struct cursor *c, uint16_t misc, struct pg_perf_record *r)
{
        r->kind = misc & PERF_RECORD_MISC_COMM_EXEC ? PG_PERF_EXEC : PG_PERF_OTHER;
        r->pid = take_u32(c);
        r->tid = take_u32(c);
}

static void take_task(struct cursor *c, enum pg_perf_kind kind, struct pg_perf_record *r)
{
        r->kind = kind;
        r->pid = take_u32(c);
        r->task.ppid = take_u32(c);
        r->tid = take_u32(c);
}

/* The time is in what sample_id_all adds; the rest of it says nothing new. */
static void take_trailer(struct cursor *c, struct pg_perf_record *r)
{
        if (c->left < TRAILER_BYTES) {
                c->ok = false;
                return;
        }
        memcpy(&r->time_ns, c->at + c->left - TRAILER_TIME, sizeof(r->time_ns));
        c->left -= TRAILER_BYTES;
}

static void take_other(struct cursor *c, const struct perf_event_header *h, struct pg_perf_record *r)
{
        take_trailer(c, r);
        switch (h->type) {
        case PERF_RECORD_MMAP2:
                take_map(c, h->misc, r);
                break;
        case PERF_RECORD_COMM:
                take_comm(c, h->misc, r);
                break;
        case PERF_RECORD_FORK:
                take_task(c, PG_PERF_FORK, r);
                break;
        case PERF_RECORD_EXIT:
                take_task(c, PG_PERF_EXIT, r);
                break;
        case PERF_RECORD_LOST:
                take_u64(c); // of which event
                r->n_lost = take_u64(c);
                r->kind = PG_PERF_LOST;
                break;
        case PERF_RECORD_LOST_SAMPLES:
                r->n_lost = take_u64(c);
                r->kind = PG_PERF_LOST;
                break;
        default:
                break;
        }
}

bool pg_perf_record_parse(const void *bytes, size_t n, struct pg_perf_record *ret)
{
        struct cursor c = { bytes, n, true };
        struct perf_event_header h = { 0 };
        const void *head = take(&c, sizeof(h));
        memset(ret, 0, sizeof(*ret));
        if (!head)
                return false;
        memcpy(&h, head, sizeof(h));
        if (h.size != n)
                return false;
        if (h.type == PERF_RECORD_SAMPLE)
                take_sample(&c, ret);
        else
                take_other(&c, &h, ret);
        if (!c.ok)
                ret->kind = PG_PERF_OTHER;
        return c.ok;
}

size_t pg_perf_record_time_offset(const struct perf_event_header *header, size_t n)
{
        if (header->type == PERF_RECORD_SAMPLE)
                return n >= SAMPLE_TIME_OFFSET + 8 ? SAMPLE_TIME_OFFSET : n;
        return n >= sizeof(*header) + TRAILER_BYTES ? n - TRAILER_TIME : n;
}
