// SPDX-License-Identifier: MIT
/*
 * lock.c - the lock pass: runs with the agent that stands in front of the lock functions.
 *
 * lock_wait is the time that threads waited for contended mutexes and read-write locks, added up over the
 * process tree, one sample for each run. Waits for conditions are in the profile and not in the metric: a
 * worker that idles longer is no regression. Addresses are random as in the timing runs, because who meets whom
 * depends on the layout of memory.
 */
#include "runner/capture/capture.h"
#include "runner/measure/call_sites.h"
#include "runner/measure/call_tree.h"
#include "runner/measure/coverage.h"
#include "runner/measure/environment.h"
#include "runner/measure/lock_stacks.h"
#include "runner/measure/passes.h"

#include <stdlib.h>

/* Both parts of all runs. */
struct gathered {
        struct pg_code_map *map;
        struct pg_call_tree *parts[2]; // by enum pg_lock_part
        uint64_t runs, wall_ns;
};

static void gathered_deinit(struct gathered *g)
{
        pg_call_tree_destroy(g->parts[0]);
        pg_call_tree_destroy(g->parts[1]);
        pg_code_map_destroy(g->map);
}

static bool gathered_init(struct pg_session *s, struct gathered *g, struct pg_error *err)
{
        g->map = pg_code_map_create(s->arena);
        for (int i = 0; g->map && i < 2; i++)
                g->parts[i] = pg_call_tree_create(g->map);
        return (g->parts[0] && g->parts[1]) || pg_fail_nomem(err);
}

static bool lock_environment(struct pg_session *s, const struct pg_capture *capture, const char *const **ret,
                             struct pg_error *err)
{
        const char *value = pg_capture_agent_value(capture);
        const char *agent[] = { pg_arena_printf(s->arena, PG_AGENT_VARIABLE "=%s", value), NULL };
        if (!agent[0])
                return pg_fail_nomem(err);
        return pg_environment_compose(s->arena, s->workload->env, agent, s->locks_path, ret, err);
}

static bool run_once(struct pg_session *s, struct pg_captured **ret, struct pg_launch_result *ret_result,
                     struct pg_error *err)
{
        PG_AUTO_CAPTURE struct pg_capture *capture = NULL;
        const char *const *environment;
        const struct pg_capture_request request = { .mode = PG_MODE_LOCK };
        return pg_capture_create(&request, &capture, err) &&
               lock_environment(s, capture, &environment, err) &&
               pg_session_run(s, "lock", environment, false, ret_result, err) &&
               pg_capture_read(capture, s->arena, ret, err);
}

static bool gather(struct pg_session *s, struct gathered *g, const struct pg_captured *c,
                   struct pg_error *err)
{
        for (int i = 0; i < 2; i++) {
                struct pg_captured part;
                if (!pg_lock_stacks(c, (enum pg_lock_part)i, s->arena, &part, err) ||
                    !pg_call_tree_add_run(g->parts[i], &part, s->locks_path, PG_AGENT_TO_CALLER, err))
                        return false;
        }
        return true;
}

/* ---- holders ---- */

/*
 * A stack's own node for the call of the unlocking function is no place in a program: its value goes to the frame
 * that made the call.
 */
static struct pg_site_node *holder_nodes(const struct gathered *g, uint32_t pseudo_module, size_t *ret_n)
{
        size_t n;
        const struct pg_call_node *from = pg_call_tree_nodes(g->parts[PG_LOCK_HOLDERS], &n);
        struct pg_site_node *nodes = calloc(n, sizeof(*nodes));
        for (size_t i = 1; nodes && i < n; i++) {
                bool is_call = pg_code_map_point(g->map, from[i].point)->module == pseudo_module;
                struct pg_site_node *to = &nodes[is_call && from[i].parent ? from[i].parent : i];
                nodes[i].parent = from[i].parent;
                nodes[i].point = from[i].point;
                to->allocations += from[i].count;
                to->allocated_bytes += from[i].amount;
        }
        *ret_n = n;
        return nodes;
}

