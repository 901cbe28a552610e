// SPDX-License-Identifier: MIT
/*
 * sample_snapshot.h - one snapshot made by hand that uses every field once, for round trips and sweeps.
 *
 * Its figures are consistent: no run's self times add up to more than the run's total.
 */
#ifndef PG_TEST_SAMPLE_SNAPSHOT_H
#define PG_TEST_SAMPLE_SNAPSHOT_H

#include "baseline/snapshot.h"

static const char *const sample_command[] = { "./build/parse", "a \"quoted\" \\ word", "", NULL };
static const char *const sample_notes[] = { "one remark", NULL };
static uint64_t sample_counts[] = { 12034, 12034 };
static uint64_t sample_rss[] = { 3145728, 3149824, 3141632 };
static uint64_t sample_largest[] = { INT64_MAX };
static uint64_t sample_totals[] = { 1000000000, 990000000 };
static uint64_t sample_ticks[] = { 997, 988 };
static uint64_t sample_user[] = { 1004000000, 991000000 }, sample_system[] = { 3000000, 0 };
static uint64_t sample_self[3][2] = { { 600000000, 590000000 }, { 300000000, 300000000 }, { 0, 1 } };

static struct pg_function sample_functions[] = {
        { "hash(std::string const&)", "parse", "src/hash.cc", 42, sample_self[0] },
        { "memcpy", "libc.so.6", NULL, 0, sample_self[1] },
        { "memcpy", "parse", "src/copy.c", 7, sample_self[2] },
};
static struct pg_site sample_sites[] = {
        { "grow", "parse", "src/buf.c", 10, 12000, 768000, 11990, 65536, 0 },
        { "grow", "parse", "src/buf.c", 20, 34, 34, 0, 0, 34 },
        { "libfoo.so+0x1f40", "libfoo.so", NULL, 0, 0, 0, 0, 0, 0 },
};
static struct pg_lock_site sample_lock_sites[] = {
        { "insert", "parse", "src/table.c", 31, 17, 2500000 },
        { "libfoo.so+0x1f40", "libfoo.so", NULL, 0, 0, 0 },
};
static struct pg_process sample_processes[] = {
        { "parse", 12000, 768000, 65536, 0 },
        { "sh", 34, 34, 34, 34 },
};
static struct pg_measurement sample_benchmarks[] = {
        {
                .name = "parse-large",
                .command = sample_command,
                .series = {
                        [PG_ALLOCATIONS] = { PG_SERIES_MEASURED, false, NULL, sample_counts, 2 },
                        [PG_PEAK_HEAP] = { PG_SERIES_MEASURED, true, "repeats differ", sample_rss, 3 },
                        [PG_LEAKED_BYTES] = { PG_SERIES_UNAVAILABLE, false, "killed", NULL, 0 },
                        [PG_PEAK_RSS] = { PG_SERIES_MEASURED, false, NULL, sample_rss, 3 },
                        [PG_CPU_SHARE] = { PG_SERIES_MEASURED, false, NULL, NULL, 0 },
                        [PG_WALL_TIME] = { PG_SERIES_MEASURED, false, NULL, sample_largest, 1 },
                },
                .engines = { "wait4", "agent", "agent", "task-clock", "agent" },
                .profile_total_ns = sample_totals,
                .profile_samples = sample_ticks,
                .profile_user_ns = sample_user,
                .profile_system_ns = sample_system,
                .n_profile_runs = 2,
                .sample_rate_hz = 997,
                .profile_doubt = "weights do not add up",
                .functions = sample_functions,
                .n_functions = 3,
                .sites = sample_sites,
                .n_sites = 3,
                .site_quality = { "0123456789abcdef", true, 4096, 524288 },
                .lock_sites = sample_lock_sites,
                .n_lock_sites = 2,
                .lock_rule = "0123456789abcdef",
                .processes = sample_processes,
                .n_processes = 2,
                .notes = sample_notes,
        },
        {
                .name = "\xC3\xA9t\xC3\xA9 2",
                .command = (const char *const[]){ "true", NULL },
                .series = { [PG_CPU_SHARE] = { PG_SERIES_UNAVAILABLE, false, "no samples", NULL, 0 } },
                .engines = { .timing = "wait4" },
        },
};
static struct pg_acceptance sample_accepted[] = {
        { "bigger cache", "2026-11-22T08:30:00Z", "parse-large allocations +12.0 %" },
};

static const struct pg_snapshot sample_snapshot = {
        .tool_version = "0.1.0",
        .created = "2026-11-23T10:00:00Z",
        .commit = "0123456789abcdef0123456789abcdef01234567",
        .host = { "AMD EPYC 7763", "x86_64", "6.1.0-18-amd64", "glibc 2.36", "Debian GNU/Linux 12", 4 },
        .benchmarks = sample_benchmarks,
        .n_benchmarks = 2,
        .accepted = sample_accepted,
        .n_accepted = 1,
};

#endif
