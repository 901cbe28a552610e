// SPDX-License-Identifier: MIT
/*
 * lock_stacks.h - what was captured of locks, taken apart: those who waited, and those who made others wait.
 *
 * In a capture the kind of event is the outermost frame (PG_NODE_WAITER and so on, layout.h), because the agent
 * walks from the inside outwards. People read a stack the other way round: here the kind is the innermost frame,
 * named by the function that was called there, and stacks begin where the program does.
 */
#ifndef PG_MEASURE_LOCK_STACKS_H
#define PG_MEASURE_LOCK_STACKS_H

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/capture/capture.h"

enum pg_lock_part {
        PG_LOCK_WAITERS, // for mutexes, read-write locks and conditions; count: waits
        PG_LOCK_HOLDERS, // who unlocked; count: waits that had begun under them
};

/**
 * One part of all processes of a capture of PG_MODE_LOCK.
 *
 * ret  as c, borrowing everything but the nodes, which live in a
 * err  PG_ENOMEM
 */
PG_MUST_CHECK bool pg_lock_stacks(const struct pg_captured *c, enum pg_lock_part part, struct pg_arena *a,
                                  struct pg_captured *ret, struct pg_error *err);

/** Nanoseconds that all threads of all processes waited for mutexes and read-write locks. A wait for a condition
 * is no contention. */
uint64_t pg_lock_wait_ns(const struct pg_captured *c);

#endif
