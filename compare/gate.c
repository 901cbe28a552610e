// SPDX-License-Identifier: MIT
/*
 * gate.c - two snapshots side by side: which benchmarks belong together, and the verdict over all.
 *
 * Integrity comes first. A benchmark that only one side has, a baseline without anything in common, and a run
 * in which no row was compared with a limit are never green. What a single row means is decided in values.c
 * and shares.c.
 */
#include "compare/gate.h"

#include <stdlib.h>
#include <string.h>

#include "compare/judge.h"

const char *pg_verdict_name(enum pg_verdict v)
{
        static const char *const names[] = { "pass", "warn", "fail", "inconclusive", "error" };
        return names[v];
}

static enum pg_verdict worse_of(enum pg_verdict a, enum pg_verdict b)
{
        static const int severity[] = {
                [PG_PASS] = 0, [PG_WARN] = 1, [PG_INCONCLUSIVE] = 2, [PG_FAIL] = 3, [PG_ERROR] = 4
        };
        return severity[a] >= severity[b] ? a : b;
}

/* ---- names ---- */

struct named {
        const char *name;
        size_t index;
};

/* Things by name: sorted, for bsearch. */
struct names {
        struct named *all;
        size_t n;
};

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* array holds n elements of that size, each with its name (a const char *) at offset. */
static bool names_init(struct names *ret, struct pg_arena *a, const void *array, size_t n, size_t size,
                       size_t offset)
{
        struct names names = { .all = pg_arena_calloc(a, n, sizeof(*names.all)), .n = n };
        if (!names.all)
                return false;
        for (size_t i = 0; i < n; i++) {
                memcpy(&names.all[i].name, (const char *)array + i * size + offset, sizeof(const char *));
                names.all[i].index = i;
        }
        if (n)
                qsort(names.all, n, sizeof(*names.all), by_name);
        *ret = names;
        return true;
}

/* The index of a name; false when it is not there. */
static bool names_find(const struct names *names, const char *name, size_t *ret)
{
        struct named key = { .name = name };
        const struct named *hit = names->n ? bsearch(&key, names->all, names->n, sizeof(key), by_name) : NULL;
        if (hit)
                *ret = hit->index;
        return hit;
}

/* ---- one run of the gate ---- */

struct run {
        struct pg_gate *gate;
        const struct pg_snapshot *base, *head;
        const struct pg_gate_options *options;
        struct names base_names, head_names, option_names;
        const char *other_machine;
        size_t n_common, n_evaluated;
        bool required_missing;
};

static size_t most_samples(const struct pg_measurement *m)
{
        size_t most = m ? m->n_profile_runs : 0;
        for (int i = 0; m && i < PG_METRIC_COUNT; i++)
                if (m->series[i].n > most)
                        most = m->series[i].n;
        return most;
}

static void judge_metric(struct pg_judge *j, enum pg_metric metric)
{
        const struct pg_series *s = &j->head->series[metric];
        if (pg_judge_has(j->head, metric))
                metric == PG_CPU_SHARE ? pg_judge_shares(j) : pg_judge_values(j, metric);
        else if (s->status != PG_SERIES_ABSENT || j->required[metric])
                pg_judge_unavailable(j, metric, s->reason);
}

static enum pg_verdict worst_row(const struct pg_judge *j)
{
        enum pg_verdict worst = PG_PASS;
        for (size_t i = 0; i < j->n_rows; i++)
                if (j->rows[i].weighs)
                        worst = worse_of(worst, j->rows[i].verdict);
        return worst;
}

/* What the rows of one benchmark say together. */
static void conclude(struct pg_benchmark_verdict *v, const struct pg_judge *j)
{
        v->rows = j->rows;
        v->n_rows = j->n_rows;
        v->verdict = worst_row(j);
        if (!j->base) {
                v->verdict = worse_of(v->verdict, PG_WARN);
                v->reason = "new: the baseline does not have it";
        } else if (v->verdict == PG_PASS && j->n_evaluated == 0) {
                v->verdict = PG_INCONCLUSIVE;
                v->reason = "nothing was compared with a limit";
        }
}

