// SPDX-License-Identifier: MIT
/*
 * sites.c - call sites of both sides, and which of them rose.
 *
 * Code moves when it is edited. So sites are compared by the function that they are in; a function that is
 * gone is taken for a new one of the same module that allocates as much; and the line shown is the one that
 * rose, after the lines of both sides were laid against each other in their order.
 */
#include "compare/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"

static const double RENAMED = 0.1; // a new function is an old one when no value differs by more
static const double SIGMAS = 3;    // an estimate must rise by so many standard deviations
enum { MAX_PAIRS = 1 << 20 };      // of things that are compared each with each

/* ---- values ---- */

/* What a metric is charged by. */
struct measure {
        size_t offset; // of the value in struct pg_site, which begins with a name; 0: by no site
        bool live;     // known only where live bytes were traced
        bool counts;   // the value is a number of allocations, not of bytes
};

static const struct measure measures[PG_METRIC_COUNT] = {
        [PG_ALLOCATIONS] = { offsetof(struct pg_site, allocations), false, true },
        [PG_ALLOCATED_BYTES] = { offsetof(struct pg_site, allocated_bytes), false, false },
        [PG_PEAK_HEAP] = { offsetof(struct pg_site, peak_bytes), true, false },
        [PG_LEAKED_BYTES] = { offsetof(struct pg_site, leaked_bytes), true, false },
};

bool pg_judge_by_site(enum pg_metric metric)
{
        return measures[metric].offset;
}

static double value_of(const struct pg_site *s, enum pg_metric metric)
{
        uint64_t value;
        memcpy(&value, (const char *)s + measures[metric].offset, sizeof(value));
        return (double)value;
}

static bool knows_sites(const struct pg_measurement *m)
{
        return m->n_sites || m->site_quality.rule;
}

static bool same_rule(const struct pg_measurement *a, const struct pg_measurement *b)
{
        const char *x = a->site_quality.rule, *y = b->site_quality.rule;
        return x && y ? strcmp(x, y) == 0 : x == y;
}

const char *pg_judge_sites_useless(const struct pg_judge *j, enum pg_metric metric)
{
        if (!knows_sites(j->base) || !knows_sites(j->head))
                return "";
        if (!same_rule(j->base, j->head))
                return "no culprit is named: the baseline has its call sites by other rules, refresh it";
        if (measures[metric].live && !j->base->site_quality.has_live)
                return "no culprit is named: the baseline does not know where live bytes came from";
        if (measures[metric].live && !j->head->site_quality.has_live)
                return "no culprit is named: live bytes were not traced to call sites";
        return NULL;
}

static uint64_t interval_of(const struct pg_measurement *m, enum pg_metric metric)
{
        return measures[metric].live ? m->site_quality.live_interval_bytes
                                     : m->site_quality.stack_interval_bytes;
}

uint64_t pg_judge_sites_interval(const struct pg_judge *j, enum pg_metric metric)
{
        uint64_t base = interval_of(j->base, metric), head = interval_of(j->head, metric);
        return base > head ? base : head;
}

/* ---- groups: the sites of one function ---- */

struct group {
        const struct pg_site **sites; // in order of place; n may be 0
        size_t n;
        double value; // in the metric
        double allocations, bytes, temporary;
};

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

/* The group at the front of a sorted array of n > 0 sites. */
static struct group group_at(const struct pg_site **p, size_t n, enum pg_metric metric)
{
        struct group g = { .sites = p };
        for (; g.n < n && compare_owner(p[0], p[g.n]) == 0; g.n++) {
                g.value += value_of(p[g.n], metric);
                g.allocations += (double)p[g.n]->allocations;
                g.bytes += (double)p[g.n]->allocated_bytes;
                g.temporary += (double)p[g.n]->temporary;
        }
        return g;
}

/* ---- pairs: the same function on both sides; an empty group where it does not exist ---- */

struct pair {
        struct group base, head;
};

struct pairs {
        struct pair *all;
        size_t n;
};

static void add_pair(struct pg_judge *j, struct pairs *p, const struct pair *pair)
{
        struct pair *all = pg_arena_grow(j->arena, p->all, p->n, sizeof(*all));
        if (!all) {
                j->failed = true;
                return;
        }
        p->all = all;
        all[p->n++] = *pair;
}

static struct pairs pair_up(struct pg_judge *j, enum pg_metric metric)
{
        struct pairs pairs = { 0 };
        const struct pg_site **base = sorted(j, j->base), **head = sorted(j, j->head);
        size_t n_base = j->base->n_sites, n_head = j->head->n_sites;
        while (!j->failed && (n_base || n_head)) {
                int order = !n_base ? 1 : !n_head ? -1 : compare_owner(base[0], head[0]);
                struct pair pair = { 0 };
                if (order <= 0)
                        pair.base = group_at(base, n_base, metric);
                if (order >= 0)
                        pair.head = group_at(head, n_head, metric);
                base += pair.base.n;
                head += pair.head.n;
                n_base -= pair.base.n;
                n_head -= pair.head.n;
                add_pair(j, &pairs, &pair);
        }
        return pairs;
}

