// SPDX-License-Identifier: MIT
/*
 * config.h - perfgate.json: which benchmarks there are and how much worse they may get.
 */
#ifndef PG_CI_CONFIG_H
#define PG_CI_CONFIG_H

#include "compare/thresholds.h"
#include "runner/measure/workload.h"

/* One benchmark with its limits. */
struct pg_config_benchmark {
        struct pg_workload
                workload;   // cwd and stdin_path made relative to the current folder, not to the file's
        bool names_metrics; // it has a "metrics" key: each named one must be measurable
        struct pg_thresholds thresholds; // its own only, not merged
};

struct pg_config {
        struct pg_arena *arena;
        struct pg_config_benchmark *benchmarks; // at least one, unique names
        size_t n_benchmarks;
        struct pg_thresholds thresholds; // the file's, not merged over the defaults
};

enum { PG_DEFAULT_RUNS = 5, PG_DEFAULT_WARMUP = 1, PG_MAX_RUNS = 10000 };
#define PG_DEFAULT_TIMEOUT_NS (60 * 1000000000ull)

/**
 * Reads perfgate.json.
 *
 * path   relative paths inside ("cwd", "stdin", a command with a slash) are relative to this file's folder
 * err    PG_EOS with ENOENT when there is none; PG_EUSAGE for everything wrong in it: "perfgate.json:12:7:
 * unknown key
 *        \"max_increse\" in thresholds.allocations, did you mean \"max_increase\"?"
 */
PG_MUST_CHECK bool pg_config_load(const char *path, struct pg_config **ret, struct pg_error *err);
PG_MUST_CHECK bool pg_config_parse(const char *name, const char *text, size_t len, struct pg_config **ret,
                                   struct pg_error *err);
void pg_config_destroy(struct pg_config *c);
PG_DEFINE_CLEANUP(struct pg_config, pg_config_destroy)
#define PG_AUTO_CONFIG __attribute__((cleanup(pg_config_destroyp)))

#endif
