// SPDX-License-Identifier: MIT
/*
 * traced.c - targets get a file of ours as standard output, by way of our own for the time of the launch.
 */
#include "tests/engine/traced.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/base/file.h"

static struct pg_launcher *launcher;

bool traced_start_helper(const char *path)
{
        struct pg_error err = { 0 };
        if (pg_launcher_create(path, &launcher, &err))
                return true;
        fprintf(stderr, "%s\n", err.text);
        return false;
}

bool traced_copy_helper(char path[64])
{
        struct pg_error err = { 0 };
        PG_AUTO_FREE char *bytes = NULL;
        size_t n;
        strcpy(path, "/tmp/perfgate-helper-XXXXXX");
        int fd = mkstemp(path);
        bool ok = fd >= 0 && pg_file_read(HELPER, 64 << 20, &bytes, &n, &err) &&
                  write(fd, bytes, n) == (ssize_t)n && fchmod(fd, 0755) == 0;
        close(fd);
        return ok;
}

int traced_setup(void **state)
{
        (void)state;
        return traced_start_helper(HELPER) ? 0 : -1;
}

int traced_teardown(void **state)
{
        (void)state;
        pg_launcher_destroy(launcher);
        return 0;
}

/* Of the first segment, where the linker puts __executable_start. */
static uint64_t load_address(const char *path)
{
        Elf64_Ehdr e;
        Elf64_Phdr p;
        uint64_t address = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && pread(fd, &e, sizeof(e), 0) == (ssize_t)sizeof(e) && e.e_type == ET_EXEC)
                for (int i = e.e_phnum - 1; i >= 0; i--)
                        if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + (uint64_t)i * sizeof(p))) ==
                                    (ssize_t)sizeof(p) &&
                            p.p_type == PT_LOAD)
                                address = p.p_vaddr;
        close(fd);
        return address;
}

static void read_output(struct traced_run *run, int fd)
{
        ssize_t n = pread(fd, run->out, sizeof(run->out) - 1, 0);
        run->out[n > 0 ? n : 0] = '\0';
}

static void launch(struct traced_run *run, struct pg_launch_request *request)
{
        static const char *const environment[] = { "LC_ALL=C", NULL };
        request->envp = environment;
        request->cwd = "/";
        request->output = PG_OUTPUT_INHERIT;
        int out = memfd_create("out", MFD_CLOEXEC), ours = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
        fflush(stdout);
        dup2(out, STDOUT_FILENO);
        (void)!pg_launch(launcher, request, NULL, &run->result, &run->err);
        dup2(ours, STDOUT_FILENO);
        close(ours);
        read_output(run, out);
        close(out);
}

static void prepare(struct traced_run *run, struct pg_launch_request *request, uint64_t timeout_ns,
                    const char *const *argv)
{
        *run = (struct traced_run){ .arena = pg_arena_create(), .program = argv[0] };
        run->load_address = load_address(argv[0]);
        *request = (struct pg_launch_request){ .argv = argv,
                                               .timeout_ns = timeout_ns ? timeout_ns : 120ull * PG_NS_PER_S };
}

struct hook {
        const struct pg_engine_ops *engine;
        struct pg_engine_session *session;
};

static bool before_exec(void *user, pid_t pid, struct pg_error *err)
{
        struct hook *h = user;
        return h->engine->before_exec(h->session, pid, err);
}

void traced_run(struct traced_run *run, const struct pg_engine_ops *engine, uint32_t rate_hz,
                uint64_t timeout_ns, const char *const *argv)
{
        struct pg_launch_request request;
        prepare(run, &request, timeout_ns, argv);
        if (!engine)
                return launch(run, &request);
        run->period_ns = PG_NS_PER_S / rate_hz;
        struct pg_engine_request wanted = { .rate_hz = rate_hz };
        struct hook hook = { engine, NULL };
        if (!engine->start(&wanted, &hook.session, &run->err))
                return;
        request.before_exec = before_exec;
        request.user = &hook;
        launch(run, &request);
        if (run->err.code == PG_OK)
                (void)!engine->collect(hook.session, run->arena, &run->captured, &run->err);
        engine->stop(hook.session);
}

