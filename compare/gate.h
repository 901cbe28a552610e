// SPDX-License-Identifier: MIT
/*
 * gate.h - two snapshots in, verdicts with reasons and culprits out. No files, no clock, no printing.
 */
#ifndef PG_COMPARE_GATE_H
#define PG_COMPARE_GATE_H

#include "baseline/snapshot.h"
#include "compare/thresholds.h"

enum pg_verdict { PG_PASS, PG_WARN, PG_FAIL, PG_INCONCLUSIVE, PG_ERROR };

/** "pass", "warn", "fail", "inconclusive", "error". */
const char *pg_verdict_name(enum pg_verdict v);

/* Why a row's value moved, worst first. Values are in the row's unit (cpu_share rows: percentage points). */
struct pg_culprit {
        const char *function, *module, *file; // module and file NULL when unknown
        uint32_t line;                        // 0 when unknown
        double baseline, current, change;     // change = current - baseline in the row's unit
        bool estimated;                       // from a sample: the three numbers are about right
        bool freed_at_once; // most of what is new here was freed by the thread's next call of the allocator
};

enum pg_row_status { PG_ROW_MEASURED, PG_ROW_UNAVAILABLE };

/* One metric of one benchmark; for cpu_share one judged function. */
struct pg_row {
        enum pg_metric metric;
        const char *function; // cpu_share only, else NULL
        const char *module;   // file name, set when function alone does not tell the row from another one
        enum pg_kind kind;    // as judged: an exact metric that was demoted is PG_STATISTICAL
        enum pg_row_status status;
        enum pg_verdict verdict;
        bool weighs; // false: the verdict is nobody's business, as there is no limit, nothing to compare
                     // with, or a metric that nobody named is unavailable
        const char *reason; // one line for people; NULL when the numbers say it all
        bool has_baseline, has_current;
        double baseline, current; // medians; cpu_share: shares in percentage points (0-100)
        double change;            // relative (0.05), infinite from a zero baseline; cpu_share: points
        double low, high;         // range of change that the samples allow; equal to change for exact rows
        bool has_interval;
        const char *limit; // as shown: "+5 %", "+5 pp", "150 MiB", "+1 %, 15,000"; NULL when none
        enum pg_action action;
        struct pg_culprit *culprits;
        size_t n_culprits;
        uint64_t estimate_interval_bytes; // culprits that are estimated: from a sample each so many bytes
};

struct pg_benchmark_verdict {
        const char *name;
        enum pg_verdict verdict;
        const char *reason; // "new: the baseline does not have it", "gone: ..."; NULL else
        const struct pg_measurement *base, *head; // borrowed; NULL when that side lacks it
        struct pg_row *rows; // in the order of enum pg_metric, cpu_share rows largest worsening first
        size_t n_rows;
};

struct pg_gate {
        struct pg_arena *arena;
        enum pg_verdict verdict; // the worst, for the whole run
        int exit_code;           // 0, 2, 3 or 4 by interface; 1 and 5 are the caller's
        const char *reason;      // why nothing was evaluated; NULL else
        bool has_base;
        struct pg_benchmark_verdict *benchmarks; // head's order, then those that only the base has
        size_t n_benchmarks;
        size_t n_fail, n_warn, n_pass, n_inconclusive; // rows that weigh
        size_t n_unavailable;                          // rows, whether they weigh or not
};

/* What the gate must know of one benchmark besides its numbers. */
struct pg_gate_benchmark {
        const char *name;
        struct pg_thresholds thresholds; // file's and benchmark's merged over the defaults
        bool required[PG_METRIC_COUNT];  // the configuration names it: unavailable is exit 4
};

struct pg_gate_options {
        const struct pg_gate_benchmark *benchmarks; // those that the configuration knows
        size_t n_benchmarks;
        struct pg_thresholds thresholds; // for benchmarks that are not in the list, merged over the defaults
        bool strict, fail_on_warn;
};

/**
 * Judges head against base.
 *
 * base   NULL, when the caller lets a missing baseline pass: only absolute limits ("max") are judged, verdict
 *        at best PG_WARN, exit code 0 unless something is broken
 * ret    owns its arena, borrows base and head, which must outlive it
 * err    PG_ENOMEM only: every doubt about the data is a verdict, not an error
 */
PG_MUST_CHECK bool pg_gate_judge(const struct pg_snapshot *base, const struct pg_snapshot *head,
                                 const struct pg_gate_options *options, struct pg_gate **ret,
                                 struct pg_error *err);
void pg_gate_destroy(struct pg_gate *g);
PG_DEFINE_CLEANUP(struct pg_gate, pg_gate_destroy)
#define PG_AUTO_GATE __attribute__((cleanup(pg_gate_destroyp)))

#endif
