// SPDX-License-Identifier: MIT
/*
 * measure.c - one benchmark through its passes, each in fresh processes; what the passes share.
 *
 * A target that fails ends the benchmark: numbers of a program that did not do its work mean nothing.
 */
#include "runner/measure/measure.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/base/file.h"
#include "runner/base/units.h"
#include "runner/launch/program.h"
#include "runner/measure/call_tree.h"
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

/* The passes in the order they are run; timing first, before anything has touched the caches in another way.
 */
static const struct {
        enum pg_pass pass;
        bool (*run)(struct pg_session *s, struct pg_error *err);
} passes[] = {
        { PG_PASS_TIMING, pg_pass_timing },
        { PG_PASS_ALLOCATION, pg_pass_allocation },
        { PG_PASS_PROFILE, pg_pass_profile },
        { PG_PASS_LOCK, pg_pass_lock },
};
enum { N_PASSES = sizeof(passes) / sizeof(*passes) };

/* ---- for the passes ---- */

static void report_progress(struct pg_session *s, const char *what)
{
        const struct pg_measure_options *o = s->options;
        if (!o->progress)
                return;
        uint64_t left_ns = 0;
        if (s->done && s->total > s->done)
                left_ns = (pg_now_ns() - s->start_ns) / s->done * (s->total - s->done);
        o->progress(o->user, what, s->done, s->total, left_ns);
}

/* Last line of what the target wrote to standard error, as part of a message; "" when it wrote nothing. */
static const char *last_words(struct pg_session *s, const char *tail)
{
        size_t end = strlen(tail);
        while (end && (tail[end - 1] == '\n' || tail[end - 1] == ' '))
                end--;
        size_t start = end;
        while (start && tail[start - 1] != '\n' && end - start < 160)
                start--;
        char *line = pg_arena_strndup(s->arena, tail + start, end - start);
        if (!line || !*line)
                return "";
        for (char *p = line; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = '?';
        const char *said = pg_arena_printf(s->arena, "; it said: %s", line);
        return said ? said : "";
}

static bool end_is_good(struct pg_session *s, const char *what, const struct pg_launch_result *r,
                        struct pg_error *err)
{
        const struct pg_workload *w = s->workload;
        if (r->timed_out) {
                char limit[PG_NUMBER_MAX];
                return pg_fail(
                        err, PG_ETARGET,
                        "benchmark '%s': no end after %s (%s run), it was killed; raise its \"timeout\" or "
                        "--timeout",
                        w->name, pg_format_duration(w->timeout_ns, limit), what);
        }
        if (r->signal)
                return pg_fail(err, PG_ETARGET, "benchmark '%s': died of signal %d (%s) in a %s run%s",
                               w->name, r->signal, strsignal(r->signal), what, last_words(s, r->stderr_tail));
        if (r->exit_status != w->expect_exit)
                return pg_fail(err, PG_ETARGET, "benchmark '%s': exit status %d in a %s run, expected %d%s",
                               w->name, r->exit_status, what, w->expect_exit, last_words(s, r->stderr_tail));
        return true;
}

/* A target that failed still left what was recorded of it. */
static bool check_end(struct pg_session *s, const char *what, const struct pg_launch_result *r,
                      struct pg_error *err)
{
        struct pg_error failed = { 0 };
        if (!s->options->once)
                return end_is_good(s, what, r, err);
        if (!end_is_good(s, what, r, &failed) && !s->out->failure)
                s->out->failure = pg_arena_strdup(s->arena, failed.text);
        return failed.code == PG_OK || s->out->failure || pg_fail_nomem(err);
}

/* Each pass reads all of standard input, where that can be read again. */
static void rewind_stdin(const struct pg_session *s)
{
        if (s->options->once && s->done && s->stdin_start >= 0)
                lseek(STDIN_FILENO, s->stdin_start, SEEK_SET);
}

static bool run_target(struct pg_session *s, const char *what, const struct pg_launch_request *request,
                       struct pg_launch_result *ret, struct pg_error *err)
{
        const struct pg_workload *w = s->workload;
        struct pg_launch_request r = *request;
        r.argv = w->command;
        r.cwd = w->cwd;
        r.stdin_path = w->stdin_path;
        r.timeout_ns = w->timeout_ns;
        r.output = s->options->once ? PG_OUTPUT_INHERIT : PG_OUTPUT_DISCARD;
        report_progress(s, what);
        rewind_stdin(s);
        if (!pg_launch(s->options->launcher, &r, s->options->stop, ret, err))
                return err->code == PG_ETARGET ? pg_context(err, "benchmark '%s'", w->name) : false;
        s->done++;
        return check_end(s, what, ret, err);
}

bool pg_session_run(struct pg_session *s, const char *what, const char *const *environment,
                    bool fixed_addresses, struct pg_launch_result *ret, struct pg_error *err)
{
        const struct pg_launch_request request = { .envp = environment, .fixed_addresses = fixed_addresses };
        return run_target(s, what, &request, ret, err);
}

bool pg_session_run_watched(struct pg_session *s, const char *what, const char *const *environment,
                            bool (*before_exec)(void *user, pid_t pid, struct pg_error *err), void *user,
                            struct pg_launch_result *ret, struct pg_error *err)
{
        const struct pg_launch_request request = { .envp = environment,
                                                   .before_exec = before_exec,
                                                   .user = user };
        return run_target(s, what, &request, ret, err);
}

void pg_session_add_quality(struct pg_session *s, enum pg_stacks_of of, const struct pg_captured *c)
{
        struct pg_stack_quality *q = &s->out->measurement.stacks[of];
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                const struct pg_captured_quality *from = &p->quality;
                q->events += of == PG_STACKS_ALLOCATION ? p->allocations : p->sample_count;
                q->truncated += from->truncated;
                q->unknown += from->unknown;
                q->other += from->stacks_other;
                q->lost += of == PG_STACKS_CPU ? p->lost_samples : from->live_lost;
                q->verified += from->stacks_verified;
                q->different += from->stacks_different;
                if (from->live_interval_bytes > q->live_interval_bytes)
                        q->live_interval_bytes = from->live_interval_bytes;
        }
}

