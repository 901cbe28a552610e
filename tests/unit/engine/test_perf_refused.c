// SPDX-License-Identifier: MIT
/*
 * test_perf_refused.c - what the perf engine says where perf events are refused, as in containers: a seccomp filter in
 * a child of this test answers the system call with an error.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/engine/engine.h"

/* From now on this process gets that errno from perf_event_open. */
static bool refuse_perf(unsigned error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The child's half: the obstacle, then what opening says, in one line each. */
static void report(int fd, unsigned error)
{
        const struct pg_engine_request request = { .rate_hz = 997 };
        struct pg_engine_session *s = NULL;
        struct pg_error err = { 0 };
        struct pg_arena *a = pg_arena_create();
        if (!refuse_perf(error))
                _exit(2);
        const char *why = pg_perf_engine.obstacle(NULL, &request, a);
        if (!pg_perf_engine.start(&request, &s, &err) || pg_perf_engine.before_exec(s, getpid(), &err))
                _exit(3);
        dprintf(fd, "%s\n%s\n%d", why ? why : "", err.text, err.os_errno);
        pg_perf_engine.stop(s);
        pg_arena_destroy(a);
        _exit(0);
}

static void assert_refusal(unsigned error, const char *want)
{
        int ends[2], status;
        char got[1024] = "", wanted[1024];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
                report(ends[1], error);
        close(ends[1]);
        for (size_t n = 0; n < sizeof(got) - 1;) {
                ssize_t more = read(ends[0], got + n, sizeof(got) - 1 - n);
                if (more <= 0)
                        break;
                n += (size_t)more;
        }
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        snprintf(wanted, sizeof(wanted), "%s\n%s\n%u", want, want, error);
        assert_string_equal(got, wanted);
}

static void each_refusal_has_its_reason(void **state)
{
        (void)state;
        assert_refusal(ENOSYS, "there are no perf events here (kernel or sandbox)");
        assert_refusal(ENOENT, "this kernel has no task-clock events with user stacks");
        assert_refusal(EMFILE, "perf events need a descriptor for each CPU, and the limit is too low");
        assert_refusal(EINVAL,
                       "this kernel has no task-clock events with user stacks"); // after doing with less
        assert_refusal(EBUSY, "perf events cannot be opened: Device or resource busy");
}

static void a_forbidden_call_names_who_may_forbid_it(void **state)
{
        (void)state;
        int level = 0;
        FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
        char want[128] = "perf events are not allowed here (by a container's seccomp filter, perhaps)";
        if (f && fscanf(f, "%d", &level) == 1 && level > 2)
                snprintf(want, sizeof(want), "perf events are not allowed (kernel.perf_event_paranoid is %d)",
                         level);
        if (f)
                fclose(f);
        assert_refusal(EPERM, want);
        assert_refusal(EACCES, want);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_refusal_has_its_reason),
                cmocka_unit_test(a_forbidden_call_names_who_may_forbid_it),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
