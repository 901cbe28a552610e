// SPDX-License-Identifier: MIT
/*
 * outputs.h - where a report goes: standard output, the output folder, the GitHub runner.
 */
#ifndef PG_CLI_OUTPUTS_H
#define PG_CLI_OUTPUTS_H

#include "ci/cli/terminal.h"

enum pg_format { PG_FORMAT_TEXT, PG_FORMAT_JSON, PG_FORMAT_MARKDOWN, PG_FORMAT_GITHUB };
extern const char *const pg_format_choices[];

struct pg_output_args {
        const char *output_dir; // NULL: nothing is written to files
        int format;             // enum pg_format
        int color;              // enum pg_color
        bool quiet, verbose;
};

/* Option rows for a struct pg_output_args at `base`; the folder's row is separate since not each command has
 * it. */
// clang-format off
#define PG_OUTPUT_OPTIONS(base)                                                                              \
        { PG_OPTION_CHOICE, 0, "format", (base) + offsetof(struct pg_output_args, format),                   \
          "FORMAT", "on standard output: text, json, markdown, github", pg_format_choices, 0 },              \
        { PG_OPTION_CHOICE, 0, "color", (base) + offsetof(struct pg_output_args, color),                     \
          "WHEN", "auto, always, never", pg_color_choices, 0 },                                              \
        { PG_OPTION_FLAG, 'q', "quiet", (base) + offsetof(struct pg_output_args, quiet),                     \
          NULL, "no progress, no table: only files, messages and the exit status", NULL, 0 },                \
        { PG_OPTION_FLAG, 'v', "verbose", (base) + offsetof(struct pg_output_args, verbose),                 \
          NULL, "also list what did not change", NULL, 0 }
// clang-format on

/** Makes the folder and proves that a file can be written there, before anything is measured. */
PG_MUST_CHECK bool pg_outputs_prepare(const char *output_dir, struct pg_error *err);

/** Proves that a file can be made where path is to be, before anything is measured; option is for the message. */
PG_MUST_CHECK bool pg_outputs_probe_file(const char *option, const char *path, struct pg_error *err);

/**
 * Writes result.json and summary.md into the folder, the step summary and annotations when a GitHub runner
 * asks for them by its environment, and the chosen format to standard output.
 */
PG_MUST_CHECK bool pg_outputs_write(const struct pg_report *r, const struct pg_output_args *args,
                                    struct pg_error *err);

#endif
