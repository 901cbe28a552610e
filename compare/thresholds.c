// SPDX-License-Identifier: MIT
/*
 * thresholds.c - limits as people write them, and how one set of limits lies over another.
 *
 * A limit is always a worsening. Whatever could be read as a ratio ("1.05", "105%") is refused with the two
 * things that may have been meant, because a limit that was misread gates nothing. Percentages carry at most
 * six decimals, so that exact metrics are judged in integers.
 */
#include "compare/thresholds.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/units.h"

// clang-format off
#define PERCENT(p) { PG_LIMIT_RELATIVE, (p) / 100.0 }
// clang-format on

const struct pg_thresholds pg_default_thresholds = {
        .of = {
                [PG_ALLOCATIONS] = { .max_increase = PERCENT(1) },
                [PG_ALLOCATED_BYTES] = { .max_increase = PERCENT(1) },
                [PG_PEAK_HEAP] = { .max_increase = PERCENT(5) },
                [PG_INSTRUCTIONS] = { .max_increase = PERCENT(1) },
                [PG_PEAK_RSS] = { .max_increase = PERCENT(10), .has_action = true, .action = PG_ACTION_WARN },
                [PG_CPU_SHARE] = { .max_increase = { PG_LIMIT_POINTS, 5 },
                                   .has_min_share = true,
                                   .min_share_ratio = 0.02 },
                [PG_CPU_TIME] = { .max_increase = PERCENT(10), .has_action = true, .action = PG_ACTION_WARN },
                [PG_WALL_TIME] = { .max_increase = PERCENT(10), .has_action = true, .action = PG_ACTION_WARN },
        },
};

/* ---- reading ---- */

enum { MAX_DECIMALS = 6, MAX_PERCENT = 1000000 };
#define MAX_ABSOLUTE 9007199254740992.0 // 2^53: every whole number up to it is a double

struct number {
        double value;
        int decimals;
        bool plus;
        const char *rest; // behind the number and spaces
};

/* An unsigned decimal number, "+" allowed in front of it. */
static bool read_number(const char *s, struct number *ret)
{
        struct number n = { .plus = *s == '+' };
        s += n.plus;
        size_t len = strspn(s, "0123456789");
        if (!len)
                return false;
        if (s[len] == '.') {
                n.decimals = (int)strspn(s + len + 1, "0123456789");
                if (!n.decimals)
                        return false;
                len += 1 + (size_t)n.decimals;
        }
        char copy[48];
        if (len >= sizeof(copy))
                return false;
        memcpy(copy, s, len);
        copy[len] = '\0';
        n.value = strtod(copy, NULL);
        n.rest = s + len + strspn(s + len, " ");
        *ret = n;
        return true;
}

static const char *example_of(enum pg_metric metric)
{
        switch (pg_metrics[metric].unit) {
        case PG_UNIT_BYTES:
                return "150MiB";
        case PG_UNIT_NS:
                return "10ms";
        default:
                return "15000";
        }
}

static bool fail_negative(const char *text, struct pg_error *err)
{
        return pg_fail(err, PG_EUSAGE, "'%.40s' is negative, but a limit says how much worse a value may get",
                       text);
}

/* "1.05", which is no whole number: the writer thought of a ratio. */
static bool fail_ratio(const char *text, double v, enum pg_metric metric, struct pg_error *err)
{
        double percent = v > 1 ? (v - 1) * 100 : v * 100;
        return pg_fail(
                err, PG_EUSAGE,
                "'%.40s' could be read as a ratio, write \"%.6g%%\" for a rise of %.6g per cent or a whole "
                "number like \"%s\" for an absolute limit",
                text, percent, percent, example_of(metric));
}