bool pg_session_tell_fold(struct pg_session *s, const struct pg_fold *fold, struct pg_profile_builder *b,
                          struct pg_error *err)
{
        if (!fold->folded)
                return true;
        const char *text =
                pg_arena_printf(s->arena,
                                "%" PRIu64 " of %" PRIu64
                                " stacks hold less than 0.001 %% of every value and are cut to their "
                                "callers; --all-stacks keeps them",
                                fold->folded, fold->stacks);
        return text ? pg_profile_add_comment(b, text, err) : pg_fail_nomem(err);
}

bool pg_session_late(const struct pg_session *s)
{
        return s->options->deadline_ns && pg_now_ns() >= s->options->deadline_ns;
}

bool pg_session_open_series(struct pg_session *s, enum pg_metric metric, size_t n, struct pg_error *err)
{
        struct pg_series *series = &s->out->measurement.series[metric];
        if (!s->workload->metrics[metric])
                return true;
        series->samples = pg_arena_calloc(s->arena, n, sizeof(*series->samples));
        series->status = PG_SERIES_MEASURED;
        return series->samples || pg_fail_nomem(err);
}

void pg_session_add_sample(struct pg_session *s, enum pg_metric metric, uint64_t value)
{
        struct pg_series *series = &s->out->measurement.series[metric];
        if (series->status == PG_SERIES_MEASURED)
                series->samples[series->n++] = value > INT64_MAX ? INT64_MAX : value;
}

static void set_unavailable(struct pg_session *s, enum pg_metric metric, const char *reason)
{
        if (s->workload->metrics[metric])
                s->out->measurement.series[metric] =
                        (struct pg_series){ .status = PG_SERIES_UNAVAILABLE, .reason = reason };
}

void pg_session_unavailable(struct pg_session *s, enum pg_pass pass, const char *reason)
{
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                if (pg_metrics[i].pass == pass)
                        set_unavailable(s, (enum pg_metric)i, reason ? reason : "out of memory");
}

bool pg_session_note(struct pg_session *s, struct pg_error *err, const char *fmt, ...)
{
        struct pg_measurement *m = &s->out->measurement;
        size_t n = 0;
        while (m->notes && m->notes[n])
                n++;
        const char **notes = pg_arena_calloc(s->arena, n + 2, sizeof(*notes));
        va_list ap;
        va_start(ap, fmt);
        const char *text = pg_arena_vprintf(s->arena, fmt, ap);
        va_end(ap);
        if (!notes || !text)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                if (strcmp(m->notes[i], text) == 0)
                        return true;
                notes[i] = m->notes[i];
        }
        notes[n] = text;
        m->notes = notes;
        return true;
}

