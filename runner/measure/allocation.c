// SPDX-License-Identifier: MIT
/*
 * allocation.c - the counting pass: the agent in every process of the tree, addresses fixed so that runs
 * repeat.
 *
 * Two runs must agree to the last allocation; else more are taken and the metrics are judged statistically. A
 * tree that the agent did not see whole is unavailable, never a smaller number.
 */
#include "runner/capture/capture.h"
#include "runner/measure/code_map.h"
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

#include <inttypes.h>
#include <string.h>

enum { EXACT_RUNS = 2, PROCESSES_LISTED = 200 };

/* The sums of one run over its process tree, in the order of the series below. */
struct totals {
        uint64_t allocations, allocated_bytes, peak_heap_bytes, leaked_bytes;
        uint64_t peak_uncertainty_bytes;
        uint64_t most_threads;
};

static uint64_t leaked_bytes(const struct pg_captured_process *p)
{
        return p->execed || p->live_bytes < 0 ? 0 : (uint64_t)p->live_bytes;
}

/*
 * Counts and leaks add up over processes. The peak is that of the one process with the highest: a forked
 * child shares its parent's pages, and a sum over processes that never lived at once would be nobody's peak.
 */
static struct totals sum_up(const struct pg_captured *c)
{
        struct totals t = { 0 };
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                t.allocations += p->allocations;
                t.allocated_bytes += p->allocated_bytes;
                t.leaked_bytes += leaked_bytes(p);
                if (p->peak_bytes > t.peak_heap_bytes) {
                        t.peak_heap_bytes = p->peak_bytes;
                        t.peak_uncertainty_bytes = p->peak_uncertainty_bytes;
                        t.most_threads = p->n_threads;
                }
        }
        return t;
}

static const char *describe_gap(struct pg_session *s, const struct pg_captured_gap *g, size_t n_gaps)
{
        const char *more = n_gaps > 1 ? pg_arena_printf(s->arena, " (and %zu more)", n_gaps - 1) : "";
        return pg_arena_printf(s->arena, "not all of the process tree could be counted: %s %s%s",
                               g->path[0] ? g->path : "a child process", g->why, more ? more : "");
}

static const char *disarmed(enum pg_disarm d)
{
        if (d == PG_DISARM_NONE)
                return NULL;
        return d == PG_DISARM_NO_SYMBOLS ? "the allocator's functions were not found" : "the agent gave up";
}

/* Why this capture must not be believed, or NULL. */
static const char *what_is_missing(struct pg_session *s, const struct pg_captured *c, int pid)
{
        bool root_seen = false;
        for (size_t i = 0; i < c->n_processes; i++) {
                root_seen |= c->processes[i].pid == pid;
                const char *why = disarmed(c->processes[i].disarm);
                if (why)
                        return pg_arena_printf(s->arena, "%s: %s", pg_module_name(c->processes[i].program),
                                               why);
        }
        if (!root_seen)
                return "the target did not load the agent (is it built for another C library, or protected?)";
        if (c->n_gaps)
                return describe_gap(s, &c->gaps[0], c->n_gaps);
        if (c->n_damaged)
                return "the target damaged the agent's memory";
        return NULL;
}

static bool list_processes(struct pg_session *s, const struct pg_captured *c, struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        size_t n = c->n_processes < PROCESSES_LISTED ? c->n_processes : PROCESSES_LISTED;
        m->processes = pg_arena_calloc(s->arena, n, sizeof(*m->processes));
        if (!m->processes)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                m->processes[i] = (struct pg_process){
                        .program = pg_arena_strdup(s->arena, pg_module_name(p->program)),
                        .allocations = p->allocations,
                        .allocated_bytes = p->allocated_bytes,
                        .peak_heap_bytes = p->peak_bytes,
                        .leaked_bytes = leaked_bytes(p),
                };
                if (!m->processes[i].program)
                        return pg_fail_nomem(err);
        }
        m->n_processes = n;
        return n == c->n_processes ||
               pg_session_note(s, err, "%zu processes ran; the first %d are listed, all are counted",
                               c->n_processes, PROCESSES_LISTED);
}

/* ---- call sites ---- */

/* What one point of the code map allocated. */
struct site_sum {
        uint32_t point;
        uint64_t allocations, bytes;
};

