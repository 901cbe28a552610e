// SPDX-License-Identifier: MIT
/*
 * cmd_record.c - perfgate record: profiles of one command, without a gate.
 *
 * The command runs once for each pass and has the standard streams to itself; what perfgate has to say comes on
 * standard error, behind it. A command that fails was still profiled: what it left is written, and the exit status
 * says that it failed.
 */
#include "ci/cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ci/cli/measure_all.h"
#include "ci/cli/outputs.h"
#include "ci/cli/reproduce.h"
#include "ci/cli/stop.h"
#include "runner/base/file.h"
#include "runner/base/units.h"

struct record_args {
        const char *output_dir, *metrics;
        struct pg_sampling_args sampling;
        bool folded, quiet;
};

#define AT(field)       offsetof(struct record_args, field)
#define SAMPLING(field) (AT(sampling) + offsetof(struct pg_sampling_args, field))

static const struct pg_option options[] = {
        { PG_OPTION_TEXT, 'o', "output", AT(output_dir), "DIR", "where the profiles go; must be given", NULL,
          0 },
        { PG_OPTION_TEXT, 'm', "metrics", AT(metrics), "LIST",
          "comma-separated, e.g. cpu_share (default: all that a CPU and a heap profile hold)", NULL, 0 },
        PG_SAMPLING_OPTIONS(AT(sampling)),
        { PG_OPTION_COUNT, 0, "rate", SAMPLING(rate_hz), "HZ", "samples per second of CPU time (default 997)",
          NULL, 1 },
        { PG_OPTION_FLAG, 0, "all-stacks", SAMPLING(all_stacks), NULL,
          "also keep stacks under 0.001 % of every value", NULL, 0 },
        { PG_OPTION_FLAG, 0, "folded", AT(folded), NULL,
          "also write each profile as .folded, for flame graph tools", NULL, 0 },
        { PG_OPTION_FLAG, 'q', "quiet", AT(quiet), NULL, "do not say what was written", NULL, 0 },
        { .type = PG_OPTION_END },
};

static bool parse(int argc, char **argv, struct record_args *args, char ***ret_command, bool *ret_help,
                  struct pg_error *err)
{
        int rest = argc;
        bool dashes = false;
        if (!pg_command_options(&pg_command_record, argc, argv, args, &rest, &dashes, ret_help, err) ||
            *ret_help)
                return err->code == PG_OK;
        if (rest < argc && !dashes)
                return pg_fail(err, PG_EUSAGE,
                               "unexpected word '%.80s'; the command to record stands behind --", argv[rest]);
        if (rest == argc)
                return pg_fail(err, PG_EUSAGE,
                               "a command is missing: perfgate record -o DIR -- COMMAND ARG...");
        if (!args->output_dir)
                return pg_fail(err, PG_EUSAGE, "-o DIR is missing: where shall the profiles go?");
        *ret_command = argv + rest;
        struct pg_measure_options unused = { 0 };
        return pg_sampling_apply(&args->sampling, &unused, err);
}

/* One process for each pass, for as long as it likes. */
static bool make_plan(const struct record_args *args, char **command, struct pg_plan **ret,
                      struct pg_error *err)
{
        struct pg_plan_args plan_args = PG_PLAN_ARGS_INIT;
        plan_args.command = command;
        plan_args.metrics = args->metrics;
        if (!pg_plan_make(&plan_args, ret, err))
                return false;
        struct pg_workload *w = &(*ret)->workloads[0];
        w->runs = 1;
        w->warmup = 0;
        w->timeout_ns = 0;
        for (int i = 0; !args->metrics && i < PG_METRIC_COUNT; i++)
                w->metrics[i] = pg_metrics[i].on_by_default && (pg_metrics[i].pass == PG_PASS_ALLOCATION ||
                                                                pg_metrics[i].pass == PG_PASS_PROFILE);
        return true;
}

static unsigned count_passes(const struct pg_workload *w)
{
        bool made[PG_METRIC_COUNT] = { false };
        unsigned n = 0;
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                enum pg_pass pass = pg_metrics[i].pass;
                if (!w->metrics[i] || pass == PG_PASS_NONE || made[pass])
                        continue;
                made[pass] = true;
                n++;
        }
        return n;
}

