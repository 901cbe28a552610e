// SPDX-License-Identifier: MIT
/*
 * cmd_run.c - perfgate run: measure, judge against a baseline, write the results.
 *
 * Everything that can be wrong beforehand (options, configuration, baseline, output folder) is found before
 * the first target starts.
 */
#include "ci/cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ci/cli/measure_all.h"
#include "ci/cli/outputs.h"
#include "ci/cli/plan.h"
#include "ci/cli/reproduce.h"
#include "ci/cli/stop.h"

struct run_args {
        struct pg_plan_args plan;
        struct pg_output_args output;
        const char *baseline_path, *save_path;
        struct pg_sampling_args sampling;
        bool strict, fail_on_warn, allow_missing;
};

#define AT(field) offsetof(struct run_args, field)

static const struct pg_option options[] = {
        { PG_OPTION_TEXT, 'b', "baseline", AT(baseline_path), "FILE", "gate against this file", NULL, 0 },
        { PG_OPTION_TEXT, 's', "save-baseline", AT(save_path), "FILE",
          "keep this run as a baseline (not when it regressed)", NULL, 0 },
        PG_PLAN_OPTIONS(AT(plan)),
        PG_SAMPLING_OPTIONS(AT(sampling)),
        { PG_OPTION_TEXT, 'o', "output", AT(output.output_dir), "DIR",
          "where results go (default perfgate-out)", NULL, 0 },
        PG_OUTPUT_OPTIONS(AT(output)),
        { PG_OPTION_FLAG, 0, "strict", AT(strict), NULL, "inconclusive is exit status 4", NULL, 0 },
        { PG_OPTION_FLAG, 0, "fail-on-warn", AT(fail_on_warn), NULL, "warnings are exit status 3", NULL, 0 },
        { PG_OPTION_FLAG, 0, "allow-missing-baseline", AT(allow_missing), NULL,
          "measure and warn when the baseline does not exist", NULL, 0 },
        { .type = PG_OPTION_END },
};

/* ---- before measuring ---- */

static bool parse(int argc, char **argv, struct run_args *args, bool *ret_help, struct pg_error *err)
{
        int rest = argc;
        bool dashes = false;
        if (!pg_command_options(&pg_command_run, argc, argv, args, &rest, &dashes, ret_help, err) ||
            *ret_help)
                return err->code == PG_OK;
        if (rest < argc && !dashes)
                return pg_fail(err, PG_EUSAGE,
                               "unexpected word '%.80s'; the command to measure stands behind --",
                               argv[rest]);
        if (dashes && rest == argc)
                return pg_fail(err, PG_EUSAGE, "a command is missing behind --");
        if (rest < argc)
                args->plan.command = argv + rest;
        struct pg_measure_options unused = { 0 };
        return pg_sampling_apply(&args->sampling, &unused, err);
}

static bool baseline_is_missing(const struct pg_error *err)
{
        return err->code == PG_EOS && err->os_errno == ENOENT;
}

static bool tell_how_to_create(const struct run_args *args, char **argv)
{
        PG_AUTO_BUF struct pg_buf b = { 0 };
        struct pg_error ignored = { 0 };
        if (pg_reproduce_saving(argv, args->baseline_path, &b, &ignored))
                fprintf(stderr,
                        "perfgate: baseline '%s' does not exist; create it on the code to compare with:\n  "
                        "%s\n",
                        args->baseline_path, b.data);
        return true;
}

/* The baseline, or NULL when there is none and that is allowed; *ret_stop when it is not. */
static bool load_baseline(const struct run_args *args, char **argv, struct pg_snapshot **ret, bool *ret_stop,
                          struct pg_error *err)
{
        *ret = NULL;
        *ret_stop = false;
        if (!args->baseline_path || pg_snapshot_load(args->baseline_path, ret, err))
                return true;
        if (!baseline_is_missing(err))
                return false;
        *err = (struct pg_error){ 0 };
        tell_how_to_create(args, argv);
        *ret_stop = !args->allow_missing;
        return true;
}

