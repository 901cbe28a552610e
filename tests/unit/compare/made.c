// SPDX-License-Identifier: MIT
/*
 * made.c - snapshots made by hand.
 */
#include "tests/unit/assert_near.h"

#include "tests/unit/compare/made.h"

struct pg_snapshot *made_snapshot(void)
{
        struct pg_arena *a = pg_arena_create();
        assert_non_null(a);
        struct pg_snapshot *s = pg_arena_calloc(a, 1, sizeof(*s));
        assert_non_null(s);
        s->arena = a;
        s->tool_version = "0.1.0";
        s->created = "2026-11-23T10:00:00Z";
        s->host = (struct pg_host){ .cpu_model = "Test CPU 3000",
                                    .arch = "x86_64",
                                    .kernel = "6.1.0-18-amd64",
                                    .libc = "glibc 2.36",
                                    .os = "Debian GNU/Linux 12 (bookworm)",
                                    .cores = 4 };
        return s;
}

void made_destroy(struct pg_snapshot *s)
{
        pg_arena_destroy(s->arena);
}

struct pg_measurement *made_benchmark(struct pg_snapshot *s, const char *name)
{
        static const char *const command[] = { "./bench", NULL };
        s->benchmarks = pg_arena_grow(s->arena, s->benchmarks, s->n_benchmarks, sizeof(*s->benchmarks));
        assert_non_null(s->benchmarks);
        struct pg_measurement *m = &s->benchmarks[s->n_benchmarks++];
        m->name = name;
        m->command = command;
        m->engines = (struct pg_engines){ .timing = "wait4", .allocation = "agent" };
        return m;
}

void made_series_of(struct pg_snapshot *s, struct pg_measurement *m, enum pg_metric metric,
                    const uint64_t *samples, size_t n)
{
        uint64_t *copy = pg_arena_calloc(s->arena, n, sizeof(*copy));
        assert_non_null(copy);
        for (size_t i = 0; i < n; i++)
                copy[i] = samples[i];
        m->series[metric] = (struct pg_series){ .status = PG_SERIES_MEASURED, .samples = copy, .n = n };
}

void made_unavailable(struct pg_measurement *m, enum pg_metric metric, const char *reason)
{
        m->series[metric] = (struct pg_series){ .status = PG_SERIES_UNAVAILABLE, .reason = reason };
}

void made_profile(struct pg_snapshot *s, struct pg_measurement *m, size_t runs)
{
        m->series[PG_CPU_SHARE] = (struct pg_series){ .status = PG_SERIES_MEASURED };
        m->engines.cpu = "agent";
        m->engines.cpu_clock = "task-clock";
        m->sample_rate_hz = 997;
        m->n_profile_runs = runs;
        m->profile_total_ns = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        m->profile_samples = pg_arena_calloc(s->arena, runs, sizeof(uint64_t));
        assert_true(m->profile_total_ns && m->profile_samples);
        for (size_t i = 0; i < runs; i++)
                m->profile_samples[i] = 1000;
}

void made_function_of(struct pg_snapshot *s, struct pg_measurement *m, const char *function, const char *file,
                      uint32_t line, const double *ms, size_t n)
{
        assert_int_equal(n, m->n_profile_runs);
        m->functions = pg_arena_grow(s->arena, m->functions, m->n_functions, sizeof(*m->functions));
        uint64_t *self = pg_arena_calloc(s->arena, n, sizeof(*self));
        assert_true(m->functions && self);
        for (size_t i = 0; i < n; i++) {
                self[i] = (uint64_t)(ms[i] * 1e6);
                m->profile_total_ns[i] += self[i];
        }
        m->functions[m->n_functions++] = (struct pg_function){
                .function = function, .module = "bench", .file = file, .line = line, .self_ns = self
        };
}

void made_site(struct pg_snapshot *s, struct pg_measurement *m, const char *function, const char *file,
               uint32_t line, uint64_t allocations, uint64_t allocated_bytes)
{
        m->sites = pg_arena_grow(s->arena, m->sites, m->n_sites, sizeof(*m->sites));
        assert_non_null(m->sites);
        m->sites[m->n_sites++] = (struct pg_site){ .function = function,
                                                   .module = "bench",
                                                   .file = file,
                                                   .line = line,
                                                   .allocations = allocations,
                                                   .allocated_bytes = allocated_bytes };
}

struct pg_gate_options made_options(void)
{
        return (struct pg_gate_options){ .thresholds = pg_default_thresholds };
}

struct pg_gate *made_gate(const struct pg_snapshot *base, const struct pg_snapshot *head,
                          const struct pg_gate_options *options)
{
        struct pg_error err = { 0 };
        struct pg_gate *g = NULL;
        if (!pg_gate_judge(base, head, options, &g, &err))
                fail_msg("%s", err.text);
        return g;
}