/* What came through a pipe is gone after the first pass; a file is read again. */
static void warn_of_pipe(const struct pg_workload *w)
{
        struct stat st;
        if (count_passes(w) > 1 && fstat(0, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
                fputs("perfgate: standard input is a pipe: only the first pass can read it; give a file, or "
                      "record one "
                      "profile at a time with --metrics\n",
                      stderr);
}

/* ---- afterwards ---- */

static bool save_result(const struct record_args *args, char **argv, const struct pg_measured_all *m,
                        const struct pg_gate *gate, enum pg_exit status, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf json = { 0 }, command = { 0 };
        if (!pg_reproduce(argv, &command, err))
                return false;
        const struct pg_report r = {
                .gate = gate,
                .head = m->snapshot,
                .profiles = m->profiles,
                .reproduce = command.data,
                .exit_code = (int)status,
                .error = m->failure,
        };
        if (!pg_report_json(&r, &json, err))
                return false;
        PG_AUTO_FREE char *path = pg_path_join(args->output_dir, "result.json");
        if (!path)
                return pg_fail_nomem(err);
        return pg_file_replace(path, json.data, json.len, err) || pg_context(err, "%s", path);
}

/* Words for one and for any other number. */
struct words {
        const char *one, *many;
};

static const char *choose(const struct words *w, uint64_t n)
{
        return n == 1 ? w->one : w->many;
}

/* lost: what became of those that were. */
static void say_written(const struct record_args *args, const char *file, const struct pg_stack_quality *q,
                        struct words events, struct words lost)
{
        if (!file)
                return;
        uint64_t broken = q->truncated + q->unknown + q->other;
        fprintf(stderr, "perfgate: %s/%s: %" PRIu64 " %s", args->output_dir, file, q->events,
                choose(&events, q->events));
        if (q->events)
                fprintf(stderr, ", %.2f %% of the stacks complete",
                        100.0 * (double)(q->events > broken ? q->events - broken : 0) / (double)q->events);
        if (q->lost)
                fprintf(stderr, "; %" PRIu64 " %s", q->lost, choose(&lost, q->lost));
        fputs("\n", stderr);
}

/* What of the heap profile is estimated, and from what. Where stacks are sampled, live blocks are as well. */
static void say_intervals(const struct record_args *args, const char *file, const struct pg_measurement *b)
{
        struct pg_measure_options asked = { 0 };
        struct pg_error none = { 0 };
        char text[PG_NUMBER_MAX];
        if (!file || !pg_sampling_apply(&args->sampling, &asked, &none))
                return;
        uint64_t each = asked.stack_interval_bytes,
                 live = b->stacks[PG_STACKS_ALLOCATION].live_interval_bytes;
        if (!each && !live)
                return;
        fprintf(stderr, "perfgate: %s/%s: values of single stacks are estimates:", args->output_dir, file);
        if (each)
                fprintf(stderr, " allocations from a sample each %s", pg_format_size(each, text));
        if (asked.live != PG_LIVE_OFF)
                fprintf(stderr, "%s live bytes from a sample each %s", each ? "," : "",
                        pg_format_size(live > each ? live : each, text));
        fputs("\n", stderr);
}

static void say_unavailable(const struct pg_measurement *m)
{
        const char *last = NULL;
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                const struct pg_series *s = &m->series[i];
                if (s->status == PG_SERIES_UNAVAILABLE && s->reason != last)
                        fprintf(stderr, "perfgate: no %s: %s\n", pg_metrics[i].name, s->reason);
                last = s->status == PG_SERIES_UNAVAILABLE ? s->reason : last;
        }
}

static void say(const struct record_args *args, const struct pg_measured_all *m)
{
        if (m->snapshot->n_benchmarks == 0 || args->quiet)
                return;
        const struct pg_measurement *b = &m->snapshot->benchmarks[0];
        const struct words samples = { "sample", "samples" }, allocations = { "allocation", "allocations" },
                           waits = { "lock event", "lock events" },
                           lost = { "more was lost", "more were lost" },
                           stackless = { "live block is in no stack", "live blocks are in no stack" };
        say_written(args, m->profiles[0].cpu, &b->stacks[PG_STACKS_CPU], samples, lost);
        say_written(args, m->profiles[0].heap, &b->stacks[PG_STACKS_ALLOCATION], allocations, stackless);
        say_intervals(args, m->profiles[0].heap, b);
        say_written(args, m->profiles[0].locks, &b->stacks[PG_STACKS_LOCK], waits, lost);
        say_unavailable(b);
        for (size_t i = 0; b->notes && b->notes[i]; i++)
                fprintf(stderr, "perfgate: %s\n", b->notes[i]);
        if (b->profile_doubt)
                fprintf(stderr, "perfgate: doubtful CPU profile: %s%s\n", b->profile_doubt,
                        strcmp(b->engines.cpu, "agent") == 0 ? " (--engine perf may see all of it)" : "");
        if (m->failure && (m->profiles[0].cpu || m->profiles[0].heap || m->profiles[0].locks))
                fputs("perfgate: the command failed; the profiles hold what it did until then\n", stderr);
}

/* A profile that failed its self-check is written, but is no measurement. */
static bool is_measured(const struct pg_measurement *m, int metric)
{
        if (m->series[metric].status != PG_SERIES_MEASURED)
                return false;
        return metric != PG_CPU_SHARE || !m->profile_doubt;
}

static bool is_any_measured(const struct pg_snapshot *s)
{
        for (int i = 0; s->n_benchmarks && i < PG_METRIC_COUNT; i++)
                if (is_measured(&s->benchmarks[0], i))
                        return true;
        return false;
}

/* The folder holds one recording. One that profiled nothing leaves an older one's profiles alone. */
static bool remove_older(const struct record_args *args, const struct pg_measured_all *m, enum pg_exit status,
                         struct pg_error *err)
{
        const struct pg_report_profiles none = { 0 };
        const struct pg_report_profiles *p = m->snapshot->n_benchmarks ? &m->profiles[0] : &none;
        if (status != PG_EXIT_PASS && !p->cpu && !p->heap && !p->locks && !p->lock_holders)
                return true;
        return pg_profiles_remove_others(args->output_dir, p, args->folded, err);
}

static bool finish(const struct record_args *args, char **argv, const struct pg_plan *plan,
                   const struct pg_measured_all *m, enum pg_exit *ret, struct pg_error *err)
{
        PG_AUTO_GATE struct pg_gate *gate = NULL;
        if (!pg_stop_check(err) || !pg_gate_judge(NULL, m->snapshot, &plan->gate, &gate, err))
                return false;
        *ret = m->failure                                             ? PG_EXIT_TARGET
               : is_any_measured(m->snapshot) && gate->exit_code == 0 ? PG_EXIT_PASS
                                                                      : PG_EXIT_NOTHING;
        if (!save_result(args, argv, m, gate, *ret, err) || !remove_older(args, m, *ret, err))
                return false;
        say(args, m);
        return true;
}

static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        struct record_args args = { 0 };
        char **command = NULL;
        bool help = false;
        if (!parse(argc, argv, &args, &command, &help, err) || help)
                return err->code == PG_OK;
        PG_AUTO_PLAN struct pg_plan *plan = NULL;
        struct pg_measured_all m;
        const struct pg_measure_all_args measuring = {
                .output_dir = args.output_dir,
                .quiet = true,
                .record = true,
                .folded = args.folded,
                .sampling = args.sampling,
        };
        if (!make_plan(&args, command, &plan, err) || !pg_outputs_prepare(args.output_dir, err))
                return false;
        warn_of_pipe(&plan->workloads[0]);
        if (!pg_measure_all(plan, &measuring, &m, err))
                return false;
        bool ok = finish(&args, argv, plan, &m, ret, err);
        pg_snapshot_destroy(m.snapshot);
        return ok;
}

const struct pg_command pg_command_record = {
        .name = "record",
        .synopsis = "-o DIR [OPTIONS] -- COMMAND ARG...",
        .summary = "Write CPU and heap profiles of a command, without a gate",
        .details =
                "Runs COMMAND once for each profile and writes DIR/cpu.pb.gz, DIR/heap.pb.gz (pprof, with "
                "whole\n"
                "stacks) and DIR/result.json. COMMAND has standard input, output and error to itself.\n"
                "Live bytes in the heap profile are those at the peak. DIR holds one recording: profiles of\n"
                "an earlier one are replaced or removed.\n",
        .options = options,
        .run = run,
};
