// SPDX-License-Identifier: MIT
/*
 * judge.c - rows, reasons and verdicts: what all rules have in common.
 *
 * Out of memory is sticky in the judge: the rules go on into a row that nobody sees, and the gate fails as a
 * whole. So no rule checks an allocation.
 */
#include "compare/judge.h"

#include "compare/limits.h"

struct pg_row *pg_judge_row(struct pg_judge *j, enum pg_metric metric)
{
        struct pg_row *rows = j->failed ? NULL : pg_arena_grow(j->arena, j->rows, j->n_rows, sizeof(*rows));
        struct pg_row *row = &j->lost;
        if (rows) {
                j->rows = rows;
                row = &rows[j->n_rows++];
        } else {
                j->failed = true;
        }
        *row = (struct pg_row){ .metric = metric,
                                .kind = pg_metrics[metric].kind,
                                .verdict = PG_INCONCLUSIVE,
                                .action = j->thresholds->of[metric].action };
        return row;
}

const char *pg_judge_say(struct pg_judge *j, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        const char *s = pg_arena_vprintf(j->arena, fmt, ap);
        va_end(ap);
        if (!s)
                j->failed = true;
        return s ? s : "";
}

void pg_judge_because(struct pg_judge *j, struct pg_row *row, const char *reason)
{
        row->reason = row->reason ? pg_judge_say(j, "%s; %s", row->reason, reason) : reason;
}

void pg_judge_settle(struct pg_judge *j, struct pg_row *row, enum pg_verdict verdict)
{
        row->verdict = verdict;
        row->weighs = true;
        if (verdict == PG_PASS || verdict == PG_WARN || verdict == PG_FAIL)
                j->n_evaluated++;
}

static bool depends_on_machine(enum pg_metric m)
{
        return m == PG_CPU_SHARE || pg_metrics[m].unit == PG_UNIT_NS;
}

void pg_judge_broken(struct pg_judge *j, struct pg_row *row, const char *doubt)
{
        bool warns = row->action == PG_ACTION_WARN;
        if (doubt) {
                pg_judge_because(j, row, doubt);
                pg_judge_settle(j, row, warns ? PG_PASS : PG_INCONCLUSIVE);
                return;
        }
        if (!warns && j->other_machine && depends_on_machine(row->metric)) {
                pg_judge_because(j, row, j->other_machine);
                warns = true;
        }
        pg_judge_settle(j, row, warns ? PG_WARN : PG_FAIL);
        pg_judge_culprits(j, row);
}

bool pg_judge_has(const struct pg_measurement *m, enum pg_metric metric)
{
        if (!m || m->series[metric].status != PG_SERIES_MEASURED)
                return false;
        return metric == PG_CPU_SHARE ? m->n_profile_runs > 0 : m->series[metric].n > 0;
}

void pg_judge_unavailable(struct pg_judge *j, enum pg_metric metric, const char *reason)
{
        struct pg_row *row = pg_judge_row(j, metric);
        row->status = PG_ROW_UNAVAILABLE;
        row->reason = reason ? reason : "was not measured";
        row->limit = pg_limit_text(j->arena, &j->thresholds->of[metric], metric);
        if (pg_judge_has(j->base, metric)) {
                pg_judge_because(j, row, "was measured in the baseline");
                row->verdict = PG_WARN;
                row->weighs = true;
        }
        if (j->required[metric]) {
                j->required_missing = true;
                row->verdict = PG_INCONCLUSIVE;
                row->weighs = true;
        }
}

void pg_judge_no_baseline(struct pg_judge *j, struct pg_row *row)
{
        if (!j->base)
                return;
        bool first = j->n_rows < 2 || j->rows[j->n_rows - 2].metric != row->metric;
        if (j->required[row->metric] && first) {
                row->verdict = PG_WARN;
                row->weighs = true;
        }
        const struct pg_series *s = &j->base->series[row->metric];
        bool why = s->status == PG_SERIES_UNAVAILABLE && s->reason;
        pg_judge_because(j, row,
                         why ? pg_judge_say(j, "no baseline value: %s", s->reason) : "no baseline value");
}
