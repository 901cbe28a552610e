// SPDX-License-Identifier: MIT
/*
 * test_ptrace_obstacle.c - why tracing is refused, in words, and by a kernel that does refuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/engine/ptrace_obstacle.h"

static struct pg_arena *arena;

static const struct {
        struct pg_ptrace_refusal refusal;
        const char *text;
} refusals[] = {
        { { .error = EPERM, .scope = 2, .call = "ptrace" },
          "ptrace_scope is 2: tracing needs CAP_SYS_PTRACE" },
        { { .error = EPERM, .scope = 3, .call = "ptrace" }, "ptrace_scope is 3: nobody may trace" },
        { { .error = EPERM, .scope = 1, .filtered = true, .call = "ptrace" },
          "a seccomp filter forbids ptrace" },
        { { .error = EPERM, .filtered = true, .call = "process_vm_readv" },
          "a seccomp filter forbids process_vm_readv" },
        { { .error = EPERM, .tracer = 77, .filtered = true, .call = "ptrace" },
          "process 77 traces it already" },
        { { .error = ENOSYS, .filtered = true, .call = "ptrace" }, "this kernel or sandbox has no ptrace" },
        { { .error = EPERM, .call = "ptrace" }, "ptrace is refused: Operation not permitted" },
};

static void the_reason_is_named(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
                const char *text = pg_ptrace_explain(&refusals[i].refusal, arena);
                if (!strstr(text, refusals[i].text))
                        fail_msg("'%s', expected '%s'", text, refusals[i].text);
        }
}

/* A filter that answers one call with an error, for this process and its children. */
static void forbid(unsigned call, unsigned error)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In a child: 0 when the obstacle there has these words. */
static int obstacle_has(const char *words)
{
        const char *why = pg_ptrace_obstacle(NULL, arena);
        if (why && strstr(why, words))
                return 0;
        fprintf(stderr, "'%s', expected '%s'\n", why ? why : "nothing", words);
        return 1;
}

static void assert_ends_well(pid_t child)
{
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static void a_filter_is_recognised(void **state)
{
        (void)state;
        static const struct {
                unsigned call, error;
                const char *words;
        } filters[] = { { SYS_ptrace, EPERM, "a seccomp filter forbids ptrace" },
                        { SYS_process_vm_readv, EPERM, "a seccomp filter forbids process_vm_readv" },
                        { SYS_ptrace, ENOSYS, "has no ptrace" } };
        for (size_t i = 0; i < 3; i++) {
                pid_t child = fork();
                if (child == 0) {
                        forbid(filters[i].call, filters[i].error);
                        _exit(obstacle_has(filters[i].words));
                }
                assert_ends_well(child);
        }
}

/* Under a tracer that follows children, as a debugger or strace -f does, the child that is tried has one
 * already. */
static void another_tracer_is_recognised(void **state)
{
        (void)state;
        pid_t child = fork();
        if (child == 0) {
                raise(SIGSTOP);
                _exit(obstacle_has("traces it already"));
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEFORK), 0);
        kill(child, SIGCONT);
        int result = -1;
        for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
                if (pid == child && WIFEXITED(status))
                        result = WEXITSTATUS(status);
                if (WIFSTOPPED(status))
                        ptrace(PTRACE_CONT, pid, NULL, (void *)(long)(status >> 16 ? 0 : WSTOPSIG(status)));
        }
        assert_int_equal(result, 0);
}

static void programs_are_looked_at(void **state)
{
        (void)state;
        char path[] = "/tmp/perfgate-program-XXXXXX";
        const char elf32[16] = "\177ELF\1\1\1", elf64[16] = "\177ELF\2\1\1";
        int fd = mkstemp(path);
        assert_int_equal(pwrite(fd, elf32, sizeof(elf32), 0), sizeof(elf32));
        assert_string_equal(pg_ptrace_obstacle(path, arena), "a 32-bit program");
        assert_int_equal(pwrite(fd, elf64, sizeof(elf64), 0), sizeof(elf64));
        const char *machine = pg_ptrace_obstacle(NULL, arena), *program = pg_ptrace_obstacle(path, arena);
        assert_int_equal(machine == NULL, program == NULL); // nothing in the file speaks against it
        close(fd);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_reason_is_named),
                cmocka_unit_test(a_filter_is_recognised),
                cmocka_unit_test(another_tracer_is_recognised),
                cmocka_unit_test(programs_are_looked_at),
        };
        arena = pg_arena_create();
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        pg_arena_destroy(arena);
        return failed;
}
