// SPDX-License-Identifier: MIT
/*
 * calls.c - calls that give out descriptors, and calls that a signal can end early.
 *
 * Each wrapper passes its arguments on as they are and notes the result. 64-bit and fortified forms are the
 * same call to the target, so they share its counter.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/probe/record.h"

/* Each wrapper: the rows below make the table of pointers, its filling, and the functions. */
#define OPENERS(X)                                                                                           \
        X(creat, creat, (const char *path, mode_t mode), (path, mode))                                       \
        X(creat64, creat, (const char *path, mode_t mode), (path, mode))                                     \
        X(mkstemp, mkstemp, (char *name), (name))                                                            \
        X(mkstemp64, mkstemp, (char *name), (name))                                                          \
        X(mkostemp, mkstemp, (char *name, int flags), (name, flags))                                         \
        X(mkstemps, mkstemp, (char *name, int suffix), (name, suffix))                                       \
        X(dup, dup, (int fd), (fd))                                                                          \
        X(dup2, dup2, (int from, int to), (from, to))                                                        \
        X(dup3, dup3, (int from, int to, int flags), (from, to, flags))                                      \
        X(socket, socket, (int domain, int type, int protocol), (domain, type, protocol))                    \
        X(epoll_create, epoll_create, (int size), (size))                                                    \
        X(epoll_create1, epoll_create, (int flags), (flags))                                                 \
        X(eventfd, eventfd, (unsigned count, int flags), (count, flags))                                     \
        X(timerfd_create, timerfd_create, (clockid_t clock, int flags), (clock, flags))                      \
        X(signalfd, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))                    \
        X(inotify_init, inotify_init, (void), ())                                                            \
        X(inotify_init1, inotify_init, (int flags), (flags))                                                 \
        X(memfd_create, memfd_create, (const char *name, unsigned flags), (name, flags))                     \
        X(__open_2, open, (const char *path, int flags), (path, flags))                                      \
        X(__open64_2, open, (const char *path, int flags), (path, flags))                                    \
        X(__openat_2, openat, (int folder, const char *path, int flags), (folder, path, flags))              \
        X(__openat64_2, openat, (int folder, const char *path, int flags), (folder, path, flags))

#define WAITS(X)                                                                                             \
        X(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))                                            \
        X(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))                                \
        X(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))                                     \
        X(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))                               \
        X(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))                          \
        X(ssize_t, recvfrom,                                                                                 \
          (int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *length),                  \
          (fd, p, n, flags, from, length))                                                                   \
        X(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))                           \
        X(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))                    \
        X(ssize_t, sendto,                                                                                   \
          (int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t length),         \
          (fd, p, n, flags, to, length))                                                                     \
        X(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))                     \
        X(int, connect, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))             \
        X(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))                        \
        X(int, ppoll, (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask), \
          (fds, n, timeout, mask))                                                                           \
        X(int, select, (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout),                    \
          (n, r, w, e, timeout))                                                                             \
        X(int, pselect,                                                                                      \
          (int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout, const sigset_t *mask),    \
          (n, r, w, e, timeout, mask))                                                                       \
        X(int, epoll_wait, (int fd, struct epoll_event *events, int n, int timeout),                         \
          (fd, events, n, timeout))                                                                          \
        X(int, epoll_pwait, (int fd, struct epoll_event *events, int n, int timeout, const sigset_t *mask),  \
          (fd, events, n, timeout, mask))                                                                    \
        X(int, nanosleep, (const struct timespec *t, struct timespec *left), (t, left))                      \
        X(int, usleep, (useconds_t us), (us))                                                                \
        X(int, pause, (void), ())                                                                            \
        X(int, sigsuspend, (const sigset_t *mask), (mask))                                                   \
        X(int, sigwaitinfo, (const sigset_t *set, siginfo_t *info), (set, info))                             \
        X(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *timeout),         \
          (set, info, timeout))                                                                              \
        X(pid_t, wait, (int *status), (status))                                                              \
        X(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))                     \
        X(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage),                         \
          (pid, status, options, usage))                                                                     \
        X(int, waitid, (idtype_t type, id_t id, siginfo_t * info, int options), (type, id, info, options))   \
        X(int, sem_wait, (sem_t * s), (s))                                                                   \
        X(int, sem_timedwait, (sem_t * s, const struct timespec *end), (s, end))                             \
        X(ssize_t, msgrcv, (int queue, void *m, size_t n, long type, int flags), (queue, m, n, type, flags)) \
        X(int, msgsnd, (int queue, const void *m, size_t n, int flags), (queue, m, n, flags))                \
        X(int, semop, (int set, struct sembuf *operations, size_t n), (set, operations, n))                  \
        X(int, flock, (int fd, int operation), (fd, operation))

