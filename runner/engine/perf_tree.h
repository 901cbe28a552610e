// SPDX-License-Identifier: MIT
/*
 * perf_tree.h - from perf records in order of time to processes and their stacks.
 *
 * Follows forks, execs and mappings, and unwinds each sample as it comes, so that raw stacks wait no longer
 * than it takes to get there.
 */
#ifndef PG_ENGINE_PERF_TREE_H
#define PG_ENGINE_PERF_TREE_H

#include "runner/capture/stacks.h"
#include "runner/engine/perf_record.h"

struct pg_perf_tree;

/** keep_every: of the ticks of a thread one in so many is kept, with as much more weight; a power of two. */
PG_MUST_CHECK bool pg_perf_tree_create(uint32_t keep_every, struct pg_perf_tree **ret, struct pg_error *err);
/** Takes NULL. */
void pg_perf_tree_destroy(struct pg_perf_tree *t);

/** A pg_perf_record_function with the tree as user. Records that make no sense are counted and left out. */
bool pg_perf_tree_add(void *tree, const void *record, size_t n, struct pg_error *err);

struct pg_perf_totals {
        uint64_t samples, weight_ns; // kept
        uint64_t cut;                // of them: the copy of the stack was full, and too short
        uint64_t lost_records;       // as far as records tell
        uint64_t tasks;              // processes and threads that began
        uint64_t damaged;
};
const struct pg_perf_totals *pg_perf_tree_totals(const struct pg_perf_tree *t);

/** The stacks so far, for pg_stacks_finish; owned by the tree. Samples that were lost are put down to the first
 * process: nobody knows whose they were. */
struct pg_stacks *pg_perf_tree_stacks(struct pg_perf_tree *t, uint64_t lost_samples, uint64_t lost_weight_ns);

#endif
