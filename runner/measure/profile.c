// SPDX-License-Identifier: MIT
/*
 * profile.c - the profile pass: each run sampled, functions with their CPU time per run, and a self-check.
 *
 * One process run is one observation, so self times are kept run by run. The weights of all samples must add
 * up to the CPU time that the kernel accounted; a profile that fails this must not decide anything.
 */
#include "runner/base/clock.h"
#include "runner/engine/engine.h"
#include "runner/measure/call_tree.h"
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

#include <stdlib.h>
#include <string.h>

/* What each point of the code map held by itself when a run had been added, all runs so far together. */
struct standing {
        uint64_t *self_ns;
        size_t n_points; // as many as the map had then
};

struct tally {
        struct pg_code_map *map;
        struct pg_call_tree *tree;
        struct standing *runs;
        const struct pg_engine_ops *engine;
        struct pg_engine_request request;
        uint64_t wall_ns;         // of all runs
        const char *const *notes; // as they were before the engine's first run
};

static void tally_deinit(struct tally *t)
{
        pg_call_tree_destroy(t->tree);
        pg_code_map_destroy(t->map);
        t->tree = NULL;
        t->map = NULL;
}

/* Without any run; also after some that are not to count. */
static bool tally_clear(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        tally_deinit(t);
        t->wall_ns = 0;
        m->n_profile_runs = 0;
        m->profile_doubt = NULL;
        m->engines.cpu = m->engines.cpu_clock = NULL;
        m->notes = t->notes;
        m->stacks[PG_STACKS_CPU] = (struct pg_stack_quality){ 0 };
        t->map = pg_code_map_create(s->arena);
        t->tree = t->map ? pg_call_tree_create(t->map) : NULL;
        return t->tree || pg_fail_nomem(err);
}

/* A command that is run only once gets no second chance with longer copies of its stack. */
enum { LONGEST_COPY = INT32_MAX };

static uint64_t standing_at(const struct standing *s, size_t point)
{
        return point < s->n_points ? s->self_ns[point] : 0;
}

/* CPU time with that point innermost in that run. */
static uint64_t self_ns(const struct tally *t, size_t point, size_t run)
{
        uint64_t before = run ? standing_at(&t->runs[run - 1], point) : 0;
        return standing_at(&t->runs[run], point) - before;
}

/* Time in the agent's own wrappers is not the target's: it is neither a function nor part of the total. */
static bool add_run(struct pg_session *s, struct tally *t, uint32_t run, const struct pg_captured *c,
                    struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        if (!pg_call_tree_add_run(t->tree, c, s->sampler_path, PG_AGENT_LEFT_OUT, err))
                return false;
        size_t n;
        const struct pg_call_node *nodes = pg_call_tree_nodes(t->tree, &n);
        struct standing *now = &t->runs[run];
        now->n_points = pg_code_map_count(t->map);
        now->self_ns = pg_arena_calloc(s->arena, now->n_points, sizeof(*now->self_ns));
        if (!now->self_ns)
                return pg_fail_nomem(err);
        uint64_t samples = 0, total_ns = 0;
        for (size_t i = 1; i < n; i++) {
                now->self_ns[nodes[i].point] += nodes[i].amount;
                samples += nodes[i].count;
                total_ns += nodes[i].amount;
        }
        for (uint32_t i = 0; i < run; i++) {
                samples -= m->profile_samples[i];
                total_ns -= m->profile_total_ns[i];
        }
        m->profile_samples[run] = samples;
        m->profile_total_ns[run] = total_ns;
        return true;
}

/* ---- from points to functions ---- */

struct ranked {
        const struct pg_point *point;
        size_t index; // of the point
        uint64_t total_ns;
};

static int by_function(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        int c = strcmp(x->point->function, y->point->function);
        if (!c)
                c = strcmp(x->point->module_name, y->point->module_name);
        if (!c) // hottest first: it gives the line
                c = (x->total_ns < y->total_ns) - (x->total_ns > y->total_ns);
        return c ? c : (x->point->address > y->point->address) - (x->point->address < y->point->address);
}

static bool same_function(const struct pg_point *p, const struct pg_function *f)
{
        return strcmp(p->function, f->function) == 0 && strcmp(p->module_name, f->module) == 0;
}

