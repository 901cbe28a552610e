// SPDX-License-Identifier: MIT
/*
 * allocation.c - the counting pass: the agent in every process of the tree, addresses fixed so that runs
 * repeat.
 *
 * Two runs must agree to the last allocation; else more are taken and the metrics are judged statistically. A
 * tree that the agent did not see whole is unavailable, never a smaller number.
 */
#include "runner/capture/capture.h"
#include "runner/base/units.h"
#include "runner/measure/call_sites.h"
#include "runner/measure/call_tree.h"
#include "runner/measure/coverage.h"
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_RUNS = 2, PROCESSES_LISTED = 200 };

/* The sums of one run over its process tree, in the order of the series below. */
struct totals {
        uint64_t allocations, allocated_bytes, peak_heap_bytes, leaked_bytes;
        uint64_t peak_uncertainty_bytes;
        uint64_t most_threads;
        const char *peak_program;
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
        struct totals t = { .peak_program = "" };
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                t.allocations += p->allocations;
                t.allocated_bytes += p->allocated_bytes;
                t.leaked_bytes += leaked_bytes(p);
                if (p->peak_bytes > t.peak_heap_bytes) {
                        t.peak_heap_bytes = p->peak_bytes;
                        t.peak_uncertainty_bytes = p->peak_uncertainty_bytes;
                        t.most_threads = p->n_threads;
                        t.peak_program = p->program;
                }
        }
        return t;
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

/* ---- stacks ---- */

static struct pg_site_node *site_nodes(const struct pg_call_node *nodes, size_t n)
{
        struct pg_site_node *ret = malloc(n * sizeof(*ret));
        for (size_t i = 0; ret && i < n; i++)
                ret[i] = (struct pg_site_node){
                        .parent = nodes[i].parent,
                        .point = nodes[i].point,
                        .allocations = nodes[i].count,
                        .allocated_bytes = nodes[i].amount,
                        .temporary = nodes[i].temporary,
                        .peak_bytes = nodes[i].peak_bytes,
                        .leaked_bytes = nodes[i].leaked_bytes,
                };
        return ret;
}

static bool keep_sites(struct pg_session *s, const struct pg_code_map *map, const struct pg_call_tree *tree,
                       struct pg_error *err)
{
        size_t n = 0;
        const struct pg_call_node *from = pg_call_tree_nodes(tree, &n);
        PG_AUTO_FREE struct pg_site_node *nodes = site_nodes(from, n);
        struct pg_measurement *m = &s->out->measurement;
        if (!nodes)
                return pg_fail_nomem(err);
        m->site_quality.has_live = s->options->live != PG_LIVE_OFF;
        m->site_quality.live_interval_bytes = m->stacks[PG_STACKS_ALLOCATION].live_interval_bytes;
        m->site_quality.stack_interval_bytes = s->options->stack_interval_bytes;
        return pg_call_sites_find(nodes, n, pg_code_map_point(map, 0), pg_code_map_count(map),
                                  s->workload->allocator_wrappers, s->arena, m, err);
}

/* "a sample each 4096 bytes", "every block"; where stacks are sampled, live blocks are as well. */
static const char *how_live(struct pg_session *s)
{
        uint64_t interval = s->out->measurement.stacks[PG_STACKS_ALLOCATION].live_interval_bytes;
        if (interval < s->options->stack_interval_bytes)
                interval = s->options->stack_interval_bytes;
        if (!interval)
                return "every block";
        return pg_arena_printf(s->arena, "a sample each %" PRIu64 " byte%s", interval, pg_plural(interval));
}

/*
 * What is in use is what was live at the peak, where the memory that a program needs is decided; of the one process
 * that peak_heap names, because the peaks of several were never there together. A profile of Go's shows what is live
 * when it is taken, but ours is taken after the end, when nothing ought to be: that is a number in a comment.
 */
static bool tell_live(struct pg_session *s, const struct totals *t, struct pg_profile_builder *b,
                      struct pg_error *err)
{
        if (s->options->live == PG_LIVE_OFF)
                return pg_profile_add_comment(
                        b, "inuse_objects and inuse_space were not asked for (--live off)", err);
        const char *how = how_live(s);
        const char *peak = pg_arena_printf(s->arena,
                                           "inuse_objects and inuse_space: live at the peak of %s, %" PRIu64
                                           " byte%s, from %s",
                                           pg_module_name(t->peak_program), t->peak_heap_bytes,
                                           pg_plural(t->peak_heap_bytes), how ? how : "");
        const char *leaked = pg_arena_printf(s->arena, "live at exit, all processes: %" PRIu64 " byte%s",
                                             t->leaked_bytes, pg_plural(t->leaked_bytes));
        if (!how || !peak || !leaked)
                return pg_fail_nomem(err);
        return pg_profile_add_comment(b, peak, err) && pg_profile_add_comment(b, leaked, err);
}

static bool tell_sampled(struct pg_session *s, struct pg_profile_builder *b, struct pg_error *err)
{
        if (!s->options->stack_interval_bytes)
                return true;
        const char *text = pg_arena_printf(
                s->arena, "alloc_objects and alloc_space: estimates from a sample each %" PRIu64 " byte%s",
                s->options->stack_interval_bytes, pg_plural(s->options->stack_interval_bytes));
        return text ? pg_profile_add_comment(b, text, err) : pg_fail_nomem(err);
}

