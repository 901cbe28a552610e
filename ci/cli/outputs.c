// SPDX-License-Identifier: MIT
/*
 * outputs.c - one report in every place that wants it; files are replaced, never half written.
 */
#include "ci/cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/base/file.h"

const char *const pg_format_choices[] = { "text", "json", "markdown", "github", NULL };

static const char *github_root(void)
{
        const char *root = getenv("GITHUB_WORKSPACE");
        return root && *root ? root : ".";
}

static bool format_report(const struct pg_report *r, const struct pg_output_args *args, struct pg_buf *b,
                          struct pg_error *err)
{
        struct pg_text_style style = pg_terminal_style((enum pg_color)args->color, args->verbose);
        switch ((enum pg_format)args->format) {
        case PG_FORMAT_TEXT:
                return pg_report_text(r, &style, b, err);
        case PG_FORMAT_JSON:
                return pg_report_json(r, b, err);
        case PG_FORMAT_MARKDOWN:
                return pg_report_markdown(r, b, err);
        case PG_FORMAT_GITHUB:
                return pg_report_github(r, github_root(), b, err);
        }
        return false;
}

bool pg_outputs_prepare(const char *output_dir, struct pg_error *err)
{
        if (!pg_mkdirs(output_dir, err))
                return pg_context(err, "--output");
        PG_AUTO_FREE char *probe = pg_path_join(output_dir, ".perfgate-XXXXXX");
        if (!probe)
                return pg_fail_nomem(err);
        PG_AUTO_CLOSE int fd = mkostemp(probe, O_CLOEXEC);
        if (fd < 0)
                return pg_fail_os(err, "--output: cannot write in folder '%s'", output_dir);
        unlink(probe);
        return true;
}

bool pg_outputs_probe_file(const char *option, const char *path, struct pg_error *err)
{
        PG_AUTO_FREE char *folder = strdup(path), *probe = NULL;
        if (!folder)
                return pg_fail_nomem(err);
        char *slash = strrchr(folder, '/');
        if (slash)
                slash[slash == folder ? 1 : 0] = '\0';
        probe = pg_path_join(slash ? folder : ".", ".perfgate-XXXXXX");
        if (!probe)
                return pg_fail_nomem(err);
        PG_AUTO_CLOSE int fd = mkostemp(probe, O_CLOEXEC);
        if (fd < 0)
                return pg_fail_os(err, "%s: cannot write '%s'", option, path);
        unlink(probe);
        return true;
}

static bool save(const char *folder, const char *name, const struct pg_buf *b, struct pg_error *err)
{
        PG_AUTO_FREE char *path = pg_path_join(folder, name);
        if (!path)
                return pg_fail_nomem(err);
        return pg_file_replace(path, b->data, b->len, err) || pg_context(err, "%s", path);
}

static bool save_all(const struct pg_report *r, const char *folder, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf json = { 0 }, markdown = { 0 };
        return pg_report_json(r, &json, err) && pg_report_markdown(r, &markdown, err) &&
               save(folder, "result.json", &json, err) && save(folder, "summary.md", &markdown, err);
}

/* The runner shows what is appended to this file; a run must not fail because it cannot be written. */
static void append_step_summary(const struct pg_report *r)
{
        const char *path = getenv("GITHUB_STEP_SUMMARY");
        if (!path || !*path)
                return;
        PG_AUTO_BUF struct pg_buf b = { 0 };
        struct pg_error err = { 0 };
        PG_AUTO_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
                pg_fail_os(&err, "cannot open");
        else if (pg_report_markdown(r, &b, &err) && write(fd, b.data, b.len) != (ssize_t)b.len)
                pg_fail_os(&err, "cannot write");
        if (err.code != PG_OK)
                fprintf(stderr, "perfgate: step summary '%s': %s\n", path, err.text);
}

static bool annotate(const struct pg_report *r, const struct pg_output_args *args, struct pg_error *err)
{
        const char *actions = getenv("GITHUB_ACTIONS");
        if (!actions || strcmp(actions, "true") != 0)
                return true;
        append_step_summary(r);
        if (args->format == PG_FORMAT_GITHUB) // they are on standard output already
                return true;
        PG_AUTO_BUF struct pg_buf b = { 0 };
        if (!pg_report_github(r, github_root(), &b, err))
                return false;
        if (b.len) // the runner reads them on either stream; standard output may be somebody's JSON
                fwrite(b.data, 1, b.len, stderr);
        return true;
}

bool pg_outputs_write(const struct pg_report *r, const struct pg_output_args *args, struct pg_error *err)
{
        if (args->output_dir && !save_all(r, args->output_dir, err))
                return false;
        if (!annotate(r, args, err))
                return false;
        if (args->quiet && args->format == PG_FORMAT_TEXT)
                return true;
        PG_AUTO_BUF struct pg_buf b = { 0 };
        return format_report(r, args, &b, err) && pg_write_output(&b, err);
}
