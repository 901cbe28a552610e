// SPDX-License-Identifier: MIT
/*
 * profile.c - the profile pass: each run sampled, functions with their CPU time per run, and a self-check.
 *
 * One process run is one observation, so self times are kept run by run. The weights of all samples must add
 * up to the CPU time that the kernel accounted; a profile that fails this must not decide anything.
 */
#include "runner/base/clock.h"
#include "runner/engine/engine.h"
#include "runner/measure/code_map.h"
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

#include <string.h>

/* The self time of one point of the code map, and its number of samples, in each run. */
struct point_times {
        uint64_t *self_ns; // [runs]
        uint64_t samples;
};

struct tally {
        struct pg_code_map *map;
        struct point_times *points; // as many as the map has
        size_t n_points;
        uint32_t runs; // room
};

static bool add_to_point(struct pg_session *s, struct tally *t, uint32_t point, uint32_t run,
                         const struct pg_captured_sample *sample, struct pg_error *err)
{
        if (point == t->n_points) {
                t->points = pg_arena_grow(s->arena, t->points, t->n_points, sizeof(*t->points));
                if (!t->points)
                        return pg_fail_nomem(err);
                t->points[t->n_points].self_ns = pg_arena_calloc(s->arena, t->runs, sizeof(uint64_t));
                if (!t->points[t->n_points++].self_ns)
                        return pg_fail_nomem(err);
        }
        t->points[point].self_ns[run] += sample->weight_ns;
        t->points[point].samples += sample->samples;
        return true;
}

/* Time in the agent's own wrappers is not the target's: it is neither a function nor part of the total. */
static bool is_agent(const struct pg_session *s, const struct pg_captured_process *p, pg_place place)
{
        uint32_t module = PG_PLACE_MODULE(place);
        return module < p->n_modules &&
               strcmp(pg_module_name(p->modules[module].path), pg_module_name(s->agent_path)) == 0;
}

static bool add_process(struct pg_session *s, struct tally *t, uint32_t run,
                        const struct pg_captured_process *p, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        if (!pg_code_map_add_program(t->map, p, err))
                return false;
        for (size_t i = 0; i < p->n_samples; i++) {
                const struct pg_captured_sample *sample = &p->samples[i];
                uint32_t module, point;
                if (is_agent(s, p, sample->place))
                        continue;
                if (!pg_code_map_add_module(t->map, p, PG_PLACE_MODULE(sample->place), &module, err) ||
                    !pg_code_map_intern(t->map, module, PG_PLACE_ADDRESS(sample->place), &point, err) ||
                    !add_to_point(s, t, point, run, sample, err))
                        return false;
                m->profile_samples[run] += sample->samples;
                m->profile_total_ns[run] += sample->weight_ns;
        }
        return true;
}

/* ---- from points to functions ---- */

struct ranked {
        const struct pg_point *point;
        const struct point_times *times;
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

static bool keep_functions(struct pg_session *s, const struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        PG_AUTO_FREE struct ranked *ranked = calloc(t->n_points + 1, sizeof(*ranked));
        m->functions = pg_arena_calloc(s->arena, t->n_points, sizeof(*m->functions));
        if (!ranked || !m->functions)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < t->n_points; i++) {
                ranked[i] = (struct ranked){ pg_code_map_point(t->map, (uint32_t)i), &t->points[i], 0 };
                for (size_t run = 0; run < m->n_profile_runs; run++)
                        ranked[i].total_ns += t->points[i].self_ns[run];
        }
        qsort(ranked, t->n_points, sizeof(*ranked), by_function);
        for (size_t i = 0; i < t->n_points; i++) {
                struct pg_function *f = m->n_functions ? &m->functions[m->n_functions - 1] : NULL;
                if (!f || !same_function(ranked[i].point, f)) {
                        f = &m->functions[m->n_functions++];
                        if (!open_function(s, f, ranked[i].point, err))
                                return false;
                }
                for (size_t run = 0; run < m->n_profile_runs; run++)
                        f->self_ns[run] += ranked[i].times->self_ns[run];
        }
        return true;
}

static bool build_profile(struct pg_session *s, const struct tally *t, struct pg_error *err)
{
        const struct pg_measurement *m = &s->out->measurement;
        int64_t period_ns = PG_NS_PER_S / (int64_t)m->sample_rate_hz;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, period_ns);
        if (!b)
                return pg_fail_nomem(err);
        bool ok = pg_code_map_export_program(t->map, b, err);
        int64_t duration_ns = 0;
        for (size_t i = 0; ok && i < t->n_points; i++) {
                int64_t values[2] = { (int64_t)t->points[i].samples, 0 };
                for (size_t run = 0; run < m->n_profile_runs; run++)
                        values[1] += (int64_t)t->points[i].self_ns[run];
                duration_ns += values[1];
                uint32_t location;
                ok = pg_code_map_export(t->map, (uint32_t)i, b, &location, err) &&
                     pg_profile_add_sample(b, &location, 1, values, err);
        }
        ok = ok && pg_profile_finish(b, 0, duration_ns, &s->out->cpu, err);
        pg_profile_builder_destroy(b);
        return ok;
}