static bool is_near(double a, double b)
{
        return fabs(a - b) <= RENAMED * fmax(a, b);
}

static bool may_be_renamed(const struct group *gone, const struct group *new)
{
        return gone->n && new->n &&strcmp(gone->sites[0]->module, new->sites[0]->module) == 0 &&
               is_near(gone->allocations, new->allocations) && is_near(gone->bytes, new->bytes);
}

static double distance(const struct group *a, const struct group *b)
{
        return fabs(a->allocations - b->allocations) + fabs(a->bytes - b->bytes);
}

/* Gives a new function the values of the gone one that is most like it. */
static void join_renamed(struct pairs *pairs, struct pair *new)
{
        struct pair *best = NULL;
        for (size_t i = 0; i < pairs->n; i++) {
                struct pair *p = &pairs->all[i];
                if (p->head.n == 0 && may_be_renamed(&p->base, &new->head) &&
                    (!best || distance(&p->base, &new->head) < distance(&best->base, &new->head)))
                        best = p;
        }
        if (!best)
                return;
        new->base = best->base;
        best->base = (struct group){ 0 };
}

static void find_renamed(struct pairs *pairs)
{
        size_t gone = 0, new = 0;
        for (size_t i = 0; i < pairs->n; i++) {
                gone += pairs->all[i].head.n == 0;
                new += pairs->all[i].base.n == 0;
        }
        if (!gone || !new || new > MAX_PAIRS / pairs->n)
                return;
        for (size_t i = 0; i < pairs->n; i++)
                if (pairs->all[i].base.n == 0 && pairs->all[i].head.n)
                        join_renamed(pairs, &pairs->all[i]);
}

/* ---- lines ---- */

/* The line of head whose value rose most over the line that stands against it in base. */
struct worst {
        const struct pg_site *site;
        double rise;
};

static void consider(struct worst *w, const struct pg_site *site, double rise)
{
        if (w->site && rise <= w->rise)
                return;
        w->site = site;
        w->rise = rise;
}

static int by_place(const void *a, const void *b)
{
        return compare_place(*(const struct pg_site *const *)a, *(const struct pg_site *const *)b);
}

/* The site of g at the same file and line; NULL when there is none. */
static const struct pg_site *same_place(const struct group *g, const struct pg_site *s)
{
        const struct pg_site *const *found =
                g->n ? bsearch(&s, g->sites, g->n, sizeof(const struct pg_site *), by_place) : NULL;
        return found ? *found : NULL;
}

static bool has_moved(const struct pair *p)
{
        for (size_t i = 0; i < p->base.n; i++)
                if (!same_place(&p->head, p->base.sites[i]))
                        return true;
        return false;
}

static const struct pg_site *worst_of_unmoved(const struct pair *p, enum pg_metric metric)
{
        struct worst w = { 0 };
        for (size_t i = 0; i < p->head.n; i++) {
                const struct pg_site *s = p->head.sites[i], *before = same_place(&p->base, s);
                consider(&w, s, value_of(s, metric) - (before ? value_of(before, metric) : 0));
        }
        return w.site;
}

/* What of two lines is not alike; either may be NULL, a line that does not exist. */
struct unlike {
        double value; // in the metric
        double other; // shares of allocations and of bytes: decides between ways that are alike in the metric
};

/* Of two values >= 0: 0 when they are equal, 1 when one of them is 0. */
static double share_unlike(uint64_t a, uint64_t b)
{
        double more = (double)(a > b ? a : b), less = (double)(a > b ? b : a);
        return more > 0 ? (more - less) / more : 0;
}

static struct unlike unlike(const struct pg_site *a, const struct pg_site *b, enum pg_metric metric)
{
        static const struct pg_site none = { 0 };
        a = a ? a : &none;
        b = b ? b : &none;
        return (struct unlike){ fabs(value_of(a, metric) - value_of(b, metric)),
                                share_unlike(a->allocations, b->allocations) +
                                        share_unlike(a->allocated_bytes, b->allocated_bytes) };
}

static struct unlike sum(struct unlike a, struct unlike b)
{
        return (struct unlike){ a.value + b.value, a.other + b.other };
}

static bool is_less(struct unlike a, struct unlike b)
{
        return a.value != b.value ? a.value < b.value : a.other < b.other;
}

/* How the last lines of b base and h head lines are laid. */
enum step { STEP_NONE, STEP_BASE_ALONE, STEP_HEAD_ALONE, STEP_BOTH };

struct laid {
        struct unlike cost; // of all lines up to here
        enum step last;
};