static bool build_profile(struct pg_session *s, struct pg_code_map *map, struct pg_call_tree *tree,
                          const struct totals *t, const struct pg_fold *fold, struct pg_error *err)
{
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_HEAP, 1);
        if (!b)
                return pg_fail_nomem(err);
        bool ok = pg_code_map_export_program(map, b, err) && pg_call_tree_export(tree, b, err) &&
                  tell_live(s, t, b, err) && tell_sampled(s, b, err) &&
                  pg_session_tell_fold(s, fold, b, err) && pg_profile_finish(b, 0, 0, &s->out->heap, err);
        pg_profile_builder_destroy(b);
        return ok;
}

/* Call sites need the name of each frame; without them only what stays in the profile is looked up. */
static bool name_and_fold(struct pg_session *s, struct pg_code_map *map, struct pg_call_tree *tree,
                          struct pg_fold *fold, struct pg_error *err)
{
        bool sites = !s->options->once;
        if (sites && !(pg_code_map_symbolize(map, NULL, err) && keep_sites(s, map, tree, err)))
                return false;
        if (!s->options->all_stacks)
                pg_call_tree_fold(tree, fold);
        if (sites)
                return true;
        PG_AUTO_FREE uint8_t *marks = calloc(pg_code_map_count(map) + 1, 1);
        if (!marks)
                return pg_fail_nomem(err);
        pg_call_tree_mark_points(tree, marks);
        return pg_code_map_symbolize(map, marks, err);
}

static bool attribute(struct pg_session *s, const struct pg_captured *c, const struct totals *t,
                      struct pg_error *err)
{
        __attribute__((cleanup(pg_code_map_destroyp))) struct pg_code_map *map = pg_code_map_create(s->arena);
        PG_AUTO_CALL_TREE struct pg_call_tree *tree = map ? pg_call_tree_create(map) : NULL;
        struct pg_fold fold = { 0 };
        if (!tree)
                return pg_fail_nomem(err);
        return pg_call_tree_add_run(tree, c, s->agent_path, PG_AGENT_TO_CALLER, err) &&
               name_and_fold(s, map, tree, &fold, err) && build_profile(s, map, tree, t, &fold, err);
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
        const struct pg_capture_request request = {
                .mode = PG_MODE_COUNT,
                .live = s->options->live,
                .verify_every = s->options->verify_every,
                .stack_interval_bytes = s->options->stack_interval_bytes,
        };
        if (!pg_capture_create(&request, &capture, err) ||
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

/* Their counts are exact all the same: only who made them is unknown. */
static bool note_other(struct pg_session *s, struct pg_error *err)
{
        const struct pg_stack_quality *q = &s->out->measurement.stacks[PG_STACKS_ALLOCATION];
        return !q->other || pg_session_note(s, err,
                                            "%.2f %% of the allocations are in [other]: there was no more "
                                            "room for stacks",
                                            100.0 * (double)q->other / (double)q->events);
}

static bool open_all(struct pg_session *s, size_t runs, struct pg_error *err)
{
        for (int i = 0; i < N_COUNTED; i++)
                if (!pg_session_open_series(s, counted[i], runs, err))
                        return false;
        return true;
}

/* One run stands alone: nobody knows whether another would be the same. */
static void tell_once(struct pg_session *s)
{
        for (int i = 0; s->options->once && i < N_COUNTED; i++) {
                struct pg_series *series = &s->out->measurement.series[counted[i]];
                if (series->status == PG_SERIES_MEASURED)
                        series->reason = "measured once";
        }
}

static bool check_verified(struct pg_session *s, struct pg_error *err)
{
        const struct pg_stack_quality *q = &s->out->measurement.stacks[PG_STACKS_ALLOCATION];
        if (q->different)
                return pg_fail(err, PG_EDATA,
                               "%" PRIu64 " of %" PRIu64
                               " call stacks that were checked differ from a full unwind: a bug in perfgate",
                               q->different, q->verified);
        return !q->verified ||
               pg_session_note(s, err,
                               "%" PRIu64 " reused call stack%s checked against a full unwind, %s right",
                               q->verified, q->verified == 1 ? " was" : "s were",
                               q->verified == 1 ? "and was" : "all were");
}

static bool finish_pass(struct pg_session *s, const struct pg_captured *captured, const struct totals *t,
                        struct pg_error *err)
{
        s->out->measurement.engines.allocation = "agent";
        demote_what_differs(s);
        tell_once(s);
        return check_verified(s, err) && note_uncertainty(s, t, err) && note_other(s, err) &&
               list_processes(s, captured, err) && attribute(s, captured, t, err);
}

bool pg_pass_allocation(struct pg_session *s, struct pg_error *err)
{
        const char *obstacle = s->program ? pg_capture_obstacle(s->program, PG_MODE_COUNT) : NULL;
        if (obstacle) {
                pg_session_unavailable(s, PG_PASS_ALLOCATION, obstacle);
                return true;
        }
        size_t least = s->options->once ? 1 : EXACT_RUNS;
        size_t most = s->workload->runs > least ? s->workload->runs : least;
        if (!open_all(s, most, err))
                return false;
        struct pg_captured *captured = NULL;
        struct totals t = { 0 };
        for (size_t i = 0; i < least || (i < most && !all_agree(s) && !pg_session_late(s)); i++) {
                int pid;
                if (!count_once(s, &captured, &pid, err))
                        return false;
                const char *missing = pg_coverage_missing(captured, pid, s->arena);
                if (missing) {
                        pg_session_unavailable(s, PG_PASS_ALLOCATION, missing);
                        return true;
                }
                t = sum_up(captured);
                add_samples(s, &t);
                pg_session_add_quality(s, PG_STACKS_ALLOCATION, captured);
        }
        return finish_pass(s, captured, &t, err);
}
