// SPDX-License-Identifier: MIT
/*
 * markdown.c - summary.md, which is also the step summary of GitHub Actions.
 *
 * Verdict and culprits first, a table of the rows that moved, everything else folded away. GitHub refuses a
 * step summary above 1 MiB as a whole, so rows end at ENOUGH and a line says how many were left out; culprits
 * belong to red rows, which come first. Every name is turned into entities: nothing from outside is markup.
 */
#include <string.h>

#include "ci/report/cells.h"
#include "ci/report/escape.h"
#include "runner/base/units.h"

enum { ENOUGH = 900 * 1024, MAX_CULPRITS = 10 };

struct page {
        const struct pg_report *report;
        struct pg_arena *arena;
        struct pg_buf *out;
        size_t left_out; // rows
        bool failed;
};

/* A code span, in which nothing but a back quote and, in a table, a bar has a meaning. Names that have one of
 * these, or that a span would trim, become entities instead. */
static void put_name(struct page *p, const char *s)
{
        enum { LONGEST = 300 };
        const char *safe = pg_printable(p->arena, s);
        const char *name = safe ? pg_shorten(p->arena, safe, LONGEST) : NULL;
        p->failed |= !name;
        if (!name)
                return;
        size_t n = strlen(name);
        bool span = n && !strpbrk(name, "`|\\") && name[0] != ' ' && name[n - 1] != ' ';
        pg_buf_puts(p->out, span ? "`" : "<code>");
        if (span)
                pg_buf_puts(p->out, name);
        else
                pg_put_markdown(p->out, name);
        pg_buf_puts(p->out, span ? "`" : "</code>");
}

static void put_text(struct page *p, const char *s)
{
        const char *safe = pg_printable(p->arena, s);
        p->failed |= !safe;
        pg_put_markdown(p->out, safe ? safe : "");
}

/* True when another row may be put. */
static bool has_room(struct page *p)
{
        bool room = p->out->len < ENOUGH;
        p->left_out += !room;
        return room;
}

static void put_place(struct page *p, const struct pg_culprit *c)
{
        const char *place = pg_culprit_place(p->arena, c);
        p->failed |= !place;
        if (!place || !*place)
                return;
        pg_buf_puts(p->out, c->file ? " at " : " ");
        if (c->file)
                put_name(p, place);
        else
                put_text(p, place);
}

/* ---- culprits ---- */

static void put_culprit(struct page *p, const struct pg_row *row, const struct pg_culprit *c)
{
        const char *numbers = pg_culprit_numbers(p->arena, row->metric, c, "→");
        p->failed |= !numbers;
        pg_buf_puts(p->out, "  - ");
        put_name(p, c->function);
        put_place(p, c);
        pg_buf_printf(p->out, ": %s\n", numbers ? numbers : "");
}

static void put_finding(struct page *p, const struct pg_benchmark_verdict *b, const struct pg_row *row)
{
        struct pg_cells c;
        struct pg_error err = { 0 };
        if (!pg_cells_of(p->arena, row, &c, &err)) {
                p->failed = true;
                return;
        }
        pg_buf_puts(p->out, "- ");
        put_name(p, b->name);
        pg_buf_puts(p->out, " ");
        put_name(p, c.label);
        if (*c.change)
                pg_buf_printf(p->out, " **%s**", c.change);
        if (*c.limit)
                pg_buf_printf(p->out, " (limit %s)", c.limit);
        if (row->reason) {
                pg_buf_puts(p->out, ": ");
                put_text(p, row->reason);
        }
        pg_buf_putc(p->out, '\n');
        for (size_t i = 0; i < row->n_culprits && i < MAX_CULPRITS; i++)
                put_culprit(p, row, &row->culprits[i]);
        if (row->n_culprits > MAX_CULPRITS)
                pg_buf_printf(p->out, "  - and %zu more\n", row->n_culprits - MAX_CULPRITS);
        const char *estimate = pg_culprit_estimate(p->arena, row);
        p->failed |= !estimate;
        if (estimate && *estimate)
                pg_buf_printf(p->out, "  - %s\n", estimate);
}

static void put_findings(struct page *p, enum pg_verdict verdict)
{
        const struct pg_gate *g = p->report->gate;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                for (size_t k = 0; k < g->benchmarks[i].n_rows; k++) {
                        const struct pg_row *row = &g->benchmarks[i].rows[k];
                        if (row->weighs && row->verdict == verdict && has_room(p))
                                put_finding(p, &g->benchmarks[i], row);
                }
}

