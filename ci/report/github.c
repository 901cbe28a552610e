// SPDX-License-Identifier: MIT
/*
 * github.c - annotations of GitHub Actions: an error for each regression, a warning for each warning, on the
 * culprit's source line where that is inside the checked-out tree.
 *
 * GitHub shows ten annotations of each level and drops the rest without a word, so the tenth sums up what
 * does not fit.
 */
#include <string.h>
#include <unistd.h>

#include "ci/report/cells.h"
#include "ci/report/escape.h"

enum { SHOWN = 10 }; // per level and step

struct page {
        const struct pg_report *report;
        const char *root; // absolute, "" when unknown
        struct pg_arena *arena;
        struct pg_buf *out;
        size_t total, done; // of the level that is being put
        bool failed;
};

/* ---- source files ---- */

/* The path without "." and ".." and doubled slashes; NULL when it leaves its start, or out of memory. */
static const char *normal(struct page *p, const char *path)
{
        char *out = pg_arena_calloc(p->arena, strlen(path) + 2, 1);
        if (!out) {
                p->failed = true;
                return NULL;
        }
        size_t n = 0;
        for (const char *at = path; *at;) {
                size_t len = strcspn(at, "/");
                if (len == 2 && memcmp(at, "..", 2) == 0) {
                        if (n == 0)
                                return NULL;
                        while (n && out[--n] != '/')
                                ;
                } else if (len && !(len == 1 && *at == '.')) {
                        if (n || *path == '/')
                                out[n++] = '/';
                        memcpy(out + n, at, len);
                        n += len;
                }
                at += len + (at[len] == '/');
        }
        out[n] = '\0';
        return out;
}

static bool has_control(const char *s)
{
        for (; *s; s++)
                if ((unsigned char)*s < ' ' || *s == 0x7f)
                        return true;
        return false;
}

/*
 * A name that leads out of the folder that it is relative to: compilers that run in a build folder of the checkout are
 * given such ones ("../src/a.c", by Meson). What is behind the ".." is taken when the root has it; NULL when not.
 */
static const char *seen_from_build_folder(struct page *p, const char *file)
{
        while (strncmp(file, "../", 3) == 0)
                file += 3;
        const char *path = normal(p, file);
        if (!path || !*path || *path == '/' || !*p->root)
                return NULL;
        const char *there = pg_arena_printf(p->arena, "%s/%s", p->root, path);
        p->failed |= !there;
        return there && access(there, F_OK) == 0 ? path : NULL;
}

/* The file relative to the root; NULL when it is not in it, or has a name that no annotation can carry. */
static const char *inside(struct page *p, const char *file)
{
        if (has_control(file))
                return NULL;
        if (strncmp(file, "../", 3) == 0)
                return seen_from_build_folder(p, file);
        const char *path = normal(p, file), *root = normal(p, p->root);
        if (!path || !*path || *path != '/')
                return path && *path ? path : NULL;
        size_t n = root ? strlen(root) : 0;
        return n && strncmp(path, root, n) == 0 && path[n] == '/' && path[n + 1] ? path + n + 1 : NULL;
}

/* ---- annotations ---- */

static void put_head(struct page *p, const char *level, const char *file, uint32_t line, const char *title)
{
        pg_buf_printf(p->out, "::%s ", level);
        if (file) {
                pg_buf_puts(p->out, "file=");
                pg_put_command(p->out, file, true);
                if (line)
                        pg_buf_printf(p->out, ",line=%u", (unsigned)line);
                pg_buf_putc(p->out, ',');
        }
        pg_buf_puts(p->out, "title=");
        pg_put_command(p->out, title, true);
        pg_buf_puts(p->out, "::");
}

static void put_plain(struct page *p, const char *level, const char *title, const char *message)
{
        const char *t = pg_printable(p->arena, title), *m = pg_printable(p->arena, message);
        p->failed |= !t || !m;
        if (!t || !m)
                return;
        put_head(p, level, NULL, 0, t);
        pg_put_command(p->out, m, false);
        pg_buf_putc(p->out, '\n');
}

