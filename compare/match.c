// SPDX-License-Identifier: MIT
/*
 * match.c - the functions of two profiles side by side.
 *
 * Both tables are sorted by (function, module), so one merge does it. A table that is not (a file that some
 * other tool made) is sorted first.
 */
#include "compare/judge.h"

#include <stdlib.h>
#include <string.h>

static int compare_functions(const struct pg_function *a, const struct pg_function *b)
{
        int order = strcmp(a->function, b->function);
        return order ? order : strcmp(a->module, b->module);
}

static int by_identity(const void *a, const void *b)
{
        return compare_functions(*(const struct pg_function *const *)a,
                                 *(const struct pg_function *const *)b);
}

static const struct pg_function **sorted(struct pg_judge *j, const struct pg_measurement *m)
{
        size_t n = m ? m->n_functions : 0;
        const struct pg_function **p = pg_arena_calloc(j->arena, n, sizeof(*p));
        if (!p)
                return NULL;
        bool in_order = true;
        for (size_t i = 0; i < n; i++) {
                p[i] = &m->functions[i];
                in_order = in_order && (i == 0 || compare_functions(p[i - 1], p[i]) < 0);
        }
        if (!in_order)
                qsort(p, n, sizeof(*p), by_identity);
        return p;
}

struct pg_matched *pg_judge_match(struct pg_judge *j, size_t *ret_n)
{
        *ret_n = 0;
        size_t n_base = j->base ? j->base->n_functions : 0, n_head = j->head->n_functions;
        const struct pg_function **base = sorted(j, j->base), **head = sorted(j, j->head);
        struct pg_matched *all = pg_arena_calloc(j->arena, n_base + n_head, sizeof(*all));
        if (!base || !head || !all) {
                j->failed = true;
                return NULL;
        }
        size_t n = 0;
        for (size_t b = 0, h = 0; b < n_base || h < n_head; n++) {
                int order = b == n_base ? 1 : h == n_head ? -1 : compare_functions(base[b], head[h]);
                all[n].base = order <= 0 ? base[b++] : NULL;
                all[n].head = order >= 0 ? head[h++] : NULL;
        }
        *ret_n = n;
        return all;
}

struct pg_spread pg_judge_self(struct pg_judge *j, const struct pg_measurement *m,
                               const struct pg_function *f)
{
        if (!f || m->n_profile_runs == 0)
                return (struct pg_spread){ 0 };
        for (size_t i = 0; i < m->n_profile_runs; i++)
                j->scratch[i] = (double)f->self_ns[i];
        return pg_spread_of(j->scratch, m->n_profile_runs);
}

static bool same(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *or_none(const char *s)
{
        return s ? s : "none";
}

const char *pg_judge_profiles_differ(struct pg_judge *j)
{
        const struct pg_engines *b = &j->base->engines, *h = &j->head->engines;
        if (!same(b->cpu, h->cpu))
                return pg_judge_say(j, "profiles of two engines (%s, %s) cannot be compared", or_none(b->cpu),
                                    or_none(h->cpu));
        if (!same(b->cpu_clock, h->cpu_clock))
                return pg_judge_say(j, "profiles of two clocks (%s, %s) cannot be compared",
                                    or_none(b->cpu_clock), or_none(h->cpu_clock));
        if (j->base->sample_rate_hz != j->head->sample_rate_hz)
                return pg_judge_say(j, "profiles of two rates (%llu Hz, %llu Hz) cannot be compared",
                                    (unsigned long long)j->base->sample_rate_hz,
                                    (unsigned long long)j->head->sample_rate_hz);
        return NULL;
}
