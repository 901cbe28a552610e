// SPDX-License-Identifier: MIT
/*
 * snapshot.c - `bench_snapshot FILE GROWTH`: a baseline with 1,000 benchmarks of 200 functions and call sites
 * each.
 *
 * Every benchmark has all metrics that can be measured, 5 samples each. GROWTH (per cent) is added to the
 * figures of every tenth benchmark, so that two files compared have culprits to be found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "baseline/snapshot.h"

enum { BENCHMARKS = 1000, FUNCTIONS = 200, RUNS = 5 };

static uint64_t *samples(struct pg_arena *a, uint64_t value)
{
        uint64_t *s = pg_arena_calloc(a, RUNS, sizeof(*s));
        for (int i = 0; s && i < RUNS; i++)
                s[i] = value + (uint64_t)i;
        return s;
}

static bool fill_series(struct pg_arena *a, struct pg_measurement *m, uint64_t growth)
{
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                if (pg_metrics[i].pass == PG_PASS_NONE)
                        continue;
                m->series[i].status = PG_SERIES_MEASURED;
                if (i == PG_CPU_SHARE)
                        continue;
                m->series[i].samples = samples(a, 1000000 + 10000 * growth);
                m->series[i].n = RUNS;
                if (!m->series[i].samples)
                        return false;
        }
        return true;
}

/* Function 0 has as many per cent more as the benchmark grew; names sort as they are numbered. */
static bool fill_functions(struct pg_arena *a, struct pg_measurement *m, uint64_t growth)
{
        m->functions = pg_arena_calloc(a, FUNCTIONS, sizeof(*m->functions));
        m->sites = pg_arena_calloc(a, FUNCTIONS, sizeof(*m->sites));
        for (int i = 0; m->functions && m->sites && i < FUNCTIONS; i++) {
                const char *name = pg_arena_printf(a, "function_%03d", i);
                uint64_t value = (uint64_t)(10000 + 100 * i) * (i == 0 ? 100 + growth : 100);
                m->functions[i] = (struct pg_function){
                        .function = name,
                        .module = "program",
                        .file = "src/program.c",
                        .line = (uint32_t)i + 1,
                        .self_ns = samples(a, value),
                };
                m->sites[i] = (struct pg_site){
                        .function = name,
                        .module = "program",
                        .file = "src/program.c",
                        .line = (uint32_t)i + 1,
                        .allocations = value / 100,
                        .allocated_bytes = value,
                };
                if (!name || !m->functions[i].self_ns)
                        return false;
        }
        m->n_functions = m->n_sites = FUNCTIONS;
        return m->functions && m->sites;
}

static bool fill_profile(struct pg_arena *a, struct pg_measurement *m)
{
        m->n_profile_runs = RUNS;
        m->sample_rate_hz = 997;
        m->profile_samples = samples(a, 5000);
        m->profile_total_ns = samples(a, 0);
        for (int run = 0; m->profile_total_ns && run < RUNS; run++) {
                m->profile_total_ns[run] = 0;
                for (size_t i = 0; i < m->n_functions; i++)
                        m->profile_total_ns[run] += m->functions[i].self_ns[run];
        }
        return m->profile_samples && m->profile_total_ns;
}

static bool fill(struct pg_snapshot *s, uint64_t growth)
{
        static const char *const command[] = { "./program", "input", NULL };
        s->tool_version = "0.1.0";
        s->created = "2026-01-01T00:00:00Z";
        s->host = (struct pg_host){ "a processor", "x86_64", "6.1", "glibc 2.36", "Debian", 2 };
        s->benchmarks = pg_arena_calloc(s->arena, BENCHMARKS, sizeof(*s->benchmarks));
        s->n_benchmarks = BENCHMARKS;
        for (int i = 0; s->benchmarks && i < BENCHMARKS; i++) {
                struct pg_measurement *m = &s->benchmarks[i];
                uint64_t here = i % 10 == 0 ? growth : 0;
                m->name = pg_arena_printf(s->arena, "benchmark-%04d", i);
                m->command = command;
                m->engines = (struct pg_engines){ "wait4", "agent", "agent", "task-clock", NULL };
                if (!m->name || !fill_series(s->arena, m, here) || !fill_functions(s->arena, m, here) ||
                    !fill_profile(s->arena, m))
                        return false;
        }
        return s->benchmarks;
}

int main(int argc, char **argv)
{
        if (argc != 3) {
                fputs("usage: bench_snapshot FILE GROWTH\n", stderr);
                return 1;
        }
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = pg_snapshot_create();
        bool ok = (s && fill(s, strtoul(argv[2], NULL, 10))) || pg_fail_nomem(&err);
        if (!ok || !pg_baseline_save(argv[1], s, &err)) {
                fprintf(stderr, "bench_snapshot: %s\n", err.text);
                return 1;
        }
        return 0;
}
