// SPDX-License-Identifier: MIT
/*
 * cells.h - what a row says, in words; the same in every format.
 */
#ifndef PG_CI_CELLS_H
#define PG_CI_CELLS_H

#include "ci/report/report.h"
#include "runner/base/arena.h"
#include "runner/base/units.h"

/** A value in the metric's unit: "12,345", "3.21 MiB", "1.20 s", "27.3 %". */
char *pg_cell_value(enum pg_metric metric, double value, char out[PG_NUMBER_MAX]);
/** A difference in the metric's unit, with its sign: "+6,000", "-1.00 MiB", "+7.2 pp". */
char *pg_cell_difference(enum pg_metric metric, double difference, char out[PG_NUMBER_MAX]);

/* One row, ready to be shown. Strings are printable; "" where there is nothing to say. */
struct pg_cells {
        const char *label; // "allocations"; "cpu_share sha256_block"
        char baseline[PG_NUMBER_MAX], current[PG_NUMBER_MAX], change[PG_NUMBER_MAX];
        const char *limit;
        const char *word; // "FAIL", "WARN", "pass", "better", "inconclusive", "unavailable", "no limit", ...
        const char *reason; // NULL when there is none
};

/** PG_ENOMEM only. */
PG_MUST_CHECK bool pg_cells_of(struct pg_arena *a, const struct pg_row *row, struct pg_cells *ret,
                               struct pg_error *err);

/** A pass that is clearly better than the baseline. */
bool pg_row_is_better(const struct pg_row *row);
/** True for a row that everybody should see: regressed, warned about, inconclusive. */
bool pg_row_is_loud(const struct pg_row *row);

/** "src/parse.c:120", "in libfoo.so", or ""; printable, in arena a; NULL when out of memory. */
const char *pg_culprit_place(struct pg_arena *a, const struct pg_culprit *c);

/** "~: estimated from a sample each 64.0 KiB" for the row's culprits, "" where they are exact; in arena a;
 * NULL when out of memory. */
const char *pg_culprit_estimate(struct pg_arena *a, const struct pg_row *row);

/** "+6,000", "+6,000, freed at once" or, of an estimate, "~+5.8 KiB"; in arena a; NULL when out of memory. */
const char *pg_culprit_change(struct pg_arena *a, enum pg_metric metric, const struct pg_culprit *c);
/** "4,000 ARROW 10,000 (+6,000)", with all that pg_culprit_change says; in arena a; NULL when out of memory. */
const char *pg_culprit_numbers(struct pg_arena *a, enum pg_metric metric, const struct pg_culprit *c,
                               const char *arrow);

/* ---- the whole run ---- */

/** "error" when the report has one, else the gate's. */
enum pg_verdict pg_report_verdict(const struct pg_report *r);
/** "2 of 14 metrics regressed": what comes behind the verdict; in arena a. NULL when out of memory. */
const char *pg_report_headline(struct pg_arena *a, const struct pg_report *r);
/** The first word of a report: the verdict's, or "MEASURED" when nobody asked for a comparison. */
const char *pg_report_word(const struct pg_report *r);
/** "FAIL", "WARN", "PASS", "INCONCLUSIVE", "ERROR". */
const char *pg_verdict_word(enum pg_verdict v);

/* The row to look at first: NULL in both when nothing regressed and nothing was warned about. */
struct pg_worst {
        const struct pg_benchmark_verdict *benchmark;
        const struct pg_row *row;
};
struct pg_worst pg_report_worst(const struct pg_report *r);

#endif