static bool copy_sites(struct pg_session *s, const struct pg_measurement *found, uint64_t runs,
                       struct pg_error *err)
{
        struct pg_measurement *m = &s->out->measurement;
        m->lock_sites = pg_arena_calloc(s->arena, found->n_sites, sizeof(*m->lock_sites));
        if (!m->lock_sites)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < found->n_sites; i++) {
                const struct pg_site *from = &found->sites[i];
                m->lock_sites[i] = (struct pg_lock_site){
                        .function = from->function,
                        .module = from->module,
                        .file = from->file,
                        .line = from->line,
                        .contentions = (from->allocations + runs / 2) / runs,
                        .delay_ns = from->allocated_bytes / runs,
                };
        }
        m->n_lock_sites = found->n_sites;
        m->lock_rule = found->site_quality.rule;
        return true;
}

/* Who made others wait, by the rules that find the call sites of allocations: counts and nanoseconds stand where
 * those have counts and bytes. */
static bool keep_holders(struct pg_session *s, const struct gathered *g, struct pg_error *err)
{
        uint32_t pseudo_module;
        if (!pg_code_map_add_pseudo(g->map, &pseudo_module, err))
                return false;
        size_t n;
        PG_AUTO_FREE struct pg_site_node *nodes = holder_nodes(g, pseudo_module, &n);
        struct pg_measurement found = { 0 };
        if (!nodes)
                return pg_fail_nomem(err);
        return pg_call_sites_find(nodes, n, pg_code_map_point(g->map, 0), pg_code_map_count(g->map),
                                  s->workload->allocator_wrappers, s->arena, &found, err) &&
               copy_sites(s, &found, g->runs, err);
}

/* ---- profiles ---- */

static const char *const comments[] = {
        [PG_LOCK_WAITERS] =
                "threads that waited for a lock or a condition; lock_wait is without the conditions "
                "(-ignore=pthread_cond_wait)",
        [PG_LOCK_HOLDERS] = "what unlocked while other threads waited, and how long they had waited for it",
};

static bool build_profile(struct pg_session *s, struct gathered *g, enum pg_lock_part part,
                          struct pg_profile **ret, struct pg_error *err)
{
        struct pg_fold fold = { 0 };
        if (!s->options->all_stacks)
                pg_call_tree_fold(g->parts[part], &fold);
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CONTENTION, 1);
        if (!b)
                return pg_fail_nomem(err);
        bool ok = pg_code_map_export_program(g->map, b, err) && pg_call_tree_export(g->parts[part], b, err) &&
                  pg_profile_add_comment(b, comments[part], err) && pg_session_tell_fold(s, &fold, b, err) &&
                  pg_profile_finish(b, 0, (int64_t)g->wall_ns, ret, err);
        pg_profile_builder_destroy(b);
        return ok;
}

static bool finish(struct pg_session *s, struct gathered *g, struct pg_error *err)
{
        s->out->measurement.engines.lock = "agent";
        return pg_code_map_symbolize(g->map, NULL, err) && (s->options->once || keep_holders(s, g, err)) &&
               build_profile(s, g, PG_LOCK_WAITERS, &s->out->locks, err) &&
               build_profile(s, g, PG_LOCK_HOLDERS, &s->out->lock_holders, err);
}

/* ---- runs ---- */

static bool run_all(struct pg_session *s, struct gathered *g, struct pg_error *err)
{
        uint32_t runs = s->options->once ? 1 : s->workload->runs;
        if (!pg_session_open_series(s, PG_LOCK_WAIT, runs, err))
                return false;
        for (uint32_t i = 0; i < runs && (i == 0 || !pg_session_late(s)); i++) {
                struct pg_captured *captured;
                struct pg_launch_result result;
                if (!run_once(s, &captured, &result, err))
                        return false;
                const char *missing = pg_coverage_missing(captured, result.pid, s->arena);
                if (missing) {
                        pg_session_unavailable(s, PG_PASS_LOCK, missing);
                        return true;
                }
                pg_session_add_sample(s, PG_LOCK_WAIT, pg_lock_wait_ns(captured));
                pg_session_add_quality(s, PG_STACKS_LOCK, captured);
                g->runs++;
                g->wall_ns += result.wall_ns;
                if (!gather(s, g, captured, err))
                        return false;
        }
        return finish(s, g, err);
}

bool pg_pass_lock(struct pg_session *s, struct pg_error *err)
{
        const char *obstacle = s->program ? pg_capture_obstacle(s->program, PG_MODE_LOCK) : NULL;
        if (obstacle) {
                pg_session_unavailable(s, PG_PASS_LOCK, obstacle);
                return true;
        }
        struct gathered g = { 0 };
        bool ok = gathered_init(s, &g, err) && run_all(s, &g, err);
        gathered_deinit(&g);
        return ok;
}
