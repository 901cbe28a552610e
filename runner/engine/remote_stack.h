// SPDX-License-Identifier: MIT
/*
 * remote_stack.h - the stack of a stopped thread of another process, read as far as a walk needs it.
 *
 * Copied piece by piece, at first a few pages, then twice as much each time: most stacks are short, and
 * none is cut.
 */
#ifndef PG_ENGINE_REMOTE_STACK_H
#define PG_ENGINE_REMOTE_STACK_H

#include <stddef.h>
#include <sys/types.h>

#include "runner/unwind/step.h"

enum {
        PG_REMOTE_STACK_MAX = 8 << 20, // bytes of one stack
        PG_REMOTE_STACKS = 2, // that a walk may have in use: what a signal interrupted can lie on another one
};

struct pg_remote_stack {
        struct pg_stack stack; // for pg_walk
        pid_t pid;
        uint8_t *copies[PG_REMOTE_STACKS];
        uint32_t which;    // of the copies
        uint32_t switches; // to other stacks, in this walk
};

/** Reserves the room; memory is only used as it is needed. */
bool pg_remote_stack_init(struct pg_remote_stack *r);
void pg_remote_stack_deinit(struct pg_remote_stack *r);

/** For a walk from sp on in a process that stands still. Nothing readable there: an empty stack. */
void pg_remote_stack_start(struct pg_remote_stack *r, pid_t pid, uint64_t sp);

/** The two words at a frame pointer, wherever that is: the caller's frame pointer, and the return address. */
bool pg_remote_frame(pid_t pid, uint64_t frame_pointer, uint64_t ret[2]);

#endif
