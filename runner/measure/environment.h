// SPDX-License-Identifier: MIT
/*
 * environment.h - the environment that a target gets: ours, the benchmark's, and the agent's two variables.
 */
#ifndef PG_MEASURE_ENVIRONMENT_H
#define PG_MEASURE_ENVIRONMENT_H

#include "runner/base/arena.h"
#include "runner/base/error.h"

/**
 * Our own environment with added entries; a later entry of the same name wins.
 *
 * added    the benchmark's "NAME=value" entries, NULL-terminated or NULL
 * agent    entries for the agent, NULL-terminated or NULL. A PERFGATE_AGENT of our own environment is dropped
 * preload  library to be preloaded in front of what LD_PRELOAD already holds; NULL: none
 * ret      NULL-terminated, in a
 */
PG_MUST_CHECK bool pg_environment_compose(struct pg_arena *a, const char *const *added,
                                          const char *const *agent, const char *preload,
                                          const char *const **ret, struct pg_error *err);

/** Value of name in an environment, or NULL. */
const char *pg_environment_get(const char *const *environment, const char *name);

#endif
