// SPDX-License-Identifier: MIT
/*
 * perf_record.h - what the kernel writes into a perf ring, record by record.
 *
 * Only for the attributes that perf_events.c asks for: PG_PERF_SAMPLE_TYPE, with sample_id_all. Records come from the
 * kernel, but each length in them is checked all the same.
 */
#ifndef PG_ENGINE_PERF_RECORD_H
#define PG_ENGINE_PERF_RECORD_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/unwind/machine.h"

#define PG_PERF_SAMPLE_TYPE                                                                                  \
        (PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_PERIOD |  \
         PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER)

/* Registers asked for: the 17 of a register file (machine.h). */
#define PG_PERF_REGS_MASK 0xff01ffull

enum pg_perf_kind {
        PG_PERF_OTHER, // of no interest, or makes no sense
        PG_PERF_SAMPLE,
        PG_PERF_MAP,  // executable memory
        PG_PERF_EXEC, // a new program
        PG_PERF_FORK, // a new thread (pid == ppid) or process
        PG_PERF_EXIT, // of a thread
        PG_PERF_LOST,
};

struct pg_perf_record {
        enum pg_perf_kind kind;
        uint32_t pid, tid;
        uint64_t time_ns; // CLOCK_MONOTONIC
        union {
                struct {
                        uint64_t ip, stream, period_ns;
                        bool has_regs;           // of a 64-bit process
                        uint64_t regs[PG_GREGS]; // in ucontext order
                        const uint8_t *stack;    // from regs[PG_GREG_SP] on; 8-aligned as the record is
                        size_t stack_bytes, stack_asked_bytes;
                        const uint64_t *chain; // as the kernel has it, PERF_CONTEXT_* markers included
                        size_t n_chain;
                } sample;
                struct {
                        uint64_t start, end, file_offset, inode; // inode 0: unknown
                        const uint8_t *build_id;
                        size_t build_id_bytes; // 0: unknown
                        const char *path;      // ends within the record
                } map;
                struct {
                        uint32_t ppid;
                } task;
                uint64_t n_lost;
        };
};

/** Takes apart one record of n bytes, 8-aligned; false, with PG_PERF_OTHER, when it makes no sense. Everything in
 * *ret points into it. */
bool pg_perf_record_parse(const void *bytes, size_t n, struct pg_perf_record *ret);

/** Where in a record of n bytes its time is: an offset of 8 bytes inside, or n when it has none. */
size_t pg_perf_record_time_offset(const struct perf_event_header *header, size_t n);

#endif