static bool parse_percent(const char *text, const struct number *n, struct pg_bound *ret,
                          struct pg_error *err)
{
        if (!n->plus && n->value >= 100)
                return pg_fail(
                        err, PG_EUSAGE,
                        "'%.40s' could be read as a ratio, write \"+%.10g%%\" for %.10g per cent more or "
                        "\"%.10g%%\" for %.10g per cent more",
                        text, n->value, n->value, n->value - 100, n->value - 100);
        if (n->decimals > MAX_DECIMALS || n->value > MAX_PERCENT)
                return pg_fail(err, PG_EUSAGE,
                               "'%.40s' is out of range, expected at most \"+%d%%\" and at most %d decimals",
                               text, MAX_PERCENT, MAX_DECIMALS);
        *ret = (struct pg_bound){ PG_LIMIT_RELATIVE, n->value / 100 };
        return true;
}

static bool parse_points(const char *text, const struct number *n, struct pg_bound *ret, struct pg_error *err)
{
        if (n->value > 100)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is out of range, expected 0 to 100", text);
        *ret = (struct pg_bound){ PG_LIMIT_POINTS, n->value };
        return true;
}

static bool set_absolute(const char *text, double value, struct pg_bound *ret, struct pg_error *err)
{
        if (value > MAX_ABSOLUTE)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is too large", text);
        *ret = (struct pg_bound){ PG_LIMIT_ABSOLUTE, value };
        return true;
}

/* A bare whole number in the metric's unit, or with a unit that fits the metric. */
static bool parse_absolute(const char *text, const struct number *n, enum pg_metric metric,
                           struct pg_bound *ret, struct pg_error *err)
{
        if (!*n->rest)
                return n->decimals ? fail_ratio(text, n->value, metric, err)
                                   : set_absolute(text, n->value, ret, err);
        const char *unsigned_text = text + n->plus;
        struct pg_error cause = { 0 };
        uint64_t v;
        enum pg_unit unit = pg_metrics[metric].unit;
        if (unit == PG_UNIT_BYTES ? pg_parse_size(unsigned_text, &v, &cause)
            : unit == PG_UNIT_NS  ? pg_parse_duration(unsigned_text, &v, &cause)
                                  : pg_parse_count(unsigned_text, &v, &cause))
                return set_absolute(text, (double)v, ret, err);
        return pg_fail(err, PG_EUSAGE, "%s", cause.text);
}

bool pg_parse_max_increase(const char *text, enum pg_metric metric, struct pg_bound *ret,
                           struct pg_error *err)
{
        struct number n;
        if (*text == '-')
                return fail_negative(text, err);
        bool number = read_number(text, &n);
        if (metric == PG_CPU_SHARE) {
                if (!number || strcmp(n.rest, "pp") != 0)
                        return pg_fail(
                                err, PG_EUSAGE,
                                "'%.40s' is not a rise of a share, write percentage points like \"5pp\"",
                                text);
                return parse_points(text, &n, ret, err);
        }
        if (!number)
                return pg_fail(err, PG_EUSAGE,
                               "'%.40s' is not a limit, write \"5%%\" for five per cent more or \"%s\" for "
                               "that much more",
                               text, example_of(metric));
        if (strcmp(n.rest, "%") == 0)
                return parse_percent(text, &n, ret, err);
        if (strcmp(n.rest, "pp") == 0)
                return pg_fail(err, PG_EUSAGE,
                               "'%.40s' is in percentage points, which only cpu_share has, write \"%.6g%%\"",
                               text, n.value);
        return parse_absolute(text, &n, metric, ret, err);
}

bool pg_parse_max(const char *text, enum pg_metric metric, struct pg_bound *ret, struct pg_error *err)
{
        struct number n;
        if (*text == '-')
                return fail_negative(text, err);
        bool number = read_number(text, &n);
        if (metric == PG_CPU_SHARE) {
                if (!number || strcmp(n.rest, "%") != 0)
                        return pg_fail(err, PG_EUSAGE,
                                       "'%.40s' is not a share of CPU time, write for example \"30%%\"",
                                       text);
                return parse_points(text, &n, ret, err);
        }
        if (!number || strcmp(n.rest, "%") == 0 || strcmp(n.rest, "pp") == 0)
                return pg_fail(
                        err, PG_EUSAGE,
                        "'%.40s' is not a highest value, write an absolute one like \"%s\"; a rise in per "
                        "cent is \"max_increase\"",
                        text, example_of(metric));
        return parse_absolute(text, &n, metric, ret, err);
}