static bool open_function(struct pg_session *s, struct pg_function *f, const struct pg_point *p,
                          struct pg_error *err)
{
        const struct pg_frame *frame = &p->where.frames[p->where.n_frames - 1];
        *f = (struct pg_function){ p->function, p->module_name, frame->file, frame->line, NULL };
        f->self_ns = pg_arena_calloc(s->arena, s->out->measurement.n_profile_runs, sizeof(uint64_t));
        return f->self_ns || pg_fail_nomem(err);
}

/* The points that something was spent in, sorted by function; returns how many. */
static size_t rank_points(const struct tally *t, size_t n_runs, struct ranked *ranked)
{
        size_t n = 0;
        for (size_t i = 0; i < pg_code_map_count(t->map); i++) {
                uint64_t total_ns = standing_at(&t->runs[n_runs - 1], i);
                if (total_ns)
                        ranked[n++] = (struct ranked){ pg_code_map_point(t->map, (uint32_t)i), i, total_ns };
        }
        if (n)
                qsort(ranked, n, sizeof(*ranked), by_function);
        return n;
}

static bool keep_functions(struct pg_session *s, const struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        PG_AUTO_FREE struct ranked *ranked = calloc(pg_code_map_count(t->map) + 1, sizeof(*ranked));
        if (!ranked)
                return pg_fail_nomem(err);
        size_t n = rank_points(t, m->n_profile_runs, ranked);
        m->functions = pg_arena_calloc(s->arena, n, sizeof(*m->functions));
        if (!m->functions)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                struct pg_function *f = m->n_functions ? &m->functions[m->n_functions - 1] : NULL;
                if (!f || !same_function(ranked[i].point, f)) {
                        f = &m->functions[m->n_functions++];
                        if (!open_function(s, f, ranked[i].point, err))
                                return false;
                }
                for (size_t run = 0; run < m->n_profile_runs; run++)
                        f->self_ns[run] += self_ns(t, ranked[i].index, run);
        }
        return true;
}

/* Names for what functions and profile need: points that time was spent in, and the frames of stacks that stay. */
static bool name_points(const struct pg_session *s, const struct tally *t, struct pg_error *err)
{
        const struct standing *last = &t->runs[s->out->measurement.n_profile_runs - 1];
        PG_AUTO_FREE uint8_t *marks = calloc(pg_code_map_count(t->map) + 1, 1);
        if (!marks)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < last->n_points; i++)
                marks[i] = last->self_ns[i] > 0;
        pg_call_tree_mark_points(t->tree, marks);
        return pg_code_map_symbolize(t->map, marks, err);
}

static bool build_profile(struct pg_session *s, const struct tally *t, const struct pg_fold *fold,
                          struct pg_error *err)
{
        const struct pg_measurement *m = &s->out->measurement;
        int64_t period_ns = PG_NS_PER_S / (int64_t)m->sample_rate_hz;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, period_ns);
        if (!b)
                return pg_fail_nomem(err);
        bool ok = pg_code_map_export_program(t->map, b, err) && pg_call_tree_export(t->tree, b, err) &&
                  pg_session_tell_fold(s, fold, b, err) &&
                  pg_profile_finish(b, 0, (int64_t)t->wall_ns, &s->out->cpu, err);
        pg_profile_builder_destroy(b);
        return ok;
}

/* ---- runs ---- */

/* Why this tree cannot be sampled that way, or NULL: its first process must have been seen. */
static const char *not_sampled(struct pg_session *s, const struct tally *t, const struct pg_captured *c,
                               int pid)
{
        for (size_t i = 0; i < c->n_processes; i++)
                if (c->processes[i].pid == pid &&
                    (c->processes[i].threads_armed || c->processes[i].sample_count))
                        return NULL;
        if (t->engine != &pg_agent_engine)
                return "no sample was taken of the target";
        for (size_t i = 0; i < c->n_processes; i++)
                if (c->processes[i].disarm == PG_DISARM_NO_SIGNAL)
                        return "the target uses every signal that the sampler could take";
                else if (c->processes[i].disarm == PG_DISARM_NO_TIMER)
                        return "neither a task-clock event nor a CPU timer could be had (limits of this "
                               "machine?)";
        return c->n_gaps ? pg_arena_printf(s->arena, "%s: %s", c->gaps[0].path, c->gaps[0].why)
                         : "the target did not load the agent (is it built for another C library, or "
                           "protected?)";
}

