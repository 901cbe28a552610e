// SPDX-License-Identifier: MIT
/*
 * raw.h - system calls without libc's cancellation points and without going through anything interposed.
 *
 * Each returns the value or -errno and leaves errno alone. All are async-signal-safe. A call that a seccomp filter of
 * the target's may not let through is not made: -EPERM.
 */
#ifndef PG_AGENT_RAW_H
#define PG_AGENT_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/agent/filter.h"
#include "runner/capture/layout.h"

/* The instruction itself. */
static inline long raw_enter(long number, long a, long b, long c, long d, long e, long f)
{
        register long r10 __asm__("r10");
        register long r8 __asm__("r8");
        register long r9 __asm__("r9");
        long r;
        r10 = d, r8 = e, r9 = f;
        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return r;
}

static inline bool raw_may_call(long number)
{
        return !filter_restricts() || filter_admits(number);
}

static inline long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
        return raw_may_call(number) ? raw_enter(number, a, b, c, d, e, f) : -EPERM;
}

static inline int raw_open_rdwr(const char *path)
{
        return (int)raw_call(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
}

static inline void raw_close(int fd)
{
        raw_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* NULL on failure */
static inline void *raw_map_shared(int fd, uint64_t offset, size_t size)
{
        long r = raw_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (long)offset);
        return r < 0 && r > -4096 ? NULL : (void *)r;
}

static inline void *raw_map_private(size_t size)
{
        long r =
                raw_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return r < 0 && r > -4096 ? NULL : (void *)r;
}

static inline void raw_unmap(void *p, size_t size)
{
        raw_call(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
}

static inline int32_t raw_getpid(void)
{
        return (int32_t)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int32_t raw_getppid(void)
{
        return (int32_t)raw_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static inline int32_t raw_gettid(void)
{
        return (int32_t)raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* True when no thread tid of process pid exists any more. */
static inline bool raw_thread_is_gone(int32_t pid, int32_t tid)
{
        return raw_call(SYS_tgkill, pid, tid, 0, 0, 0, 0) == -ESRCH;
}

/* /proc/self/exe into PG_PATH_MAX_BYTES bytes; "" when it cannot be read */
static inline void raw_program_path(char *out)
{
        long n = raw_call(SYS_readlink, (long)"/proc/self/exe", (long)out, PG_PATH_MAX_BYTES - 1, 0, 0, 0);
        out[n > 0 ? n : 0] = '\0';
}

/* Appends what fits, always with the final zero; returns the new length. */
static inline size_t raw_append(char *out, size_t at, size_t size, const char *s)
{
        size_t n = strlen(s);
        if (n > size - 1 - at)
                n = size - 1 - at;
        memcpy(out + at, s, n);
        out[at + n] = '\0';
        return at + n;
}

/* path without a leading "./", as raw_absolute_path() leaves it */
static inline const char *raw_without_dot(const char *path)
{
        return path[0] == '.' && path[1] == '/' ? path + 2 : path;
}

/* path with the working directory in front when it is relative; cut at size */
static inline void raw_absolute_path(const char *path, char *out, size_t size)
{
        size_t at = 0;
        out[0] = '\0';
        if (path[0] != '/') {
                long n = raw_call(SYS_getcwd, (long)out, (long)size, 0, 0, 0, 0); // counts the zero
                at = n > 1 && out[0] == '/' ? (size_t)n - 1 : 0;
                if (at > 1)
                        at = raw_append(out, at, size, "/");
                path = raw_without_dot(path);
        }
        raw_append(out, at, size, path);
}

#endif