/* Fortified forms that libc does not declare. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);

#define OPENER_POINTER(name, call, parameters, arguments) int(*name) parameters;
#define WAIT_POINTER(type, name, parameters, arguments)   type(*name) parameters;
static struct {
        OPENERS(OPENER_POINTER)
        WAITS(WAIT_POINTER)
        int (*open)(const char *, int, ...);
        int (*open64)(const char *, int, ...);
        int (*openat)(int, const char *, int, ...);
        int (*openat64)(int, const char *, int, ...);
        int (*fcntl)(int, int, ...);
        int (*fcntl64)(int, int, ...);
        FILE *(*fopen)(const char *, const char *);
        FILE *(*fopen64)(const char *, const char *);
        DIR *(*opendir)(const char *);
        int (*pipe)(int[2]);
        int (*pipe2)(int[2], int);
        int (*socketpair)(int, int, int, int[2]);
        int (*accept)(int, struct sockaddr *, socklen_t *);
        int (*accept4)(int, struct sockaddr *, socklen_t *, int);
        int (*clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
        unsigned (*sleep)(unsigned);
        ssize_t (*__read_chk)(int, void *, size_t, size_t);
        int (*__poll_chk)(struct pollfd *, nfds_t, int, size_t);
        int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
} next;

#define NEXT(name) ((__typeof__(next.name))probe_next((void **)&next.name, #name))

void probe_resolve_calls(void)
{
#define OPENER_FIND(name, call, parameters, arguments) (void)NEXT(name);
#define WAIT_FIND(type, name, parameters, arguments)   (void)NEXT(name);
        OPENERS(OPENER_FIND)
        WAITS(WAIT_FIND)
        (void)NEXT(open), (void)NEXT(open64), (void)NEXT(openat), (void)NEXT(openat64);
        (void)NEXT(fcntl), (void)NEXT(fcntl64), (void)NEXT(fopen), (void)NEXT(fopen64), (void)NEXT(opendir);
        (void)NEXT(pipe), (void)NEXT(pipe2), (void)NEXT(socketpair), (void)NEXT(accept), (void)NEXT(accept4);
        (void)NEXT(clock_nanosleep), (void)NEXT(sleep), (void)NEXT(__read_chk), (void)NEXT(__poll_chk);
        (void)NEXT(pthread_create);
}

/* ---- the plain ones --------------------------------------------------------------------------------------
 */

