// SPDX-License-Identifier: MIT
/*
 * reading.h - how the parts of the configuration reader fit together.
 */
#ifndef PG_CI_CONFIG_READING_H
#define PG_CI_CONFIG_READING_H

#include "baseline/json_reader.h"
#include "compare/thresholds.h"

/* The keys of a threshold object, with and without those that only cpu_share has. */
extern const struct pg_json_keys pg_threshold_keys, pg_share_threshold_keys;

/** The object of metrics and their limits; into is a struct pg_thresholds. */
bool pg_config_read_thresholds(struct pg_json_reader *r, void *into);

#endif
