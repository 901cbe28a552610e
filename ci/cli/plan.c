// SPDX-License-Identifier: MIT
/*
 * plan.c - configuration, then options laid over it: workloads and limits ready for measuring and judging.
 */
#include "ci/cli/plan.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "baseline/snapshot.h"
#include "runner/base/units.h"

void pg_plan_destroy(struct pg_plan *p)
{
        if (!p)
                return;
        pg_config_destroy(p->config);
        pg_arena_destroy(p->arena);
        free(p);
}

static struct pg_plan *create(void)
{
        struct pg_plan *p = calloc(1, sizeof(*p));
        if (p && !(p->arena = pg_arena_create())) {
                free(p);
                return NULL;
        }
        return p;
}

/* Defaults, then the file's, then a benchmark's own, then the command line's. */
static bool limits_for(const struct pg_config *config, const struct pg_thresholds *own,
                       const struct pg_option_list *overrides, struct pg_thresholds *ret,
                       struct pg_error *err)
{
        *ret = pg_default_thresholds;
        if (config)
                *ret = pg_thresholds_merge(ret, &config->thresholds);
        if (own)
                *ret = pg_thresholds_merge(ret, own);
        for (size_t i = 0; i < overrides->n; i++)
                if (!pg_thresholds_override(ret, overrides->values[i], err))
                        return pg_context(err, "--threshold");
        return true;
}

static bool parse_metrics(const char *list, bool ret[PG_METRIC_COUNT], struct pg_error *err)
{
        memset(ret, 0, PG_METRIC_COUNT * sizeof(*ret));
        for (const char *p = list;; p++) {
                char name[64];
                size_t n = strcspn(p, ",");
                memcpy(name, p, n < sizeof(name) ? n : sizeof(name) - 1);
                name[n < sizeof(name) ? n : sizeof(name) - 1] = '\0';
                enum pg_metric metric;
                if (!pg_metric_by_name(name, &metric)) {
                        const char *near = pg_nearest(name, pg_metric_names);
                        return pg_fail(err, PG_EUSAGE, "--metrics: unknown metric '%s'%s%s%s", name,
                                       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
                }
                ret[metric] = true;
                p += n;
                if (!*p)
                        return true;
        }
}

static bool apply_options(const struct pg_plan_args *args, struct pg_workload *w, struct pg_error *err)
{
        bool warmup = args->warmup != UINT32_MAX;
        if (args->runs > PG_MAX_RUNS || (warmup && args->warmup > PG_MAX_RUNS))
                return pg_fail(err, PG_EUSAGE, "--%s: at most %d",
                               args->runs > PG_MAX_RUNS ? "runs" : "warmup", PG_MAX_RUNS);
        if (args->runs)
                w->runs = args->runs;
        if (warmup)
                w->warmup = args->warmup;
        if (args->timeout_ns)
                w->timeout_ns = args->timeout_ns;
        return !args->metrics || parse_metrics(args->metrics, w->metrics, err);
}

/*
 * A limit asks for its metric: one that is not measured is never broken, and nobody would notice. A list of
 * metrics stands, but for the limits that are closer to the benchmark than the file's; --metrics always does.
 */
static bool ask_for_limited(const struct pg_plan_args *args, const struct pg_config_benchmark *b,
                            struct pg_workload *w, struct pg_gate_benchmark *g, struct pg_error *err)
{
        struct pg_thresholds closest = b->thresholds;
        for (size_t i = 0; i < args->thresholds.n; i++)
                if (!pg_thresholds_override(&closest, args->thresholds.values[i], err))
                        return pg_context(err, "--threshold");
        const bool *asks = b->names_metrics ? closest.set : g->thresholds.set;
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                bool limited = g->thresholds.set[i] && g->thresholds.of[i].action != PG_ACTION_IGNORE;
                if (limited && asks[i] && !args->metrics)
                        w->metrics[i] = true;
                g->required[i] = w->metrics[i] && (b->names_metrics || args->metrics || limited);
        }
        return true;
}

static bool add(struct pg_plan *p, const struct pg_plan_args *args, const struct pg_config_benchmark *b,
                struct pg_error *err)
{
        struct pg_workload *w = &p->workloads[p->n];
        struct pg_gate_benchmark *g = &p->gates[p->n];
        *w = b->workload;
        g->name = w->name;
        if (!apply_options(args, w, err) ||
            !limits_for(p->config, &b->thresholds, &args->thresholds, &g->thresholds, err) ||
            !ask_for_limited(args, b, w, g, err))
                return false;
        p->n++;
        return true;
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash && slash[1] ? slash + 1 : path;
}