static bool start_pass(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        uint32_t runs = s->workload->runs;
        m->sample_rate_hz = s->options->sample_rate_hz;
        m->profile_samples = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        m->profile_total_ns = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        m->profile_user_ns = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        m->profile_system_ns = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        t->runs = pg_arena_calloc(s->arena, runs, sizeof(*t->runs));
        return (m->profile_samples && m->profile_total_ns && m->profile_user_ns && m->profile_system_ns &&
                t->runs) ||
               pg_fail_nomem(err);
}

struct watch {
        const struct pg_engine_ops *engine;
        struct pg_engine_session *running;
};

static bool before_exec(void *user, pid_t pid, struct pg_error *err)
{
        const struct watch *w = user;
        return w->engine->before_exec(w->running, pid, err);
}

static bool run_sampled(struct pg_session *s, struct watch *w, struct pg_launch_result *ret,
                        struct pg_error *err)
{
        const char *const *environment;
        return pg_environment_compose(s->arena, s->workload->env, w->engine->environment(w->running),
                                      w->engine->preload(w->running), &environment, err) &&
               pg_session_run_watched(s, "profiling", environment,
                                      w->engine->before_exec ? before_exec : NULL, w, ret, err);
}

/* *ret_again: why the run is to be repeated with the request as it is now, or NULL. */
static bool sample_once(struct pg_session *s, struct tally *t, struct pg_captured **ret,
                        struct pg_launch_result *ret_result, const char **ret_again, struct pg_error *err)
{
        struct watch w = { .engine = t->engine };
        *ret_again = NULL;
        if (!w.engine->start(&t->request, &w.running, err))
                return false;
        bool ok = run_sampled(s, &w, ret_result, err) && w.engine->collect(w.running, s->arena, ret, err);
        if (ok && w.engine->again)
                *ret_again = w.engine->again(w.running, &t->request, s->arena);
        w.engine->stop(w.running);
        return ok;
}

/* A target on the user's own terminal is not started twice behind his back: he is told instead. */
static bool sample_well(struct pg_session *s, struct tally *t, struct pg_captured **ret,
                        struct pg_launch_result *ret_result, struct pg_error *err)
{
        enum { MOST = 4 };
        const char *again = NULL;
        for (int i = 0; i < MOST; i++) {
                if (!sample_once(s, t, ret, ret_result, &again, err))
                        return false;
                if (!again || s->options->once || pg_session_late(s))
                        break;
        }
        return !again || pg_session_note(s, err, "CPU stacks: %s", again);
}

/* Functions are right all the same: what is missing are their callers. */
static bool note_incomplete(struct pg_session *s, const struct tally *t, struct pg_error *err)
{
        const struct pg_stack_quality *q = &s->out->measurement.stacks[PG_STACKS_CPU];
        uint64_t broken = q->truncated + q->unknown;
        if (broken < 20 || broken < q->events / 10)
                return true;
        bool inside = t->engine == &pg_agent_engine;
        return pg_session_note(s, err, "CPU stacks: %.0f %% lack their outer frames%s",
                               100.0 * (double)broken / (double)q->events,
                               inside ? " (generated code?); --engine perf may know them" : "");
}

static bool finish_pass(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        struct pg_fold fold = { 0 };
        m->series[PG_CPU_SHARE].status = PG_SERIES_MEASURED;
        if (!s->options->all_stacks)
                pg_call_tree_fold(t->tree, &fold);
        return note_incomplete(s, t, err) && name_points(s, t, err) && keep_functions(s, t, err) &&
               build_profile(s, t, &fold, err);
}

static bool note_gaps(struct pg_session *s, const struct pg_captured *c, struct pg_error *err)
{
        return c->n_gaps == 0 || pg_session_note(s, err, "not sampled: %s (%s)%s",
                                                 c->gaps[0].path[0] ? c->gaps[0].path : "a child",
                                                 c->gaps[0].why, c->n_gaps > 1 ? " and others" : "");
}

static bool is_auto(const struct pg_session *s)
{
        return strcmp(s->options->engine, "auto") == 0;
}

/* The next engine of the ladder that nothing speaks against, or NULL. */
static const struct pg_engine_ops *next_engine(const struct pg_session *s, const struct tally *t)
{
        if (!is_auto(s) || s->options->once)
                return NULL;
        size_t i = 0;
        while (pg_engines[i] && pg_engines[i] != t->engine)
                i++;
        while (pg_engines[i] && pg_engines[++i])
                if (!pg_engines[i]->obstacle(s->program, &t->request, s->arena))
                        return pg_engines[i];
        return NULL;
}