/* "12,000 -> 18,100 (+50.8 %, limit +1 %); by intern 8,000 -> 12,000" */
static const char *message_of(struct page *p, const struct pg_row *row, const struct pg_cells *c)
{
        PG_AUTO_BUF struct pg_buf text = { 0 };
        if (row->has_baseline && row->has_current)
                pg_buf_printf(&text, "%s -> %s (%s%s%s)", c->baseline, c->current, c->change,
                              *c->limit ? ", limit " : "", c->limit);
        else if (row->has_current)
                pg_buf_printf(&text, "%s (limit %s)", c->current, c->limit);
        if (c->reason)
                pg_buf_printf(&text, "%s%s", text.len ? "; " : "", c->reason);
        for (size_t i = 0; i < row->n_culprits && i < 3 && row->metric != PG_CPU_SHARE; i++) {
                const struct pg_culprit *culprit = &row->culprits[i];
                const char *function = pg_printable(p->arena, culprit->function);
                const char *place = pg_culprit_place(p->arena, culprit);
                const char *by = pg_culprit_change(p->arena, row->metric, culprit);
                p->failed |= !function || !place || !by;
                pg_buf_printf(&text, "%s%s%s%s %s", i ? ", " : "; by ", function ? function : "",
                              place && *place ? " " : "", place ? place : "", by ? by : "");
        }
        const char *estimate = pg_culprit_estimate(p->arena, row);
        p->failed |= !estimate;
        if (estimate && *estimate)
                pg_buf_printf(&text, "; %s", estimate);
        const char *s = text.failed ? NULL : pg_arena_strdup(p->arena, text.data ? text.data : "");
        p->failed |= !s;
        return s ? s : "";
}

/* The worst culprit whose source is in the tree. */
static const char *place_of(struct page *p, const struct pg_row *row, uint32_t *ret_line)
{
        for (size_t i = 0; i < row->n_culprits; i++) {
                const struct pg_culprit *c = &row->culprits[i];
                const char *file = c->file ? inside(p, c->file) : NULL;
                if (file) {
                        *ret_line = c->line;
                        return file;
                }
        }
        return NULL;
}

static void put_row(struct page *p, const char *level, const struct pg_benchmark_verdict *b,
                    const struct pg_row *row)
{
        struct pg_cells c;
        struct pg_error err = { 0 };
        const char *name = pg_printable(p->arena, b->name);
        if (!name || !pg_cells_of(p->arena, row, &c, &err)) {
                p->failed = true;
                return;
        }
        const char *title = pg_arena_printf(p->arena, "%s: %s", name, c.label);
        uint32_t line = 0;
        const char *file = place_of(p, row, &line);
        p->failed |= !title;
        put_head(p, level, file, line, title ? title : "");
        pg_put_command(p->out, message_of(p, row, &c), false);
        pg_buf_putc(p->out, '\n');
}

/* An inconclusive row is a warning here: GitHub knows no third level. */
static bool is_of_level(const struct pg_row *row, bool errors)
{
        return row->weighs && (errors ? row->verdict == PG_FAIL
                                      : row->verdict == PG_WARN || row->verdict == PG_INCONCLUSIVE);
}

/* True when the next annotation of this level has a place of its own. */
static bool next(struct page *p)
{
        return p->done++ < (p->total > SHOWN ? SHOWN - 1 : SHOWN);
}

static bool warns(const struct pg_benchmark_verdict *b)
{
        return b->reason && b->verdict != PG_PASS;
}

static size_t count(const struct pg_gate *g, bool errors)
{
        size_t n = errors ? g->n_fail : g->n_warn + g->n_inconclusive;
        for (size_t i = 0; !errors && i < g->n_benchmarks; i++)
                n += warns(&g->benchmarks[i]);
        return n;
}

/* What is said about the run as a whole takes one place of its level. */
static void put_run(struct page *p, bool errors)
{
        const struct pg_report *r = p->report;
        const char *what = r->error ? r->error : r->gate ? r->gate->reason : NULL;
        if (!what || errors != (r->exit_code != 0))
                return;
        p->total++;
        (void)next(p);
        put_plain(p, errors ? "error" : "warning", "perfgate", what);
}

static void put_level(struct page *p, bool errors)
{
        static const struct pg_gate no_gate;
        const struct pg_gate *g = p->report->gate ? p->report->gate : &no_gate;
        const char *level = errors ? "error" : "warning";
        p->total = count(g, errors);
        p->done = 0;
        put_run(p, errors);
        for (size_t i = 0; i < g->n_benchmarks; i++) {
                const struct pg_benchmark_verdict *b = &g->benchmarks[i];
                for (size_t k = 0; k < b->n_rows; k++)
                        if (is_of_level(&b->rows[k], errors) && next(p))
                                put_row(p, level, b, &b->rows[k]);
                if (!errors && warns(b) && next(p))
                        put_plain(p, level, b->name, b->reason);
        }
        if (p->total <= SHOWN)
                return;
        const char *rest = pg_arena_printf(p->arena, "%zu more %ss, all in summary.md and result.json",
                                           p->total - (SHOWN - 1), level);
        p->failed |= !rest;
        put_plain(p, level, "perfgate", rest ? rest : "");
}

bool pg_report_github(const struct pg_report *r, const char *root, struct pg_buf *out, struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *arena = pg_arena_create();
        if (!arena)
                return pg_fail_nomem(err);
        struct page p = { .report = r, .root = root ? root : "", .arena = arena, .out = out };
        put_level(&p, true);
        put_level(&p, false);
        return p.failed ? pg_fail_nomem(err) : pg_buf_ok(out, err);
}
