// SPDX-License-Identifier: MIT
/*
 * target.c - starting fixtures and reading what they and their samples say.
 */
#include "tests/agent/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t ns_of(struct timeval t)
{
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000;
}

/* In the child: standard output into the pipe, then exec. */
static void become(const char *const *argv, char **envp, int out)
{
        dup2(out, STDOUT_FILENO);
        execve(argv[0], (char **)argv, envp);
        _exit(127);
}

static void read_all(int fd, char *text, size_t size)
{
        size_t n = 0;
        ssize_t got;
        while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
                n += (size_t)got;
        text[n] = '\0';
}

static void run_to_end(struct target_run *run, const char *const *argv, char **envp)
{
        int out[2];
        if (pipe2(out, O_CLOEXEC) != 0)
                return;
        pid_t child = fork();
        if (child == 0) {
                close(out[0]);
                become(argv, envp, out[1]);
        }
        close(out[1]);
        read_all(out[0], run->out, sizeof(run->out));
        close(out[0]);
        int status;
        struct rusage usage;
        if (child < 0 || wait4(child, &status, 0, &usage) != child)
                return;
        run->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        run->user_ns = ns_of(usage.ru_utime);
        run->system_ns = ns_of(usage.ru_stime);
}

void target_run(struct target_run *run, const char *agent, uint32_t rate_hz, enum pg_clock clock,
                const char *const *argv)
{
        *run = (struct target_run){ .arena = pg_arena_create(), .status = -1 };
        char *bare[] = { (char *)"LC_ALL=C", NULL };
        if (rate_hz == 0)
                return run_to_end(run, argv, bare);
        run->period_ns = 1000000000u / rate_hz;
        struct pg_error err = { 0 };
        struct pg_engine_request request = { .rate_hz = rate_hz, .clock = clock, .agent_path = agent };
        struct pg_engine_session *s = NULL;
        if (!pg_agent_engine.start(&request, &s, &err)) {
                fprintf(stderr, "%s\n", err.text);
                return;
        }
        char preload[4096];
        snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", pg_agent_engine.preload(s));
        char *envp[] = { (char *)pg_agent_engine.environment(s)[0], preload, bare[0], NULL };
        run_to_end(run, argv, envp);
        if (!pg_agent_engine.collect(s, run->arena, &run->captured, &err)) {
                fprintf(stderr, "%s\n", err.text);
                run->status = -1;
        }
        pg_agent_engine.stop(s);
}

void target_run_deinit(struct target_run *run)
{
        pg_arena_destroy(run->arena);
}

static const char *find_line(const struct target_run *run, const char *start)
{
        size_t n = strlen(start);
        for (const char *p = run->out; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
                if (strncmp(p, start, n) == 0 && p[n] == ' ')
                        return p + n + 1;
        return NULL;
}

double target_number(const struct target_run *run, const char *line_start)
{
        const char *p = find_line(run, line_start);
        return p ? strtod(p, NULL) : -1;
}

static void add_process(const struct pg_captured_process *p, uint64_t start, uint64_t end,
                        struct target_sum *sum)
{
        for (size_t i = 1; i < p->n_nodes; i++) {
                const struct pg_captured_node *s = &p->nodes[i];
                uint32_t module = PG_PLACE_MODULE(s->place);
                uint64_t address = PG_PLACE_ADDRESS(s->place);
                if (module >= p->n_modules || !p->modules[module].is_main || address < start ||
                    address >= end || s->count == 0)
                        continue;
                double weight = (double)s->amount, n = (double)s->count;
                sum->weight_ns += weight;
                sum->samples += n;
                sum->variance_ns2 += weight * weight / n;
        }
}

struct target_sum target_function(const struct target_run *run, const char *name)
{
        struct target_sum sum = { 0 };
        char start[64];
        snprintf(start, sizeof(start), "function %s", name);
        const char *p = find_line(run, start);
        if (!p || !run->captured)
                return sum;
        char *rest;
        uint64_t from = strtoull(p, &rest, 16), to = strtoull(rest, NULL, 16);
        for (size_t i = 0; i < run->captured->n_processes; i++)
                add_process(&run->captured->processes[i], from, to, &sum);
        return sum;
}