static bool add_command(struct pg_plan *p, const struct pg_plan_args *args, struct pg_error *err)
{
        struct pg_config_benchmark b = { 0 };
        b.workload = (struct pg_workload){
                .name = base_name(args->command[0]),
                .command = (const char *const *)args->command,
                .cwd = ".",
                .runs = PG_DEFAULT_RUNS,
                .warmup = PG_DEFAULT_WARMUP,
                .timeout_ns = PG_DEFAULT_TIMEOUT_NS,
        };
        if (b.workload.name[0] == '\0' || strchr(b.workload.name, '/'))
                return pg_fail(err, PG_EUSAGE, "'%s' is not a command", args->command[0]);
        if (pg_benchmark_name_problem(b.workload.name)) // it becomes a folder and stands in messages
                b.workload.name = "command";
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                b.workload.metrics[i] = pg_metrics[i].on_by_default;
        return add(p, args, &b, err);
}

bool pg_plan_selects(const struct pg_plan_args *args, const char *name)
{
        for (size_t i = 0; i < args->filters.n; i++)
                if (fnmatch(args->filters.values[i], name, 0) == 0)
                        return true;
        return args->filters.n == 0;
}

static bool add_configured(struct pg_plan *p, const struct pg_plan_args *args, struct pg_error *err)
{
        for (size_t i = 0; i < p->config->n_benchmarks; i++)
                if (pg_plan_selects(args, p->config->benchmarks[i].workload.name) &&
                    !add(p, args, &p->config->benchmarks[i], err))
                        return false;
        return true;
}

static bool load_config(struct pg_plan *p, const char *path, struct pg_error *err)
{
        const char *file = path ? path : PG_DEFAULT_CONFIG;
        if (pg_config_load(file, &p->config, err))
                return true;
        if (!path && err->code == PG_EOS && err->os_errno == ENOENT) {
                *err = (struct pg_error){ 0 };
                return pg_fail(err, PG_EUSAGE,
                               "there is no " PG_DEFAULT_CONFIG
                               " here: name one with --config, or a command behind --");
        }
        return false;
}

static bool allocate(struct pg_plan *p, size_t n, struct pg_error *err)
{
        p->workloads = pg_arena_calloc(p->arena, n, sizeof(*p->workloads));
        p->gates = pg_arena_calloc(p->arena, n, sizeof(*p->gates));
        return (p->workloads && p->gates) || pg_fail_nomem(err);
}

static bool fill(struct pg_plan *p, const struct pg_plan_args *args, struct pg_error *err)
{
        if (args->command && args->config_path)
                return pg_fail(err, PG_EUSAGE,
                               "--config names benchmarks and so does the command behind --: use one");
        if (args->command && args->filters.n)
                return pg_fail(
                        err, PG_EUSAGE,
                        "--filter chooses from perfgate.json, but the one benchmark here is the command "
                        "behind --");
        if (!args->command && !load_config(p, args->config_path, err))
                return false;
        if (!allocate(p, p->config ? p->config->n_benchmarks : 1, err))
                return false;
        return args->command ? add_command(p, args, err) : add_configured(p, args, err);
}

static bool finish(struct pg_plan *p, const struct pg_option_list *thresholds, struct pg_error *err)
{
        p->gate.benchmarks = p->gates;
        p->gate.n_benchmarks = p->n;
        return limits_for(p->config, NULL, thresholds, &p->gate.thresholds, err);
}

bool pg_plan_make(const struct pg_plan_args *args, struct pg_plan **ret, struct pg_error *err)
{
        PG_AUTO_PLAN struct pg_plan *p = create();
        if (!p)
                return pg_fail_nomem(err);
        p->time_budget_ns = args->time_budget_ns;
        if (!fill(p, args, err) || !finish(p, &args->thresholds, err))
                return false;
        *ret = p;
        p = NULL;
        return true;
}

bool pg_plan_limits(const char *config_path, const struct pg_option_list *thresholds, struct pg_plan **ret,
                    struct pg_error *err)
{
        PG_AUTO_PLAN struct pg_plan *p = create();
        if (!p)
                return pg_fail_nomem(err);
        const char *file = config_path ? config_path : PG_DEFAULT_CONFIG;
        if (!pg_config_load(file, &p->config, err)) {
                if (config_path || err->code != PG_EOS || err->os_errno != ENOENT)
                        return false;
                *err = (struct pg_error){ 0 };
        }
        struct pg_plan_args args = PG_PLAN_ARGS_INIT;
        args.thresholds = *thresholds;
        if (!allocate(p, p->config ? p->config->n_benchmarks : 0, err) ||
            (p->config && !add_configured(p, &args, err)) || !finish(p, thresholds, err))
                return false;
        *ret = p;
        p = NULL;
        return true;
}
