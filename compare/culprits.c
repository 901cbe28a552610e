// SPDX-License-Identifier: MIT
/*
 * culprits.c - who is behind a rise: call sites for allocations, functions for time.
 *
 * Worst first, until EXPLAINED of the row's rise is named. Lines move when code is edited, so a call site is
 * matched by the function that it is in; the line shown is the one whose own count rose most.
 */
#include "compare/judge.h"

#include <stdlib.h>
#include <string.h>

static const double EXPLAINED = 0.9;
static const double TOO_LITTLE = 0.1; // of the rise: who explains less is no explanation
enum { MAX_CULPRITS = 20 };

/* Candidates of one row. */
struct suspects {
        struct pg_culprit *all;
        size_t n;
};

static void suspect(struct pg_judge *j, struct suspects *s, const struct pg_culprit *c)
{
        if (c->change <= 0)
                return;
        struct pg_culprit *all = pg_arena_grow(j->arena, s->all, s->n, sizeof(*all));
        if (!all) {
                j->failed = true;
                return;
        }
        s->all = all;
        all[s->n++] = *c;
}

static int by_change(const void *a, const void *b)
{
        const struct pg_culprit *x = a, *y = b;
        if (x->change != y->change)
                return x->change < y->change ? 1 : -1;
        return strcmp(x->function, y->function);
}

/* The worst of them until most of the rise is explained. */
static void convict(struct pg_row *row, struct suspects *s, const char *if_none)
{
        double rise = row->current - row->baseline, explained = 0;
        size_t n = 0;
        if (s->n)
                qsort(s->all, s->n, sizeof(*s->all), by_change);
        while (n < s->n && n < MAX_CULPRITS && explained < EXPLAINED * rise)
                explained += s->all[n++].change;
        if (explained < TOO_LITTLE * rise) {
                if (!row->reason)
                        row->reason = if_none;
                return;
        }
        row->culprits = s->all;
        row->n_culprits = n;
}

/* ---- call sites ---- */

static uint64_t count_of(const struct pg_site *s, enum pg_metric metric)
{
        return metric == PG_ALLOCATIONS ? s->allocations : s->allocated_bytes;
}

static int compare_owner(const struct pg_site *a, const struct pg_site *b)
{
        int order = strcmp(a->function, b->function);
        return order ? order : strcmp(a->module, b->module);
}

static int compare_place(const struct pg_site *a, const struct pg_site *b)
{
        int order = strcmp(a->file ? a->file : "", b->file ? b->file : "");
        return order ? order : (a->line > b->line) - (a->line < b->line);
}

static int by_site(const void *a, const void *b)
{
        const struct pg_site *x = *(const struct pg_site *const *)a, *y = *(const struct pg_site *const *)b;
        int order = compare_owner(x, y);
        return order ? order : compare_place(x, y);
}

static const struct pg_site **sorted(struct pg_judge *j, const struct pg_measurement *m)
{
        const struct pg_site **p = pg_arena_calloc(j->arena, m->n_sites, sizeof(*p));
        for (size_t i = 0; p && i < m->n_sites; i++)
                p[i] = &m->sites[i];
        if (!p)
                j->failed = true;
        else if (m->n_sites)
                qsort(p, m->n_sites, sizeof(*p), by_site);
        return p;
}

/* Sites of one function, at the front of a sorted array. */
static size_t group_of(const struct pg_site **p, size_t n)
{
        size_t k = 0;
        while (k < n && compare_owner(p[0], p[k]) == 0)
                k++;
        return k;
}

static double sum_of(const struct pg_site **p, size_t n, enum pg_metric metric)
{
        double sum = 0;
        for (size_t i = 0; i < n; i++)
                sum += (double)count_of(p[i], metric);
        return sum;
}

static const struct pg_site *worst_line(const struct pg_site **base, size_t n_base,
                                        const struct pg_site **head, size_t n_head, enum pg_metric metric)
{
        const struct pg_site *worst = head[0];
        double most = 0;
        for (size_t i = 0; i < n_head; i++) {
                const struct pg_site **before = bsearch(&head[i], base, n_base, sizeof(*base), by_site);
                double rise =
                        (double)count_of(head[i], metric) - (before ? (double)count_of(*before, metric) : 0);
                if (rise > most) {
                        most = rise;
                        worst = head[i];
                }
        }
        return worst;
}

static void suspect_sites(struct pg_judge *j, enum pg_metric metric, struct suspects *suspects)
{
        const struct pg_site **base = sorted(j, j->base), **head = sorted(j, j->head);
        if (!base || !head)
                return;
        size_t left = j->base->n_sites, n_base;
        for (size_t h = 0, n_head; h < j->head->n_sites; h += n_head) {
                n_head = group_of(head + h, j->head->n_sites - h);
                for (; left && compare_owner(base[0], head[h]) < 0; base++)
                        left--;
                n_base = left && compare_owner(base[0], head[h]) == 0 ? group_of(base, left) : 0;
                const struct pg_site *at = worst_line(base, n_base, head + h, n_head, metric);
                double from = sum_of(base, n_base, metric), to = sum_of(head + h, n_head, metric);
                suspect(j, suspects,
                        &(struct pg_culprit){ .function = at->function,
                                              .module = at->module && *at->module ? at->module : NULL,
                                              .file = at->file,
                                              .line = at->line,
                                              .baseline = from,
                                              .current = to,
                                              .change = to - from });
        }
}

/* ---- functions ---- */

static void suspect_functions(struct pg_judge *j, struct suspects *suspects)
{
        size_t n;
        struct pg_matched *all = pg_judge_match(j, &n);
        for (size_t i = 0; i < n; i++) {
                const struct pg_function *f = all[i].head;
                if (!f)
                        continue;
                double from = pg_judge_self(j, j->base, all[i].base).median;
                double to = pg_judge_self(j, j->head, f).median;
                suspect(j, suspects,
                        &(struct pg_culprit){ .function = f->function,
                                              .module = f->module && *f->module ? f->module : NULL,
                                              .file = f->file,
                                              .line = f->line,
                                              .baseline = from,
                                              .current = to,
                                              .change = to - from });
        }
}

void pg_judge_culprits(struct pg_judge *j, struct pg_row *row)
{
        struct suspects suspects = { 0 };
        bool has_both = row->has_baseline && row->current > row->baseline;
        bool sites = row->metric == PG_ALLOCATIONS || row->metric == PG_ALLOCATED_BYTES;
        bool time = row->metric == PG_CPU_TIME || row->metric == PG_WALL_TIME;
        if (has_both && sites && j->base->n_sites && j->head->n_sites) {
                suspect_sites(j, row->metric, &suspects);
                convict(row, &suspects, "no call site explains the rise");
        } else if (has_both && time && pg_judge_has(j->base, PG_CPU_SHARE) &&
                   pg_judge_has(j->head, PG_CPU_SHARE) && !pg_judge_profiles_differ(j)) {
                suspect_functions(j, &suspects);
                convict(row, &suspects, "no function explains the rise");
        }
}