/* A static program that a script starts, or threads without libc: the agent sees a part of the tree, others all. */
static bool others_see_more(const struct pg_session *s, const struct tally *t, const char *doubt)
{
        return doubt && t->engine == &pg_agent_engine && next_engine(s, t);
}

/* One run into the tally; *ret_why when this engine cannot sample this tree. */
static bool tally_run(struct pg_session *s, struct tally *t, uint32_t run, const char **ret_why,
                      struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        struct pg_captured *captured;
        struct pg_launch_result result;
        if (!sample_well(s, t, &captured, &result, err))
                return false;
        *ret_why = not_sampled(s, t, captured, result.pid);
        if (*ret_why)
                return true;
        const char *doubt = pg_profile_doubt(captured, result.user_ns, result.system_ns,
                                             PG_NS_PER_S / m->sample_rate_hz, s->arena);
        if (others_see_more(s, t, doubt)) {
                *ret_why = doubt;
                return true;
        }
        if (!add_run(s, t, run, captured, err) || !note_gaps(s, captured, err))
                return false;
        pg_session_add_quality(s, PG_STACKS_CPU, captured);
        m->n_profile_runs = run + 1;
        m->engines.cpu = t->engine->name;
        m->engines.cpu_clock = pg_profile_clock(captured);
        m->profile_user_ns[run] = result.user_ns;
        m->profile_system_ns[run] = result.system_ns;
        t->wall_ns += result.wall_ns;
        if (!m->profile_doubt)
                m->profile_doubt = doubt;
        return true;
}

static bool give_up(struct pg_session *s, const char *why)
{
        struct pg_measurement *m = &s->out->measurement;
        m->n_profile_runs = 0;
        m->profile_doubt = NULL;
        m->engines.cpu = m->engines.cpu_clock = NULL;
        pg_session_unavailable(s, PG_PASS_PROFILE, why);
        return true;
}

/* From the first run on, by the next engine: one that sees a part only may notice it in a later run. */
static bool start_over(struct pg_session *s, struct tally *t, const struct pg_engine_ops *next,
                       const char *why, struct pg_error *err)
{
        t->engine = next;
        if (!tally_clear(s, t, err) ||
            !pg_session_note(s, err, "sampled by %s, because: %s", t->engine->name, why))
                return false;
        t->notes = s->out->measurement.notes;
        return true;
}

static bool sample_runs(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        uint32_t run = 0;
        while (run < s->workload->runs && (run == 0 || !pg_session_late(s))) {
                const char *why = NULL;
                if (!tally_run(s, t, run, &why, err))
                        return false;
                if (!why) {
                        run++;
                        continue;
                }
                const struct pg_engine_ops *next = next_engine(s, t);
                if (!next)
                        return give_up(s, why);
                if (!start_over(s, t, next, why, err))
                        return false;
                run = 0;
        }
        return finish_pass(s, t, err);
}

static bool choose_engine(struct pg_session *s, struct tally *t, const char **ret_why, struct pg_error *err)
{
        const char *why = NULL;
        t->request = (struct pg_engine_request){ .rate_hz = s->options->sample_rate_hz,
                                                 .clock = PG_CLOCK_BEST,
                                                 .agent_path = s->sampler_path,
                                                 .stack_copy_bytes = s->options->once ? LONGEST_COPY : 0 };
        if (!pg_engine_pick(s->options->engine, s->program, &t->request, s->arena, &t->engine, &why, err))
                return false;
        *ret_why = t->engine ? NULL : why ? why : "no engine";
        return !t->engine || !why ||
               pg_session_note(s, err, "sampled by %s, because: %s", t->engine->name, why);
}

bool pg_pass_profile(struct pg_session *s, struct pg_error *err)
{
        struct tally t = { 0 };
        const char *why = NULL;
        if (!choose_engine(s, &t, &why, err))
                return false;
        if (why)
                return give_up(s, why);
        t.notes = s->out->measurement.notes;
        bool ok = tally_clear(s, &t, err) && start_pass(s, &t, err) && sample_runs(s, &t, err);
        tally_deinit(&t);
        return ok;
}
