// SPDX-License-Identifier: MIT
/*
 * spent.c - runs a command and appends what it spent to a file: `bench_spent FILE [--peak] COMMAND [ARG...]`.
 *
 * One line: CPU ns of the command and its descendants, wall ns, and with --peak the command's own highest resident set
 * in bytes (without descendants, unlike ru_maxrss; read while it is stopped at its exit by ptrace), else 0. A traced
 * program stops at every signal, so what is sampled by signals must run without --peak. Ends with the command's exit
 * status, 127 when it could not be started, 128 + n after signal n.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(const struct rusage *u)
{
        return ((uint64_t)u->ru_utime.tv_sec + (uint64_t)u->ru_stime.tv_sec) * 1000000000u +
               ((uint64_t)u->ru_utime.tv_usec + (uint64_t)u->ru_stime.tv_usec) * 1000u;
}

/* The line "VmHWM: N kB" of the process's status, in bytes; 0 when there is none. */
static uint64_t own_peak(pid_t pid)
{
        char path[64], line[256];
        uint64_t kib = 0;
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
                        break;
        if (f)
                fclose(f);
        return kib * 1024;
}

/* Starts the command, once this process traces it if it shall, so that its exit cannot be missed. */
static pid_t start(char **argv, bool traced)
{
        int go[2];
        if (pipe2(go, O_CLOEXEC) != 0)
                return -1;
        pid_t pid = fork();
        if (pid == 0) {
                char byte;
                if (read(go[0], &byte, 1) == 1)
                        execvp(argv[0], argv);
                perror(argv[0]);
                _exit(127);
        }
        if (pid > 0 && traced && ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) != 0)
                perror("bench_spent: cannot trace, own peak will be 0");
        if (write(go[1], "g", 1) != 1)
                perror("bench_spent");
        close(go[0]);
        close(go[1]);
        return pid;
}

/* Waits to the end, passing on signals; *peak is set at the exit stop. */
static int finish(pid_t pid, uint64_t *peak, struct rusage *usage)
{
        int status = 0;
        while (wait4(pid, &status, __WALL, usage) == pid && WIFSTOPPED(status)) {
                int event = status >> 16, signal = WSTOPSIG(status);
                if (event == PTRACE_EVENT_EXIT)
                        *peak = own_peak(pid);
                if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
                        ptrace(PTRACE_LISTEN, pid, NULL, NULL);
                else
                        ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)(event ? 0 : signal));
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
        bool peak_asked = argc > 2 && strcmp(argv[2], "--peak") == 0;
        char **command = argv + 2 + peak_asked;
        if (argc < 3 + peak_asked) {
                fputs("usage: bench_spent FILE [--peak] COMMAND [ARG...]\n", stderr);
                return 1;
        }
        uint64_t began_ns = now_ns(), peak = 0;
        struct rusage usage = { 0 };
        pid_t pid = start(command, peak_asked);
        if (pid < 0)
                return 127;
        int status = finish(pid, &peak, &usage);
        uint64_t wall_ns = now_ns() - began_ns;
        FILE *f = fopen(argv[1], "ae");
        if (!f || fprintf(f, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", cpu_ns(&usage), wall_ns, peak) < 0 ||
            fclose(f) != 0) {
                perror(argv[1]);
                return 1;
        }
        return status;
}
