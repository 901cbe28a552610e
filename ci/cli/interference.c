// SPDX-License-Identifier: MIT
/*
 * interference.c - the same command bare and measured, with the probe in both, and what the probe saw.
 *
 * Bare is the probe in front of a library that does nothing, measured is the probe in front of the agent. Two
 * bare runs show what varies by itself; when something differs, six more and a second measured one make sure
 * that it is no coincidence. Address-space randomisation stays on, so that what depends on addresses varies
 * in bare runs as well. The environment has the same variables of the same lengths in all runs: shells copy
 * it into their heap.
 */
#include "ci/cli/interference.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ci/cli/stop.h"
#include "ci/cli/terminal.h"
#include "runner/base/units.h"
#include "runner/capture/capture.h"
#include "runner/launch/program.h"
#include "runner/measure/environment.h"
#include "runner/measure/measure.h"
#include "runner/probe/judge.h"

enum {
        BARE_RUNS = 2,
        BARE_RUNS_IN_DOUBT = 8,
        MEASURED_RUNS_IN_DOUBT = 2,
        RATE_HZ = 997,
        DIFFERENCES_SHOWN = 20,
        AGENT_VALUE_BYTES = 240 // what the agent's variable is filled up to
};

enum library { AGENT, SAMPLER, LOCKS, PROBE, BLANK, N_LIBRARIES };

static const struct pass {
        const char *name;
        enum library library;
        struct pg_capture_request request;
        const char *clock; // behind the agent's variable
} passes[] = {
        { "counting", AGENT, { .mode = PG_MODE_COUNT }, "" },
        { "event clock", SAMPLER, { .mode = PG_MODE_SAMPLE, .rate_hz = RATE_HZ }, ",clock=event" },
        { "timer clock", SAMPLER, { .mode = PG_MODE_SAMPLE, .rate_hz = RATE_HZ }, ",clock=timer" },
        { "lock waits", LOCKS, { .mode = PG_MODE_LOCK }, "" },
};
enum { N_PASSES = sizeof(passes) / sizeof(*passes) };

struct column {
        const char *unavailable; // why this pass did not measure; NULL when it did
        struct pg_observation seen[MEASURED_RUNS_IN_DOUBT];
        struct pg_likenesses like;
};

struct suite {
        const char *const *command;
        uint64_t timeout_ns;
        struct pg_arena *arena;
        struct pg_launcher *launcher;
        const char *paths[N_LIBRARIES]; // as LD_PRELOAD can hold them
        struct pg_observation bare[BARE_RUNS_IN_DOUBT];
        size_t n_bare, n_measured; // of each pass
        struct column columns[N_PASSES];
};

/* ---- one run ---------------------------------------------------------------------------------------------
 */

static uint64_t hash_bytes(uint64_t hash, const unsigned char *p, size_t n) // FNV-1a
{
        for (size_t i = 0; i < n; i++)
                hash = (hash ^ p[i]) * 0x100000001b3u;
        return hash;
}

/* "1,234 bytes, 0123456789abcdef" */
static const char *describe_output(struct pg_arena *a, int fd)
{
        unsigned char piece[16384];
        uint64_t hash = 0xcbf29ce484222325u, length = 0;
        ssize_t n;
        while ((n = pread(fd, piece, sizeof(piece), (off_t)length)) > 0) {
                hash = hash_bytes(hash, piece, (size_t)n);
                length += (uint64_t)n;
        }
        char text[PG_NUMBER_MAX];
        return pg_arena_printf(a, "%s byte%s, %016" PRIx64, pg_format_count(length, text), pg_plural(length),
                               hash);
}

static const char *describe_end(struct pg_arena *a, const struct pg_launch_result *r)
{
        if (r->timed_out)
                return "no end within the time limit";
        if (r->signal)
                return pg_arena_printf(a, "signal %d (%s)", r->signal, strsignal(r->signal));
        return pg_arena_printf(a, "%d", r->exit_status);
}

