// SPDX-License-Identifier: MIT
/*
 * attach.h - this process image and its slot in the shared file.
 *
 * Guest rules: no descriptor stays open, no heap, no thread, no output, no change of the environment, errno
 * is kept. When anything fails the agent stays passive and every call goes straight to the real function.
 */
#ifndef PG_AGENT_ATTACH_H
#define PG_AGENT_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/capture/layout.h"

#define PG_PUBLIC      __attribute__((visibility("default")))
#define pg_likely(x)   __builtin_expect(!!(x), 1)
#define pg_unlikely(x) __builtin_expect(!!(x), 0)

/* Off the fast path of an interposed allocation function. Hand-written code may call these with a stack that is aligned
 * to 8 bytes only, which libc's bear; what lies behind them has it aligned. */
#define PG_SLOW_PATH   __attribute__((noinline, force_align_arg_pointer))

enum agent_state {
        AGENT_EARLY,    // before the constructor
        AGENT_PASSIVE,  // no variable, not ours, or attaching failed
        AGENT_COUNTING, // PG_MODE_COUNT
        AGENT_SAMPLING, // PG_MODE_SAMPLE
        AGENT_LOCKS,    // PG_MODE_LOCK
};

enum { AGENT_VALUE_MAX = 256 };

/* Written by attaching only: before other threads exist, or in a forked child. */
struct agent_process {
        uint32_t state; // enum agent_state
        int32_t pid;    // of the process that owns the slot's mapping
        uint32_t epoch; // +1 with each fork that lies between the program's start and this process
        bool borrowed;  // a forked child that goes on in its parent's slot
        struct pg_file_header *header;
        struct pg_slot *slot;
        struct pg_module *modules;
        struct pg_cell *cells;
        struct pg_started *journal;
        struct pg_node *nodes;
        struct pg_node_peak *peaks;        // by node; of use with live_blocks only
        struct pg_live_block *live_blocks; // NULL: live bytes are not attributed
        uint32_t live_mask;                // buckets - 1
        char value[AGENT_VALUE_MAX];       // of PERFGATE_AGENT
        char path[PG_PATH_MAX_BYTES];      // of this library
};
extern struct agent_process agent __attribute__((visibility("hidden")));

/* enum pg_mode that this library serves; defined by its interposing files. It stays passive in any other: it would
 * hold a slot of zeros that looks measured. */
extern const uint32_t agent_mode __attribute__((visibility("hidden")));

/*
 * Number of the current state of the code map and of the process, in a page that the kernel wipes in forked
 * children: 0 means "forked since". It grows when a library was unloaded, so that nothing keyed by a raw pc
 * outlives its meaning. A thread whose own copy differs takes the slow path.
 */
extern _Atomic uint32_t agent_generation __attribute__((visibility("hidden")));

/* Sends every thread through its slow path once. */
void agent_next_generation(void);

/* In a forked child: takes a slot of its own; nothing when that is done. By fork()'s wrapper, else when
 * the library is next asked to count, or to start a thread. */
void agent_reattach_after_fork(void);

#endif