/* A part of the benchmarks must not replace a file that holds the others as well. */
static bool check_save(const struct run_args *args, struct pg_error *err)
{
        PG_AUTO_SNAPSHOT struct pg_snapshot *old = NULL;
        struct pg_error none = { 0 };
        if (!args->save_path || args->plan.filters.n == 0 || !pg_snapshot_load(args->save_path, &old, &none))
                return true;
        for (size_t i = 0; i < old->n_benchmarks; i++)
                if (!pg_plan_selects(&args->plan, old->benchmarks[i].name))
                        return pg_fail(err, PG_EUSAGE,
                                       "--save-baseline: %s holds '%.80s', which --filter leaves out and "
                                       "which would be lost; name another file",
                                       args->save_path, old->benchmarks[i].name);
        return true;
}

/* A part of the benchmarks is gated against the same part of the baseline: the others are not gone. */
static void keep_selected(struct pg_snapshot *base, const struct run_args *args, const struct pg_plan *plan)
{
        size_t kept = 0;
        for (size_t i = 0; i < base->n_benchmarks; i++) {
                bool selected = args->plan.command
                                        ? strcmp(base->benchmarks[i].name, plan->workloads[0].name) == 0
                                        : pg_plan_selects(&args->plan, base->benchmarks[i].name);
                if (selected)
                        base->benchmarks[kept++] = base->benchmarks[i];
        }
        base->n_benchmarks = kept;
}

/* ---- after measuring ---- */

/*
 * The run's status: the gate's, worse when a target failed. Without a baseline nothing was compared: that is
 * a pass only where it was said to be wanted, by --save-baseline or --allow-missing-baseline.
 */
static enum pg_exit status_of(const struct run_args *args, const struct pg_gate *gate,
                              const struct pg_measured_all *m)
{
        enum pg_exit status = (enum pg_exit)gate->exit_code;
        bool wanted = args->save_path || args->allow_missing;
        if (!gate->has_base && status != PG_EXIT_REGRESSION && status != PG_EXIT_NOTHING)
                status = !wanted                                     ? PG_EXIT_NOTHING
                         : args->baseline_path && args->fail_on_warn ? PG_EXIT_WARNING
                                                                     : PG_EXIT_PASS;
        return m->failure ? pg_exit_worse(status, PG_EXIT_TARGET) : status;
}

/* Profiles in the order of the gate's benchmarks: the snapshot's, then those that only the baseline has. */
static bool align_profiles(const struct pg_gate *gate, const struct pg_measured_all *m,
                           struct pg_report_profiles **ret, struct pg_error *err)
{
        struct pg_report_profiles *profiles =
                pg_arena_calloc(gate->arena, gate->n_benchmarks, sizeof(*profiles));
        if (!profiles)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < gate->n_benchmarks; i++)
                if (gate->benchmarks[i].head)
                        profiles[i] = m->profiles[gate->benchmarks[i].head - m->snapshot->benchmarks];
        *ret = profiles;
        return true;
}

static bool save_baseline(const struct run_args *args, const struct pg_snapshot *s, enum pg_exit status,
                          struct pg_error *err)
{
        if (!args->save_path)
                return true;
        if (status == PG_EXIT_REGRESSION || status == PG_EXIT_TARGET || status == PG_EXIT_NOTHING ||
            s->n_benchmarks == 0) {
                fprintf(stderr, "perfgate: '%s' was not written: %s\n", args->save_path,
                        status == PG_EXIT_REGRESSION ? "the run regressed (perfgate baseline refresh "
                                                       "--accept \"why\" takes it all the same)"
                        : status == PG_EXIT_NOTHING  ? "nothing was evaluated"
                                                     : "a target failed");
                return true;
        }
        if (!pg_baseline_save(args->save_path, s, err))
                return pg_context(err, "baseline '%s'", args->save_path);
        if (!args->output.quiet)
                fprintf(stderr, "perfgate: baseline written to %s\n", args->save_path);
        return true;
}

