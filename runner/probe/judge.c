// SPDX-License-Identifier: MIT
/*
 * judge.c - every line of every observation is looked up in the others; one that is missing is "nothing".
 */
#include "runner/probe/judge.h"

#include <string.h>

static const char nothing[] = "nothing";

static const char *value_of(const struct pg_observation *o, enum pg_check check, const char *key)
{
        for (size_t i = 0; i < o->n; i++)
                if (o->seen[i].check == check && strcmp(o->seen[i].key, key) == 0)
                        return o->seen[i].value;
        return nothing;
}

/* All observations of one command. */
struct runs {
        const struct pg_observation *bare, *measured;
        size_t n_bare, n_measured;
};

/* How many runs of a kind have another value than the given one. */
static size_t count_others(const struct pg_observation *runs, size_t n, const struct pg_seen *s,
                           const char *value)
{
        size_t others = 0;
        for (size_t i = 0; i < n; i++)
                others += strcmp(value_of(&runs[i], s->check, s->key), value) != 0;
        return others;
}

static bool add_difference(struct pg_likenesses *l, struct pg_arena *a, struct pg_difference d,
                           struct pg_error *err)
{
        l->differences = pg_arena_grow(a, l->differences, l->n, sizeof(*l->differences));
        if (!l->differences)
                return pg_fail_nomem(err);
        l->differences[l->n++] = d;
        l->of[d.check] = PG_LIKE_DIFFERS;
        l->any_differs = true;
        return true;
}

static bool is_listed(const struct pg_likenesses *l, const struct pg_seen *s)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->differences[i].check == s->check && strcmp(l->differences[i].key, s->key) == 0)
                        return true;
        return false;
}

static bool judge_line(const struct runs *r, const struct pg_seen *s, struct pg_arena *a,
                       struct pg_likenesses *l, struct pg_error *err)
{
        const char *before = value_of(&r->bare[0], s->check, s->key);
        size_t unstable = count_others(r->bare, r->n_bare, s, before);
        size_t others = count_others(r->measured, r->n_measured, s, before);
        if (unstable || (others && others < r->n_measured)) {
                if (l->of[s->check] == PG_LIKE_SAME)
                        l->of[s->check] = PG_LIKE_VARIES;
                return true;
        }
        if (!others || is_listed(l, s))
                return true;
        const char *now = value_of(&r->measured[0], s->check, s->key);
        return add_difference(l, a, (struct pg_difference){ s->check, s->key, before, now }, err);
}

static bool judge_runs(const struct runs *r, const struct pg_observation *runs, size_t n, struct pg_arena *a,
                       struct pg_likenesses *l, struct pg_error *err)
{
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < runs[i].n; k++)
                        if (!judge_line(r, &runs[i].seen[k], a, l, err))
                                return false;
        return true;
}

bool pg_interference_judge(const struct pg_observation *bare, size_t n_bare,
                           const struct pg_observation *measured, size_t n_measured, struct pg_arena *a,
                           struct pg_likenesses *ret, struct pg_error *err)
{
        struct pg_likenesses l = { 0 };
        const struct runs r = { bare, measured, n_bare, n_measured };
        if (!judge_runs(&r, bare, n_bare, a, &l, err) || !judge_runs(&r, measured, n_measured, a, &l, err))
                return false;
        *ret = l;
        return true;
}
