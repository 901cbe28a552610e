// SPDX-License-Identifier: MIT
/*
 * keys.h - the tables of keys that the snapshot reader goes by, for the test that holds them against the
 * shipped schemas.
 */
#ifndef PG_BASELINE_KEYS_H
#define PG_BASELINE_KEYS_H

#include "baseline/json_reader.h"
#include "runner/measure/metric.h"

/* An object and where the schema describes it, as a JSON pointer. */
struct pg_described_keys {
        const char *schema_file, *pointer;
        const struct pg_json_keys *keys;
};

extern const struct pg_described_keys pg_snapshot_keys[];
extern const size_t pg_n_snapshot_keys;

/** All metrics in the order of their names, as sorted keys need it. */
void pg_metrics_by_name(enum pg_metric ret[PG_METRIC_COUNT]);

#endif
