// SPDX-License-Identifier: MIT
/*
 * cells.c - rows in words: values, changes, verdicts, and which row to look at first.
 */
#include "ci/report/cells.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ci/report/escape.h"
#include "runner/base/units.h"

char *pg_cell_value(enum pg_metric metric, double value, char out[PG_NUMBER_MAX])
{
        switch (pg_metrics[metric].unit) {
        case PG_UNIT_BYTES:
                return pg_format_size((uint64_t)llround(value), out);
        case PG_UNIT_NS:
                return pg_format_duration((uint64_t)llround(value), out);
        case PG_UNIT_PP:
                snprintf(out, PG_NUMBER_MAX, "%.1f %%", value);
                return out;
        default:
                return pg_format_count((uint64_t)llround(value), out);
        }
}

char *pg_cell_difference(enum pg_metric metric, double difference, char out[PG_NUMBER_MAX])
{
        if (pg_metrics[metric].unit == PG_UNIT_PP) {
                snprintf(out, PG_NUMBER_MAX, fabs(difference) < 0.05 ? "=" : "%+.1f pp", difference);
                return out;
        }
        char number[PG_NUMBER_MAX];
        pg_cell_value(metric, fabs(difference), number);
        snprintf(out, PG_NUMBER_MAX, "%c%.30s", difference < 0 ? '-' : '+', number);
        return out;
}

static void change_text(const struct pg_row *row, char out[PG_NUMBER_MAX])
{
        if (row->metric == PG_CPU_SHARE)
                pg_cell_difference(row->metric, row->change, out);
        else
                pg_format_change(row->change, out);
}

bool pg_row_is_better(const struct pg_row *row)
{
        if (row->verdict != PG_PASS || !row->has_baseline || !row->has_current || row->metric == PG_CPU_SHARE)
                return false;
        return row->kind == PG_EXACT ? row->change <= -0.01
                                     : row->change <= -0.05 && row->has_interval && row->high < 0;
}

bool pg_row_is_loud(const struct pg_row *row)
{
        return row->weighs && row->verdict != PG_PASS;
}

static const char *word_of(const struct pg_row *row)
{
        if (row->status == PG_ROW_UNAVAILABLE)
                return "unavailable";
        if (row->weighs)
                return row->verdict == PG_FAIL           ? "FAIL"
                       : row->verdict == PG_WARN         ? "WARN"
                       : row->verdict == PG_INCONCLUSIVE ? "inconclusive"
                       : pg_row_is_better(row)           ? "better"
                                                         : "pass";
        return row->action == PG_ACTION_IGNORE          ? "ignored"
               : row->has_current && !row->has_baseline ? "new"
               : row->verdict == PG_INCONCLUSIVE        ? "not judged"
                                                        : "no limit";
}

/* NULL: out of memory. */
static const char *label_of(struct pg_arena *a, const struct pg_row *row)
{
        const char *metric = pg_metrics[row->metric].name;
        if (!row->function)
                return metric;
        const char *function = pg_printable(a, row->function), *module = pg_printable(a, row->module);
        if (!function || (row->module && !module))
                return NULL;
        return row->module ? pg_arena_printf(a, "%s %s (%s)", metric, function, module)
                           : pg_arena_printf(a, "%s %s", metric, function);
}

bool pg_cells_of(struct pg_arena *a, const struct pg_row *row, struct pg_cells *ret, struct pg_error *err)
{
        struct pg_cells c = { .word = word_of(row), .limit = row->limit ? row->limit : "" };
        c.label = label_of(a, row);
        c.reason = pg_printable(a, row->reason);
        if (!c.label || (row->reason && !c.reason))
                return pg_fail_nomem(err);
        if (row->has_baseline)
                pg_cell_value(row->metric, row->baseline, c.baseline);
        if (row->has_current)
                pg_cell_value(row->metric, row->current, c.current);
        if (row->has_baseline && row->has_current)
                change_text(row, c.change);
        *ret = c;
        return true;
}

const char *pg_culprit_place(struct pg_arena *a, const struct pg_culprit *c)
{
        const char *where = c->file ? c->file : c->module;
        if (!where)
                return "";
        const char *safe = pg_printable(a, where);
        if (!safe)
                return NULL;
        if (!c->file)
                return pg_arena_printf(a, "in %s", safe);
        return c->line ? pg_arena_printf(a, "%s:%u", safe, (unsigned)c->line) : safe;
}

const char *pg_culprit_change(struct pg_arena *a, enum pg_metric metric, const struct pg_culprit *c)
{
        char by[PG_NUMBER_MAX];
        return pg_arena_printf(a, "%s%s%s", c->estimated ? "~" : "",
                               pg_cell_difference(metric, c->change, by),
                               c->freed_at_once ? ", freed at once" : "");
}

