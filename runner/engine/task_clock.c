// SPDX-License-Identifier: MIT
/*
 * task_clock.c - reading what /proc says about threads, with few system calls.
 */
#include "runner/engine/task_clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runner/base/cleanup.h"
#include "runner/base/clock.h"

static int open_task_file(pid_t pid, pid_t tid, const char *name)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
        return open(path, O_RDONLY | O_CLOEXEC);
}

/* The beginning of a file as a string; false when there is nothing. */
static bool read_start(int fd, char *text, size_t size)
{
        ssize_t n = fd >= 0 ? pread(fd, text, size - 1, 0) : -1;
        if (n <= 0)
                return false;
        text[n] = '\0';
        return true;
}

int pg_task_clock_open(pid_t pid, pid_t tid)
{
        return open_task_file(pid, tid, "schedstat");
}

bool pg_task_clock_read(int fd, pid_t pid, pid_t tid, struct pg_task_time *ret)
{
        char text[80], *end;
        PG_AUTO_CLOSE int own = fd < 0 ? pg_task_clock_open(pid, tid) : -1;
        if (!read_start(fd < 0 ? own : fd, text, sizeof(text)))
                return false;
        uint64_t used_ns = strtoull(text, &end, 10);
        *ret = (struct pg_task_time){ used_ns, strtoull(end, NULL, 10) };
        return true;
}

enum { STAT_STATE = 3, STAT_PROCESSOR = 39 }; // numbers of the fields, from 1 (proc(5))

/* "PID (NAME) S ...", where NAME may hold anything. */
bool pg_task_is_running(pid_t pid, pid_t tid, int *ret_processor)
{
        char text[768];
        PG_AUTO_CLOSE int fd = open_task_file(pid, tid, "stat");
        *ret_processor = -1;
        if (!read_start(fd, text, sizeof(text)))
                return false;
        const char *name_end = strrchr(text, ')'), *p = name_end;
        if (!name_end || name_end[1] != ' ')
                return false;
        for (int field = STAT_STATE - 1; p && field < STAT_PROCESSOR; field++)
                p = strchr(p + 1, ' ');
        if (p)
                *ret_processor = (int)strtol(p, NULL, 10);
        return name_end[2] == 'R';
}

/* The clock that clock_getcpuclockid(3) names, without its look whether the process exists. */
uint64_t pg_process_clock_ns(pid_t pid)
{
        struct timespec t;
        clockid_t clock = (clockid_t)(~(unsigned)pid << 3 | 2);
        if (clock_gettime(clock, &t) != 0)
                return 0;
        return (uint64_t)t.tv_sec * PG_NS_PER_S + (uint64_t)t.tv_nsec;
}

static pid_t field(const char *text, const char *name)
{
        const char *p = strstr(text, name);
        return p ? (pid_t)strtol(p + strlen(name), NULL, 10) : 0;
}

bool pg_task_family(pid_t tid, pid_t *ret_pid, pid_t *ret_ppid)
{
        char path[64], text[1024];
        snprintf(path, sizeof(path), "/proc/%d/status", tid);
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (!read_start(fd, text, sizeof(text)))
                return false;
        pid_t pid = field(text, "\nTgid:"), ppid = field(text, "\nPPid:");
        if (pid <= 0)
                return false;
        *ret_pid = pid;
        *ret_ppid = ppid;
        return true;
}

/* The kernel adds up when the thread leaves the processor, which a sleep that is over at once does not bring about. */
bool pg_task_clock_works(void)
{
        enum { TRIES = 20, SLEEP_NS = 100000 };
        pid_t tid = (pid_t)syscall(SYS_gettid);
        for (int i = 0; i < TRIES; i++) {
                struct pg_task_time t;
                nanosleep(&(struct timespec){ .tv_nsec = SLEEP_NS }, NULL);
                if (!pg_task_clock_read(-1, getpid(), tid, &t))
                        return false;
                if (t.used_ns || t.waiting_ns)
                        return true;
        }
        return false;
}