static bool collect_sites(struct pg_code_map *map, const struct pg_captured *c, struct pg_arena *a,
                          struct site_sum **ret, struct pg_error *err)
{
        struct site_sum *sums = NULL;
        size_t n = 0;
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                if (!pg_code_map_add_program(map, p, err))
                        return false;
                for (size_t j = 0; j < p->n_sites; j++) {
                        const struct pg_captured_site *site = &p->sites[j];
                        uint32_t module, point;
                        uint64_t address = PG_PLACE_ADDRESS(site->place);
                        if (!pg_code_map_add_module(map, p, PG_PLACE_MODULE(site->place), &module, err) ||
                            !pg_code_map_intern(map, module, address ? address - 1 : 0, &point, err))
                                return false;
                        if (point == n) {
                                sums = pg_arena_grow(a, sums, n++, sizeof(*sums));
                                if (!sums)
                                        return pg_fail_nomem(err);
                                sums[point].point = point;
                        }
                        sums[point].allocations += site->allocations;
                        sums[point].bytes += site->bytes;
                }
        }
        *ret = sums;
        return true;
}

static int by_identity(const void *a, const void *b)
{
        const struct pg_site *x = a, *y = b;
        int c = strcmp(x->function, y->function);
        if (!c)
                c = strcmp(x->module, y->module);
        if (!c)
                c = strcmp(x->file ? x->file : "", y->file ? y->file : "");
        return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* Joins neighbours that are the same place for people; returns how many are left. */
static size_t join_equal(struct pg_site *sites, size_t n)
{
        size_t out = 0;
        for (size_t i = 0; i < n; i++) {
                if (out && by_identity(&sites[out - 1], &sites[i]) == 0) {
                        sites[out - 1].allocations += sites[i].allocations;
                        sites[out - 1].allocated_bytes += sites[i].allocated_bytes;
                } else {
                        sites[out++] = sites[i];
                }
        }
        return out;
}

static bool keep_sites(struct pg_session *s, struct pg_code_map *map, const struct site_sum *sums,
                       struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        size_t n = pg_code_map_count(map);
        struct pg_site *sites = pg_arena_calloc(s->arena, n, sizeof(*sites));
        if (!sites)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                const struct pg_point *p = pg_code_map_point(map, sums[i].point);
                const struct pg_frame *f = &p->where.frames[p->where.n_frames - 1];
                sites[i] = (struct pg_site){ p->function, p->module_name,      f->file,
                                             f->line,     sums[i].allocations, sums[i].bytes };
        }
        qsort(sites, n, sizeof(*sites), by_identity);
        m->sites = sites;
        m->n_sites = join_equal(sites, n);
        return true;
}

static bool build_profile(struct pg_session *s, struct pg_code_map *map, const struct site_sum *sums,
                          struct pg_error *err)
{
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_HEAP, 1);
        if (!b)
                return pg_fail_nomem(err);
        bool ok = pg_code_map_export_program(map, b, err);
        for (size_t i = 0; ok && i < pg_code_map_count(map); i++) {
                const int64_t values[4] = { (int64_t)sums[i].allocations, (int64_t)sums[i].bytes, 0, 0 };
                uint32_t location;
                ok = pg_code_map_export(map, sums[i].point, b, &location, err) &&
                     pg_profile_add_sample(b, &location, 1, values, err);
        }
        ok = ok && pg_profile_add_comment(b, "call sites; live bytes are not attributed to them", err) &&
             pg_profile_finish(b, 0, 0, &s->out->heap, err);
        pg_profile_builder_destroy(b);
        return ok;
}

static bool attribute(struct pg_session *s, const struct pg_captured *c, struct pg_error *err)
{
        __attribute__((cleanup(pg_code_map_destroyp))) struct pg_code_map *map = pg_code_map_create(s->arena);
        if (!map)
                return pg_fail_nomem(err);
        struct site_sum *sums = NULL;
        return collect_sites(map, c, s->arena, &sums, err) && pg_code_map_symbolize(map, err) &&
               keep_sites(s, map, sums, err) && build_profile(s, map, sums, err);
}

/* ---- runs ---- */

