// SPDX-License-Identifier: MIT
/*
 * thresholds.h - how much worse a metric may get: defaults, limits as people write them, overriding.
 */
#ifndef PG_COMPARE_THRESHOLDS_H
#define PG_COMPARE_THRESHOLDS_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/measure/metric.h"

enum pg_limit_form { PG_LIMIT_NONE, PG_LIMIT_RELATIVE, PG_LIMIT_ABSOLUTE, PG_LIMIT_POINTS };
enum pg_action { PG_ACTION_FAIL, PG_ACTION_WARN, PG_ACTION_IGNORE };

/* One bound. RELATIVE: value is a ratio (0.05 for "5%"). ABSOLUTE: in the metric's unit. POINTS: 5 for "5pp".
 */
struct pg_bound {
        enum pg_limit_form form; // PG_LIMIT_NONE: no such bound
        double value;            // >= 0, finite
};

/* What a threshold object says; a key that it does not say is unset and falls through to the next outer
 * object. */
struct pg_threshold {
        struct pg_bound max_increase; // RELATIVE or ABSOLUTE; for cpu_share POINTS
        struct pg_bound max;          // ABSOLUTE; for cpu_share a share as POINTS (30 for "30%")
        bool has_action, has_min_share;
        enum pg_action action;
        double min_share_ratio; // cpu_share only: a function below it in base and new is not judged
        struct pg_function_threshold
                *functions; // cpu_share only, in the order written; later matches override
        size_t n_functions;
};

struct pg_function_threshold {
        const char *glob;              // fnmatch(3) on the function's name
        struct pg_threshold threshold; // max_increase, max, action
};

struct pg_thresholds {
        struct pg_threshold of[PG_METRIC_COUNT];
        bool set[PG_METRIC_COUNT]; // named by the configuration
};

/** What holds without a configuration (shared by all; do not modify). */
extern const struct pg_thresholds pg_default_thresholds;

/** inner over outer, key by key; pointers are shared with both. */
struct pg_threshold pg_threshold_merge(const struct pg_threshold *outer, const struct pg_threshold *inner);

/**
 * A whole table over another: file over defaults, benchmark over file. Only metrics that inner names count.
 *
 * A default that only warns holds until somebody names a limit for its metric: that limit then stands alone
 * and fails unless it says otherwise. Other defaults stay, key by key.
 */
struct pg_thresholds pg_thresholds_merge(const struct pg_thresholds *outer,
                                         const struct pg_thresholds *inner);

/**
 * Reads a limit as people write it: "5%", "5pp", "150MiB", "10ms", "15000".
 *
 * metric   decides which forms make sense: sizes for bytes, durations for ns, points for cpu_share
 * err      PG_EUSAGE says what to write instead; a form that could be read as a ratio ("1.05", "105%" where
 * "+105%" is meant) is refused. "+105%" is 105 % more.
 */
PG_MUST_CHECK bool pg_parse_max_increase(const char *text, enum pg_metric metric, struct pg_bound *ret,
                                         struct pg_error *err);
PG_MUST_CHECK bool pg_parse_max(const char *text, enum pg_metric metric, struct pg_bound *ret,
                                struct pg_error *err);
/** "2%" as 0.02; PG_EUSAGE unless 0% to 100%. */
PG_MUST_CHECK bool pg_parse_share(const char *text, double *ret_ratio, struct pg_error *err);
/** "fail", "warn", "ignore". */
PG_MUST_CHECK bool pg_parse_action(const char *text, enum pg_action *ret, struct pg_error *err);

/** A command line's METRIC=LIMIT (a max_increase), laid over t as pg_thresholds_merge does it. */
PG_MUST_CHECK bool pg_thresholds_override(struct pg_thresholds *t, const char *assignment,
                                          struct pg_error *err);

#endif