/* ---- one benchmark ---- */

static bool wants(const struct pg_workload *w, enum pg_pass pass)
{
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                if (w->metrics[i] && pg_metrics[i].pass == pass)
                        return true;
        return false;
}

static uint32_t planned_runs(const struct pg_workload *w, bool once)
{
        return (wants(w, PG_PASS_TIMING) ? w->warmup + w->runs : 0) +
               (wants(w, PG_PASS_ALLOCATION) ? (once ? 1 : 2) : 0) +
               (wants(w, PG_PASS_PROFILE) ? w->runs : 0) + (wants(w, PG_PASS_LOCK) ? w->runs : 0);
}

/* The file that will be executed, for looking into it beforehand; NULL when there is none (the launch then says
 * why). Found as the launch finds it: from the benchmark's folder, by the target's PATH. */
static const char *find_program(struct pg_arena *a, const struct pg_workload *w,
                                const char *const *environment)
{
        struct pg_error unused = { 0 };
        PG_AUTO_FREE char *found = NULL;
        PG_AUTO_CLOSE int folder = open(w->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0 || !pg_program_find(folder, w->command[0], environment, &found, &unused))
                return NULL;
        const char *path =
                found[0] == '/' ? pg_arena_strdup(a, found) : pg_arena_printf(a, "%s/%s", w->cwd, found);
        return path && access(path, X_OK) == 0 ? path : NULL;
}

/* LD_PRELOAD cannot hold a path with a space or a colon; a descriptor of ours gives it another name. */
static bool name_agent(struct pg_session *s, const char *path, const char **ret, int *ret_fd,
                       struct pg_error *err)
{
        *ret = path;
        if (!path || !strpbrk(path, " :\t\n"))
                return true;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return pg_fail_os(err, "cannot open '%s'", path);
        *ret_fd = fd;
        *ret = pg_arena_printf(s->arena, "/proc/%d/fd/%d", (int)getpid(), fd);
        return *ret || pg_fail_nomem(err);
}

/* The descriptors that give agents another name; -1: none needed. */
struct agent_fds {
        int agent, sampler, locks;
};

static void agent_fds_deinit(struct agent_fds *fds)
{
        pg_closep(&fds->agent);
        pg_closep(&fds->sampler);
        pg_closep(&fds->locks);
}

static bool prepare(struct pg_session *s, struct agent_fds *ret, struct pg_error *err)
{
        const char *const *environment;
        if (!pg_environment_compose(s->arena, s->workload->env, NULL, NULL, &environment, err) ||
            !name_agent(s, s->options->agent_path, &s->agent_path, &ret->agent, err) ||
            !name_agent(s, s->options->sampler_path, &s->sampler_path, &ret->sampler, err) ||
            !name_agent(s, s->options->locks_path, &s->locks_path, &ret->locks, err))
                return false;
        s->program = find_program(s->arena, s->workload, environment);
        s->out->measurement.name = s->workload->name;
        s->out->measurement.command = s->workload->command;
        pg_session_unavailable(s, PG_PASS_NONE, "this version of perfgate does not measure it");
        return true;
}

void pg_measured_deinit(struct pg_measured *m)
{
        pg_profile_destroy(m->cpu);
        pg_profile_destroy(m->heap);
        pg_profile_destroy(m->locks);
        pg_profile_destroy(m->lock_holders);
}

bool pg_measure(const struct pg_workload *w, const struct pg_measure_options *options, struct pg_arena *a,
                struct pg_measured *ret, struct pg_error *err)
{
        struct pg_measured out = { 0 };
        struct pg_session s = { .workload = w, .options = options, .arena = a, .out = &out };
        s.total = planned_runs(w, options->once);
        s.stdin_start = options->once ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
        s.start_ns = pg_now_ns();
        __attribute__((cleanup(agent_fds_deinit))) struct agent_fds fds = { -1, -1, -1 };
        bool ok = prepare(&s, &fds, err);
        for (int i = 0; ok && i < N_PASSES; i++)
                ok = !wants(w, passes[i].pass) || passes[i].run(&s, err);
        if (!ok) {
                pg_measured_deinit(&out);
                return false;
        }
        *ret = out;
        return true;
}
