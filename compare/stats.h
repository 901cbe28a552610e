// SPDX-License-Identifier: MIT
/*
 * stats.h - numbers about samples; arrays in, numbers out.
 */
#ifndef PG_COMPARE_STATS_H
#define PG_COMPARE_STATS_H

#include <stddef.h>

/* Where the samples lie. All in the samples' unit. */
struct pg_spread {
        double median, min, max;
};

/**
 * Median and range.
 *
 * x   n values in any order, sorted on return
 * n   0 gives NaN in every field, as does any NaN among the values (x is then left as it is)
 *
 * An even count takes the mean of the two middle values, without overflow; exact for whole numbers up to
 * 2^52. O(n log n).
 */
struct pg_spread pg_spread_of(double *x, size_t n);

/**
 * Standard error of the difference of two observed proportions when there is none, as a ratio.
 *
 * share_a, share_b   0 to 1
 * n_a, n_b           observations behind each, >= 1
 *
 * sqrt(p (1 - p) (1/n_a + 1/n_b)) with the pooled p. Source: Fleiss, Levin, Paik, Statistical Methods for
 * Rates and Proportions, 3rd ed., section 3.1. An error of 0 (p is 0 or 1) means that all agree.
 */
double pg_proportion_error(double share_a, double n_a, double share_b, double n_b);

#endif
