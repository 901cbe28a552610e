// SPDX-License-Identifier: MIT
/*
 * measure_all.c - one launcher, then benchmark after benchmark; a failing target does not stop the others.
 */
#include "ci/cli/measure_all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "ci/cli/progress.h"
#include "ci/cli/stop.h"
#include "runner/base/clock.h"
#include "runner/base/file.h"
#include "runner/measure/measure.h"

static const char *utc_now(struct pg_arena *a)
{
        time_t now = time(NULL);
        struct tm t;
        char text[32];
        gmtime_r(&now, &t);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &t);
        return pg_arena_strdup(a, text);
}

/* The commit of the current folder's git checkout, or NULL. */
static const char *current_commit(struct pg_arena *a)
{
        FILE *git = popen("git rev-parse HEAD 2>/dev/null", "re");
        if (!git)
                return NULL;
        char line[80] = "";
        bool got = fgets(line, sizeof(line), git) != NULL;
        line[strcspn(line, "\n")] = '\0';
        bool ok = pclose(git) == 0 && got && strlen(line) >= 40 &&
                  strspn(line, "0123456789abcdef") == strlen(line);
        return ok ? pg_arena_strdup(a, line) : NULL;
}

static bool describe(struct pg_snapshot *s, size_t n, struct pg_error *err)
{
        s->tool_version = PG_VERSION;
        s->created = utc_now(s->arena);
        s->commit = current_commit(s->arena);
        s->benchmarks = pg_arena_calloc(s->arena, n, sizeof(*s->benchmarks));
        if (!s->created || !s->benchmarks)
                return pg_fail_nomem(err);
        return pg_host_describe(s->arena, &s->host, err);
}

/* ---- profiles ---- */

/* Where the profiles of a benchmark go: a folder, and how that is called in the result. */
struct place {
        struct pg_arena *arena;
        const char *folder, *prefix;
        bool folded;
};

static bool save_folded(const struct place *to, const char *name, const struct pg_profile *p,
                        struct pg_error *err)
{
        if (!to->folded)
                return true;
        const char *path = pg_arena_printf(to->arena, "%s/%s.folded", to->folder, name);
        if (!path)
                return pg_fail_nomem(err);
        return pg_folded_save(path, p, p->default_type, err);
}

static bool save_profile(const struct place *to, const char *name, const struct pg_profile *p,
                         const char **ret, struct pg_error *err)
{
        if (!p)
                return true;
        const char *path = pg_arena_printf(to->arena, "%s/%s.pb.gz", to->folder, name);
        const char *below = pg_arena_printf(to->arena, "%s%s.pb.gz", to->prefix, name);
        if (!path || !below)
                return pg_fail_nomem(err);
        if (!pg_pprof_save(path, p, err))
                return false;
        *ret = below;
        return save_folded(to, name, p, err);
}

static bool save_profiles(struct pg_arena *a, const struct pg_measure_all_args *args,
                          const struct pg_measured *m, struct pg_report_profiles *ret, struct pg_error *err)
{
        if (!args->output_dir || (!m->cpu && !m->heap && !m->locks))
                return true;
        const char *name = m->measurement.name;
        struct place to = { a, args->output_dir, "", args->folded };
        if (!args->record) {
                to.folder = pg_arena_printf(a, "%s/%s", args->output_dir, name);
                to.prefix = pg_arena_printf(a, "%s/", name);
        }
        if (!to.folder || !to.prefix)
                return pg_fail_nomem(err);
        return pg_mkdirs(to.folder, err) && save_profile(&to, "cpu", m->cpu, &ret->cpu, err) &&
               save_profile(&to, "heap", m->heap, &ret->heap, err) &&
               save_profile(&to, "locks", m->locks, &ret->locks, err) &&
               save_profile(&to, "lock_holders", m->lock_holders, &ret->lock_holders, err);
}

static bool remove_file(const char *folder, const char *name, const char *ending, struct pg_error *err)
{
        char file[64];
        snprintf(file, sizeof(file), "%s%s", name, ending);
        PG_AUTO_FREE char *path = pg_path_join(folder, file);
        if (!path)
                return pg_fail_nomem(err);
        return unlink(path) == 0 || errno == ENOENT || errno == EISDIR ||
               pg_fail_os(err, "cannot remove '%s', which is of an earlier recording", path);
}