static bool counting_environment(struct pg_session *s, const struct pg_capture *capture,
                                 const char *const **ret, struct pg_error *err)
{
        const char *value = pg_capture_agent_value(capture);
        const char *agent[] = { pg_arena_printf(s->arena, PG_AGENT_VARIABLE "=%s", value), NULL };
        if (!agent[0])
                return pg_fail_nomem(err);
        return pg_environment_compose(s->arena, s->workload->env, agent, s->agent_path, ret, err);
}

static bool count_once(struct pg_session *s, struct pg_captured **ret, int *ret_pid, struct pg_error *err)
{
        PG_AUTO_CAPTURE struct pg_capture *capture = NULL;
        const char *const *environment;
        struct pg_launch_result result;
        if (!pg_capture_create(PG_MODE_COUNT, 0, &capture, err) ||
            !counting_environment(s, capture, &environment, err) ||
            !pg_session_run(s, "counting", environment, true, &result, err) ||
            !pg_capture_read(capture, s->arena, ret, err))
                return false;
        *ret_pid = result.pid;
        return true;
}

static const enum pg_metric counted[] = { PG_ALLOCATIONS, PG_ALLOCATED_BYTES, PG_PEAK_HEAP, PG_LEAKED_BYTES };
enum { N_COUNTED = sizeof(counted) / sizeof(*counted) };

static void add_samples(struct pg_session *s, const struct totals *t)
{
        const uint64_t values[N_COUNTED] = { t->allocations, t->allocated_bytes, t->peak_heap_bytes,
                                             t->leaked_bytes };
        for (int i = 0; i < N_COUNTED; i++)
                pg_session_add_sample(s, counted[i], values[i]);
}

static bool repeats_agree(const struct pg_series *series)
{
        for (size_t i = 1; i < series->n; i++)
                if (series->samples[i] != series->samples[0])
                        return false;
        return true;
}

static bool all_agree(struct pg_session *s)
{
        for (int i = 0; i < N_COUNTED; i++)
                if (!repeats_agree(&s->out->measurement.series[counted[i]]))
                        return false;
        return true;
}

static void demote_what_differs(struct pg_session *s)
{
        for (int i = 0; i < N_COUNTED; i++) {
                struct pg_series *series = &s->out->measurement.series[counted[i]];
                if (series->status == PG_SERIES_MEASURED && !repeats_agree(series)) {
                        series->demoted = true;
                        series->reason = "its repeats differ, judged statistically";
                }
        }
}

static bool note_uncertainty(struct pg_session *s, const struct totals *t, struct pg_error *err)
{
        return !t->peak_uncertainty_bytes || pg_session_note(s, err,
                                                             "peak_heap is known to within %" PRIu64
                                                             " bytes: %" PRIu64 " threads allocated",
                                                             t->peak_uncertainty_bytes, t->most_threads);
}

static bool open_all(struct pg_session *s, size_t runs, struct pg_error *err)
{
        for (int i = 0; i < N_COUNTED; i++)
                if (!pg_session_open_series(s, counted[i], runs, err))
                        return false;
        return true;
}

bool pg_pass_allocation(struct pg_session *s, struct pg_error *err)
{
        const char *obstacle = s->program ? pg_capture_obstacle(s->program, PG_MODE_COUNT) : NULL;
        if (obstacle) {
                pg_session_unavailable(s, PG_PASS_ALLOCATION, obstacle);
                return true;
        }
        size_t most = s->workload->runs > EXACT_RUNS ? s->workload->runs : EXACT_RUNS;
        if (!open_all(s, most, err))
                return false;
        struct pg_captured *captured = NULL;
        struct totals t = { 0 };
        for (size_t i = 0; i < EXACT_RUNS || (i < most && !all_agree(s) && !pg_session_late(s)); i++) {
                int pid;
                if (!count_once(s, &captured, &pid, err))
                        return false;
                const char *missing = what_is_missing(s, captured, pid);
                if (missing) {
                        pg_session_unavailable(s, PG_PASS_ALLOCATION, missing);
                        return true;
                }
                t = sum_up(captured);
                add_samples(s, &t);
        }
        s->out->measurement.engines.allocation = "agent";
        demote_what_differs(s);
        return note_uncertainty(s, &t, err) && list_processes(s, captured, err) &&
               attribute(s, captured, err);
}
