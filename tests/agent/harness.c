// SPDX-License-Identifier: MIT
/*
 * harness.c - fork, environment, exec, wait, read.
 */
#include "tests/agent/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void check(bool ok, const char *what)
{
        if (ok)
                return;
        fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
        exit(99);
}

const char *agent_path(void)
{
        return PG_BUILD_DIR "/libperfgate-agent.so";
}

const char *sampler_path(void)
{
        return PG_BUILD_DIR "/libperfgate-sampler.so";
}

const char *locks_path(void)
{
        return PG_BUILD_DIR "/libperfgate-locks.so";
}

const char *target(const char *name)
{
        static char paths[32][512];
        static unsigned next;
        char *p = paths[next++ % 32];
        snprintf(p, sizeof(paths[0]), "%s/%s", PG_BUILD_DIR "/fixtures", name);
        return p;
}

/* library NULL: bare */
static void exec_child(const char *const *argv, const char *library, const char *value,
                       prepare_function *prepare, int out)
{
        dup2(out, STDOUT_FILENO);
        if (library) {
                setenv("LD_PRELOAD", library, 1);
                setenv(PG_AGENT_VARIABLE, value, 1);
        }
        if (prepare)
                prepare();
        execv(argv[0], (char *const *)argv);
        _exit(127);
}

static void collect(int fd, struct counted *ret)
{
        size_t used = 0;
        for (;;) {
                char rest[512];
                size_t room = sizeof(ret->output) - 1 - used;
                ssize_t n = room ? read(fd, ret->output + used, room) : read(fd, rest, sizeof(rest));
                if (n == 0)
                        break;
                check(n > 0 || errno == EINTR, "read");
                used += room && n > 0 ? (size_t)n : 0;
        }
        ret->output[used] = '\0';
}

static void run(const char *const *argv, const char *library, const char *value, prepare_function *prepare,
                struct counted *ret)
{
        int ends[2];
        check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid == 0)
                exec_child(argv, library, value, prepare, ends[1]);
        close(ends[1]);
        collect(ends[0], ret); // until the last process of the tree has let go of it
        close(ends[0]);
        int status;
        check(waitpid(pid, &status, 0) == pid, "waitpid");
        ret->exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void add_up(struct counted *ret)
{
        for (size_t i = 0; i < ret->captured->n_processes; i++) {
                const struct pg_captured_process *p = &ret->captured->processes[i];
                ret->allocations += p->allocations;
                ret->bytes += p->allocated_bytes;
                ret->frees += p->frees;
                ret->live += p->live_bytes;
        }
}

static const char *library_for(uint32_t mode)
{
        return mode == PG_MODE_LOCK ? locks_path() : mode == PG_MODE_SAMPLE ? sampler_path() : agent_path();
}

void run_set_up(const struct pg_capture_request *request, const char *settings, const char *const *argv,
                prepare_function *prepare, struct counted *ret)
{
        struct pg_error err = { 0 };
        PG_AUTO_CAPTURE struct pg_capture *c = NULL;
        char value[256];
        memset(ret, 0, sizeof(*ret));
        ret->arena = pg_arena_create();
        check(ret->arena, "arena");
        check(pg_capture_create(request, &c, &err), err.text);
        snprintf(value, sizeof(value), "%s%s", pg_capture_agent_value(c), settings);
        run(argv, library_for(request->mode), value, prepare, ret);
        check(pg_capture_read(c, ret->arena, &ret->captured, &err), err.text);
        add_up(ret);
}

void run_requested(const struct pg_capture_request *request, const char *const *argv,
                   prepare_function *prepare, struct counted *ret)
{
        run_set_up(request, "", argv, prepare, ret);
}

void run_counted(const char *const *argv, prepare_function *prepare, struct counted *ret)
{
        run_requested(&(struct pg_capture_request){ .mode = PG_MODE_COUNT }, argv, prepare, ret);
}

void run_plain(const char *const *argv, prepare_function *prepare, struct counted *ret)
{
        memset(ret, 0, sizeof(*ret));
        run(argv, NULL, NULL, prepare, ret);
}

void counted_free(struct counted *c)
{
        pg_arena_destroy(c->arena);
        c->arena = NULL;
}

const struct pg_captured_process *process_of(const struct counted *c, const char *name)
{
        for (size_t i = 0; i < c->captured->n_processes; i++) {
                const char *slash = strrchr(c->captured->processes[i].program, '/');
                if (slash && strcmp(slash + 1, name) == 0)
                        return &c->captured->processes[i];
        }
        return NULL;
}
