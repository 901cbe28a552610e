// SPDX-License-Identifier: MIT
/*
 * shares.c - verdicts on functions' shares of CPU time.
 *
 * A share is a ratio: it rises when the function got slower and also when everything else got faster, and
 * only the first is a regression. So a rise fails only when
 *   1. the median share rose beyond the limit,
 *   2. the function's own CPU time rose beyond the limit as well, in points of the baseline's total (a
 *      function that alone got slower by d raises its share by less than d / total, so this refuses no true
 *      regression, and it keeps the few per cent by which a machine drifts from passing for a rise),
 *   3. every run of head has a larger share than every run of base (of few runs: larger by the limit), and
 *   4. the rise is beyond what counting so few samples gives by chance (CHANCE standard errors).
 * Where 1 and 2 hold but 3 or 4 do not, the row is inconclusive. Points 3 and 4 stand in for an interval.
 */
#include "compare/judge.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/limits.h"
#include "runner/base/units.h"

enum { MIN_SAMPLES = 200, MIN_RUNS = 2, CHANCE = 4 };
static const double EPSILON = 1e-9; // points: 25.0 - 20.0 is not beyond 5

/* The profile of one side as a whole. */
struct profile {
        const struct pg_measurement *m; // NULL: this side has none
        double total_ns;                // median of the runs
        double all_ns, samples;         // of all runs together
        size_t runs;                    // that have any CPU time
};

/* One function on both sides, in points unless the name says otherwise. */
struct share {
        const struct pg_function *base, *head;
        struct pg_spread base_share, head_share;
        double own_rise; // rise of the function's CPU time per run, in points of the baseline's total
        double error;    // standard error of the rise by counting
};

static struct profile sum_up(struct pg_judge *j, const struct pg_measurement *m)
{
        struct profile p = { 0 };
        if (!pg_judge_has(m, PG_CPU_SHARE))
                return p;
        p.m = m;
        for (size_t i = 0; i < m->n_profile_runs; i++) {
                j->scratch[i] = (double)m->profile_total_ns[i];
                p.all_ns += j->scratch[i];
                p.samples += (double)m->profile_samples[i];
                p.runs += m->profile_total_ns[i] > 0;
        }
        p.total_ns = pg_spread_of(j->scratch, m->n_profile_runs).median;
        return p;
}

/* A run without any CPU time has no shares and is left out. */
static struct pg_spread spread_of(struct pg_judge *j, const struct profile *p, const struct pg_function *f)
{
        size_t n = 0;
        if (!f || p->runs == 0)
                return (struct pg_spread){ 0 };
        for (size_t i = 0; i < p->m->n_profile_runs; i++)
                if (p->m->profile_total_ns[i])
                        j->scratch[n++] = 100.0 * (double)f->self_ns[i] / (double)p->m->profile_total_ns[i];
        return pg_spread_of(j->scratch, n);
}

static double pooled(const struct profile *p, const struct pg_function *f)
{
        double self = 0;
        for (size_t i = 0; f && i < p->m->n_profile_runs; i++)
                self += (double)f->self_ns[i];
        return p->all_ns > 0 ? self / p->all_ns : 0;
}

static void measure_rise(struct pg_judge *j, const struct profile *base, const struct profile *head,
                         struct share *s)
{
        double from = pg_judge_self(j, base->m, s->base).median,
               to = pg_judge_self(j, head->m, s->head).median;
        s->own_rise = base->total_ns > 0 ? 100 * (to - from) / base->total_ns : 0;
        s->error = 100 * pg_proportion_error(pooled(base, s->base), base->samples, pooled(head, s->head),
                                             head->samples);
}

/* ---- limits of one function ---- */

static const struct pg_function *function_of(const struct share *s)
{
        return s->head ? s->head : s->base;
}

static bool matches(const struct pg_function_threshold *ft, const struct share *s)
{
        return fnmatch(ft->glob, function_of(s)->function, 0) == 0;
}

static struct pg_threshold threshold_for(struct pg_judge *j, const struct share *s)
{
        const struct pg_threshold *all = &j->thresholds->of[PG_CPU_SHARE];
        struct pg_threshold t = *all;
        for (size_t i = 0; i < all->n_functions; i++)
                if (matches(&all->functions[i], s))
                        t = pg_threshold_merge(&t, &all->functions[i].threshold);
        return t;
}

/* A function below min_share is nobody's business, unless a glob names a smaller highest share for it. */
static bool is_judged(struct pg_judge *j, const struct share *s)
{
        const struct pg_threshold *all = &j->thresholds->of[PG_CPU_SHARE];
        double least = all->min_share_ratio * 100;
        if (s->base_share.median >= least - EPSILON || s->head_share.median >= least - EPSILON)
                return s->base_share.median > 0 || s->head_share.median > 0;
        for (size_t i = 0; i < all->n_functions; i++) {
                const struct pg_bound *max = &all->functions[i].threshold.max;
                if (max->form != PG_LIMIT_NONE && s->head_share.median > max->value &&
                    matches(&all->functions[i], s))
                        return true;
        }
        return false;
}

