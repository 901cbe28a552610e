// SPDX-License-Identifier: MIT
/*
 * perf_bytes.h - perf records and rings made by hand, for tests. Layouts are those of perf_event_open(2).
 */
#ifndef PG_TESTS_ENGINE_PERF_BYTES_H
#define PG_TESTS_ENGINE_PERF_BYTES_H

#include <assert.h>
#include <string.h>

#include "runner/engine/perf_record.h"

struct perf_bytes {
        _Alignas(8) uint8_t at[70000];
        size_t n;
};

static inline void put(struct perf_bytes *b, const void *data, size_t n)
{
        assert(b->n + n <= sizeof(b->at));
        memcpy(b->at + b->n, data, n);
        b->n += n;
}

static inline void put_u64(struct perf_bytes *b, uint64_t v)
{
        put(b, &v, sizeof(v));
}

static inline void put_u32(struct perf_bytes *b, uint32_t v)
{
        put(b, &v, sizeof(v));
}

/* Begins a record and returns where; end_record fills in its size. */
static inline size_t begin_record(struct perf_bytes *b, uint32_t type, uint16_t misc)
{
        struct perf_event_header h = { .type = type, .misc = misc };
        size_t start = b->n;
        put(b, &h, sizeof(h));
        return start;
}

static inline void end_record(struct perf_bytes *b, size_t start)
{
        uint16_t n = (uint16_t)(b->n - start);
        memcpy(b->at + start + offsetof(struct perf_event_header, size), &n, sizeof(n));
}

/* What sample_id_all adds to records that are no samples. */
static inline void put_trailer(struct perf_bytes *b, uint32_t pid, uint32_t tid, uint64_t time_ns)
{
        put_u32(b, pid);
        put_u32(b, tid);
        put_u64(b, time_ns);
        put_u64(b, 77); // stream
}

static inline void put_task(struct perf_bytes *b, uint32_t type, uint32_t pid, uint32_t ppid, uint32_t tid,
                            uint64_t time_ns)
{
        size_t start = begin_record(b, type, 0);
        put_u32(b, pid);
        put_u32(b, ppid);
        put_u32(b, tid);
        put_u32(b, ppid);
        put_u64(b, time_ns);
        put_trailer(b, pid, tid, time_ns);
        end_record(b, start);
}

static inline void put_exec(struct perf_bytes *b, uint32_t pid, uint64_t time_ns)
{
        size_t start = begin_record(b, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
        put_u32(b, pid);
        put_u32(b, pid);
        put(b, "name\0\0\0", 8);
        put_trailer(b, pid, pid, time_ns);
        end_record(b, start);
}

/* path with its NUL must be a multiple of 8 bytes long. */
static inline void put_map(struct perf_bytes *b, uint32_t pid, uint64_t address, uint64_t bytes,
                           uint64_t offset, uint64_t inode, const char *path, uint64_t time_ns)
{
        size_t start = begin_record(b, PERF_RECORD_MMAP2, 0);
        put_u32(b, pid);
        put_u32(b, pid);
        put_u64(b, address);
        put_u64(b, bytes);
        put_u64(b, offset);
        put_u32(b, 8);
        put_u32(b, 1);
        put_u64(b, inode);
        put_u64(b, 0); // generation
        put_u32(b, 5);
        put_u32(b, 2);
        assert((strlen(path) + 1) % 8 == 0);
        put(b, path, strlen(path) + 1);
        put_trailer(b, pid, pid, time_ns);
        end_record(b, start);
}

/* A sample with pc and sp, all other registers their position in the kernel's order, and n bytes of stack (0: none). */
static inline void put_sample(struct perf_bytes *b, uint32_t pid, uint32_t tid, uint64_t time_ns,
                              uint64_t stream, uint64_t pc, uint64_t sp, const void *stack, size_t n)
{
        size_t start = begin_record(b, PERF_RECORD_SAMPLE, 2);
        put_u64(b, pc);
        put_u32(b, pid);
        put_u32(b, tid);
        put_u64(b, time_ns);
        put_u64(b, stream);
        put_u64(b, 1000); // period
        put_u64(b, 2);    // chain
        put_u64(b, PERF_CONTEXT_USER);
        put_u64(b, pc);
        put_u64(b, PERF_SAMPLE_REGS_ABI_64);
        for (uint64_t i = 0; i < PG_GREGS; i++)
                put_u64(b, i == 7 ? sp : i == 8 ? pc : i);
        put_u64(b, n);
        if (n) {
                put(b, stack, n);
                put_u64(b, n);
        }
        end_record(b, start);
}

#endif
