// SPDX-License-Identifier: MIT
/*
 * capture.h - the runner's side of the shared memory: create it, tell the agent where it is, read what came.
 *
 * The bytes come from inside a foreign program that may have been killed at any instant, or may be hostile:
 * the reader checks every index, length and string and never trusts one; what is broken is counted and left
 * out.
 */
#ifndef PG_CAPTURE_CAPTURE_H
#define PG_CAPTURE_CAPTURE_H

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/capture/layout.h"

struct pg_capture;

/** Creates the memory file for one pass. rate_hz is for PG_MODE_SAMPLE, else 0. */
PG_MUST_CHECK bool pg_capture_create(enum pg_capture_mode mode, uint32_t rate_hz, struct pg_capture **ret,
                                     struct pg_error *err);
/** Closes the file; takes NULL. */
void pg_capture_destroy(struct pg_capture *c);
PG_DEFINE_CLEANUP(struct pg_capture, pg_capture_destroy)
#define PG_AUTO_CAPTURE __attribute__((cleanup(pg_capture_destroyp)))

/** Value for PERFGATE_AGENT; borrowed until destroy. The runner must live and hold c while the target runs.
 */
const char *pg_capture_agent_value(const struct pg_capture *c);

struct pg_captured_site {
        pg_place place; // return address of the call: subtract 1 before asking for a line
        uint64_t allocations, bytes;
};

struct pg_captured_sample {
        pg_place place; // interrupted instruction, exact
        uint64_t weight_ns;
        uint64_t samples;
};

struct pg_captured_module {
        const char *path; // made printable; "[vdso]" for the vDSO
        uint64_t start, end, bias;
        bool is_main;
};

/* One process image. */
struct pg_captured_process {
        int32_t pid, ppid;
        const char *program;
        uint64_t start_ns;
        bool forked, execed; // execed: this image ended by exec
        enum pg_disarm disarm;
        uint64_t allocations, allocated_bytes, frees;
        uint64_t peak_bytes;             // a forked child's includes what it inherited
        uint64_t peak_uncertainty_bytes; // the true peak is at most this much away; 0 when one thread
                                         // allocated
        int64_t live_bytes;              // own allocations minus own frees, without what was inherited
        uint64_t n_threads;
        struct pg_captured_module *modules;
        size_t n_modules;
        struct pg_captured_site *sites; // place PG_PLACE(PG_MODULE_NONE, 0) is [other]
        size_t n_sites;
        struct pg_captured_sample *samples; // merged by place
        size_t n_samples;
        uint64_t sample_count, sample_weight_ns; // totals, lost ones not included
        uint64_t lost_samples, lost_weight_ns;
        uint32_t threads_armed, threads_unarmed, threads_task_clock;
        bool signal_taken_away;
};

/* A child that ran without the agent, or a process image that could not report. */
struct pg_captured_gap {
        int32_t pid;      // 0 when unknown
        const char *path; // what ran there; "" when unknown
        const char *why;  // "statically linked", "set-user-ID", "did not load the agent", ...
};

struct pg_captured {
        struct pg_captured_process *processes; // in order of start
        size_t n_processes;
        struct pg_captured_gap *gaps; // empty: the agent saw the whole tree
        size_t n_gaps;
        uint64_t n_damaged; // pieces left out because their bytes made no sense; 0 unless something is very
                            // wrong
};

/** Reads what is there now (call it when the tree has ended); everything lives in a. */
PG_MUST_CHECK bool pg_capture_read(struct pg_capture *c, struct pg_arena *a, struct pg_captured **ret,
                                   struct pg_error *err);
/** The same from the bytes of such a file (for tests and fuzzing). size may be anything. */
PG_MUST_CHECK bool pg_capture_decode(const void *bytes, size_t size, struct pg_arena *a,
                                     struct pg_captured **ret, struct pg_error *err);

/**
 * Why the agent cannot measure the program at path (an existing executable) in that mode, or NULL when
 * nothing speaks against it: "statically linked", "set-user-ID", "a 32-bit program", "a Go program", and for
 * counting "its allocator is inside the program (jemalloc)". Reads the ELF file; a script is judged by its
 * interpreter. The text is static.
 */
const char *pg_capture_obstacle(const char *path, enum pg_capture_mode mode);

#endif