static void *begin(void *context, pid_t pid, pid_t ppid, bool forked, void *parent)
{
        (void)context, (void)pid, (void)ppid, (void)forked, (void)parent;
        return NULL;
}

static bool seize(void *user, pid_t pid, struct pg_error *err)
{
        return pg_tracer_seize(user, pid, err);
}

void traced_run_often(struct traced_run *run, uint64_t period_ns, struct pg_trace_counts *ret,
                      const char *const *argv)
{
        struct pg_launch_request request;
        struct pg_tracer *tracer;
        prepare(run, &request, 0, argv);
        *ret = (struct pg_trace_counts){ 0 };
        if (!pg_tracer_create(&(struct pg_trace_handler){ .begin = begin }, period_ns, &tracer, &run->err))
                return;
        request.before_exec = seize;
        request.user = tracer;
        launch(run, &request);
        (void)!pg_tracer_finish(tracer, PG_NS_PER_S, ret, &run->err);
        pg_tracer_destroy(tracer);
}

void traced_run_deinit(struct traced_run *run)
{
        pg_arena_destroy(run->arena);
}

static const char *find_line(const struct traced_run *run, const char *start)
{
        size_t n = strlen(start);
        for (const char *p = run->out; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
                if (strncmp(p, start, n) == 0 && p[n] == ' ')
                        return p + n + 1;
        return NULL;
}

double traced_number(const struct traced_run *run, const char *line_start)
{
        const char *p = find_line(run, line_start);
        return p ? strtod(p, NULL) : -1;
}

static void add(struct traced_sum *sum, const struct pg_captured_node *node)
{
        double weight = (double)node->amount, n = (double)node->count;
        if (n == 0)
                return;
        sum->weight_ns += weight;
        sum->samples += n;
        sum->variance_ns2 += weight * weight / n;
}

struct traced_sum traced_function(const struct traced_run *run, const char *name)
{
        struct traced_sum sum = { 0 };
        char start[64], *rest;
        snprintf(start, sizeof(start), "function %s", name);
        const char *line = find_line(run, start);
        uint64_t from = line ? strtoull(line, &rest, 16) : 0, to = line ? strtoull(rest, NULL, 16) : 0;
        for (size_t i = 0; run->captured && i < run->captured->n_processes; i++) {
                const struct pg_captured_process *p = &run->captured->processes[i];
                for (size_t k = 1; k < p->n_nodes; k++) {
                        uint32_t module = PG_PLACE_MODULE(p->nodes[k].place);
                        uint64_t at = PG_PLACE_ADDRESS(p->nodes[k].place) - run->load_address;
                        if (module < p->n_modules && strcmp(p->modules[module].path, run->program) == 0 &&
                            at >= from && at < to)
                                add(&sum, &p->nodes[k]);
                }
        }
        return sum;
}

struct traced_sum traced_all(const struct traced_run *run)
{
        struct traced_sum sum = { 0 };
        for (size_t i = 0; run->captured && i < run->captured->n_processes; i++)
                for (size_t k = 0; k < run->captured->processes[i].n_nodes; k++)
                        add(&sum, &run->captured->processes[i].nodes[k]);
        return sum;
}

double traced_incomplete(const struct traced_run *run)
{
        double n = 0;
        for (size_t i = 0; run->captured && i < run->captured->n_processes; i++)
                n += (double)run->captured->processes[i].quality.truncated +
                     (double)run->captured->processes[i].quality.unknown;
        return n;
}

double traced_lost_ns(const struct traced_run *run)
{
        double ns = 0;
        for (size_t i = 0; run->captured && i < run->captured->n_processes; i++)
                ns += (double)run->captured->processes[i].lost_weight_ns;
        return ns;
}
