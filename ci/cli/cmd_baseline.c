// SPDX-License-Identifier: MIT
/*
 * cmd_baseline.c - perfgate baseline refresh|show|verify: make a baseline again, look into one, check one.
 *
 * A refresh never touches limits (they are in perfgate.json), and never lays a run that regressed over a good
 * baseline unless it is told why; the reason is kept in the file.
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
#include "runner/base/units.h"

struct baseline_args {
        struct pg_plan_args plan;
        struct pg_output_args output;
        const char *baseline_path, *accept;
};

#define AT(field) offsetof(struct baseline_args, field)

static const struct pg_option options[] = {
        { PG_OPTION_TEXT, 'b', "baseline", AT(baseline_path), "FILE", "the file (default main.json)", NULL,
          0 },
        { PG_OPTION_TEXT, 'a', "accept", AT(accept), "WHY",
          "refresh: take a run that regressed all the same, and keep the reason", NULL, 0 },
        PG_PLAN_OPTIONS(AT(plan)),
        PG_OUTPUT_OPTIONS(AT(output)),
        { .type = PG_OPTION_END },
};

/* ---- refresh ---- */

static bool load_if_there(const char *path, struct pg_snapshot **ret, struct pg_error *err)
{
        *ret = NULL;
        if (pg_snapshot_load(path, ret, err))
                return true;
        if (err->code != PG_EOS || err->os_errno != ENOENT)
                return false;
        *err = (struct pg_error){ 0 };
        return true;
}

/* "parse-large allocations +12.0 %, ..." of the rows that fail. */
static void summarize(const struct pg_gate *gate, struct pg_buf *out)
{
        for (size_t i = 0; i < gate->n_benchmarks; i++)
                for (size_t j = 0; j < gate->benchmarks[i].n_rows; j++) {
                        const struct pg_row *row = &gate->benchmarks[i].rows[j];
                        if (row->verdict != PG_FAIL)
                                continue;
                        char change[PG_NUMBER_MAX];
                        if (row->metric == PG_CPU_SHARE)
                                snprintf(change, sizeof(change), "%+.1f pp", row->change);
                        else
                                pg_format_change(row->change, change);
                        pg_buf_printf(out, "%s%s %s%s%s", out->len ? ", " : "", gate->benchmarks[i].name,
                                      pg_metrics[row->metric].name, row->function ? " " : "",
                                      row->function ? row->function : "");
                        pg_buf_printf(out, row->module ? " (%s) %s" : "%s %s", row->module ? row->module : "",
                                      change);
                }
}

static bool add_acceptance(struct pg_snapshot *s, const struct pg_gate *gate, const char *why,
                           struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf summary = { 0 };
        summarize(gate, &summary);
        s->accepted = pg_arena_grow(s->arena, s->accepted, s->n_accepted, sizeof(*s->accepted));
        if (!pg_buf_ok(&summary, err) || !s->accepted)
                return pg_fail_nomem(err);
        struct pg_acceptance *a = &s->accepted[s->n_accepted++];
        a->reason = pg_arena_strdup(s->arena, why);
        a->time = s->created;
        a->summary = pg_arena_strdup(s->arena, summary.data ? summary.data : "");
        return (a->reason && a->summary) || pg_fail_nomem(err);
}

/* Reasons that the old baseline holds stay in the new one. */
static bool keep_acceptances(struct pg_snapshot *s, const struct pg_snapshot *old, struct pg_error *err)
{
        for (size_t i = 0; old && i < old->n_accepted; i++) {
                const struct pg_acceptance *from = &old->accepted[i];
                s->accepted = pg_arena_grow(s->arena, s->accepted, s->n_accepted, sizeof(*s->accepted));
                if (!s->accepted)
                        return pg_fail_nomem(err);
                struct pg_acceptance *to = &s->accepted[s->n_accepted++];
                to->reason = pg_arena_strdup(s->arena, from->reason);
                to->time = pg_arena_strdup(s->arena, from->time);
                to->summary = pg_arena_strdup(s->arena, from->summary);
                if (!to->reason || !to->time || !to->summary)
                        return pg_fail_nomem(err);
        }
        return true;
}

/* A metric that the configuration names and that could not be measured: such a baseline would never gate it.
 */
static bool lacks_required(const struct pg_plan *plan, const struct pg_snapshot *s)
{
        for (size_t i = 0; i < plan->n; i++) {
                const struct pg_measurement *m = pg_snapshot_find(s, plan->gates[i].name);
                for (int metric = 0; m && metric < PG_METRIC_COUNT; metric++)
                        if (plan->gates[i].required[metric] &&
                            m->series[metric].status == PG_SERIES_UNAVAILABLE)
                                return true;
        }
        return false;
}