static bool note_end(struct suite *s, const struct pg_launch_result *r, const int outputs[2],
                     struct pg_observation *o, struct pg_error *err)
{
        return pg_observation_add(o, s->arena, PG_CHECK_STATUS, "of the command", describe_end(s->arena, r),
                                  err) &&
               pg_observation_add(o, s->arena, PG_CHECK_OUTPUT, "of the command",
                                  describe_output(s->arena, outputs[0]), err) &&
               pg_observation_add(o, s->arena, PG_CHECK_ERRORS, "of the command",
                                  describe_output(s->arena, outputs[1]), err);
}

/* "PERFGATE_AGENT=...", filled up by repeating a field that the agent leaves to people. Without the agent the
 * variable is just there. */
static const char *fill_up(struct pg_arena *a, const char *variable)
{
        static const char start[] = PG_AGENT_VARIABLE "=fd=/dev/null", field[] = ",mode=";
        char value[AGENT_VALUE_BYTES + 1];
        int n = snprintf(value, sizeof(value), "%s%s", variable ? variable : start, field);
        if (n < 0 || n >= AGENT_VALUE_BYTES)
                return variable;
        memset(value + n, '.', (size_t)(AGENT_VALUE_BYTES - n));
        value[AGENT_VALUE_BYTES] = '\0';
        return pg_arena_strdup(a, value);
}

/* agent: its variable, NULL for a bare run. library: what stands behind the probe. */
static bool compose(struct suite *s, const struct pg_probe *probe, const char *agent, enum library library,
                    const char *const **ret, struct pg_error *err)
{
        const char *const added[] = { pg_probe_variable(probe), NULL }, *const ours[] = {
                fill_up(s->arena, agent), NULL
        };
        const char *preload = pg_arena_printf(s->arena, "%s:%s", s->paths[PROBE], s->paths[library]);
        if (!preload || !ours[0])
                return pg_fail_nomem(err);
        return pg_environment_compose(s->arena, added, ours, preload, ret, err);
}

static bool launch(struct suite *s, const char *const *environment, const int outputs[2],
                   struct pg_launch_result *ret, struct pg_error *err)
{
        const struct pg_launch_request request = {
                .argv = s->command,
                .envp = environment,
                .cwd = ".",
                .timeout_ns = s->timeout_ns,
                .output = PG_OUTPUT_FILES,
                .output_fds = { outputs[0], outputs[1] },
        };
        return pg_launch(s->launcher, &request, &pg_stop, ret, err);
}

/* Runs the command with the probe and a library behind it. agent: as for compose. */
static bool observe(struct suite *s, const char *agent, enum library library, struct pg_observation *ret,
                    struct pg_launch_result *ret_end, struct pg_error *err)
{
        PG_AUTO_PROBE struct pg_probe *probe = NULL;
        PG_AUTO_CLOSE int out = memfd_create("standard output", MFD_CLOEXEC);
        PG_AUTO_CLOSE int errors = memfd_create("standard error", MFD_CLOEXEC);
        const int outputs[2] = { out, errors };
        const char *const *environment;
        if (out < 0 || errors < 0)
                return pg_fail_os(err, "cannot create memory for the command's output");
        return pg_probe_create(&probe, err) && compose(s, probe, agent, library, &environment, err) &&
               launch(s, environment, outputs, ret_end, err) && note_end(s, ret_end, outputs, ret, err) &&
               pg_probe_read(probe, s->arena, ret, err);
}

/* ---- bare ------------------------------------------------------------------------------------------------
 */

