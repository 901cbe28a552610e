// SPDX-License-Identifier: MIT
/*
 * thresholds.c - the "thresholds" objects of perfgate.json; what a limit means is in compare/thresholds.h.
 */
#include "ci/config/reading.h"

/* One metric's object; metric decides how its limits read. */
struct slot {
        enum pg_metric metric;
        struct pg_threshold *threshold;
};

/* A limit as text: a string, or a number as it stands. */
static bool read_limit(struct pg_json_reader *r, const char **ret)
{
        char c = pg_json_peek(r);
        if (c == '"')
                return pg_json_string(r, ret);
        if (c == '-' || (c >= '0' && c <= '9'))
                return pg_json_literal(r, ret);
        return pg_json_fail_type(r, "a limit like \"5%\" or 15000");
}

static bool read_max_increase(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        struct pg_error cause = { 0 };
        const char *text;
        if (!read_limit(r, &text))
                return false;
        return pg_parse_max_increase(text, slot->metric, &slot->threshold->max_increase, &cause) ||
               pg_json_fail_cause(r, &cause);
}

static bool read_max(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        struct pg_error cause = { 0 };
        const char *text;
        if (!read_limit(r, &text))
                return false;
        return pg_parse_max(text, slot->metric, &slot->threshold->max, &cause) ||
               pg_json_fail_cause(r, &cause);
}

static bool read_action(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        struct pg_error cause = { 0 };
        const char *text;
        if (!pg_json_string(r, &text))
                return false;
        slot->threshold->has_action = true;
        return pg_parse_action(text, &slot->threshold->action, &cause) || pg_json_fail_cause(r, &cause);
}

static bool read_min_share(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        struct pg_error cause = { 0 };
        const char *text;
        if (!read_limit(r, &text))
                return false;
        slot->threshold->has_min_share = true;
        return pg_parse_share(text, &slot->threshold->min_share_ratio, &cause) ||
               pg_json_fail_cause(r, &cause);
}

/* The globs of one "functions" object, in the order written. */
struct globs {
        struct pg_function_threshold *functions;
        struct pg_json_word *words;
        size_t n;
};

static bool read_glob(struct pg_json_reader *r, const char *glob, void *into)
{
        struct globs *g = into;
        struct pg_function_threshold *functions =
                pg_arena_grow(r->arena, g->functions, g->n, sizeof(*functions));
        struct pg_json_word *words = pg_arena_grow(r->arena, g->words, g->n, sizeof(*words));
        if (!functions || !words)
                return pg_fail_nomem(r->err);
        if (!*glob)
                return pg_json_fail_at(r, r->key, "a pattern for functions may not be empty");
        words[g->n] = (struct pg_json_word){ glob, r->key };
        functions[g->n].glob = glob;
        g->functions = functions;
        g->words = words;
        struct slot slot = { PG_CPU_SHARE, &functions[g->n++].threshold };
        return pg_json_object(r, &pg_threshold_keys, &slot);
}

static bool read_functions(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        struct globs g = { 0 };
        if (!pg_json_map(r, read_glob, &g) || !pg_json_unique(r, g.words, g.n, "pattern"))
                return false;
        slot->threshold->functions = g.functions;
        slot->threshold->n_functions = g.n;
        return true;
}

static const struct pg_json_key keys[] = {
        { "max_increase", read_max_increase, 0, false },
        { "max", read_max, 0, false },
        { "action", read_action, 0, false },
        { "min_share", read_min_share, 0, false },
        { "functions", read_functions, 0, false },
};
const struct pg_json_keys pg_threshold_keys = { keys, 3, false };
const struct pg_json_keys pg_share_threshold_keys = { keys, 5, false };

static bool read_threshold(struct pg_json_reader *r, void *into)
{
        struct slot *slot = into;
        return pg_json_object(r, slot->metric == PG_CPU_SHARE ? &pg_share_threshold_keys : &pg_threshold_keys,
                              slot);
}

/* What one key of a "thresholds" object is read into. */
struct metric {
        struct slot slot;
        bool *set;
};

static bool read_metric(struct pg_json_reader *r, void *into)
{
        struct metric *m = into;
        *m->set = true;
        return read_threshold(r, &m->slot);
}

bool pg_config_read_thresholds(struct pg_json_reader *r, void *into)
{
        struct pg_thresholds *t = into;
        struct metric metrics[PG_METRIC_COUNT];
        struct pg_json_key metric_keys[PG_METRIC_COUNT];
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                metrics[i] = (struct metric){ { (enum pg_metric)i, &t->of[i] }, &t->set[i] };
                metric_keys[i] = (struct pg_json_key){ pg_metric_names[i], read_metric,
                                                       (size_t)i * sizeof(metrics[0]), false };
        }
        return pg_json_object(r, &(struct pg_json_keys)PG_JSON_KEYS(metric_keys), metrics);
}