static void try_step(struct laid *to, const struct laid *from, struct unlike more, enum step step)
{
        struct unlike cost = sum(from->cost, more);
        if (to->last == STEP_NONE || is_less(cost, to->cost))
                *to = (struct laid){ cost, step };
}

/*
 * Lines keep their order when code moves. Of all ways to lay them against each other, some of either side
 * alone, the one with the least change in all: laid[b * (n + 1) + h] is that of the first b and h lines.
 */
static void lay(struct laid *laid, const struct pair *p, enum pg_metric metric)
{
        size_t row = p->head.n + 1;
        for (size_t b = 0; b <= p->base.n; b++)
                for (size_t h = 0; h <= p->head.n; h++) {
                        const struct pg_site *from = b ? p->base.sites[b - 1] : NULL;
                        const struct pg_site *to = h ? p->head.sites[h - 1] : NULL;
                        struct laid *l = &laid[b * row + h];
                        if (b && h)
                                try_step(l, l - row - 1, unlike(from, to, metric), STEP_BOTH);
                        if (h)
                                try_step(l, l - 1, unlike(NULL, to, metric), STEP_HEAD_ALONE);
                        if (b)
                                try_step(l, l - row, unlike(from, NULL, metric), STEP_BASE_ALONE);
                }
}

static const struct pg_site *worst_of_moved(struct pg_judge *j, const struct pair *p, enum pg_metric metric)
{
        size_t row = p->head.n + 1, b = p->base.n, h = p->head.n;
        PG_AUTO_FREE struct laid *laid = calloc((b + 1) * row, sizeof(*laid));
        if (!laid) {
                j->failed = true;
                return p->head.sites[0];
        }
        lay(laid, p, metric);
        struct worst w = { 0 };
        while (h) {
                enum step last = laid[b * row + h].last;
                const struct pg_site *from = last == STEP_BOTH ? p->base.sites[b - 1] : NULL;
                const struct pg_site *to = p->head.sites[h - 1];
                if (last != STEP_BASE_ALONE)
                        consider(&w, to, value_of(to, metric) - (from ? value_of(from, metric) : 0));
                b -= last != STEP_HEAD_ALONE;
                h -= last != STEP_BASE_ALONE;
        }
        return w.site;
}

static const struct pg_site *worst_line(struct pg_judge *j, const struct pair *p, enum pg_metric metric)
{
        bool small = p->base.n < MAX_PAIRS / (p->head.n + 1);
        return small && has_moved(p) ? worst_of_moved(j, p, metric) : worst_of_unmoved(p, metric);
}

/* ---- suspects ---- */

/*
 * Variance of a sum that was estimated from blocks, each taken with probability p of about size / interval and
 * weighted by 1 / p: size^2 (1 - p) / p for each, at most interval * bytes for all. For a count it is that over
 * the square of the size, for which the mean size stands.
 */
static double variance_of(const struct group *g, enum pg_metric metric, uint64_t interval)
{
        if (!measures[metric].counts)
                return (double)interval * g->value;
        return g->bytes > 0 ? (double)interval * g->allocations * g->allocations / g->bytes : 0;
}

static bool is_certain(const struct pg_judge *j, const struct pair *p, enum pg_metric metric)
{
        double variance = variance_of(&p->base, metric, interval_of(j->base, metric)) +
                          variance_of(&p->head, metric, interval_of(j->head, metric));
        return p->head.value - p->base.value > SIGMAS * sqrt(variance);
}

/* Of the new allocations, or of all when there are none more: only their sizes rose. */
static bool is_freed_at_once(const struct pair *p, enum pg_metric metric)
{
        if (measures[metric].live)
                return false;
        double more = p->head.allocations - p->base.allocations;
        return more > 0 ? p->head.temporary - p->base.temporary > more / 2
                        : p->head.temporary > p->head.allocations / 2;
}

void pg_judge_suspect_sites(struct pg_judge *j, enum pg_metric metric, struct pg_suspects *s)
{
        struct pairs pairs = pair_up(j, metric);
        bool estimated = pg_judge_sites_interval(j, metric) != 0;
        if (j->failed)
                return;
        find_renamed(&pairs);
        for (size_t i = 0; i < pairs.n; i++) {
                const struct pair *p = &pairs.all[i];
                if (p->head.value <= p->base.value || !is_certain(j, p, metric))
                        continue;
                const struct pg_site *at = worst_line(j, p, metric);
                pg_judge_suspect(j, s,
                                 &(struct pg_culprit){ .function = at->function,
                                                       .module = *at->module ? at->module : NULL,
                                                       .file = at->file,
                                                       .line = at->line,
                                                       .baseline = p->base.value,
                                                       .current = p->head.value,
                                                       .change = p->head.value - p->base.value,
                                                       .estimated = estimated,
                                                       .freed_at_once = is_freed_at_once(p, metric) });
        }
}
