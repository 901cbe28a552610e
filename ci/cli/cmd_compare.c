// SPDX-License-Identifier: MIT
/*
 * cmd_compare.c - perfgate compare: gate two stored files, measure nothing.
 */
#include "ci/cli/command.h"

#include "ci/cli/outputs.h"
#include "ci/cli/plan.h"
#include "ci/cli/reproduce.h"

struct compare_args {
        const char *config_path;
        struct pg_option_list thresholds;
        struct pg_output_args output;
        bool strict, fail_on_warn;
};

#define AT(field) offsetof(struct compare_args, field)

static const struct pg_option options[] = {
        { PG_OPTION_TEXT, 'c', "config", AT(config_path), "FILE",
          "limits (default perfgate.json where there is one)", NULL, 0 },
        { PG_OPTION_LIST, 't', "threshold", AT(thresholds), "METRIC=LIMIT",
          "how much worse it may get, e.g. peak_heap=5%; repeatable", NULL, 0 },
        { PG_OPTION_TEXT, 'o', "output", AT(output.output_dir), "DIR",
          "also write result.json and summary.md there", NULL, 0 },
        PG_OUTPUT_OPTIONS(AT(output)),
        { PG_OPTION_FLAG, 0, "strict", AT(strict), NULL, "inconclusive is exit status 4", NULL, 0 },
        { PG_OPTION_FLAG, 0, "fail-on-warn", AT(fail_on_warn), NULL, "warnings are exit status 3", NULL, 0 },
        { .type = PG_OPTION_END },
};

static bool compare_files(const struct compare_args *args, char **argv, const char *base_path,
                          const char *head_path, enum pg_exit *ret, struct pg_error *err)
{
        PG_AUTO_PLAN struct pg_plan *plan = NULL;
        PG_AUTO_SNAPSHOT struct pg_snapshot *base = NULL, *head = NULL;
        PG_AUTO_GATE struct pg_gate *gate = NULL;
        PG_AUTO_BUF struct pg_buf command = { 0 };
        if (!pg_plan_limits(args->config_path, &args->thresholds, &plan, err) ||
            !pg_snapshot_load(base_path, &base, err) || !pg_snapshot_load(head_path, &head, err) ||
            !pg_reproduce(argv, &command, err))
                return false;
        plan->gate.strict = args->strict;
        plan->gate.fail_on_warn = args->fail_on_warn;
        if ((args->output.output_dir && !pg_outputs_prepare(args->output.output_dir, err)) ||
            !pg_gate_judge(base, head, &plan->gate, &gate, err))
                return false;
        *ret = (enum pg_exit)gate->exit_code;
        const struct pg_report r = {
                .gate = gate,
                .base = base,
                .head = head,
                .baseline_path = base_path,
                .reproduce = command.data,
                .exit_code = gate->exit_code,
        };
        return pg_outputs_write(&r, &args->output, err);
}

static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        struct compare_args args = { 0 };
        int rest = argc;
        bool dashes, stop = false;
        if (!pg_command_options(&pg_command_compare, argc, argv, &args, &rest, &dashes, &stop, err) || stop)
                return err->code == PG_OK;
        if (argc - rest != 2)
                return pg_fail(err, PG_EUSAGE, "compare takes two files, got %d: perfgate compare BASE HEAD",
                               argc - rest);
        return compare_files(&args, argv, argv[rest], argv[rest + 1], ret, err);
}

const struct pg_command pg_command_compare = {
        .name = "compare",
        .synopsis = "[OPTIONS] BASE HEAD",
        .summary = "Gate two stored files (baselines or results) without measuring",
        .details = "",
        .options = options,
        .run = run,
};
