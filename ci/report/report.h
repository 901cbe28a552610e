// SPDX-License-Identifier: MIT
/*
 * report.h - what a gate found, for people and for machines: terminal table, result.json, Markdown, GitHub.
 *
 * Everything is formatted into buffers; only ci/cli writes them anywhere. Equal input gives equal bytes.
 */
#ifndef PG_CI_REPORT_H
#define PG_CI_REPORT_H

#include "compare/gate.h"
#include "runner/base/buf.h"

/* Profiles that were written for one benchmark, as paths relative to the output folder; NULL when not
 * written. */
struct pg_report_profiles {
        const char *cpu, *heap, *cpu_base, *heap_base;
        const char *locks, *lock_holders;
};

struct pg_report {
        const struct pg_gate *gate;
        const struct pg_snapshot *base; // NULL: none
        const struct pg_snapshot *head;
        const char *baseline_path;                 // as the user named it; NULL when there is none
        const struct pg_report_profiles *profiles; // one for each of gate->benchmarks, or NULL
        const char *reproduce; // a shell command that repeats this gate; NULL when there is none
        int exit_code;
        /* A target failed or perfgate did: verdict "error"; NULL else. */
        const char *error;
};

struct pg_text_style {
        bool color;
        bool verbose;   // unchanged benchmarks and metrics unfolded
        unsigned width; // columns of the terminal, 80 when unknown
};

PG_MUST_CHECK bool pg_report_text(const struct pg_report *r, const struct pg_text_style *style,
                                  struct pg_buf *out, struct pg_error *err);
/** result.json, schema perfgate.result.v1; pg_snapshot_parse reads it back. */
PG_MUST_CHECK bool pg_report_json(const struct pg_report *r, struct pg_buf *out, struct pg_error *err);
PG_MUST_CHECK bool pg_report_markdown(const struct pg_report *r, struct pg_buf *out, struct pg_error *err);
/**
 * Workflow commands: one annotation for each regressed or warned row, on the culprit's source line if it is in root.
 * root  absolute path of the checkout, or ""; looked into only for names that begin with "../"
 */
PG_MUST_CHECK bool pg_report_github(const struct pg_report *r, const char *root, struct pg_buf *out,
                                    struct pg_error *err);

#endif
