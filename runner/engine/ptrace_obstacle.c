// SPDX-License-Identifier: MIT
/*
 * ptrace_obstacle.c - a child of ours that only waits is traced and read, as a target would be.
 */
#include "runner/engine/ptrace_obstacle.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/engine/task_clock.h"

/* The number behind name in a file of lines, or at its start when name is ""; 0 when there is none. */
static int number_in(const char *path, const char *name)
{
        char text[2048];
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
        if (n <= 0)
                return 0;
        text[n] = '\0';
        const char *p = strstr(text, name);
        return p ? (int)strtol(p + strlen(name), NULL, 10) : 0;
}

const char *pg_ptrace_explain(const struct pg_ptrace_refusal *r, struct pg_arena *a)
{
        const char *text = NULL;
        if (r->error == ENOSYS)
                text = pg_arena_printf(a, "this kernel or sandbox has no %s", r->call);
        else if (r->tracer)
                text = pg_arena_printf(a, "process %d traces it already (a debugger, or strace)", r->tracer);
        else if (r->scope >= 3)
                return "kernel.yama.ptrace_scope is 3: nobody may trace";
        else if (r->scope == 2)
                return "kernel.yama.ptrace_scope is 2: tracing needs CAP_SYS_PTRACE";
        else if (r->error == EPERM && r->filtered)
                text = pg_arena_printf(a, "a seccomp filter forbids %s (a container's profile)", r->call);
        else
                text = pg_arena_printf(a, "%s is refused: %s", r->call, strerror(r->error));
        return text ? text : "tracing is refused";
}

static const char *explain(const char *call, pid_t child, struct pg_arena *a)
{
        struct pg_ptrace_refusal r = { .error = errno, .call = call };
        char status[32];
        snprintf(status, sizeof(status), "/proc/%d/status", child);
        r.tracer = number_in(status, "\nTracerPid:");
        r.scope = number_in("/proc/sys/kernel/yama/ptrace_scope", "");
        r.filtered = number_in("/proc/self/status", "\nSeccomp:") == 2;
        if (r.tracer == getpid())
                r.tracer = 0;
        return pg_ptrace_explain(&r, a);
}

/* A child of the kind that targets are: it waits and can be read. */
static const char *try_child(pid_t child, struct pg_arena *a)
{
        static const char mark[] = "readable";
        char copy[sizeof(mark)] = "";
        struct iovec here = { copy, sizeof(copy) }, there = { (void *)(uintptr_t)mark, sizeof(mark) };
        if (ptrace(PTRACE_SEIZE, child, NULL, NULL) != 0)
                return explain("ptrace", child, a);
        if (process_vm_readv(child, &here, 1, &there, 1, 0) != (ssize_t)sizeof(mark))
                return explain("process_vm_readv", child, a);
        return NULL;
}

static const char *try_tracing(struct pg_arena *a)
{
        pid_t child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        if (child < 0)
                return "no process can be made";
        const char *why = try_child(child, a);
        kill(child, SIGKILL);
        while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
                ;
        return why;
}

static const char *program_obstacle(const char *path)
{
        unsigned char ident[EI_NIDENT];
        struct stat st;
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (geteuid() != 0 && stat(path, &st) == 0 && st.st_mode & S_ISUID && st.st_uid != geteuid())
                return "set-user-ID: traced, it would run without its privileges";
        if (fd >= 0 && read(fd, ident, sizeof(ident)) == (ssize_t)sizeof(ident) &&
            memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] != ELFCLASS64)
                return "a 32-bit program";
        return NULL;
}

const char *pg_ptrace_obstacle(const char *program, struct pg_arena *a)
{
        const char *why = program ? program_obstacle(program) : NULL;
        if (!why && !pg_task_clock_works())
                why = "this kernel keeps no CPU time of single threads (/proc/PID/schedstat)";
        return why ? why : try_tracing(a);
}
