// SPDX-License-Identifier: MIT
/*
 * layout.h - the shared memory that the probe writes and the runner reads.
 *
 * One memory file for each run. Every program that the tree runs claims an image; forked children go on in
 * their parent's. All counters are atomic sums, so neither the order of threads nor that of processes shows.
 * The bytes come from inside a foreign program: the reader (observation.h) trusts none of them.
 */
#ifndef PG_PROBE_LAYOUT_H
#define PG_PROBE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define PG_PROBE_MAGIC    0x3165626f72706770ull // "pgprobe1" in memory
#define PG_PROBE_VARIABLE "PERFGATE_PROBE"      // "/proc/PID/fd/N"

/* Calls that give out descriptors. */
#define PG_PROBE_OPENERS(X)                                                                                  \
        X(open)                                                                                              \
        X(openat)                                                                                            \
        X(creat)                                                                                             \
        X(fopen)                                                                                             \
        X(opendir)                                                                                           \
        X(mkstemp)                                                                                           \
        X(dup)                                                                                               \
        X(dup2)                                                                                              \
        X(dup3)                                                                                              \
        X(fcntl)                                                                                             \
        X(pipe)                                                                                              \
        X(socket)                                                                                            \
        X(socketpair)                                                                                        \
        X(accept)                                                                                            \
        X(epoll_create)                                                                                      \
        X(eventfd)                                                                                           \
        X(timerfd_create)                                                                                    \
        X(signalfd)                                                                                          \
        X(inotify_init)                                                                                      \
        X(memfd_create)

/* Calls that a signal can end early. */
#define PG_PROBE_WAITS(X)                                                                                    \
        X(read)                                                                                              \
        X(readv)                                                                                             \
        X(write)                                                                                             \
        X(writev)                                                                                            \
        X(recv)                                                                                              \
        X(recvfrom)                                                                                          \
        X(recvmsg)                                                                                           \
        X(send)                                                                                              \
        X(sendto)                                                                                            \
        X(sendmsg)                                                                                           \
        X(accept_wait)                                                                                       \
        X(connect)                                                                                           \
        X(poll)                                                                                              \
        X(ppoll)                                                                                             \
        X(select)                                                                                            \
        X(pselect)                                                                                           \
        X(epoll_wait)                                                                                        \
        X(epoll_pwait)                                                                                       \
        X(nanosleep)                                                                                         \
        X(clock_nanosleep)                                                                                   \
        X(usleep)                                                                                            \
        X(sleep)                                                                                             \
        X(pause)                                                                                             \
        X(sigsuspend)                                                                                        \
        X(sigwaitinfo)                                                                                       \
        X(sigtimedwait)                                                                                      \
        X(wait)                                                                                              \
        X(waitpid)                                                                                           \
        X(wait4)                                                                                             \
        X(waitid)                                                                                            \
        X(sem_wait)                                                                                          \
        X(sem_timedwait)                                                                                     \
        X(msgrcv)                                                                                            \
        X(msgsnd)                                                                                            \
        X(semop)                                                                                             \
        X(flock)                                                                                             \
        X(open_wait)                                                                                         \
        X(fcntl_wait)

#define PG_PROBE_OPENER(name) PG_OPENER_##name,
enum pg_opener { PG_PROBE_OPENERS(PG_PROBE_OPENER) PG_OPENERS };
#undef PG_PROBE_OPENER

#define PG_PROBE_WAIT(name) PG_WAIT_##name,
enum pg_wait { PG_PROBE_WAITS(PG_PROBE_WAIT) PG_WAITS };
#undef PG_PROBE_WAIT

enum {
        PG_PROBE_PAGE = 4096,
        PG_PROBE_IMAGES = 1024,      // later programs of one run are only counted
        PG_PROBE_NUMBERS = 64,       // descriptors told apart; the last one stands for all above
        PG_PROBE_SIGNALS = 65,       // 1 to 64
        PG_PROBE_PROGRAM_BYTES = 256 // longer paths lose their start
};

struct pg_probe_header {
        uint64_t magic;
        _Atomic uint32_t n_images; // claimed; may run past PG_PROBE_IMAGES
        uint32_t reserved;
};

/* What one program did, and what it found around it, summed over the processes that ran it. */
struct pg_probe_image {
        _Atomic uint32_t ready; // 1 when the fields of the start are complete
        int32_t pid;
        char program[PG_PROBE_PROGRAM_BYTES];

        /* At the start. */
        uint32_t variables; // of the environment, without ours and the loader's
        uint32_t tasks_at_start;
        uint64_t environment_hash; // of them, in their order
        uint64_t blocked_at_start; // signal mask, bit 0 is signal 1

        /* While it ran. */
        _Atomic uint64_t opened[PG_OPENERS][PG_PROBE_NUMBERS]; // how often a call returned that number
        _Atomic uint64_t interrupted[PG_WAITS];                // how often a call failed with EINTR
        _Atomic uint64_t blocks, usable_bytes;
        _Atomic uint64_t sizes_hash;    // sum over blocks of a hash of (bytes asked for, usable bytes)
        _Atomic uint64_t errno_changed; // allocator calls that succeeded and left another errno
        _Atomic uint64_t threads;       // pthread_create that succeeded

        /* At the ends that can be seen: exit, _exit, return from main. */
        _Atomic uint64_t ends;
        _Atomic uint64_t variables_at_end, environment_hash_at_end; // sums
        _Atomic uint64_t tasks_at_end;                              // sum
        _Atomic uint64_t mappings_at_end;                           // sum; told, not compared
        _Atomic uint64_t open_at_end[PG_PROBE_NUMBERS];
        _Atomic uint64_t handled_at_end[PG_PROBE_SIGNALS]; // processes with a handler for the signal
        _Atomic uint64_t ignored_at_end[PG_PROBE_SIGNALS];
        _Atomic uint64_t blocked_at_end[PG_PROBE_SIGNALS];
};

_Static_assert(sizeof(struct pg_probe_header) <= PG_PROBE_PAGE, "images begin on a page");

#define PG_PROBE_FILE_BYTES (PG_PROBE_PAGE + PG_PROBE_IMAGES * sizeof(struct pg_probe_image))

#endif
