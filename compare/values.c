// SPDX-License-Identifier: MIT
/*
 * values.c - verdicts on metrics that have one number for each run.
 *
 * Exact metrics whose repeats agree are compared as integers and decide hard. Everything else is compared by
 * medians, and a broken limit only counts when every run of head is worse than every run of base: as long as
 * there is no interval estimate, overlapping ranges are noise. Ranges of few runs are disjoint too easily
 * (three on each side: every twentieth time), so with fewer than PG_JUDGE_MANY_RUNS even head's best run must
 * break the limit against base's worst, and fewer than MIN_RUNS decide nothing.
 */
#include "compare/judge.h"

#include <math.h>

#include "compare/limits.h"
#include "runner/base/units.h"

enum { MIN_RUNS = 3, MIN_RUNS_DEMOTED = 2 };

/* The samples of one side. */
struct side {
        const struct pg_series *series; // NULL: this side has none
        struct pg_spread spread;
        pg_twice twice; // twice the median; exact when steady
        bool steady;    // all samples equal and nobody said otherwise
};

static struct side look_at(struct pg_judge *j, const struct pg_measurement *m, enum pg_metric metric)
{
        if (!pg_judge_has(m, metric))
                return (struct side){ 0 };
        const struct pg_series *s = &m->series[metric];
        struct side side = { .series = s, .steady = !s->demoted };
        for (size_t i = 0; i < s->n; i++) {
                side.steady = side.steady && s->samples[i] == s->samples[0];
                j->scratch[i] = (double)s->samples[i];
        }
        side.spread = pg_spread_of(j->scratch, s->n);
        side.twice = side.steady ? 2 * (pg_twice)s->samples[0] : pg_twice_of(side.spread.median);
        return side;
}

/* Zero would be the best value of all: leaks and waits may vanish. Anything else cannot. */
static bool can_collapse(enum pg_metric metric)
{
        return metric != PG_LEAKED_BYTES && metric != PG_LOCK_WAIT;
}

static bool collapsed(enum pg_metric metric, const struct side *base, const struct side *head)
{
        return can_collapse(metric) && base->twice > 0 && head->twice * 10 < base->twice;
}

static void set_numbers(struct pg_row *row, const struct side *base, const struct side *head)
{
        row->has_current = true;
        row->current = head->spread.median;
        if (!base->series)
                return;
        double from = base->spread.median;
        row->has_baseline = true;
        row->baseline = from;
        row->change = head->twice == base->twice ? 0 : from > 0 ? (row->current - from) / from : INFINITY;
        row->has_interval = from > 0;
        row->low = row->high = row->change;
        if (row->kind == PG_STATISTICAL && from > 0) {
                row->low = (head->spread.min - base->spread.max) / from;
                row->high = (head->spread.max - base->spread.min) / from;
        }
}

static size_t fewest_runs(const struct side *base, const struct side *head)
{
        size_t n = head->series->n;
        return base->series && base->series->n < n ? base->series->n : n;
}

/* Why a rise of the median need not be one of the program; NULL when it must. */
static const char *doubt_rise(struct pg_judge *j, const struct pg_row *row, const struct side *base,
                              const struct side *head)
{
        if (row->kind == PG_EXACT)
                return NULL;
        size_t runs = fewest_runs(base, head);
        size_t enough = pg_metrics[row->metric].kind == PG_EXACT ? MIN_RUNS_DEMOTED : MIN_RUNS;
        if (runs < enough)
                return pg_judge_say(j, "only %zu run%s, at least %zu on each side can decide", runs,
                                    pg_plural(runs), enough);
        double worst = base->spread.max, best = head->spread.min;
        bool shown = runs >= PG_JUDGE_MANY_RUNS ? best > worst
                                                : pg_rise_breaks(&j->thresholds->of[row->metric].max_increase,
                                                                 pg_twice_of(worst), pg_twice_of(best));
        return shown ? NULL : "within the noise of the runs";
}

static const char *doubt_max(const struct pg_row *row, const struct pg_bound *max, const struct side *head)
{
        bool sure = row->kind == PG_EXACT || head->spread.min > max->value;
        return sure ? NULL : "some runs keep the limit, some do not";
}

static const char *above_max(struct pg_judge *j, enum pg_metric metric, const struct pg_bound *max)
{
        char text[PG_NUMBER_MAX];
        return pg_judge_say(j, "above the highest value allowed, %s",
                            pg_value_text(metric, max->value, text, sizeof(text)));
}

static const char *collapse_reason(struct pg_judge *j, const struct side *head)
{
        return head->twice == 0 ? "suspicious: nothing was measured where the baseline has much"
                                : pg_judge_say(j, "suspicious: better by more than 90 %%");
}

/* The limits of a row that has something to be compared with: broken, collapsed, or kept. */
static void judge_limits(struct pg_judge *j, struct pg_row *row, const struct side *base,
                         const struct side *head)
{
        const struct pg_threshold *t = &j->thresholds->of[row->metric];
        bool rose = base->series && pg_rise_breaks(&t->max_increase, base->twice, head->twice);
        const char *rise_doubt = rose ? doubt_rise(j, row, base, head) : NULL;
        bool above = pg_value_breaks(&t->max, head->twice);
        const char *max_doubt = above ? doubt_max(row, &t->max, head) : NULL;
        if (rose && base->twice == 0)
                pg_judge_because(j, row, "the baseline is 0");
        if (above)
                pg_judge_because(j, row, above_max(j, row->metric, &t->max));
        if ((rose && !rise_doubt) || (above && !max_doubt))
                pg_judge_broken(j, row, NULL);
        else if (rose || above)
                pg_judge_broken(j, row, rise_doubt ? rise_doubt : max_doubt);
        else
                pg_judge_settle(j, row, PG_PASS);
}

void pg_judge_values(struct pg_judge *j, enum pg_metric metric)
{
        const struct pg_threshold *t = &j->thresholds->of[metric];
        struct side base = look_at(j, j->base, metric), head = look_at(j, j->head, metric);
        struct pg_row *row = pg_judge_row(j, metric);
        row->limit = pg_limit_text(j->arena, t, metric);
        row->reason = j->head->series[metric].reason;
        if (!head.steady || (base.series && !base.steady))
                row->kind = PG_STATISTICAL;
        if (row->kind != pg_metrics[metric].kind && !row->reason)
                row->reason = "the repeats differ, judged by medians";
        set_numbers(row, &base, &head);
        bool has_max = t->max.form != PG_LIMIT_NONE;
        if (row->action == PG_ACTION_IGNORE) {
                row->verdict = PG_PASS;
        } else if (!base.series && !has_max) {
                pg_judge_no_baseline(j, row);
        } else if (base.series && collapsed(metric, &base, &head) && !pg_value_breaks(&t->max, head.twice)) {
                pg_judge_because(j, row, collapse_reason(j, &head));
                pg_judge_settle(j, row, PG_WARN);
        } else if (!row->limit) {
                row->verdict = PG_PASS;
        } else {
                judge_limits(j, row, &base, &head);
        }
}
