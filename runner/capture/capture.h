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

/* What the agent is asked for. */
struct pg_capture_request {
        enum pg_capture_mode mode;
        uint32_t rate_hz;              // PG_MODE_SAMPLE: samples per second of a thread's CPU time
        enum pg_live live;             // PG_MODE_COUNT
        uint32_t verify_every;         // PG_MODE_COUNT: check every Nth reused stack; 0: none
        uint64_t stack_interval_bytes; // PG_MODE_COUNT: 0: every stack; else a sample each so many bytes
};

/** Creates the memory file for one pass. */
PG_MUST_CHECK bool pg_capture_create(const struct pg_capture_request *request, struct pg_capture **ret,
                                     struct pg_error *err);
/** Closes the file; takes NULL. */
void pg_capture_destroy(struct pg_capture *c);
PG_DEFINE_CLEANUP(struct pg_capture, pg_capture_destroy)
#define PG_AUTO_CAPTURE __attribute__((cleanup(pg_capture_destroyp)))

/** Value for PERFGATE_AGENT; borrowed until destroy. The runner must live and hold c while the target runs.
 */
const char *pg_capture_agent_value(const struct pg_capture *c);

/* Pseudo frames (layout.h): PG_PLACE(PG_MODULE_NONE, PG_NODE_OTHER) and so on. */
#define PG_PLACE_PSEUDO(node) PG_PLACE(PG_MODULE_NONE, node)
static inline bool pg_place_is_pseudo(pg_place place)
{
        return PG_PLACE_MODULE(place) == PG_MODULE_NONE && PG_PLACE_ADDRESS(place) < PG_NODE_FIRST;
}

/*
 * A frame of call stacks, and what happened with it innermost. nodes[0] is the root, which is no frame; a
 * parent's index is smaller than its children's; siblings are distinct. The address of place is in the file's
 * own terms and ready for symbols: return addresses have one subtracted already. With PG_MODULE_NONE it is
 * absolute (generated code), or a pseudo frame.
 */
struct pg_captured_node {
        uint32_t parent;
        pg_place place;
        uint64_t count;  // allocations, samples or waits
        uint64_t amount; // bytes asked for, CPU ns or waited ns
        /* Counting only. */
        uint64_t temporary;               // of count: freed as the thread's next event
        uint64_t live_blocks, live_bytes; // at the end; usable sizes
        uint64_t peak_blocks, peak_bytes; // at the process's peak
};

/* How stacks were got; sums over processes are meaningful. */
struct pg_captured_quality {
        uint64_t stacks_other, stacks_verified, stacks_different;
        uint64_t truncated, unknown; // events whose outermost frame is [truncated], [unknown]
        uint64_t live_lost;
        uint64_t live_interval_bytes; // 0: live bytes by stack are exact
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
        const char *const
                *build_ids; // of the modules as they were loaded: hex, "" when unknown; NULL: none is known
        size_t n_modules;
        struct pg_captured_node *nodes; // by mode: allocations, samples or waits
        size_t n_nodes;                 // >= 1
        struct pg_captured_quality quality;
        uint64_t sample_count, sample_weight_ns; // totals, lost ones not included
        uint64_t lost_samples, lost_weight_ns;
        uint32_t threads_armed, threads_unarmed, threads_task_clock;
        uint32_t threads_stopped; // of the armed: stopped from outside when their CPU time was due
        uint64_t
                call_weight_ns; // where threads are stopped: of sample_weight_ns, met at the end of system calls
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
        bool from_outside; // by another process than the target's own: no child is a gap for want of an agent
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
 * counting "its allocator is inside the program (jemalloc)", for locks "its locks are its language's own (Rust)".
 * Reads the ELF file; a script is judged by its
 * interpreter. The text is static.
 */
const char *pg_capture_obstacle(const char *path, enum pg_capture_mode mode);

#endif
