// SPDX-License-Identifier: MIT
/*
 * workload.h - one benchmark as it is to be run.
 */
#ifndef PG_MEASURE_WORKLOAD_H
#define PG_MEASURE_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/measure/metric.h"

struct pg_workload {
        const char *name; // unique in a run; letters, digits, and what a file name may hold (no '/')
        const char *const *command; // NULL-terminated; command[0] is looked up in PATH unless it has a slash
        const char *cwd;            // the folder to run in; never NULL
        const char *const *env;     // "NAME=value", added to the environment; NULL-terminated or NULL
        const char *stdin_path;     // NULL: /dev/null
        uint32_t runs;              // >= 1
        uint32_t warmup;            // may be 0
        uint64_t timeout_ns;        // for one process run; > 0
        int expect_exit;            // 0-255
        bool metrics[PG_METRIC_COUNT];         // to measure
        const char *const *allocator_wrappers; // globs for call_sites.h; NULL-terminated or NULL
};

#endif