static bool judge_benchmark(struct run *run, const struct pg_measurement *base,
                            const struct pg_measurement *head, struct pg_benchmark_verdict *v)
{
        static const bool none_required[PG_METRIC_COUNT];
        size_t at, n_base = most_samples(base), n_head = most_samples(head);
        const struct pg_gate_benchmark *known =
                names_find(&run->option_names, head->name, &at) ? &run->options->benchmarks[at] : NULL;
        struct pg_judge j = { .arena = run->gate->arena,
                              .base = base,
                              .head = head,
                              .thresholds = known ? &known->thresholds : &run->options->thresholds,
                              .required = known ? known->required : none_required,
                              .other_machine = run->other_machine };
        j.scratch = pg_arena_calloc(j.arena, n_base > n_head ? n_base : n_head, sizeof(*j.scratch));
        if (!j.scratch)
                return false;
        *v = (struct pg_benchmark_verdict){ .name = head->name, .base = base, .head = head };
        for (int m = 0; m < PG_METRIC_COUNT; m++)
                judge_metric(&j, (enum pg_metric)m);
        conclude(v, &j);
        if (!run->base)
                v->reason = NULL; // there is no baseline at all: the run says so, once
        run->n_common += base != NULL;
        run->n_evaluated += j.n_evaluated;
        run->required_missing |= j.required_missing;
        return !j.failed;
}

static bool judge_all(struct run *run)
{
        struct pg_gate *g = run->gate;
        size_t n_base = run->base ? run->base->n_benchmarks : 0, at;
        g->benchmarks = pg_arena_calloc(g->arena, run->head->n_benchmarks + n_base, sizeof(*g->benchmarks));
        if (!g->benchmarks)
                return false;
        for (size_t i = 0; i < run->head->n_benchmarks; i++) {
                const struct pg_measurement *head = &run->head->benchmarks[i];
                bool common = names_find(&run->base_names, head->name, &at);
                if (!judge_benchmark(run, common ? &run->base->benchmarks[at] : NULL, head,
                                     &g->benchmarks[g->n_benchmarks++]))
                        return false;
        }
        for (size_t i = 0; i < n_base; i++) {
                const struct pg_measurement *base = &run->base->benchmarks[i];
                if (!names_find(&run->head_names, base->name, &at))
                        g->benchmarks[g->n_benchmarks++] = (struct pg_benchmark_verdict){
                                .name = base->name,
                                .verdict = PG_WARN,
                                .reason = "gone: only the baseline has it",
                                .base = base,
                        };
        }
        return true;
}

/* ---- the machine ---- */

static bool differ(const char *a, const char *b)
{
        return strcmp(a ? a : "", b ? b : "") != 0;
}

/* "6.1.0-18-amd64" and "6.1.0-21-amd64" are one kernel: hosted machines are patched every week. */
static bool kernels_differ(const char *a, const char *b)
{
        size_t n = 0, dots = 0;
        for (; a && a[n]; n++)
                if (a[n] == '.' && ++dots == 2)
                        break;
        return !a || !b || strncmp(a, b, n) != 0 || (b[n] != '\0' && b[n] != '.');
}

/* Why times of the two sides are times of two machines; NULL when they are of one. */
static bool compare_hosts(struct run *run)
{
        if (!run->base)
                return true;
        const struct pg_host *b = &run->base->host, *h = &run->head->host;
        const char *what = differ(b->cpu_model, h->cpu_model) || differ(b->arch, h->arch) ? "CPU model"
                           : kernels_differ(b->kernel, h->kernel)                         ? "kernel"
                           : differ(b->libc, h->libc)                                     ? "libc"
                           : b->cores != h->cores                                         ? "number of cores"
                                                                                          : NULL;
        if (!what)
                return true;
        run->other_machine = pg_arena_printf(
                run->gate->arena, "the baseline is from another machine (%s), so time only warns", what);
        return run->other_machine;
}