static void put_benchmark_reasons(struct page *p)
{
        const struct pg_gate *g = p->report->gate;
        for (size_t i = 0; i < g->n_benchmarks; i++) {
                if (!g->benchmarks[i].reason || !has_room(p))
                        continue;
                pg_buf_puts(p->out, "- ");
                put_name(p, g->benchmarks[i].name);
                pg_buf_puts(p->out, " ");
                put_text(p, g->benchmarks[i].reason);
                pg_buf_putc(p->out, '\n');
        }
}

/* ---- tables ---- */

static const char *sign_of(const struct pg_row *row)
{
        if (!row->weighs)
                return "";
        return row->verdict == PG_FAIL ? "❌ " : row->verdict == PG_PASS ? "✅ " : "⚠️ ";
}

static bool moved(const struct pg_row *row)
{
        return pg_row_is_loud(row) || pg_row_is_better(row);
}

static void put_table_row(struct page *p, const struct pg_benchmark_verdict *b, const struct pg_row *row)
{
        struct pg_cells c;
        struct pg_error err = { 0 };
        if (!pg_cells_of(p->arena, row, &c, &err)) {
                p->failed = true;
                return;
        }
        pg_buf_puts(p->out, "| ");
        put_name(p, b->name);
        pg_buf_puts(p->out, " | ");
        put_name(p, c.label);
        pg_buf_printf(p->out, " | %s | %s | %s | %s | %s%s", c.baseline, c.current, c.change, c.limit,
                      sign_of(row), c.word);
        if (row->reason && !moved(row)) { // those that moved have said it above
                pg_buf_puts(p->out, ": ");
                put_text(p, row->reason);
        }
        pg_buf_puts(p->out, " |\n");
}

static size_t count_rows(const struct pg_gate *g, bool want_moved)
{
        size_t n = 0;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                for (size_t k = 0; k < g->benchmarks[i].n_rows; k++)
                        n += moved(&g->benchmarks[i].rows[k]) == want_moved;
        return n;
}

static void put_table(struct page *p, bool want_moved)
{
        const struct pg_gate *g = p->report->gate;
        pg_buf_puts(p->out, "\n| benchmark | metric | old | new | change | limit | verdict |\n"
                            "| :-- | :-- | --: | --: | --: | :-- | :-- |\n");
        for (size_t i = 0; i < g->n_benchmarks; i++)
                for (size_t k = 0; k < g->benchmarks[i].n_rows; k++) {
                        const struct pg_row *row = &g->benchmarks[i].rows[k];
                        if (moved(row) == want_moved && has_room(p))
                                put_table_row(p, &g->benchmarks[i], row);
                }
        pg_buf_putc(p->out, '\n');
}

static void put_rest(struct page *p)
{
        size_t n = count_rows(p->report->gate, false);
        if (!n)
                return;
        const char *other = count_rows(p->report->gate, true) ? "other " : "";
        pg_buf_printf(p->out, "<details><summary>%zu %smetric%s</summary>\n", n, other, pg_plural(n));
        put_table(p, false);
        pg_buf_puts(p->out, "</details>\n\n");
}

static void put_reproduce(struct page *p)
{
        if (!p->report->reproduce)
                return;
        pg_buf_puts(p->out, "Reproduce: ");
        put_name(p, p->report->reproduce);
        pg_buf_putc(p->out, '\n');
}

static void put_gate(struct page *p)
{
        const struct pg_gate *g = p->report->gate;
        size_t before = p->out->len;
        put_findings(p, PG_FAIL);
        put_findings(p, PG_INCONCLUSIVE);
        put_findings(p, PG_WARN);
        put_benchmark_reasons(p);
        if (count_rows(g, true))
                put_table(p, true);
        else if (p->out->len > before)
                pg_buf_putc(p->out, '\n');
        put_rest(p);
        if (p->left_out)
                pg_buf_printf(p->out, "%zu line%s left out here, `result.json` has all.\n\n", p->left_out,
                              p->left_out == 1 ? " was" : "s were");
}

bool pg_report_markdown(const struct pg_report *r, struct pg_buf *out, struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *arena = pg_arena_create();
        if (!arena)
                return pg_fail_nomem(err);
        struct page p = { .report = r, .arena = arena, .out = out };
        enum pg_verdict v = pg_report_verdict(r);
        const char *headline = pg_report_headline(arena, r);
        pg_buf_printf(out, "## %s perfgate: %s\n\n",
                      v == PG_PASS                    ? "✅"
                      : v == PG_FAIL || v == PG_ERROR ? "❌"
                                                      : "⚠️",
                      pg_report_word(r));
        put_text(&p, headline ? headline : "");
        if (r->exit_code)
                pg_buf_printf(out, " (exit %d)", r->exit_code);
        pg_buf_puts(out, "\n\n");
        if (r->gate)
                put_gate(&p);
        put_reproduce(&p);
        return p.failed || !headline ? pg_fail_nomem(err) : pg_buf_ok(out, err);
}
