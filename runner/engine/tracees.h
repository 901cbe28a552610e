// SPDX-License-Identifier: MIT
/*
 * tracees.h - the traced threads and their processes: found by number, walked in any order.
 */
#ifndef PG_ENGINE_TRACEES_H
#define PG_ENGINE_TRACEES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/engine/pace.h"
#include "runner/engine/task_clock.h"

#define PG_NEVER_NS UINT64_MAX

struct pg_traced_process {
        pid_t pid;
        void *image; // of the handler; NULL before the first exec and after the last thread's end
        uint32_t n_threads;
        uint32_t n_idle;     // threads that are only looked at when the process's clock says so
        uint64_t known_ns;   // CPU time that looking at its threads has shown, ended ones included
        uint64_t settled_ns; // its clock minus known_ns when its idle threads were looked at last
        uint64_t look_at_ns; // when to read its clock next
        uint32_t threads_seen, threads_ended;
        uint64_t lost_points; // of this image
};

struct pg_traced_thread {
        pid_t tid;
        struct pg_traced_process *process;
        int clock; // pg_task_clock_open
        struct pg_pace pace;
        struct pg_task_time exact; // when it was last known to be off its processor, at exact_at_ns
        uint64_t exact_at_ns;
        struct pg_task_time seen; // at the last look, at seen_at_ns
        uint64_t seen_at_ns;
        uint64_t behind_ns;            // seen.used_ns may have been so much behind
        uint64_t look_at_ns;           // when to look next; PG_NEVER_NS: when something happens
        uint8_t asleep;                // looks in a row that found it asleep with nothing consumed
        uint8_t woken;                 // interrupts in a row that met it waiting in a system call
        bool interrupted;              // we asked it to stop
        bool beside;                   // ... when it ran or waited on the tracer's own processor
        uint64_t asked_waiting_ns;     // its seen.waiting_ns then
        bool idle;                     // counted in n_idle
        bool listening;                // stopped by job control
        struct pg_traced_thread *next; // in its bucket
        size_t index;                  // in the list
};

enum { PG_TRACEE_BUCKETS = 1024 };

struct pg_tracees {
        struct pg_traced_thread *buckets[PG_TRACEE_BUCKETS];
        struct pg_traced_thread **threads;
        size_t n_threads, room;
        struct pg_traced_process **processes;
        size_t n_processes, process_room;
};

void pg_tracees_deinit(struct pg_tracees *s);

/** NULL when it is not there. */
struct pg_traced_thread *pg_tracees_find(const struct pg_tracees *s, pid_t tid);
struct pg_traced_process *pg_tracees_find_process(const struct pg_tracees *s, pid_t pid);

/** A new thread, of a process that is there or of a new one without image. NULL when out of memory. */
struct pg_traced_thread *pg_tracees_add(struct pg_tracees *s, pid_t pid, pid_t tid);
/** Forgets it. Its process goes with its last thread; the caller has taken care of the image then. */
void pg_tracees_remove(struct pg_tracees *s, struct pg_traced_thread *t);
/** t takes over the number of the first thread of its process, which is forgotten if it is another one. */
void pg_tracees_become_first(struct pg_tracees *s, struct pg_traced_thread *t);

#endif
