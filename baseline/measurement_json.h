// SPDX-License-Identifier: MIT
/*
 * measurement_json.h - a measurement as JSON, shared by the baseline file and the result file; and the name of a
 * benchmark, which the configuration has too.
 */
#ifndef PG_BASELINE_MEASUREMENT_JSON_H
#define PG_BASELINE_MEASUREMENT_JSON_H

#include "baseline/json_reader.h"
#include "baseline/json_writer.h"
#include "baseline/snapshot.h"

/** The object that baselines hold per benchmark: two spaces a level, tables with one line for each row. */
void pg_measurement_write(struct pg_json_writer *w, const struct pg_measurement *m);
/** The "host" object. */
void pg_host_write(struct pg_json_writer *w, const struct pg_host *h);
/** The value that r stands at, when it is a string that may be a benchmark's name (pg_benchmark_name_problem). */
bool pg_benchmark_name_read(struct pg_json_reader *r, const char **ret);

#endif