static enum pg_exit decide(const struct baseline_args *args, const struct pg_plan *plan,
                           const struct pg_measured_all *m, const struct pg_gate *gate, bool has_old)
{
        if (m->failure)
                return PG_EXIT_TARGET;
        if (has_old && gate->exit_code == PG_EXIT_REGRESSION && !args->accept)
                return PG_EXIT_REGRESSION;
        return lacks_required(plan, m->snapshot) ? PG_EXIT_NOTHING : PG_EXIT_PASS;
}

static bool show_gate(const struct baseline_args *args, char **argv, const struct pg_snapshot *old,
                      const struct pg_measured_all *m, const struct pg_gate *gate, enum pg_exit status,
                      struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf command = { 0 };
        if (!pg_reproduce(argv, &command, err))
                return false;
        const struct pg_report r = {
                .gate = gate,
                .base = old,
                .head = m->snapshot,
                .baseline_path = args->baseline_path,
                .reproduce = command.data,
                .exit_code = (int)status,
                .error = m->failure,
        };
        return pg_outputs_write(&r, &args->output, err);
}

/* existed: there was a file before. */
static void say_what_happened(const struct baseline_args *args, const struct pg_snapshot *s, bool existed,
                              enum pg_exit status)
{
        const char *path = args->baseline_path;
        const char *unwritten = existed ? "was left as it is" : "was not written";
        switch (status) {
        case PG_EXIT_PASS:
                if (!args->output.quiet)
                        fprintf(stderr, "perfgate: %s holds %zu benchmark%s\n", path, s->n_benchmarks,
                                pg_plural(s->n_benchmarks));
                return;
        case PG_EXIT_REGRESSION:
                fprintf(stderr,
                        "perfgate: %s %s: this run is worse; to take it all the same: "
                        "--accept \"why\"\n",
                        path, unwritten);
                return;
        case PG_EXIT_NOTHING:
                fprintf(stderr,
                        "perfgate: %s %s: a metric that the configuration names could not be "
                        "measured\n",
                        path, unwritten);
                return;
        default:
                fprintf(stderr, "perfgate: %s %s: a target failed\n", path, unwritten);
        }
}

static bool judge_and_save(const struct baseline_args *args, char **argv, const struct pg_plan *plan,
                           const struct pg_snapshot *old, const struct pg_measured_all *m, enum pg_exit *ret,
                           struct pg_error *err)
{
        PG_AUTO_GATE struct pg_gate *gate = NULL;
        if (!pg_stop_check(err) || !pg_gate_judge(old, m->snapshot, &plan->gate, &gate, err))
                return false;
        *ret = decide(args, plan, m, gate, old != NULL);
        bool regressed = old && gate->exit_code == PG_EXIT_REGRESSION;
        if (!show_gate(args, argv, old, m, gate, *ret, err) || !keep_acceptances(m->snapshot, old, err) ||
            (regressed && args->accept && !add_acceptance(m->snapshot, gate, args->accept, err)))
                return false;
        if (*ret == PG_EXIT_PASS && !pg_baseline_save(args->baseline_path, m->snapshot, err))
                return pg_context(err, "baseline '%s'", args->baseline_path);
        say_what_happened(args, m->snapshot, old != NULL, *ret);
        return true;
}

/* One command must not replace a file that holds other benchmarks as well. */
static bool check_command(const struct baseline_args *args, const struct pg_plan *plan,
                          const struct pg_snapshot *old, struct pg_error *err)
{
        for (size_t i = 0; args->plan.command && old && i < old->n_benchmarks; i++)
                if (strcmp(old->benchmarks[i].name, plan->workloads[0].name) != 0)
                        return pg_fail(err, PG_EUSAGE,
                                       "baseline refresh: %s holds '%.80s' too, which would be lost; refresh "
                                       "it by its configuration",
                                       args->baseline_path, old->benchmarks[i].name);
        return true;
}

static bool refresh(struct baseline_args *args, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        PG_AUTO_PLAN struct pg_plan *plan = NULL;
        PG_AUTO_SNAPSHOT struct pg_snapshot *old = NULL;
        if (args->plan.filters.n)
                return pg_fail(err, PG_EUSAGE,
                               "baseline refresh measures all benchmarks: --filter would drop the others");
        if (!pg_plan_make(&args->plan, &plan, err) || !load_if_there(args->baseline_path, &old, err) ||
            !check_command(args, plan, old, err))
                return false;
        if (!pg_outputs_probe_file("--baseline", args->baseline_path, err))
                return false;
        const struct pg_measure_all_args measuring = { .quiet = args->output.quiet };
        struct pg_measured_all m;
        if (!pg_measure_all(plan, &measuring, &m, err))
                return false;
        bool ok = judge_and_save(args, argv, plan, old, &m, ret, err);
        pg_snapshot_destroy(m.snapshot);
        return ok;
}

/* ---- show, verify ---- */

