// SPDX-License-Identifier: MIT
/*
 * tracer.h - samples a process tree by stopping its threads for an instant, one at a time (ptrace).
 *
 * One thread of ours does it all, because the kernel lets only the thread that traces give orders. It
 * follows new threads, children and programs by itself and ends with the tree. Signals, job control, exit
 * statuses and who waits for whom stay as they are.
 *
 * Without the right to a higher priority (CAP_SYS_NICE), and with all processors busy, samples lean
 * towards calls that enter the scheduler: reading a thread's own CPU clock, or waiting for others.
 *
 * An order to stop takes some microseconds to reach a running thread. One that makes a system call
 * meanwhile is met at the end of that call, so with thousands of calls in a second of CPU time samples
 * lean towards them (in_call).
 *
 * A thread is stopped when it has consumed CPU time, never because time went by: one that sleeps is left
 * alone. When the tracer dies the kernel lets everything run on.
 */
#ifndef PG_ENGINE_TRACER_H
#define PG_ENGINE_TRACER_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "runner/base/error.h"

/* A thread that stands still. */
struct pg_trace_stop {
        pid_t pid, tid;
        const struct user_regs_struct *regs; // NULL: not a 64-bit program
        uint64_t points;                     // it consumed so many periods since its last sample; >= 1
        bool in_call;                        // at the end of a system call
};

/* What is known of a process image when it has ended. */
struct pg_trace_end {
        bool execed;          // another program took its place
        uint32_t threads;     // it ever had
        uint64_t lost_points; // periods consumed by threads that ended before they could be stopped
};

/* Called by the tracing thread; the process stands still, or has ended. */
struct pg_trace_handler {
        void *context;
        /* A process image begins: a program, or a forked child. parent is the image that a child was
         * copied from, NULL when that is not known. Returns the image as the other calls get it; NULL:
         * nobody wants it. */
        void *(*begin)(void *context, pid_t pid, pid_t ppid, bool forked, void *parent);
        void (*sample)(void *context, void *image, const struct pg_trace_stop *stop);
        void (*end)(void *context, void *image, const struct pg_trace_end *end);
};

struct pg_trace_counts {
        uint64_t stops;   // by our interrupts
        uint64_t early;   // ... that came before the thread had consumed enough: no sample
        uint64_t waiting; // ... that met a thread that had just begun to wait: no sample
        uint64_t mended;  // system calls saved from EINTR
        uint64_t looks;   // at threads' clocks
};

struct pg_tracer;

/** The handler is copied. */
PG_MUST_CHECK bool pg_tracer_create(const struct pg_trace_handler *handler, uint64_t period_ns,
                                    struct pg_tracer **ret, struct pg_error *err);
/**
 * Starts to trace a process that waits before its exec; its images are those from that exec on. Once for each
 * tracer. Until pg_tracer_finish the calling thread has SIGCHLD blocked.
 */
PG_MUST_CHECK bool pg_tracer_seize(struct pg_tracer *t, pid_t pid, struct pg_error *err);
/** Waits until the tree has ended, at most patience_ns, and lets go of what is left then. The handler is
 * not called any more. False when it was out of memory meanwhile. */
PG_MUST_CHECK bool pg_tracer_finish(struct pg_tracer *t, uint64_t patience_ns, struct pg_trace_counts *ret,
                                    struct pg_error *err);
/** Takes NULL. */
void pg_tracer_destroy(struct pg_tracer *t);

#endif
