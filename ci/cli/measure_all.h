// SPDX-License-Identifier: MIT
/*
 * measure_all.h - measures every benchmark of a plan into one snapshot, and keeps the profiles.
 */
#ifndef PG_CLI_MEASURE_ALL_H
#define PG_CLI_MEASURE_ALL_H

#include "baseline/snapshot.h"
#include "ci/cli/plan.h"
#include "ci/cli/sampling.h"
#include "ci/report/report.h"

struct pg_measure_all_args {
        const char *output_dir; // profiles go to OUTPUT/BENCHMARK/; NULL: not kept
        bool quiet;
        bool record; // one process a pass, on our own standard streams; profiles go to OUTPUT itself
        bool folded; // folded stacks beside the profiles
        struct pg_sampling_args sampling;
};

struct pg_measured_all {
        struct pg_snapshot *snapshot;        // of the benchmarks that worked; the caller destroys it
        struct pg_report_profiles *profiles; // one for each of snapshot->benchmarks; in its arena
        const char *
                failure; // of the first target that failed, in the snapshot's arena; NULL: none did. With record its
                         // numbers are there all the same
};

/** err: anything but a failing target, which is told on standard error and in ret->failure. */
PG_MUST_CHECK bool pg_measure_all(const struct pg_plan *plan, const struct pg_measure_all_args *args,
                                  struct pg_measured_all *ret, struct pg_error *err);

/** Removes from folder what an earlier recording left and this one, whose profiles these are, did not write: profiles
 * and folded stacks of other kinds. Nothing else is touched. folded: this one wrote folded stacks. */
PG_MUST_CHECK bool pg_profiles_remove_others(const char *folder, const struct pg_report_profiles *written,
                                             bool folded, struct pg_error *err);

#endif