static const char *doubt_rise(struct pg_judge *j, const struct profile *base, const struct profile *head,
                              const struct share *s, double limit)
{
        size_t runs = base->runs < head->runs ? base->runs : head->runs;
        double rise = s->head_share.median - s->base_share.median;
        if (runs < MIN_RUNS)
                return pg_judge_say(j, "only %zu profile run, at least %d on each side can decide", runs,
                                    MIN_RUNS);
        double least = runs < PG_JUDGE_MANY_RUNS ? limit : 0;
        if (s->head_share.min - s->base_share.max <= least)
                return "within the noise of the runs";
        if (rise <= CHANCE * s->error)
                return pg_judge_say(j, "%.0f and %.0f samples show no rise below %.1f points", base->samples,
                                    head->samples, CHANCE * s->error);
        return NULL;
}

static const char *doubt_max(struct pg_judge *j, const struct profile *head, const struct share *s,
                             double max)
{
        double error =
                100 * pg_proportion_error(max / 100, head->samples, max / 100, head->samples) / sqrt(2);
        if (s->head_share.min <= max)
                return "some runs keep the limit, some do not";
        if (s->head_share.median - max <= CHANCE * error)
                return pg_judge_say(j, "%.0f samples show no excess below %.1f points", head->samples,
                                    CHANCE * error);
        return NULL;
}

/* ---- rows ---- */

static void set_numbers(struct pg_row *row, const struct profile *base, const struct share *s)
{
        row->has_current = true;
        row->current = s->head_share.median;
        if (!base->m)
                return;
        row->has_baseline = row->has_interval = true;
        row->baseline = s->base_share.median;
        row->change = row->current - row->baseline;
        row->low = s->head_share.min - s->base_share.max;
        row->high = s->head_share.max - s->base_share.min;
        if (!s->base || !s->head)
                row->reason = s->head ? "new function" : "gone function";
}

/* The function itself is its row's culprit. */
static void blame(struct pg_judge *j, struct pg_row *row, const struct share *s)
{
        const struct pg_function *f = s->head;
        if (!f || !(row->verdict == PG_FAIL || row->verdict == PG_WARN || row->verdict == PG_INCONCLUSIVE))
                return;
        row->culprits = pg_arena_calloc(j->arena, 1, sizeof(*row->culprits));
        if (!row->culprits) {
                j->failed = true;
                return;
        }
        row->n_culprits = 1;
        row->culprits[0] = (struct pg_culprit){ .function = f->function,
                                                .module = f->module && *f->module ? f->module : NULL,
                                                .file = f->file,
                                                .line = f->line,
                                                .baseline = row->baseline,
                                                .current = row->current,
                                                .change = row->current - row->baseline };
}

static const char *excuse(struct pg_judge *j, const struct share *s)
{
        if (s->own_rise <= 0)
                return "its CPU time did not rise: the rest got faster";
        return pg_judge_say(
                j, "its CPU time rose by only %.1f points of the baseline's total: the rest got faster",
                s->own_rise);
}

static void judge_limits(struct pg_judge *j, struct pg_row *row, const struct profile *base,
                         const struct profile *head, const struct share *s, const struct pg_threshold *t)
{
        double rise = t->max_increase.value, max = t->max.value;
        bool share_rose = base->m && t->max_increase.form == PG_LIMIT_POINTS && row->change > rise + EPSILON;
        bool rose = share_rose && s->own_rise > rise;
        bool share_above = t->max.form == PG_LIMIT_POINTS && row->current > max + EPSILON;
        bool was_above = !base->m || row->baseline > max + EPSILON;
        bool above = share_above && (was_above || rose || s->own_rise > row->current - max);
        if (!rose && !above) {
                if (share_rose || share_above)
                        pg_judge_because(j, row, excuse(j, s));
                pg_judge_settle(j, row, PG_PASS);
                return;
        }
        if (above)
                pg_judge_because(j, row, pg_judge_say(j, "above the highest share allowed, %.6g %%", max));
        const char *rise_doubt = rose ? doubt_rise(j, base, head, s, rise) : NULL;
        const char *max_doubt = above ? doubt_max(j, head, s, max) : NULL;
        bool sure = (rose && !rise_doubt) || (above && !max_doubt);
        pg_judge_broken(j, row, sure ? NULL : rise_doubt ? rise_doubt : max_doubt);
}

