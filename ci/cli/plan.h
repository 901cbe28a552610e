// SPDX-License-Identifier: MIT
/*
 * plan.h - from options and configuration to what is run and how it is judged.
 */
#ifndef PG_CLI_PLAN_H
#define PG_CLI_PLAN_H

#include "ci/cli/options.h"
#include "ci/config/config.h"
#include "compare/gate.h"

#define PG_DEFAULT_CONFIG "perfgate.json"

/* Options that `run` and `baseline refresh` share. */
struct pg_plan_args {
        const char *config_path; // NULL: PG_DEFAULT_CONFIG
        struct pg_option_list filters, thresholds;
        const char *metrics;                 // comma-separated; NULL: by configuration
        uint32_t runs;                       // 0: by configuration
        uint32_t warmup;                     // UINT32_MAX: by configuration
        uint64_t timeout_ns, time_budget_ns; // 0: by configuration, none
        char **command;                      // NULL-terminated; NULL: the configuration's benchmarks
};

// clang-format off
#define PG_PLAN_ARGS_INIT { .warmup = UINT32_MAX }
// clang-format on

/* The option rows for a struct pg_plan_args that lies at `base` in a command's argument struct. */
// clang-format off
#define PG_PLAN_OPTIONS(base)                                                                                \
        { PG_OPTION_TEXT, 'c', "config", (base) + offsetof(struct pg_plan_args, config_path),                \
          "FILE", "benchmarks and limits (default perfgate.json)", NULL, 0 },                                \
        { PG_OPTION_LIST, 'f', "filter", (base) + offsetof(struct pg_plan_args, filters),                    \
          "GLOB", "only benchmarks with such a name; repeatable", NULL, 0 },                                 \
        { PG_OPTION_TEXT, 'm', "metrics", (base) + offsetof(struct pg_plan_args, metrics),                   \
          "LIST", "only these, comma-separated, e.g. allocations,cpu_share", NULL, 0 },                      \
        { PG_OPTION_LIST, 't', "threshold", (base) + offsetof(struct pg_plan_args, thresholds),              \
          "METRIC=LIMIT", "how much worse it may get, e.g. peak_heap=5%; repeatable", NULL, 0 },             \
        { PG_OPTION_COUNT, 'n', "runs", (base) + offsetof(struct pg_plan_args, runs),                        \
          "N", "processes for each statistical metric (default 5)", NULL, 1 },                               \
        { PG_OPTION_COUNT, 'w', "warmup", (base) + offsetof(struct pg_plan_args, warmup),                    \
          "N", "runs before the first that counts (default 1)", NULL, 0 },                                   \
        { PG_OPTION_DURATION, 0, "timeout", (base) + offsetof(struct pg_plan_args, timeout_ns),              \
          "DURATION", "kill a run after this long (default 60s)", NULL, 0 },                                 \
        { PG_OPTION_DURATION, 0, "time-budget", (base) + offsetof(struct pg_plan_args, time_budget_ns),      \
          "DURATION", "take no further samples after this long", NULL, 0 }
// clang-format on

struct pg_plan {
        struct pg_arena *arena;
        struct pg_config *config; // NULL with a command line's COMMAND
        struct pg_workload *workloads;
        struct pg_gate_benchmark *gates; // one for each workload
        size_t n;
        struct pg_gate_options gate; // benchmarks and thresholds set
        uint64_t time_budget_ns;
};

void pg_plan_destroy(struct pg_plan *p);
PG_DEFINE_CLEANUP(struct pg_plan, pg_plan_destroy)
#define PG_AUTO_PLAN __attribute__((cleanup(pg_plan_destroyp)))

/** PG_EUSAGE for everything wrong in options or configuration. n may be 0 when no name matches the filters.
 */
PG_MUST_CHECK bool pg_plan_make(const struct pg_plan_args *args, struct pg_plan **ret, struct pg_error *err);

/** True when the filters let a benchmark of that name through. */
bool pg_plan_selects(const struct pg_plan_args *args, const char *name);

/** Limits only, for comparing stored files: the configuration if there is one (or must be, when config_path
 * is set). */
PG_MUST_CHECK bool pg_plan_limits(const char *config_path, const struct pg_option_list *thresholds,
                                  struct pg_plan **ret, struct pg_error *err);

#endif
