// SPDX-License-Identifier: MIT
/*
 * stats.c - median, range, and how far apart two proportions may be by chance.
 */
#include "compare/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

/* A handful of runs is the usual case, and a gate sorts hundreds of thousands of them. */
static void sort(double *x, size_t n)
{
        enum { FEW = 32 };
        if (n > FEW) {
                qsort(x, n, sizeof(*x), by_value);
                return;
        }
        for (size_t i = 1; i < n; i++) {
                double v = x[i];
                size_t k = i;
                for (; k && x[k - 1] > v; k--)
                        x[k] = x[k - 1];
                x[k] = v;
        }
}

static bool any_nan(const double *x, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (isnan(x[i]))
                        return true;
        return false;
}

struct pg_spread pg_spread_of(double *x, size_t n)
{
        if (n == 0 || any_nan(x, n))
                return (struct pg_spread){ NAN, NAN, NAN };
        sort(x, n);
        double low = x[(n - 1) / 2], high = x[n / 2];
        return (struct pg_spread){ .median = low + (high - low) / 2, .min = x[0], .max = x[n - 1] };
}

double pg_proportion_error(double share_a, double n_a, double share_b, double n_b)
{
        double p = (share_a * n_a + share_b * n_b) / (n_a + n_b);
        double variance = p * (1 - p) * (1 / n_a + 1 / n_b);
        return variance > 0 ? sqrt(variance) : 0;
}