static void judge_function(struct pg_judge *j, const struct profile *base, const struct profile *head,
                           struct share *s, const char *module)
{
        struct pg_threshold t = threshold_for(j, s);
        struct pg_row *row = pg_judge_row(j, PG_CPU_SHARE);
        row->function = function_of(s)->function;
        row->module = module;
        row->action = t.action;
        row->limit = pg_limit_text(j->arena, &t, PG_CPU_SHARE);
        set_numbers(row, base, s);
        if (t.action == PG_ACTION_IGNORE || !row->limit) {
                row->verdict = PG_PASS;
                return;
        }
        if (!base->m && t.max.form == PG_LIMIT_NONE) {
                pg_judge_no_baseline(j, row);
                return;
        }
        if (base->m)
                measure_rise(j, base, head, s);
        judge_limits(j, row, base, head, s, &t);
        blame(j, row, s);
}

/* The one row that stands for a profile that cannot decide. */
static void judge_none(struct pg_judge *j, enum pg_verdict verdict, bool weighs, const char *reason)
{
        struct pg_row *row = pg_judge_row(j, PG_CPU_SHARE);
        pg_judge_because(j, row, reason);
        row->verdict = verdict;
        row->weighs = weighs;
}

static const char *doubt_of(const struct profile *p)
{
        return p->m ? p->m->profile_doubt : NULL;
}

static const char *too_few(struct pg_judge *j, double samples)
{
        if (samples == 0)
                return "no samples, take a longer benchmark";
        return pg_judge_say(j, "only %.0f sample%s, take more runs or a longer benchmark", samples,
                            pg_plural((uint64_t)samples));
}

/* True when the profiles are fit to be judged function by function; else there is a row that says why not. */
static bool fit(struct pg_judge *j, const struct profile *base, const struct profile *head)
{
        const char *differ = base->m ? pg_judge_profiles_differ(j) : NULL;
        double samples = base->m && base->samples < head->samples ? base->samples : head->samples;
        if (base->m && head->total_ns * 10 < base->total_ns)
                judge_none(j, PG_WARN, true,
                           "suspicious: the profile has less than a tenth of the baseline's CPU time");
        else if (differ)
                judge_none(j, PG_INCONCLUSIVE, true, differ);
        else if (doubt_of(head) || doubt_of(base))
                judge_none(j, PG_INCONCLUSIVE, true,
                           doubt_of(head) ? doubt_of(head)
                                          : pg_judge_say(j, "in the baseline: %s", doubt_of(base)));
        else if (samples < MIN_SAMPLES)
                judge_none(j, PG_INCONCLUSIVE, j->required[PG_CPU_SHARE], too_few(j, samples));
        else
                return true;
        return false;
}

/* False when nothing of this metric has a verdict: functions may have one where the rest is ignored. */
static bool decides(const struct pg_threshold *all)
{
        bool any = all->action != PG_ACTION_IGNORE;
        for (size_t i = 0; i < all->n_functions; i++)
                any |= pg_threshold_merge(all, &all->functions[i].threshold).action != PG_ACTION_IGNORE;
        return any;
}

static int by_worsening(const void *a, const void *b)
{
        const struct share *x = a, *y = b;
        double dx = x->head_share.median - x->base_share.median,
               dy = y->head_share.median - y->base_share.median;
        if (dx != dy)
                return dx < dy ? 1 : -1;
        const struct pg_function *f = function_of(x), *g = function_of(y);
        int order = strcmp(f->function, g->function);
        return order ? order : strcmp(f->module, g->module);
}

/* Functions of one name, from several modules: people must be able to tell their rows apart. */
static const char *telling_module(const struct share *shares, size_t n, size_t index)
{
        const struct pg_function *f = function_of(&shares[index]);
        for (size_t i = 0; i < n; i++)
                if (i != index && strcmp(function_of(&shares[i])->function, f->function) == 0)
                        return f->module && *f->module ? f->module : NULL;
        return NULL;
}

void pg_judge_shares(struct pg_judge *j)
{
        struct profile base = sum_up(j, j->base), head = sum_up(j, j->head);
        if (decides(&j->thresholds->of[PG_CPU_SHARE]) && !fit(j, &base, &head))
                return;
        size_t n_matched, n = 0;
        struct pg_matched *matched = pg_judge_match(j, &n_matched);
        struct share *shares = pg_arena_calloc(j->arena, n_matched, sizeof(*shares));
        for (size_t i = 0; shares && i < n_matched; i++) {
                struct share s = { .base = base.m ? matched[i].base : NULL, .head = matched[i].head };
                s.base_share = spread_of(j, &base, s.base);
                s.head_share = spread_of(j, &head, s.head);
                if (is_judged(j, &s))
                        shares[n++] = s;
        }
        if (!shares)
                j->failed = true;
        if (n)
                qsort(shares, n, sizeof(*shares), by_worsening);
        for (size_t i = 0; i < n; i++)
                judge_function(j, &base, &head, &shares[i], telling_module(shares, n, i));
}