#define OPENER_FUNCTION(name, call, parameters, arguments)                                                   \
        PROBE_PUBLIC int name parameters                                                                     \
        {                                                                                                    \
                int result_ = NEXT(name) arguments;                                                          \
                probe_opened(PG_OPENER_##call, result_);                                                     \
                return result_;                                                                              \
        }
OPENERS(OPENER_FUNCTION)

#define WAIT_FUNCTION(type, name, parameters, arguments)                                                     \
        PROBE_PUBLIC type name parameters                                                                    \
        {                                                                                                    \
                type result_ = NEXT(name) arguments;                                                         \
                probe_waited(PG_WAIT_##name, result_ == -1 && errno == EINTR);                               \
                return result_;                                                                              \
        }
WAITS(WAIT_FUNCTION)

/* ---- those with something of their own -------------------------------------------------------------------
 */

static int opened(enum pg_opener call, int fd)
{
        probe_waited(PG_WAIT_open_wait, fd == -1 && errno == EINTR);
        probe_opened(call, fd);
        return fd;
}

/* The mode behind the flags is there only when a file may be made; reading one more argument does no harm on
 * the machines that we run on. */
#define MODE_BEHIND(last)                                                                                    \
        ({                                                                                                   \
                va_list args_;                                                                               \
                va_start(args_, last);                                                                       \
                mode_t mode_ = va_arg(args_, mode_t);                                                        \
                va_end(args_);                                                                               \
                mode_;                                                                                       \
        })

PROBE_PUBLIC int open(const char *path, int flags, ...)
{
        return opened(PG_OPENER_open, NEXT(open)(path, flags, MODE_BEHIND(flags)));
}

PROBE_PUBLIC int open64(const char *path, int flags, ...)
{
        return opened(PG_OPENER_open, NEXT(open64)(path, flags, MODE_BEHIND(flags)));
}

PROBE_PUBLIC int openat(int folder, const char *path, int flags, ...)
{
        return opened(PG_OPENER_openat, NEXT(openat)(folder, path, flags, MODE_BEHIND(flags)));
}

PROBE_PUBLIC int openat64(int folder, const char *path, int flags, ...)
{
        return opened(PG_OPENER_openat, NEXT(openat64)(folder, path, flags, MODE_BEHIND(flags)));
}

static int controlled(int command, int r)
{
        if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
                probe_opened(PG_OPENER_fcntl, r);
        probe_waited(PG_WAIT_fcntl_wait, r == -1 && errno == EINTR);
        return r;
}

#define ARGUMENT_BEHIND(last)                                                                                \
        ({                                                                                                   \
                va_list args_;                                                                               \
                va_start(args_, last);                                                                       \
                void *argument_ = va_arg(args_, void *);                                                     \
                va_end(args_);                                                                               \
                argument_;                                                                                   \
        })

PROBE_PUBLIC int fcntl(int fd, int command, ...)
{
        return controlled(command, NEXT(fcntl)(fd, command, ARGUMENT_BEHIND(command)));
}

PROBE_PUBLIC int fcntl64(int fd, int command, ...)
{
        return controlled(command, NEXT(fcntl64)(fd, command, ARGUMENT_BEHIND(command)));
}

static FILE *opened_file(FILE *f)
{
        probe_opened(PG_OPENER_fopen, f ? fileno(f) : -1);
        return f;
}

PROBE_PUBLIC FILE *fopen(const char *path, const char *mode)
{
        return opened_file(NEXT(fopen)(path, mode));
}

PROBE_PUBLIC FILE *fopen64(const char *path, const char *mode)
{
        return opened_file(NEXT(fopen64)(path, mode));
}

PROBE_PUBLIC DIR *opendir(const char *path)
{
        DIR *folder = NEXT(opendir)(path);
        probe_opened(PG_OPENER_opendir, folder ? dirfd(folder) : -1);
        return folder;
}

static int opened_pair(enum pg_opener call, int failed, const int fds[2])
{
        if (!failed) {
                probe_opened(call, fds[0]);
                probe_opened(call, fds[1]);
        }
        return failed;
}

PROBE_PUBLIC int pipe(int fds[2])
{
        return opened_pair(PG_OPENER_pipe, NEXT(pipe)(fds), fds);
}

PROBE_PUBLIC int pipe2(int fds[2], int flags)
{
        return opened_pair(PG_OPENER_pipe, NEXT(pipe2)(fds, flags), fds);
}

PROBE_PUBLIC int socketpair(int domain, int type, int protocol, int fds[2])
{
        return opened_pair(PG_OPENER_socketpair, NEXT(socketpair)(domain, type, protocol, fds), fds);
}

static int accepted(int fd)
{
        probe_waited(PG_WAIT_accept_wait, fd == -1 && errno == EINTR);
        probe_opened(PG_OPENER_accept, fd);
        return fd;
}

PROBE_PUBLIC int accept(int fd, struct sockaddr *from, socklen_t *length)
{
        return accepted(NEXT(accept)(fd, from, length));
}

PROBE_PUBLIC int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
        return accepted(NEXT(accept4)(fd, from, length, flags));
}

/* Returns the error. */
PROBE_PUBLIC int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left)
{
        int r = NEXT(clock_nanosleep)(clock, flags, t, left);
        probe_waited(PG_WAIT_clock_nanosleep, r == EINTR);
        return r;
}

/* Returns the seconds that are left. */
PROBE_PUBLIC unsigned sleep(unsigned seconds)
{
        unsigned left = NEXT(sleep)(seconds);
        probe_waited(PG_WAIT_sleep, left > 0);
        return left;
}

PROBE_PUBLIC ssize_t __read_chk(int fd, void *p, size_t n, size_t room)
{
        ssize_t r = NEXT(__read_chk)(fd, p, n, room);
        probe_waited(PG_WAIT_read, r == -1 && errno == EINTR);
        return r;
}

PROBE_PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
        int r = NEXT(__poll_chk)(fds, n, timeout, room);
        probe_waited(PG_WAIT_poll, r == -1 && errno == EINTR);
        return r;
}

PROBE_PUBLIC int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                                void *argument)
{
        probe_depth++; // libc's block for thread-local storage grows with each library that has some
        int failed = NEXT(pthread_create)(thread, attributes, routine, argument);
        probe_depth--;
        if (!failed && probe_image)
                probe_add(&probe_image->threads, 1);
        return failed;
}
