// SPDX-License-Identifier: MIT
/*
 * cmd_doctor.c - perfgate doctor: what this machine can measure; and whether a command notices it.
 */
#include "ci/cli/command.h"

#include "ci/cli/interference.h"
#include "ci/cli/machine.h"
#include "runner/base/clock.h"

struct doctor_args {
        bool interference;
        uint64_t timeout_ns;
};

#define AT(field) offsetof(struct doctor_args, field)

static const struct pg_option options[] = {
        { PG_OPTION_FLAG, 0, "interference", AT(interference), NULL,
          "run COMMAND bare and measured, and compare what it sees and does", NULL, 0 },
        { PG_OPTION_DURATION, 't', "timeout", AT(timeout_ns), "TIME",
          "end a run of COMMAND after TIME (default 60s)", NULL, 0 },
        { .type = PG_OPTION_END },
};

static bool check_words(const struct doctor_args *args, int argc, char **argv, int rest, bool dashes,
                        struct pg_error *err)
{
        if (rest < argc && !dashes)
                return pg_fail(err, PG_EUSAGE, "unexpected word '%.80s'; the command stands behind --",
                               argv[rest]);
        if (rest < argc && !args->interference)
                return pg_fail(err, PG_EUSAGE, "a command is for: perfgate doctor --interference -- COMMAND");
        if (rest == argc && args->interference)
                return pg_fail(err, PG_EUSAGE,
                               "a command is missing: perfgate doctor --interference -- "
                               "COMMAND");
        return true;
}

static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        struct doctor_args args = { .timeout_ns = 60ull * PG_NS_PER_S };
        int rest = argc;
        bool dashes = false, stop = false;
        if (!pg_command_options(&pg_command_doctor, argc, argv, &args, &rest, &dashes, &stop, err) || stop)
                return err->code == PG_OK;
        if (!check_words(&args, argc, argv, rest, dashes, err))
                return false;
        if (args.interference)
                return pg_interference((const char *const *)argv + rest, args.timeout_ns, ret, err);
        return pg_machine_report(err);
}

const struct pg_command pg_command_doctor = {
        .name = "doctor",
        .synopsis = "[--interference -- COMMAND ARG...]",
        .summary = "Tell what can be measured on this machine, and whether a command notices it",
        .details =
                "With --interference: COMMAND runs bare and in each kind of pass, and its exit status, "
                "output,\n"
                "descriptor numbers, errno, interrupted calls, block sizes, environment, threads and signals "
                "are\n"
                "compared. What differs between bare runs as well is not judged. Its standard input is "
                "empty.\n"
                "A program that prints its whole environment shows LD_PRELOAD and PERFGATE_AGENT, and "
                "differs.\n"
                "Exit status 1 when something differs, 4 when nothing of perfgate gets into the command.\n",
        .options = options,
        .run = run,
};