static bool check_bare(const struct suite *s, const struct pg_launch_result *r, struct pg_error *err)
{
        char limit[PG_NUMBER_MAX];
        if (r->timed_out)
                return pg_fail(err, PG_ETARGET, "no end after %s without perfgate in it; raise --timeout",
                               pg_format_duration(s->timeout_ns, limit));
        if (r->signal)
                return pg_fail(err, PG_ETARGET, "died of signal %d (%s) with only the probe in it%s",
                               r->signal, strsignal(r->signal),
                               r->signal == SIGSYS ? "; its seccomp filter may forbid what the probe asks"
                                                   : "");
        return r->exit_status == 0 ||
               pg_fail(err, PG_ETARGET, "exit status %d without perfgate in it", r->exit_status);
}

static bool run_bare(struct suite *s, size_t n, struct pg_error *err)
{
        while (s->n_bare < n) {
                struct pg_launch_result end = { 0 };
                if (!observe(s, NULL, BLANK, &s->bare[s->n_bare], &end, err) || !check_bare(s, &end, err))
                        return false;
                s->n_bare++;
        }
        return true;
}

/* ---- measured --------------------------------------------------------------------------------------------
 */

/* Why a pass that ran measured nothing, or NULL. */
static const char *what_kept_it_out(const struct pg_captured *c, const struct pass *pass)
{
        bool armed = false;
        for (size_t i = 0; i < c->n_processes; i++) {
                if (c->processes[i].disarm == PG_DISARM_NO_TIMER)
                        return "there is no such clock here";
                if (c->processes[i].disarm != PG_DISARM_NONE && c->processes[i].disarm != PG_DISARM_FILTER)
                        return "the agent gave up";
                armed |= c->processes[i].threads_armed > 0;
        }
        if (c->n_processes == 0)
                return "did not load the agent";
        return pass->request.mode != PG_MODE_SAMPLE || armed ? NULL : "no thread was sampled";
}

static bool run_pass(struct suite *s, const struct pass *pass, struct pg_observation *seen,
                     struct pg_captured **ret, struct pg_error *err)
{
        PG_AUTO_CAPTURE struct pg_capture *capture = NULL;
        struct pg_launch_result end;
        if (!pg_capture_create(&pass->request, &capture, err))
                return false;
        const char *variable = pg_arena_printf(s->arena, "%s=%s%s", PG_AGENT_VARIABLE,
                                               pg_capture_agent_value(capture), pass->clock);
        if (!variable)
                return pg_fail_nomem(err);
        return observe(s, variable, pass->library, seen, &end, err) &&
               pg_capture_read(capture, s->arena, ret, err);
}

static bool run_measured(struct suite *s, struct pg_error *err)
{
        for (size_t i = 0; i < N_PASSES; i++) {
                struct pg_captured *captured;
                struct column *c = &s->columns[i];
                if (!run_pass(s, &passes[i], &c->seen[s->n_measured], &captured, err))
                        return false;
                c->unavailable = what_kept_it_out(captured, &passes[i]);
        }
        s->n_measured++;
        return true;
}

/* ---- judging ---------------------------------------------------------------------------------------------
 */

static bool judge(struct suite *s, bool *ret_differs, struct pg_error *err)
{
        *ret_differs = false;
        for (size_t i = 0; i < N_PASSES; i++) {
                struct column *c = &s->columns[i];
                if (c->unavailable)
                        continue;
                if (!pg_interference_judge(s->bare, s->n_bare, c->seen, s->n_measured, s->arena, &c->like,
                                           err))
                        return false;
                *ret_differs |= c->like.any_differs;
        }
        return true;
}

static bool run_all(struct suite *s, bool *ret_differs, struct pg_error *err)
{
        if (!run_bare(s, BARE_RUNS, err) || !run_measured(s, err) || !judge(s, ret_differs, err))
                return false;
        return !*ret_differs ||
               (run_bare(s, BARE_RUNS_IN_DOUBT, err) && run_measured(s, err) && judge(s, ret_differs, err));
}

/* ---- what is printed -------------------------------------------------------------------------------------
 */

