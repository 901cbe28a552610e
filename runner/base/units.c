// SPDX-License-Identifier: MIT
/*
 * units.c - numbers with units in and out, and the nearest known word to a mistyped one.
 */
#include "runner/base/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
        const char *name;
        double factor;
};

static const struct unit sizes[] = {
        { "", 1 },
        { "B", 1 },
        { "kB", 1e3 },
        { "KB", 1e3 },
        { "MB", 1e6 },
        { "GB", 1e9 },
        { "TB", 1e12 },
        { "KiB", 1024 },
        { "MiB", 1048576 },
        { "GiB", 1073741824 },
        { "TiB", 1099511627776 },
};

static const struct unit durations[] = {
        { "ns", 1 },  { "us", 1e3 }, { "µs", 1e3 },   { "ms", 1e6 },
        { "s", 1e9 }, { "m", 60e9 }, { "min", 60e9 }, { "h", 3600e9 },
};

bool pg_parse_count(const char *s, uint64_t *ret, struct pg_error *err)
{
        size_t digits = strspn(s, "0123456789");
        errno = 0;
        unsigned long long v = digits ? strtoull(s, NULL, 10) : 0;
        if (!digits || s[digits] || errno)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is not a whole number", s);
        *ret = v;
        return true;
}

/* A plain decimal number (no sign, exponent, hex, inf) followed by optional spaces; *rest is what comes
 * behind. */
static bool parse_decimal(const char *s, double *ret, const char **rest)
{
        size_t n = strspn(s, "0123456789");
        if (!n)
                return false;
        if (s[n] == '.') {
                size_t fraction = strspn(s + n + 1, "0123456789");
                if (!fraction)
                        return false;
                n += 1 + fraction;
        }
        if (n > 40)
                return false;
        char copy[48];
        memcpy(copy, s, n);
        copy[n] = '\0';
        *ret = strtod(copy, NULL);
        *rest = s + n + strspn(s + n, " ");
        return true;
}

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(units[i].name, name) == 0)
                        return &units[i];
        return NULL;
}

bool pg_parse_size(const char *s, uint64_t *ret_bytes, struct pg_error *err)
{
        double v;
        const char *rest;
        const struct unit *u = NULL;
        if (parse_decimal(s, &v, &rest))
                u = find_unit(sizes, sizeof(sizes) / sizeof(*sizes), rest);
        if (!u)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is not a size, write for example \"150MiB\"", s);
        if (v * u->factor >= 9.2e18)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is too large", s);
        *ret_bytes = (uint64_t)llround(v * u->factor);
        return true;
}

bool pg_parse_duration(const char *s, uint64_t *ret_ns, struct pg_error *err)
{
        double v;
        const char *rest;
        const struct unit *u = NULL;
        if (parse_decimal(s, &v, &rest))
                u = find_unit(durations, sizeof(durations) / sizeof(*durations), rest);
        if (!u)
                return pg_fail(err, PG_EUSAGE,
                               "'%.40s' is not a duration, write for example \"30s\" or \"500ms\"", s);
        double ns = v * u->factor;
        if (ns < 1 || ns > 366 * 86400e9)
                return pg_fail(err, PG_EUSAGE, "'%.40s' is out of range, expected 1ns to 366 days", s);
        *ret_ns = (uint64_t)llround(ns);
        return true;
}

char *pg_format_count(uint64_t n, char out[PG_NUMBER_MAX])
{
        char digits[24];
        int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
        char *p = out;
        for (int i = 0; i < len; i++) {
                if (i && (len - i) % 3 == 0)
                        *p++ = ',';
                *p++ = digits[i];
        }
        *p = '\0';
        return out;
}

/* Three significant digits for v in [1, 1000). */
static void three_digits(double v, const char *unit, char out[PG_NUMBER_MAX])
{
        snprintf(out, PG_NUMBER_MAX, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit);
}

const char *pg_plural(uint64_t n)
{
        return n == 1 ? "" : "s";
}

char *pg_format_size(uint64_t bytes, char out[PG_NUMBER_MAX])
{
        static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        if (bytes < 1024) {
                snprintf(out, PG_NUMBER_MAX, "%u B", (unsigned)bytes);
                return out;
        }
        double v = (double)bytes / 1024;
        size_t i = 0;
        while (v >= 999.5 && i + 1 < sizeof(names) / sizeof(*names)) {
                v /= 1024;
                i++;
        }
        three_digits(v, names[i], out);
        return out;
}

char *pg_format_duration(uint64_t ns, char out[PG_NUMBER_MAX])
{
        double v = (double)ns;
        if (ns < 1000)
                snprintf(out, PG_NUMBER_MAX, "%u ns", (unsigned)ns);
        else if (v < 999.5e3)
                three_digits(v / 1e3, "us", out);
        else if (v < 999.5e6)
                three_digits(v / 1e6, "ms", out);
        else if (v < 119.5e9)
                three_digits(v / 1e9, "s", out);
        else
                snprintf(out, PG_NUMBER_MAX, "%llu m %02u s", (unsigned long long)(v / 60e9),
                         (unsigned)((uint64_t)(v / 1e9) % 60));
        return out;
}

char *pg_format_change(double change_ratio, char out[PG_NUMBER_MAX])
{
        double percent = change_ratio * 100;
        if (change_ratio == 0)
                snprintf(out, PG_NUMBER_MAX, "=");
        else if (isinf(change_ratio))
                snprintf(out, PG_NUMBER_MAX, "new");
        else if (fabs(percent) < 0.01)
                snprintf(out, PG_NUMBER_MAX, "%s0.01 %%", percent > 0 ? "< +" : "> -");
        else if (fabs(percent) >= 1e6)
                snprintf(out, PG_NUMBER_MAX, "%+.3g %%", percent);
        else
                snprintf(out, PG_NUMBER_MAX, "%+.*f %%",
                         fabs(percent) < 10    ? 2
                         : fabs(percent) < 100 ? 1
                                               : 0,
                         percent);
        return out;
}

static size_t min3(size_t a, size_t b, size_t c)
{
        size_t m = a < b ? a : b;
        return m < c ? m : c;
}

/* Restricted Damerau-Levenshtein distance; words longer than MAX count as far. */
static size_t distance(const char *a, const char *b)
{
        enum { MAX = 48 };
        size_t n = strlen(a), m = strlen(b);
        if (n >= MAX || m >= MAX)
                return SIZE_MAX;
        size_t d[MAX][MAX];
        for (size_t i = 0; i <= n; i++)
                d[i][0] = i;
        for (size_t j = 0; j <= m; j++)
                d[0][j] = j;
        for (size_t i = 1; i <= n; i++)
                for (size_t j = 1; j <= m; j++) {
                        size_t cost = a[i - 1] != b[j - 1];
                        d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                d[i][j] = min3(d[i][j], d[i - 2][j - 2] + 1, d[i][j]);
                }
        return d[n][m];
}

const char *pg_nearest(const char *word, const char *const *words)
{
        size_t limit = strlen(word) / 3;
        if (limit < 1)
                limit = 1;
        const char *best = NULL;
        for (; *words; words++) {
                size_t d = distance(word, *words);
                if (d <= limit && (!best || d < distance(word, best)))
                        best = *words;
        }
        return best;
}
