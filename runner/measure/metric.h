// SPDX-License-Identifier: MIT
/*
 * metric.h - the table of metrics: what each is called, what it counts, in which pass it is measured.
 *
 * A new metric is a row here and a file that fills its series. The names are a promise to users and never
 * change.
 */
#ifndef PG_MEASURE_METRIC_H
#define PG_MEASURE_METRIC_H

#include <stdbool.h>

enum pg_metric {
        PG_ALLOCATIONS,
        PG_ALLOCATED_BYTES,
        PG_PEAK_HEAP,
        PG_LEAKED_BYTES,
        PG_INSTRUCTIONS,
        PG_LOCK_WAIT,
        PG_PEAK_RSS,
        PG_CPU_SHARE,
        PG_CPU_TIME,
        PG_WALL_TIME,
        PG_METRIC_COUNT
};

enum pg_unit { PG_UNIT_COUNT, PG_UNIT_BYTES, PG_UNIT_NS, PG_UNIT_PP }; // PP: percentage points
enum pg_kind { PG_EXACT, PG_STATISTICAL };

/* A pass is one way to run the target; each metric needs exactly one. */
enum pg_pass { PG_PASS_NONE, PG_PASS_TIMING, PG_PASS_ALLOCATION, PG_PASS_PROFILE, PG_PASS_LOCK };

struct pg_metric_info {
        const char *name;
        enum pg_unit unit;
        enum pg_kind kind;
        enum pg_pass pass;   // PG_PASS_NONE: this version cannot measure it
        bool on_by_default;  // measured when the configuration names no metrics
        const char *meaning; // one line for people
};

/** One row for each metric, indexed by enum pg_metric. */
extern const struct pg_metric_info pg_metrics[PG_METRIC_COUNT];
/** All names in the same order, NULL-terminated, for pg_nearest. */
extern const char *const pg_metric_names[PG_METRIC_COUNT + 1];

/** The metric of that name; false when there is none. */
bool pg_metric_by_name(const char *name, enum pg_metric *ret);
/** "count", "bytes", "ns", "percentage points": as files spell it. */
const char *pg_unit_name(enum pg_unit unit);
/** "exact" or "statistical". */
const char *pg_kind_name(enum pg_kind kind);

#endif