static bool report(const struct run_args *args, char **argv, const struct pg_snapshot *base,
                   const struct pg_measured_all *m, const struct pg_gate *gate, enum pg_exit status,
                   struct pg_error *err)
{
        struct pg_report_profiles *profiles = NULL;
        PG_AUTO_BUF struct pg_buf command = { 0 };
        if (!align_profiles(gate, m, &profiles, err) || !pg_reproduce(argv, &command, err))
                return false;
        const struct pg_report r = {
                .gate = gate,
                .base = base,
                .head = m->snapshot,
                .baseline_path = args->baseline_path,
                .profiles = profiles,
                .reproduce = command.data,
                .exit_code = (int)status,
                .error = m->failure,
        };
        return pg_outputs_write(&r, &args->output, err);
}

static bool judge_and_report(const struct run_args *args, char **argv, struct pg_plan *plan,
                             const struct pg_snapshot *base, const struct pg_measured_all *m,
                             enum pg_exit *ret, struct pg_error *err)
{
        PG_AUTO_GATE struct pg_gate *gate = NULL;
        plan->gate.strict = args->strict;
        plan->gate.fail_on_warn = args->fail_on_warn;
        if (!pg_stop_check(err) || !pg_gate_judge(base, m->snapshot, &plan->gate, &gate, err))
                return false;
        *ret = status_of(args, gate, m);
        if (!report(args, argv, base, m, gate, *ret, err))
                return false;
        if (!base && !args->baseline_path && !args->save_path && !m->failure)
                fprintf(stderr,
                        "perfgate: no baseline was named: --save-baseline FILE keeps this run as one, "
                        "--baseline FILE compares with one\n");
        return save_baseline(args, m->snapshot, *ret, err);
}

static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        struct run_args args = { .plan = PG_PLAN_ARGS_INIT, .output = { .output_dir = "perfgate-out" } };
        bool stop = false;
        if (!parse(argc, argv, &args, &stop, err) || stop)
                return err->code == PG_OK;
        PG_AUTO_PLAN struct pg_plan *plan = NULL;
        PG_AUTO_SNAPSHOT struct pg_snapshot *base = NULL;
        if (!pg_plan_make(&args.plan, &plan, err) || !check_save(&args, err) ||
            !load_baseline(&args, argv, &base, &stop, err))
                return false;
        if (stop || plan->n == 0) {
                if (!stop)
                        fprintf(stderr, "perfgate: no benchmark has a name that --filter asks for\n");
                *ret = PG_EXIT_NOTHING;
                return true;
        }
        if (base)
                keep_selected(base, &args, plan);
        const struct pg_measure_all_args measuring = {
                .output_dir = args.output.output_dir,
                .quiet = args.output.quiet,
                .sampling = args.sampling,
        };
        struct pg_measured_all m;
        if (!pg_outputs_prepare(args.output.output_dir, err) ||
            (args.save_path && !pg_outputs_probe_file("--save-baseline", args.save_path, err)) ||
            !pg_measure_all(plan, &measuring, &m, err))
                return false;
        bool ok = judge_and_report(&args, argv, plan, base, &m, ret, err);
        pg_snapshot_destroy(m.snapshot);
        return ok;
}

const struct pg_command pg_command_run = {
        .name = "run",
        .synopsis = "[OPTIONS] [-- COMMAND ARG...]",
        .summary = "Measure benchmarks and gate them against a baseline",
        .details = "Measures the benchmarks of perfgate.json, or the one COMMAND. Each kind of number gets "
                   "process\n"
                   "runs of its own: timing runs carry nothing, counting runs carry the allocation counter,\n"
                   "profiling runs are sampled at 997 Hz of CPU time.\n",
        .options = options,
        .run = run,
};