/* ---- the verdict over all ---- */

static void count_rows(struct pg_gate *g, const struct pg_benchmark_verdict *b)
{
        for (size_t i = 0; i < b->n_rows; i++) {
                const struct pg_row *row = &b->rows[i];
                g->n_unavailable += row->status == PG_ROW_UNAVAILABLE;
                if (!row->weighs)
                        continue;
                g->n_fail += row->verdict == PG_FAIL;
                g->n_warn += row->verdict == PG_WARN;
                g->n_pass += row->verdict == PG_PASS;
                g->n_inconclusive += row->verdict == PG_INCONCLUSIVE;
        }
}

/* Why the run is no evidence of anything; NULL when it is some. */
static const char *why_nothing(const struct run *run)
{
        if (run->head->n_benchmarks == 0)
                return "nothing was measured";
        if (!run->base)
                return NULL;
        if (run->n_common == 0)
                return "no benchmark in common with the baseline";
        return run->n_evaluated == 0 ? "nothing was compared with a limit" : NULL;
}

static void decide(struct run *run)
{
        struct pg_gate *g = run->gate;
        bool warned = false, inconclusive = false;
        for (size_t i = 0; i < g->n_benchmarks; i++) {
                enum pg_verdict v = g->benchmarks[i].verdict;
                count_rows(g, &g->benchmarks[i]);
                g->verdict = worse_of(g->verdict, v);
                warned |= v == PG_WARN;
                inconclusive |= v == PG_INCONCLUSIVE;
        }
        warned |= g->n_warn > 0;
        inconclusive |= g->n_inconclusive > 0;
        g->reason = why_nothing(run);
        if (g->reason || run->required_missing)
                g->verdict = worse_of(g->verdict, PG_INCONCLUSIVE);
        if (!g->reason && run->required_missing)
                g->reason = "a metric that the configuration names is unavailable";
        else if (!g->reason && !run->base)
                g->reason = "there is no baseline to compare with";
        bool nothing = why_nothing(run) || run->required_missing || (inconclusive && run->options->strict);
        g->exit_code = g->verdict == PG_FAIL ? 2 : nothing ? 4 : warned && run->options->fail_on_warn ? 3 : 0;
}

static bool index_snapshot(struct run *run, const struct pg_snapshot *s, struct names *ret)
{
        return !s || names_init(ret, run->gate->arena, s->benchmarks, s->n_benchmarks, sizeof(*s->benchmarks),
                                offsetof(struct pg_measurement, name));
}

static bool index_options(struct run *run)
{
        const struct pg_gate_options *o = run->options;
        return names_init(&run->option_names, run->gate->arena, o->benchmarks, o->n_benchmarks,
                          sizeof(*o->benchmarks), offsetof(struct pg_gate_benchmark, name));
}

static bool judge(struct run *run)
{
        if (!index_snapshot(run, run->head, &run->head_names) ||
            !index_snapshot(run, run->base, &run->base_names) || !index_options(run) || !compare_hosts(run) ||
            !judge_all(run))
                return false;
        decide(run);
        return true;
}

bool pg_gate_judge(const struct pg_snapshot *base, const struct pg_snapshot *head,
                   const struct pg_gate_options *options, struct pg_gate **ret, struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *arena = pg_arena_create();
        struct pg_gate *g = arena ? pg_arena_calloc(arena, 1, sizeof(*g)) : NULL;
        if (!g)
                return pg_fail_nomem(err);
        g->arena = arena;
        g->has_base = base != NULL;
        struct run run = { .gate = g, .base = base, .head = head, .options = options };
        if (!judge(&run))
                return pg_fail_nomem(err);
        arena = NULL; // handed over with g, which lives in it
        *ret = g;
        return true;
}

void pg_gate_destroy(struct pg_gate *g)
{
        if (g)
                pg_arena_destroy(g->arena);
}