static void put_table(const struct suite *s, struct pg_buf *out)
{
        static const char *const words[] = {
                [PG_LIKE_SAME] = "same", [PG_LIKE_VARIES] = "varies", [PG_LIKE_DIFFERS] = "DIFFERS"
        };
        pg_buf_printf(out, "%-20s", "");
        for (size_t i = 0; i < N_PASSES; i++)
                pg_buf_printf(out, "  %11s", passes[i].name);
        for (int check = 0; check < PG_CHECKS; check++) {
                pg_buf_printf(out, "\n%-20s", pg_check_name(check));
                for (size_t i = 0; i < N_PASSES; i++)
                        pg_buf_printf(out, "  %11s",
                                      s->columns[i].unavailable ? "-" : words[s->columns[i].like.of[check]]);
        }
        pg_buf_putc(out, '\n');
}

static void put_differences(const struct suite *s, struct pg_buf *out)
{
        for (size_t i = 0; i < N_PASSES; i++) {
                const struct pg_likenesses *l = &s->columns[i].like;
                for (size_t k = 0; k < l->n && k < DIFFERENCES_SHOWN; k++)
                        pg_buf_printf(out, "\n%s: %s, %s\n    bare      %s\n    measured  %s\n",
                                      passes[i].name, pg_check_name(l->differences[k].check),
                                      l->differences[k].key, l->differences[k].bare,
                                      l->differences[k].measured);
                if (l->n > DIFFERENCES_SHOWN)
                        pg_buf_printf(out, "\n%s: %zu more\n", passes[i].name, l->n - DIFFERENCES_SHOWN);
        }
}

static bool any_varies(const struct suite *s)
{
        for (size_t i = 0; i < N_PASSES; i++)
                for (int check = 0; check < PG_CHECKS; check++)
                        if (s->columns[i].like.of[check] == PG_LIKE_VARIES)
                                return true;
        return false;
}

/* What the agent adds to a process's address space: known, not compared. */
static void put_mappings(const struct suite *s, struct pg_buf *out)
{
        const struct pg_observation *bare = &s->bare[0], *counted = &s->columns[0].seen[0];
        if (bare->ends && bare->ends == counted->ends && counted->mappings > bare->mappings)
                pg_buf_printf(out, "\nmappings added to a process: %.1f (shared memory, and what it uses)\n",
                              (double)(counted->mappings - bare->mappings) / (double)bare->ends);
}

static bool print(const struct suite *s, bool differs, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf out = { 0 };
        pg_buf_printf(&out, "%zu bare run%s against %zu of each pass; %zu program%s in each\n\n", s->n_bare,
                      pg_plural(s->n_bare), s->n_measured, s->bare[0].programs,
                      pg_plural(s->bare[0].programs));
        put_table(s, &out);
        for (size_t i = 0; i < N_PASSES; i++)
                if (s->columns[i].unavailable)
                        pg_buf_printf(&out, "\n%s: not judged, %s\n", passes[i].name,
                                      s->columns[i].unavailable);
        put_differences(s, &out);
        if (any_varies(s))
                pg_buf_puts(&out,
                            "\nvaries: differs between runs of the same kind as well, so it is not judged\n");
        put_mappings(s, &out);
        pg_buf_puts(&out, differs ? "\nThe command notices that it is measured.\n"
                                  : "\nThe command does not notice that it is measured.\n");
        return pg_buf_ok(&out, err) && pg_write_output(&out, err);
}

/* ---- getting ready ---------------------------------------------------------------------------------------
 */

/* Why nothing can be preloaded into the command, or NULL. */
static const char *obstacle(const char *name, const char *const *environment)
{
        struct pg_error unused = { 0 };
        PG_AUTO_FREE char *path = NULL;
        if (!pg_program_find(AT_FDCWD, name, environment, &path, &unused))
                return NULL;
        return pg_capture_obstacle(path, PG_MODE_SAMPLE);
}

