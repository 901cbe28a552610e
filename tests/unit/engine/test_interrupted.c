// SPDX-License-Identifier: MIT
/*
 * test_interrupted.c - a child that waits in a call is woken by PTRACE_INTERRUPT, as a thread may be that
 * goes to sleep just before it is stopped. Expected results are those of the manual pages for a time-out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/elf.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner/engine/interrupted.h"
#include "runner/engine/task_clock.h"

static const struct timespec a_while = { 0, 300000000 };

static int error_of(long result)
{
        return result < 0 ? errno : 0;
}

static int wait_by_epoll(void)
{
        struct epoll_event event;
        return error_of(epoll_wait(epoll_create1(0), &event, 1, 300));
}

static int wait_by_poll(void)
{
        return error_of(poll(NULL, 0, 300));
}

static int wait_by_sleep(void)
{
        return error_of(nanosleep(&a_while, NULL));
}

static int wait_by_signal(void)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        return error_of(sigtimedwait(&set, NULL, &a_while));
}

static int wait_by_socket(void)
{
        int pair[2];
        char c;
        struct timeval t = { 0, 300000 };
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
        return error_of(recv(pair[0], &c, 1, 0));
}

static int wait_by_semaphore(void)
{
        struct sembuf take = { 0, -1, 0 };
        int id = semget(IPC_PRIVATE, 1, 0600), error = error_of(semtimedop(id, &take, 1, &a_while));
        semctl(id, 0, IPC_RMID);
        return error;
}

static void nothing(int sig)
{
        (void)sig;
}

/* A handler runs: the call must say so. */
static int wait_with_handler(void)
{
        struct sigaction action = { .sa_handler = nothing };
        sigaction(SIGUSR1, &action, NULL);
        return wait_by_epoll();
}

static const struct {
        const char *name;
        int (*wait)(void);
        int signal;   // on its way when it is woken
        int expected; // error
        bool mended;
} cases[] = {
        { "poll", wait_by_poll, 0, 0, false },
        { "nanosleep", wait_by_sleep, 0, 0, false },
        { "epoll_wait", wait_by_epoll, 0, 0, true },
        { "sigtimedwait", wait_by_signal, 0, EAGAIN, true },
        { "recv with a time-out", wait_by_socket, 0, EAGAIN, true },
        { "semtimedop", wait_by_semaphore, 0, EAGAIN, true },
        { "epoll_wait and a handler", wait_with_handler, SIGUSR1, EINTR, true },
        { "epoll_wait and an ignored signal", wait_by_epoll, SIGCHLD, 0, true },
};

static pid_t start(int (*wait_somehow)(void))
{
        pid_t child = fork();
        if (child == 0)
                _exit(wait_somehow());
        int cpu_time = 0, processor;
        while (pg_task_is_running(child, child, &processor) || cpu_time++ < 20) // asleep for good
                usleep(1000);
        return child;
}

static bool registers(pid_t child, struct user_regs_struct *r, bool write)
{
        struct iovec io = { r, sizeof(*r) };
        return ptrace(write ? PTRACE_SETREGSET : PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &io) == 0;
}

/* Each stop is answered as the tracer does; returns the exit status. */
static int let_run(pid_t child, bool *ret_mended)
{
        int status;
        while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) {
                struct user_regs_struct r;
                int signal = status >> 16 ? 0 : WSTOPSIG(status);
                if (registers(child, &r, false) && pg_interrupted_mend(&r))
                        *ret_mended |= registers(child, &r, true);
                ptrace(PTRACE_CONT, child, NULL, (void *)(long)signal);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void woken_calls_end_as_if_nothing_had_been(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                pid_t child = start(cases[i].wait);
                assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
                if (cases[i].signal)
                        assert_int_equal(kill(child, cases[i].signal), 0);
                else
                        assert_int_equal(ptrace(PTRACE_INTERRUPT, child, NULL, NULL), 0);
                bool mended = false;
                int error = let_run(child, &mended);
                if (error != cases[i].expected || mended != cases[i].mended)
                        fail_msg("%s: %s, %smended", cases[i].name, strerror(error), mended ? "" : "not ");
        }
}

static struct user_regs_struct result_of(long long number, long long result)
{
        return (struct user_regs_struct){ .orig_rax = (unsigned long long)number,
                                          .rax = (unsigned long long)result };
}

static void what_must_not_be_repeated_is_left_alone(void **state)
{
        (void)state;
        struct user_regs_struct closed = result_of(SYS_close, -EINTR), user = result_of(-1, -EINTR),
                                done = result_of(SYS_epoll_wait, 1),
                                failed = result_of(SYS_epoll_wait, -EBADF);
        assert_false(pg_interrupted_mend(&closed));
        assert_false(pg_interrupted_mend(&user)); // in user space, where rax is anything
        assert_false(pg_interrupted_mend(&done));
        assert_false(pg_interrupted_mend(&failed));
        assert_int_equal(closed.rax, -EINTR);
        assert_false(pg_interrupted_waiting(&user));
        assert_false(pg_interrupted_waiting(&done));
}

/* The kernel's marks: 512 ERESTARTSYS, 513 ERESTARTNOINTR (fork: it did not wait), 514 ERESTARTNOHAND, 516
 * ERESTART_RESTARTBLOCK (include/linux/errno.h). */
static void waiting_is_told_by_the_kernel_s_marks(void **state)
{
        (void)state;
        static const struct {
                int result;
                bool waiting;
        } marks[] = { { 512, true }, { 513, false },  { 514, true },
                      { 516, true }, { EINTR, true }, { EAGAIN, false } };
        for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
                struct user_regs_struct r = result_of(SYS_read, -marks[i].result);
                assert_int_equal(pg_interrupted_waiting(&r), marks[i].waiting);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(woken_calls_end_as_if_nothing_had_been),
                cmocka_unit_test(what_must_not_be_repeated_is_left_alone),
                cmocka_unit_test(waiting_is_told_by_the_kernel_s_marks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