static void put_head(const struct pg_snapshot *s, const char *path, struct pg_buf *out)
{
        pg_buf_printf(out, "%s: made %s by perfgate %s", path, s->created, s->tool_version);
        if (s->commit)
                pg_buf_printf(out, " of commit %.12s", s->commit);
        pg_buf_printf(out, "\non %s, %u core%s, %s, %s\n", s->host.cpu_model, s->host.cores,
                      pg_plural(s->host.cores), s->host.kernel, s->host.libc);
        for (size_t i = 0; i < s->n_accepted; i++)
                pg_buf_printf(out, "accepted %s: %s (%s)\n", s->accepted[i].time, s->accepted[i].reason,
                              s->accepted[i].summary);
        pg_buf_putc(out, '\n');
}

/* The measured values as a report without a baseline shows them. */
static bool show(struct baseline_args *args, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        (void)argv, (void)ret;
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        PG_AUTO_GATE struct pg_gate *gate = NULL;
        PG_AUTO_BUF struct pg_buf out = { 0 };
        if (!pg_snapshot_load(args->baseline_path, &s, err))
                return false;
        const struct pg_gate_options judging = { .thresholds = pg_default_thresholds };
        if (!pg_gate_judge(NULL, s, &judging, &gate, err))
                return false;
        put_head(s, args->baseline_path, &out);
        const struct pg_report r = { .gate = gate, .head = s };
        const struct pg_text_style style = pg_terminal_style((enum pg_color)args->output.color, true);
        return pg_report_text(&r, &style, &out, err) && pg_write_output(&out, err);
}

static bool verify(struct baseline_args *args, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        (void)argv, (void)ret;
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        if (!pg_snapshot_load(args->baseline_path, &s, err))
                return false;
        size_t samples = 0, functions = 0;
        for (size_t i = 0; i < s->n_benchmarks; i++) {
                for (int metric = 0; metric < PG_METRIC_COUNT; metric++)
                        samples += s->benchmarks[i].series[metric].n;
                functions += s->benchmarks[i].n_functions;
        }
        printf("%s is a sound baseline: %zu benchmark%s, %zu sample%s, %zu function%s\n", args->baseline_path,
               s->n_benchmarks, pg_plural(s->n_benchmarks), samples, pg_plural(samples), functions,
               pg_plural(functions));
        return true;
}

/* ---- dispatch ---- */

static const struct {
        const char *name;
        bool (*run)(struct baseline_args *args, char **argv, enum pg_exit *ret, struct pg_error *err);
        bool measures;
} actions[] = {
        { "refresh", refresh, true },
        { "show", show, false },
        { "verify", verify, false },
};
enum { N_ACTIONS = sizeof(actions) / sizeof(*actions) };

static bool unknown_action(const char *word, struct pg_error *err)
{
        const char *names[N_ACTIONS + 1] = { NULL };
        for (int i = 0; i < N_ACTIONS; i++)
                names[i] = actions[i].name;
        const char *near = pg_nearest(word, names);
        return pg_fail(err, PG_EUSAGE,
                       "baseline: unknown action '%.60s'%s%s%s; expected refresh, show or verify", word,
                       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* argv[0] is "baseline", argv[1] the action; options may stand on both sides of it. */
static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        struct baseline_args args = { .plan = PG_PLAN_ARGS_INIT, .baseline_path = "main.json" };
        int rest = argc, more = 0;
        bool dashes, stop = false;
        if (!pg_command_options(&pg_command_baseline, argc, argv, &args, &rest, &dashes, &stop, err) || stop)
                return err->code == PG_OK;
        if (rest == argc)
                return pg_fail(err, PG_EUSAGE, "baseline: an action is missing: refresh, show or verify");
        char **action = argv + rest;
        if (!pg_command_options(&pg_command_baseline, argc - rest, action, &args, &more, &dashes, &stop,
                                err) ||
            stop)
                return err->code == PG_OK;
        for (int i = 0; i < N_ACTIONS; i++) {
                if (strcmp(actions[i].name, action[0]) != 0)
                        continue;
                if (action[more] && !(dashes && actions[i].measures))
                        return pg_fail(err, PG_EUSAGE, "baseline %s: unexpected word '%.80s'", action[0],
                                       action[more]);
                args.plan.command = action[more] ? action + more : NULL;
                return actions[i].run(&args, argv, ret, err);
        }
        return unknown_action(action[0], err);
}

const struct pg_command pg_command_baseline = {
        .name = "baseline",
        .synopsis = "refresh|show|verify [OPTIONS]",
        .summary = "Make a baseline again, look into one, check one",
        .details = "  refresh   measures the configured benchmarks and replaces the file; limits stay "
                   "untouched, and\n"
                   "            a run that is worse than the old baseline is refused without --accept\n"
                   "  show      what the file holds\n"
                   "  verify    reads all of it and says whether it is sound\n",
        .options = options,
        .run = run,
};
