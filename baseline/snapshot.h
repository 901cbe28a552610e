// SPDX-License-Identifier: MIT
/*
 * snapshot.h - a set of measurements with where and when they were made; what baselines and results hold.
 *
 * One snapshot is one file. Everything it points to lives in its arena. Loading distrusts every byte; saving
 * is atomic; equal snapshots give equal bytes.
 */
#ifndef PG_BASELINE_SNAPSHOT_H
#define PG_BASELINE_SNAPSHOT_H

#include <stddef.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/measure/host.h"
#include "runner/measure/measurement.h"

#define PG_BASELINE_SCHEMA "perfgate.baseline.v1"
#define PG_RESULT_SCHEMA   "perfgate.result.v1"

enum { PG_SNAPSHOT_MAX_BYTES = 128 << 20 }; // larger files are refused before they are read

/* A regressed measurement that somebody laid over a good baseline on purpose. */
struct pg_acceptance {
        const char *reason;
        const char *time;    // "2026-11-23T10:00:00Z"
        const char *summary; // what was accepted: "parse-large allocations +12.0 %"
};

struct pg_snapshot {
        struct pg_arena *arena;
        const char *tool_version; // "0.1.0"
        const char *created;      // UTC, "2026-11-23T10:00:00Z"
        const char *commit;       // of the measured tree; NULL when unknown
        struct pg_host host;
        struct pg_measurement *benchmarks; // unique names, in the order of the configuration
        size_t n_benchmarks;
        struct pg_acceptance *accepted; // oldest first
        size_t n_accepted;
};

/** An empty snapshot with an arena of its own; NULL when out of memory. */
struct pg_snapshot *pg_snapshot_create(void);
/** Takes NULL. */
void pg_snapshot_destroy(struct pg_snapshot *s);
PG_DEFINE_CLEANUP(struct pg_snapshot, pg_snapshot_destroy)
#define PG_AUTO_SNAPSHOT __attribute__((cleanup(pg_snapshot_destroyp)))

/**
 * Reads a baseline or a result file (the "schema" key decides; of a result only what was measured is taken).
 *
 * PG_EOS with ENOENT in os_errno when there is no such file; PG_EDATA for anything that is not exactly what a
 * writer of this or an older version produces: the text names file, line, column, the key and what was
 * expected, and the version when a newer one wrote it. NaN, negative, fractional and too large numbers,
 * duplicate keys, unknown keys, arrays of wrong length are refused. Never crashes, whatever the bytes.
 */
PG_MUST_CHECK bool pg_snapshot_load(const char *path, struct pg_snapshot **ret, struct pg_error *err);
/** The same from memory; name stands for the file in messages. */
PG_MUST_CHECK bool pg_snapshot_parse(const char *name, const char *text, size_t len, struct pg_snapshot **ret,
                                     struct pg_error *err);

/** The bytes of a baseline file for this snapshot; free them. Equal snapshots give equal bytes. */
PG_MUST_CHECK bool pg_baseline_format(const struct pg_snapshot *s, char **ret, size_t *ret_len,
                                      struct pg_error *err);
/** Formats and replaces path atomically (runner/base/file.h). */
PG_MUST_CHECK bool pg_baseline_save(const char *path, const struct pg_snapshot *s, struct pg_error *err);

/**
 * What is wrong with a name for a benchmark, for people ("may not hold a '/'"), or NULL when it is good.
 *
 * Good names are 1-100 bytes of UTF-8 without '/' and control characters, and not "." or "..": each becomes a
 * folder of the output.
 */
const char *pg_benchmark_name_problem(const char *name);

/** The measurement of that name, or NULL. */
const struct pg_measurement *pg_snapshot_find(const struct pg_snapshot *s, const char *name);

#endif
