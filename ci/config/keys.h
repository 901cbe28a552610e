// SPDX-License-Identifier: MIT
/*
 * keys.h - the tables of keys that the configuration reader goes by, for the test that holds them against the
 * shipped schema.
 */
#ifndef PG_CI_CONFIG_KEYS_H
#define PG_CI_CONFIG_KEYS_H

#include "baseline/keys.h"

extern const struct pg_described_keys pg_config_keys[];
extern const size_t pg_n_config_keys;

#endif