/* ---- runs ---- */

/* Why the agent could not sample this tree at all, or NULL. */
static const char *not_sampled(struct pg_session *s, const struct pg_captured *c, int pid)
{
        for (size_t i = 0; i < c->n_processes; i++)
                if (c->processes[i].pid == pid && c->processes[i].threads_armed)
                        return NULL;
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
        t->runs = s->workload->runs;
        m->sample_rate_hz = s->options->sample_rate_hz;
        m->profile_samples = pg_arena_calloc(s->arena, t->runs, sizeof(uint64_t));
        m->profile_total_ns = pg_arena_calloc(s->arena, t->runs, sizeof(uint64_t));
        return (m->profile_samples && m->profile_total_ns) || pg_fail_nomem(err);
}

static bool run_sampled(struct pg_session *s, const struct pg_engine_ops *engine,
                        struct pg_engine_session *running, struct pg_launch_result *ret, struct pg_error *err)
{
        const char *const *environment;
        return pg_environment_compose(s->arena, s->workload->env, engine->environment(running),
                                      engine->preload(running), &environment, err) &&
               pg_session_run(s, "profiling", environment, false, ret, err);
}

static bool sample_once(struct pg_session *s, const struct pg_engine_ops *engine, struct pg_captured **ret,
                        struct pg_launch_result *ret_result, struct pg_error *err)
{
        const struct pg_engine_request request = { s->options->sample_rate_hz, PG_CLOCK_BEST, s->agent_path };
        struct pg_engine_session *running = NULL;
        if (!engine->start(&request, &running, err))
                return false;
        bool ok = run_sampled(s, engine, running, ret_result, err) &&
                  engine->collect(running, s->arena, ret, err);
        engine->stop(running);
        return ok;
}

static bool finish_pass(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        m->series[PG_CPU_SHARE].status = PG_SERIES_MEASURED;
        return pg_code_map_symbolize(t->map, err) && keep_functions(s, t, err) && build_profile(s, t, err);
}

/* One run into the tally; *ret_why when this tree cannot be sampled at all. */
static bool tally_run(struct pg_session *s, struct tally *t, uint32_t run, const char **ret_why,
                      struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        const struct pg_engine_ops *engine = pg_engines[0];
        struct pg_captured *captured;
        struct pg_launch_result result;
        if (!sample_once(s, engine, &captured, &result, err))
                return false;
        *ret_why = not_sampled(s, captured, result.pid);
        if (*ret_why)
                return true;
        for (size_t i = 0; i < captured->n_processes; i++)
                if (!add_process(s, t, run, &captured->processes[i], err))
                        return false;
        m->n_profile_runs = run + 1;
        m->engines.cpu = engine->name;
        m->engines.cpu_clock = pg_profile_clock(captured);
        if (!m->profile_doubt)
                m->profile_doubt = pg_profile_doubt(captured, result.user_ns, result.system_ns,
                                                    PG_NS_PER_S / m->sample_rate_hz, s->arena);
        return true;
}

static bool sample_runs(struct pg_session *s, struct tally *t, struct pg_error *err)
{
        for (uint32_t run = 0; run < t->runs && (run == 0 || !pg_session_late(s)); run++) {
                const char *why = NULL;
                if (!tally_run(s, t, run, &why, err))
                        return false;
                if (why) {
                        s->out->measurement.n_profile_runs = 0;
                        s->out->measurement.profile_doubt = NULL;
                        pg_session_unavailable(s, PG_PASS_PROFILE, why);
                        return true;
                }
        }
        return finish_pass(s, t, err);
}

bool pg_pass_profile(struct pg_session *s, struct pg_error *err)
{
        const char *obstacle = s->program ? pg_capture_obstacle(s->program, PG_MODE_SAMPLE) : NULL;
        if (obstacle) {
                pg_session_unavailable(s, PG_PASS_PROFILE, obstacle);
                return true;
        }
        __attribute__((cleanup(pg_code_map_destroyp))) struct pg_code_map *map = pg_code_map_create(s->arena);
        if (!map)
                return pg_fail_nomem(err);
        struct tally t = { .map = map };
        return start_pass(s, &t, err) && sample_runs(s, &t, err);
}
