// SPDX-License-Identifier: MIT
/*
 * task_clock.h - CPU time of another process's thread, as /proc/PID/task/TID/schedstat has it.
 *
 * The kernel brings that number up to date when the thread leaves its processor and at each tick of the
 * scheduler, so it is exact for a thread that is stopped or asleep and up to a tick behind for one that runs.
 */
#ifndef PG_ENGINE_TASK_CLOCK_H
#define PG_ENGINE_TASK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pg_task_time {
        uint64_t used_ns;    // on a processor, in user space and in the kernel
        uint64_t waiting_ns; // ready to run but not running, up to when it last got a processor
};

/** Opens the thread's clock; -1 when the thread is gone or no descriptor is left. */
int pg_task_clock_open(pid_t pid, pid_t tid);
/** Reads it; fd may be -1, which costs more. False when the thread is gone. */
bool pg_task_clock_read(int fd, pid_t pid, pid_t tid, struct pg_task_time *ret);

/** Whether the thread runs or is ready to. False as well when it is gone. *ret_processor: where it does or
 * did last, -1 when that is not known. */
bool pg_task_is_running(pid_t pid, pid_t tid, int *ret_processor);

/** CPU time of a whole process, ended threads included; as far behind as its threads' clocks. 0: gone. */
uint64_t pg_process_clock_ns(pid_t pid);

/** The thread group and the parent of a thread. False when it is gone. */
bool pg_task_family(pid_t tid, pid_t *ret_pid, pid_t *ret_ppid);

/** Whether this kernel keeps such clocks at all. */
bool pg_task_clock_works(void);

#endif
