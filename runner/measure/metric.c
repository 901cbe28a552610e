// SPDX-License-Identifier: MIT
/*
 * metric.c - the table of metrics.
 */
#include "runner/measure/metric.h"

#include <string.h>

const struct pg_metric_info pg_metrics[PG_METRIC_COUNT] = {
        [PG_ALLOCATIONS] = { "allocations", PG_UNIT_COUNT, PG_EXACT, PG_PASS_ALLOCATION, true,
                             "heap allocations of the whole process tree" },
        [PG_ALLOCATED_BYTES] = { "allocated_bytes", PG_UNIT_BYTES, PG_EXACT, PG_PASS_ALLOCATION, true,
                                 "bytes asked for by those allocations" },
        [PG_PEAK_HEAP] = { "peak_heap", PG_UNIT_BYTES, PG_EXACT, PG_PASS_ALLOCATION, true,
                           "highest live heap, block sizes as the allocator rounds them" },
        [PG_LEAKED_BYTES] = { "leaked_bytes", PG_UNIT_BYTES, PG_EXACT, PG_PASS_ALLOCATION, true,
                              "heap still live at exit" },
        [PG_INSTRUCTIONS] = { "instructions", PG_UNIT_COUNT, PG_EXACT, PG_PASS_NONE, false,
                              "user-space instructions" },
        [PG_LOCK_WAIT] = { "lock_wait", PG_UNIT_NS, PG_STATISTICAL, PG_PASS_LOCK, false,
                           "time that threads waited for contended locks" },
        [PG_PEAK_RSS] = { "peak_rss", PG_UNIT_BYTES, PG_STATISTICAL, PG_PASS_TIMING, true,
                          "highest resident set of any one process of the tree" },
        [PG_CPU_SHARE] = { "cpu_share", PG_UNIT_PP, PG_STATISTICAL, PG_PASS_PROFILE, true,
                           "self CPU share of each hot function" },
        [PG_CPU_TIME] = { "cpu_time", PG_UNIT_NS, PG_STATISTICAL, PG_PASS_TIMING, true,
                          "user + system time" },
        [PG_WALL_TIME] = { "wall_time", PG_UNIT_NS, PG_STATISTICAL, PG_PASS_TIMING, true, "start to exit" },
};

const char *const pg_metric_names[PG_METRIC_COUNT + 1] = {
        "allocations", "allocated_bytes", "peak_heap", "leaked_bytes", "instructions",
        "lock_wait",   "peak_rss",        "cpu_share", "cpu_time",     "wall_time",
};

bool pg_metric_by_name(const char *name, enum pg_metric *ret)
{
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                if (strcmp(name, pg_metrics[i].name) == 0) {
                        *ret = (enum pg_metric)i;
                        return true;
                }
        return false;
}

const char *pg_unit_name(enum pg_unit unit)
{
        static const char *const names[] = { "count", "bytes", "ns", "percentage points" };
        return names[unit];
}

const char *pg_kind_name(enum pg_kind kind)
{
        return kind == PG_EXACT ? "exact" : "statistical";
}