bool pg_profiles_remove_others(const char *folder, const struct pg_report_profiles *written, bool folded,
                               struct pg_error *err)
{
        const struct {
                const char *name, *written;
        } kinds[] = { { "cpu", written->cpu },
                      { "heap", written->heap },
                      { "locks", written->locks },
                      { "lock_holders", written->lock_holders } };
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if ((!kinds[i].written && !remove_file(folder, kinds[i].name, ".pb.gz", err)) ||
                    ((!kinds[i].written || !folded) && !remove_file(folder, kinds[i].name, ".folded", err)))
                        return false;
        return true;
}

/* ---- benchmarks ---- */

struct state {
        const struct pg_plan *plan;
        const struct pg_measure_all_args *args;
        struct pg_launcher *launcher;
        struct pg_install install;
        struct pg_progress progress;
        uint64_t end_ns; // of the time budget; 0: none
        struct pg_measured_all *out;
};

/* Each benchmark may use an equal part of what is left of the budget. */
static uint64_t deadline_of(const struct state *st, size_t index)
{
        if (!st->end_ns)
                return 0;
        uint64_t now = pg_now_ns();
        uint64_t left = st->end_ns > now ? st->end_ns - now : 0;
        return now + left / (st->plan->n - index);
}

static bool measure_one(struct state *st, size_t index, struct pg_error *err)
{
        struct pg_snapshot *s = st->out->snapshot;
        struct pg_measure_options options = {
                .launcher = st->launcher,
                .agent_path = st->install.agent_path,
                .sampler_path = st->install.sampler_path,
                .locks_path = st->install.locks_path,
                .stop = &pg_stop,
                .deadline_ns = deadline_of(st, index),
                .progress = pg_progress_step,
                .user = &st->progress,
                .once = st->args->record,
        };
        struct pg_measured m = { 0 };
        if (!pg_sampling_apply(&st->args->sampling, &options, err) ||
            !pg_measure(&st->plan->workloads[index], &options, s->arena, &m, err))
                return false;
        bool ok = save_profiles(s->arena, st->args, &m, &st->out->profiles[s->n_benchmarks], err);
        if (m.failure && !st->out->failure) {
                st->out->failure = m.failure;
                fprintf(stderr, "perfgate: %s\n", m.failure);
        }
        pg_measured_deinit(&m);
        if (ok)
                s->benchmarks[s->n_benchmarks++] = m.measurement;
        return ok;
}

static bool note_failure(struct state *st, const struct pg_error *failed, struct pg_error *err)
{
        if (!st->out->failure)
                st->out->failure = pg_arena_strdup(st->out->snapshot->arena, failed->text);
        return st->out->failure || pg_fail_nomem(err);
}

static bool measure_each(struct state *st, struct pg_error *err)
{
        for (size_t i = 0; i < st->plan->n; i++) {
                struct pg_error failed = { 0 };
                pg_progress_begin(&st->progress, st->plan->workloads[i].name, i);
                bool ok = measure_one(st, i, &failed);
                pg_progress_end(&st->progress, ok, !ok && failed.code == PG_ETARGET ? failed.text : NULL);
                if (!ok && failed.code == PG_ETARGET && !note_failure(st, &failed, err))
                        return false;
                if (!ok && failed.code != PG_ETARGET) {
                        if (!pg_stop_check(err))
                                return false; // which signal it was
                        *err = failed;
                        return false;
                }
        }
        return true;
}

/* The socket of the sampler holds one descriptor for each thread of the target; targets get the old limit
 * back. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static bool prepare(struct state *st, struct pg_error *err)
{
        struct pg_snapshot *s = st->out->snapshot;
        st->out->profiles = pg_arena_calloc(s->arena, st->plan->n, sizeof(*st->out->profiles));
        if (!st->out->profiles)
                return pg_fail_nomem(err);
        if (!describe(s, st->plan->n, err) || !pg_install_find(s->arena, &st->install, err) ||
            !pg_launcher_create(st->install.helper_path, &st->launcher, err))
                return false;
        raise_descriptor_limit();
        return true;
}

bool pg_measure_all(const struct pg_plan *plan, const struct pg_measure_all_args *args,
                    struct pg_measured_all *ret, struct pg_error *err)
{
        struct pg_measured_all out = { .snapshot = pg_snapshot_create() };
        if (!out.snapshot)
                return pg_fail_nomem(err);
        struct state st = { .plan = plan, .args = args, .out = &out };
        pg_stop_install();
        pg_progress_init(&st.progress, args->quiet, plan->n);
        if (plan->time_budget_ns)
                st.end_ns = pg_now_ns() + plan->time_budget_ns;
        bool ok = prepare(&st, err) && measure_each(&st, err);
        pg_launcher_destroy(st.launcher);
        if (!ok) {
                pg_snapshot_destroy(out.snapshot);
                return false;
        }
        *ret = out;
        return true;
}