const char *pg_culprit_numbers(struct pg_arena *a, enum pg_metric metric, const struct pg_culprit *c,
                               const char *arrow)
{
        char from[PG_NUMBER_MAX], to[PG_NUMBER_MAX];
        const char *about = c->estimated ? "~" : "", *change = pg_culprit_change(a, metric, c);
        if (!change)
                return NULL;
        return pg_arena_printf(a, "%s%s %s %s%s (%s)", about, pg_cell_value(metric, c->baseline, from), arrow,
                               about, pg_cell_value(metric, c->current, to), change);
}

const char *pg_culprit_estimate(struct pg_arena *a, const struct pg_row *row)
{
        char each[PG_NUMBER_MAX];
        if (!row->estimate_interval_bytes || !row->n_culprits)
                return "";
        return pg_arena_printf(a, "~: estimated from a sample each %s",
                               pg_format_size(row->estimate_interval_bytes, each));
}

/* ---- the whole run ---- */

enum pg_verdict pg_report_verdict(const struct pg_report *r)
{
        return r->error || !r->gate ? PG_ERROR : r->gate->verdict;
}

const char *pg_verdict_word(enum pg_verdict v)
{
        static const char *const words[] = { "PASS", "WARN", "FAIL", "INCONCLUSIVE", "ERROR" };
        return words[v];
}

/* Nobody asked for a comparison: the first run, a look into a file. */
static bool only_measured(const struct pg_report *r)
{
        return !r->error && r->gate && !r->gate->has_base && !r->baseline_path && r->gate->verdict == PG_WARN;
}

const char *pg_report_word(const struct pg_report *r)
{
        return only_measured(r) ? "MEASURED" : pg_verdict_word(pg_report_verdict(r));
}

static size_t lonely_benchmarks(const struct pg_gate *g)
{
        size_t n = 0;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                n += g->has_base && (!g->benchmarks[i].base || !g->benchmarks[i].head);
        return n;
}

static size_t judged_benchmarks(const struct pg_gate *g)
{
        size_t n = 0;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                n += g->benchmarks[i].head && (g->benchmarks[i].base || !g->has_base);
        return n;
}

const char *pg_report_headline(struct pg_arena *a, const struct pg_report *r)
{
        const struct pg_gate *g = r->gate;
        if (r->error)
                return pg_printable(a, r->error);
        if (!g)
                return "nothing was measured";
        size_t rows = g->n_fail + g->n_warn + g->n_pass + g->n_inconclusive, n = judged_benchmarks(g);
        if (g->verdict == PG_FAIL)
                return pg_arena_printf(a, "%zu of %zu metric%s regressed", g->n_fail, rows, pg_plural(rows));
        if (only_measured(r))
                return pg_arena_printf(a, "%zu benchmark%s, not compared with a baseline", g->n_benchmarks,
                                       pg_plural(g->n_benchmarks));
        if (g->reason)
                return pg_arena_printf(a, "%s", g->reason);
        if (g->verdict == PG_INCONCLUSIVE)
                return g->n_inconclusive ? pg_arena_printf(a, "%zu of %zu metric%s could not be decided",
                                                           g->n_inconclusive, rows, pg_plural(rows))
                                         : "some benchmarks could not be decided";
        size_t warnings = g->n_warn + lonely_benchmarks(g);
        if (g->verdict == PG_WARN)
                return pg_arena_printf(a, "nothing regressed, %zu warning%s", warnings, pg_plural(warnings));
        return pg_arena_printf(a, "%zu metric%s of %zu benchmark%s within the limits", rows, pg_plural(rows),
                               n, pg_plural(n));
}

/* For choosing what to name first: red before yellow, exact before statistical, then with a culprit, then how
 * many times as much as before. */
static double badness(const struct pg_row *row)
{
        double ratio = row->metric == PG_CPU_SHARE ? row->change / fmax(row->baseline, 1) : row->change;
        return (row->verdict == PG_FAIL ? 4e9 : 0) + (row->kind == PG_EXACT ? 2e9 : 0) +
               (row->n_culprits ? 1e9 : 0) + fmin(fmax(ratio, 0), 1e6);
}

struct pg_worst pg_report_worst(const struct pg_report *r)
{
        struct pg_worst worst = { 0 };
        for (size_t i = 0; r->gate && i < r->gate->n_benchmarks; i++) {
                const struct pg_benchmark_verdict *b = &r->gate->benchmarks[i];
                for (size_t k = 0; k < b->n_rows; k++) {
                        const struct pg_row *row = &b->rows[k];
                        if (row->weighs && (row->verdict == PG_FAIL || row->verdict == PG_WARN) &&
                            (!worst.row || badness(row) > badness(worst.row)))
                                worst = (struct pg_worst){ b, row };
                }
        }
        return worst;
}