/* LD_PRELOAD cannot hold a path with a space or a colon; a descriptor of ours gives it another name. */
static bool name_library(struct suite *s, enum library library, const char *path, int *ret_fd,
                         struct pg_error *err)
{
        s->paths[library] = path;
        if (!strpbrk(path, " :\t\n"))
                return true;
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (*ret_fd < 0)
                return pg_fail_os(err, "cannot open '%s'", path);
        s->paths[library] = pg_arena_printf(s->arena, "/proc/%d/fd/%d", (int)getpid(), *ret_fd);
        return s->paths[library] || pg_fail_nomem(err);
}

/* Shells copy their environment: names of two lengths would be blocks of two sizes. Slashes change no path. */
static bool make_equally_long(struct suite *s, struct pg_error *err)
{
        int longest = 0;
        for (int i = 0; i < N_LIBRARIES; i++)
                if ((int)strlen(s->paths[i]) > longest)
                        longest = (int)strlen(s->paths[i]);
        for (int i = 0; i < N_LIBRARIES; i++) {
                const char *path = s->paths[i], *name = strrchr(path, '/');
                int missing = longest - (int)strlen(path);
                static const char slashes[] = "////////////////////////////////";
                if (!name || missing == 0 || missing >= (int)sizeof(slashes))
                        continue;
                s->paths[i] = pg_arena_printf(s->arena, "%.*s%.*s%s", (int)(name - path), path, missing,
                                              slashes, name);
                if (!s->paths[i])
                        return pg_fail_nomem(err);
        }
        return true;
}

static bool prepare(struct suite *s, int fds[N_LIBRARIES], struct pg_error *err)
{
        struct pg_install install;
        struct pg_probe_install probe;
        if (!pg_install_find(s->arena, &install, err) || !pg_install_find_probe(s->arena, &probe, err))
                return false;
        pg_stop_install();
        return name_library(s, AGENT, install.agent_path, &fds[AGENT], err) &&
               name_library(s, SAMPLER, install.sampler_path, &fds[SAMPLER], err) &&
               name_library(s, LOCKS, install.locks_path, &fds[LOCKS], err) &&
               name_library(s, PROBE, probe.probe_path, &fds[PROBE], err) &&
               name_library(s, BLANK, probe.blank_path, &fds[BLANK], err) && make_equally_long(s, err) &&
               pg_launcher_create(install.helper_path, &s->launcher, err);
}

static bool run_suite(struct suite *s, enum pg_exit *ret, struct pg_error *err)
{
        bool differs;
        const char *why = obstacle(s->command[0], (const char *const *)environ);
        if (why) {
                PG_AUTO_BUF struct pg_buf out = { 0 };
                pg_buf_printf(&out, "%s: %s. Nothing of perfgate gets into it.\n", s->command[0], why);
                *ret = PG_EXIT_NOTHING;
                return pg_buf_ok(&out, err) && pg_write_output(&out, err);
        }
        if (!run_all(s, &differs, err)) {
                if (!pg_stop_check(err))
                        return false;
                return pg_context(err, "%s", s->command[0]);
        }
        size_t measured = 0;
        for (size_t i = 0; i < N_PASSES; i++)
                measured += !s->columns[i].unavailable;
        *ret = differs ? PG_EXIT_ERROR : measured ? PG_EXIT_PASS : PG_EXIT_NOTHING;
        return print(s, differs, err);
}

bool pg_interference(const char *const *command, uint64_t timeout_ns, enum pg_exit *ret, struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct suite s = { .command = command, .timeout_ns = timeout_ns, .arena = a };
        int fds[N_LIBRARIES] = { -1, -1, -1, -1, -1 };
        if (!a)
                return pg_fail_nomem(err);
        bool ok = prepare(&s, fds, err) && run_suite(&s, ret, err);
        pg_launcher_destroy(s.launcher);
        for (int i = 0; i < N_LIBRARIES; i++)
                pg_closep(&fds[i]);
        return ok;
}
