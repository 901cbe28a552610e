// SPDX-License-Identifier: MIT
/*
 * coverage.h - whether the agent saw all of a process tree. Private to this folder.
 */
#ifndef PG_MEASURE_COVERAGE_H
#define PG_MEASURE_COVERAGE_H

#include "runner/base/arena.h"
#include "runner/capture/capture.h"

/**
 * Why a capture must not be believed, or NULL.
 *
 * pid  of the target
 * a    keeps the text; when that is impossible a general one is given
 */
const char *pg_coverage_missing(const struct pg_captured *c, int pid, struct pg_arena *a);

#endif