bool pg_parse_share(const char *text, double *ret_ratio, struct pg_error *err)
{
        struct number n;
        if (!read_number(text, &n) || n.plus || strcmp(n.rest, "%") != 0 || n.value > 100)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is not a share, write \"0%%\" to \"100%%\"", text);
        *ret_ratio = n.value / 100;
        return true;
}

bool pg_parse_action(const char *text, enum pg_action *ret, struct pg_error *err)
{
        static const char *const names[] = { "fail", "warn", "ignore", NULL };
        for (int i = 0; names[i]; i++)
                if (strcmp(text, names[i]) == 0) {
                        *ret = (enum pg_action)i;
                        return true;
                }
        const char *near = pg_nearest(text, names);
        return near ? pg_fail(err, PG_EUSAGE, "'%.40s' is not an action, did you mean \"%s\"?", text, near)
                    : pg_fail(err, PG_EUSAGE,
                              "'%.40s' is not an action, write \"fail\", \"warn\" or \"ignore\"", text);
}

/* ---- laying one over another ---- */

struct pg_threshold pg_threshold_merge(const struct pg_threshold *outer, const struct pg_threshold *inner)
{
        struct pg_threshold t = *outer;
        if (inner->max_increase.form != PG_LIMIT_NONE)
                t.max_increase = inner->max_increase;
        if (inner->max.form != PG_LIMIT_NONE)
                t.max = inner->max;
        if (inner->has_action) {
                t.has_action = true;
                t.action = inner->action;
        }
        if (inner->has_min_share) {
                t.has_min_share = true;
                t.min_share_ratio = inner->min_share_ratio;
        }
        if (inner->n_functions) {
                t.functions = inner->functions;
                t.n_functions = inner->n_functions;
        }
        return t;
}

static bool has_limit(const struct pg_threshold *t)
{
        return t->max_increase.form != PG_LIMIT_NONE || t->max.form != PG_LIMIT_NONE;
}

static void lay_over(struct pg_thresholds *t, enum pg_metric m, const struct pg_threshold *inner)
{
        struct pg_threshold outer = t->of[m];
        bool only_warns = outer.has_action && outer.action == PG_ACTION_WARN;
        if (!t->set[m] && only_warns && has_limit(inner))
                outer = (struct pg_threshold){ 0 };
        t->of[m] = pg_threshold_merge(&outer, inner);
        t->set[m] = true;
}

struct pg_thresholds pg_thresholds_merge(const struct pg_thresholds *outer, const struct pg_thresholds *inner)
{
        struct pg_thresholds t = *outer;
        for (int m = 0; m < PG_METRIC_COUNT; m++)
                if (inner->set[m])
                        lay_over(&t, (enum pg_metric)m, &inner->of[m]);
        return t;
}

static bool find_metric(const char *name, enum pg_metric *ret, struct pg_error *err)
{
        if (pg_metric_by_name(name, ret))
                return true;
        const char *near = pg_nearest(name, pg_metric_names);
        return near ? pg_fail(err, PG_EUSAGE, "there is no metric '%.40s', did you mean \"%s\"?", name, near)
                    : pg_fail(err, PG_EUSAGE, "there is no metric '%.40s'", name);
}

bool pg_thresholds_override(struct pg_thresholds *t, const char *assignment, struct pg_error *err)
{
        const char *equals = strchr(assignment, '=');
        char name[64];
        if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof(name))
                return pg_fail(err, PG_EUSAGE,
                               "'%.80s' is not METRIC=LIMIT, write for example \"allocations=1%%\"",
                               assignment);
        memcpy(name, assignment, (size_t)(equals - assignment));
        name[equals - assignment] = '\0';
        enum pg_metric m;
        struct pg_threshold inner = { 0 };
        if (!find_metric(name, &m, err))
                return false;
        if (!pg_parse_max_increase(equals + 1, m, &inner.max_increase, err))
                return pg_context(err, "%s", name);
        lay_over(t, m, &inner);
        return true;
}
