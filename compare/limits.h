// SPDX-License-Identifier: MIT
/*
 * limits.h - whether a value breaks a limit, in integers, and how a limit reads.
 */
#ifndef PG_COMPARE_LIMITS_H
#define PG_COMPARE_LIMITS_H

#include "compare/thresholds.h"

/* Twice a value in the metric's unit: medians of whole numbers are halves at worst. */
typedef unsigned __int128 pg_twice;

/** Twice of a median, which is a whole or half number >= 0. */
pg_twice pg_twice_of(double median);

/**
 * True when the rise from base to head is larger than the bound allows; PG_LIMIT_NONE allows everything.
 *
 * Exact: 1 % on 1,000 lets 1,010 pass and 1,011 fail. Any rise from 0 breaks a relative bound.
 */
bool pg_rise_breaks(const struct pg_bound *max_increase, pg_twice base, pg_twice head);
/** True when head is larger than an absolute bound. */
bool pg_value_breaks(const struct pg_bound *max, pg_twice head);

/** "+5 %", "+5 pp", "+1 %, 15,000", "150 MiB": in arena a; NULL when there is no limit or no memory. */
const char *pg_limit_text(struct pg_arena *a, const struct pg_threshold *t, enum pg_metric metric);
/** An absolute value in the metric's unit: "15,000", "150 MiB", "10.0 ms", "30 %"; never NULL. */
char *pg_value_text(enum pg_metric metric, double value, char *out, size_t size);

#endif
