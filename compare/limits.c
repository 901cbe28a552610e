// SPDX-License-Identifier: MIT
/*
 * limits.c - limits against values in exact integers, and limits in words.
 *
 * A percentage carries at most six decimals (thresholds.c sees to it), so it is a whole number of
 * hundred-millionths, and 128 bits hold every product of it with a value below 2^64.
 */
#include "compare/limits.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "runner/base/units.h"

enum { HUNDRED_MILLION = 100000000 };

pg_twice pg_twice_of(double median)
{
        return (pg_twice)(median * 2);
}

bool pg_rise_breaks(const struct pg_bound *max_increase, pg_twice base, pg_twice head)
{
        if (head <= base || max_increase->form == PG_LIMIT_NONE)
                return false;
        pg_twice rise = head - base;
        if (max_increase->form == PG_LIMIT_RELATIVE)
                return rise * HUNDRED_MILLION >
                       base * (pg_twice)llround(max_increase->value * HUNDRED_MILLION);
        return rise > pg_twice_of(max_increase->value);
}

bool pg_value_breaks(const struct pg_bound *max, pg_twice head)
{
        return max->form != PG_LIMIT_NONE && head > pg_twice_of(max->value);
}

char *pg_value_text(enum pg_metric metric, double value, char *out, size_t size)
{
        char number[PG_NUMBER_MAX];
        switch (pg_metrics[metric].unit) {
        case PG_UNIT_BYTES:
                pg_format_size((uint64_t)value, number);
                break;
        case PG_UNIT_NS:
                pg_format_duration((uint64_t)value, number);
                break;
        case PG_UNIT_PP:
                snprintf(number, sizeof(number), "%.6g %%", value);
                break;
        default:
                pg_format_count((uint64_t)value, number);
        }
        snprintf(out, size, "%s", number);
        return out;
}

static void rise_text(enum pg_metric metric, const struct pg_bound *b, char *out, size_t size)
{
        char value[PG_NUMBER_MAX];
        if (b->form == PG_LIMIT_RELATIVE)
                snprintf(out, size, "+%.10g %%", b->value * 100);
        else if (b->form == PG_LIMIT_POINTS)
                snprintf(out, size, "+%.6g pp", b->value);
        else if (b->form == PG_LIMIT_ABSOLUTE)
                snprintf(out, size, "+%s", pg_value_text(metric, b->value, value, sizeof(value)));
        else
                *out = '\0';
}

const char *pg_limit_text(struct pg_arena *a, const struct pg_threshold *t, enum pg_metric metric)
{
        char rise[PG_NUMBER_MAX + 1], max[PG_NUMBER_MAX];
        rise_text(metric, &t->max_increase, rise, sizeof(rise));
        if (t->max.form == PG_LIMIT_NONE)
                return *rise ? pg_arena_strdup(a, rise) : NULL;
        pg_value_text(metric, t->max.value, max, sizeof(max));
        return pg_arena_printf(a, "%s%s%s", rise, *rise ? ", " : "", max);
}
