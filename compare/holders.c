// SPDX-License-Identifier: MIT
/*
 * holders.c - what made threads wait for locks on both sides, and which of it rose.
 *
 * Times vary from run to run and lines move when code is edited, so holders are compared by function; the line
 * shown is the one whose own time rose most.
 */
#include "compare/judge.h"

#include <stdlib.h>
#include <string.h>

const char *pg_judge_holders_useless(const struct pg_judge *j)
{
        const char *base = j->base->lock_rule, *head = j->head->lock_rule;
        if (!base || !head)
                return "";
        return strcmp(base, head) == 0
                       ? NULL
                       : "no culprit is named: the baseline has its call sites by other rules, refresh it";
}

static int compare_owner(const struct pg_lock_site *a, const struct pg_lock_site *b)
{
        int order = strcmp(a->function, b->function);
        return order ? order : strcmp(a->module, b->module);
}

/* Where the function's sites begin among n sorted ones, and how many there are. */
static const struct pg_lock_site *find_owner(const struct pg_lock_site *sites, size_t n,
                                             const struct pg_lock_site *like, size_t *ret_n)
{
        size_t from = 0, count = 0;
        while (from < n && compare_owner(&sites[from], like) != 0)
                from++;
        while (from + count < n && compare_owner(&sites[from + count], like) == 0)
                count++;
        *ret_n = count;
        return sites + from;
}

static double sum_of(const struct pg_lock_site *sites, size_t n)
{
        double sum_ns = 0;
        for (size_t i = 0; i < n; i++)
                sum_ns += (double)sites[i].delay_ns;
        return sum_ns;
}

static bool same_place(const struct pg_lock_site *a, const struct pg_lock_site *b)
{
        return a->line == b->line && strcmp(a->file ? a->file : "", b->file ? b->file : "") == 0;
}

static const struct pg_lock_site *worst_line(const struct pg_lock_site *base, size_t n_base,
                                             const struct pg_lock_site *head, size_t n_head)
{
        const struct pg_lock_site *worst = head;
        double most = 0;
        for (size_t h = 0; h < n_head; h++) {
                double rise = (double)head[h].delay_ns;
                for (size_t b = 0; b < n_base; b++)
                        if (same_place(&base[b], &head[h]))
                                rise -= (double)base[b].delay_ns;
                if (rise > most) {
                        most = rise;
                        worst = &head[h];
                }
        }
        return worst;
}

void pg_judge_suspect_holders(struct pg_judge *j, struct pg_suspects *s)
{
        const struct pg_lock_site *head = j->head->lock_sites;
        for (size_t h = 0, n_head, n_base; h < j->head->n_lock_sites; h += n_head) {
                find_owner(head + h, j->head->n_lock_sites - h, head + h, &n_head);
                const struct pg_lock_site *base =
                        find_owner(j->base->lock_sites, j->base->n_lock_sites, head + h, &n_base);
                const struct pg_lock_site *at = worst_line(base, n_base, head + h, n_head);
                double from = sum_of(base, n_base), to = sum_of(head + h, n_head);
                pg_judge_suspect(j, s,
                                 &(struct pg_culprit){ .function = at->function,
                                                       .module = *at->module ? at->module : NULL,
                                                       .file = at->file,
                                                       .line = at->line,
                                                       .baseline = from,
                                                       .current = to,
                                                       .change = to - from });
        }
}
