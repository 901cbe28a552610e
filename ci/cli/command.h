// SPDX-License-Identifier: MIT
/*
 * command.h - the commands of perfgate: one file and one row in main.c each.
 */
#ifndef PG_CLI_COMMAND_H
#define PG_CLI_COMMAND_H

#include "ci/cli/options.h"

/* What a command's exit status says; interface for scripts. */
enum pg_exit {
        PG_EXIT_PASS = 0,
        PG_EXIT_ERROR = 1, // wrong usage, bad file, perfgate itself failed
        PG_EXIT_REGRESSION = 2,
        PG_EXIT_WARNING = 3, // with --fail-on-warn
        PG_EXIT_NOTHING = 4, // nothing was evaluated, or inconclusive with --strict
        PG_EXIT_TARGET = 5,  // a target failed
};

struct pg_command {
        const char *name;
        const char *synopsis; // behind "perfgate NAME "
        const char *summary;  // one line
        const char *details;  // further lines of its help, each ending in a line feed; "" for none
        const struct pg_option *options;
        /** argv[0] is the command's name. *ret is the exit status; false: err says what failed. */
        bool (*run)(int argc, char **argv, enum pg_exit *ret, struct pg_error *err);
};

extern const struct pg_command pg_command_run, pg_command_compare, pg_command_baseline, pg_command_record,
        pg_command_top, pg_command_doctor;

/** Parses the options of a command; true with *ret_help when help was asked for and printed. */
PG_MUST_CHECK bool pg_command_options(const struct pg_command *c, int argc, char **argv, void *args,
                                      int *ret_rest, bool *ret_dashes, bool *ret_help, struct pg_error *err);

/** The status that wins of two by the fixed order 1, 5, 2, 4, 3, 0. */
enum pg_exit pg_exit_worse(enum pg_exit a, enum pg_exit b);
/** What a status means, in words. */
const char *pg_exit_words(enum pg_exit e);

#endif
