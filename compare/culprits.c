// SPDX-License-Identifier: MIT
/*
 * culprits.c - who is behind a rise: call sites for allocations and live bytes (sites.c), holders for lock
 * waits (holders.c), functions for time.
 *
 * Worst first, until EXPLAINED of the row's rise is named. A rise that nobody explains says so.
 */
#include "compare/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EXPLAINED = 0.9;
static const double TOO_LITTLE = 0.1; // of the rise: who explains less is no explanation

void pg_judge_suspect(struct pg_judge *j, struct pg_suspects *s, const struct pg_culprit *c)
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
        int order = strcmp(x->function, y->function);
        return order ? order : strcmp(x->module ? x->module : "", y->module ? y->module : "");
}

/* The worst of them until most of the rise is explained. */
static void convict(struct pg_judge *j, struct pg_row *row, struct pg_suspects *s, const char *if_none)
{
        double rise = row->current - row->baseline, explained = 0;
        size_t n = 0;
        if (s->n)
                qsort(s->all, s->n, sizeof(*s->all), by_change);
        while (n < s->n && explained < EXPLAINED * rise)
                explained += s->all[n++].change;
        if (explained < TOO_LITTLE * rise) {
                pg_judge_because(j, row, if_none);
                return;
        }
        row->culprits = s->all;
        row->n_culprits = n;
}

/* ---- functions ---- */

/* CPU time that one sample stands for; 0 where samples are not counted. */
static double sample_ns(const struct pg_measurement *m)
{
        double total_ns = 0, samples = 0;
        for (size_t i = 0; i < m->n_profile_runs; i++) {
                total_ns += (double)m->profile_total_ns[i];
                samples += (double)m->profile_samples[i];
        }
        return samples > 0 ? total_ns / samples : 0;
}

/* A function's time in a run is a number of samples, which scatters by its root; three of both sides' are no chance. */
static bool rose_by_chance(double from, double to, double one_ns)
{
        return to - from <= 3 * sqrt((from + to) * one_ns);
}

static void suspect_functions(struct pg_judge *j, struct pg_suspects *suspects)
{
        size_t n;
        double one_ns = sample_ns(j->head);
        struct pg_matched *all = pg_judge_match(j, &n);
        for (size_t i = 0; i < n; i++) {
                const struct pg_function *f = all[i].head;
                if (!f)
                        continue;
                double from = pg_judge_self(j, j->base, all[i].base).median;
                double to = pg_judge_self(j, j->head, f).median;
                if (rose_by_chance(from, to, one_ns))
                        continue;
                pg_judge_suspect(j, suspects,
                                 &(struct pg_culprit){ .function = f->function,
                                                       .module = f->module && *f->module ? f->module : NULL,
                                                       .file = f->file,
                                                       .line = f->line,
                                                       .baseline = from,
                                                       .current = to,
                                                       .change = to - from });
        }
}

static void judge_sites(struct pg_judge *j, struct pg_row *row)
{
        struct pg_suspects suspects = { 0 };
        const char *useless = pg_judge_sites_useless(j, row->metric);
        if (useless) {
                if (*useless)
                        pg_judge_because(j, row, useless);
                return;
        }
        pg_judge_suspect_sites(j, row->metric, &suspects);
        row->estimate_interval_bytes = pg_judge_sites_interval(j, row->metric);
        convict(j, row, &suspects,
                row->estimate_interval_bytes
                        ? "no call site explains the rise beyond the uncertainty of sampling"
                        : "no call site explains the rise");
}

static void judge_holders(struct pg_judge *j, struct pg_row *row)
{
        struct pg_suspects suspects = { 0 };
        const char *useless = pg_judge_holders_useless(j);
        if (useless) {
                if (*useless)
                        pg_judge_because(j, row, useless);
                return;
        }
        pg_judge_suspect_holders(j, &suspects);
        convict(j, row, &suspects, "no holder of a lock explains the rise");
}

static void judge_functions(struct pg_judge *j, struct pg_row *row)
{
        struct pg_suspects suspects = { 0 };
        if (!pg_judge_has(j->base, PG_CPU_SHARE) || !pg_judge_has(j->head, PG_CPU_SHARE) ||
            pg_judge_profiles_differ(j))
                return;
        suspect_functions(j, &suspects);
        convict(j, row, &suspects, "no function explains the rise");
}

void pg_judge_culprits(struct pg_judge *j, struct pg_row *row)
{
        if (!row->has_baseline || row->current <= row->baseline)
                return;
        if (pg_judge_by_site(row->metric))
                judge_sites(j, row);
        else if (row->metric == PG_LOCK_WAIT)
                judge_holders(j, row);
        else if (row->metric == PG_CPU_TIME || row->metric == PG_WALL_TIME)
                judge_functions(j, row);
}
