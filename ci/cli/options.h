// SPDX-License-Identifier: MIT
/*
 * options.h - command-line options as rows of a table: one row feeds the parser, --help and the tests.
 *
 * Parsing is getopt_long's; the table says where a value goes and which values are right.
 */
#ifndef PG_CLI_OPTIONS_H
#define PG_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/buf.h"
#include "runner/base/error.h"

enum pg_option_type {
        PG_OPTION_END,      // closes a table
        PG_OPTION_FLAG,     // bool
        PG_OPTION_TEXT,     // const char *
        PG_OPTION_LIST,     // struct pg_option_list; repeatable
        PG_OPTION_COUNT,    // uint32_t, at least min
        PG_OPTION_DURATION, // uint64_t nanoseconds
        PG_OPTION_CHOICE,   // int: index into choices
};

enum { PG_OPTION_LIST_MAX = 64 };

struct pg_option_list {
        const char *values[PG_OPTION_LIST_MAX + 1]; // NULL-terminated
        size_t n;
};

struct pg_option {
        enum pg_option_type type;
        char letter; // 0: none
        const char *name;
        size_t offset;              // of the value in the command's argument struct
        const char *value;          // how --help calls the value; NULL for flags
        const char *help;           // one line
        const char *const *choices; // NULL-terminated, for CHOICE
        uint32_t min;               // for COUNT
};

/**
 * Reads options up to the first word that is none, or "--".
 *
 * options  closed by a row of type PG_OPTION_END; --help is understood in addition
 * args     the command's argument struct, defaults filled in
 * ret_rest index in argv of the first word behind the options
 * ret_dashes true when that word stood behind "--"
 * ret_help true when --help was given: nothing else matters then
 * err      PG_EUSAGE: unknown option (with the nearest one), missing or wrong value
 */
PG_MUST_CHECK bool pg_options_parse(const struct pg_option *options, int argc, char **argv, void *args,
                                    int *ret_rest, bool *ret_dashes, bool *ret_help, struct pg_error *err);

/** The options' part of a help text. */
void pg_options_help(const struct pg_option *options, struct pg_buf *out);

#endif
