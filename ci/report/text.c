// SPDX-License-Identifier: MIT
/*
 * text.c - the terminal's report, made for five seconds: verdict, worst culprit, then only what moved.
 *
 * Lines are collected first, so that columns are as wide as their widest cell and a column without any cell
 * takes no room. Benchmarks in which nothing moved share one line. Colour is help only: every line says the
 * same without it. Our own signs are ASCII, whatever the locale.
 */
#include <stdlib.h>
#include <string.h>

#include "ci/report/cells.h"
#include "ci/report/escape.h"
#include "runner/base/units.h"

enum { INDENT_ROW = 2, INDENT_DETAIL = 6, GAP = 2, MIN_WIDTH = 40, MIN_LABEL = 16 };
enum { MAX_CULPRITS = 5, MAX_QUIET_SHARES = 5, MAX_NOTES = 8, MAX_NAMED = 3 };

enum column { LABEL, BASELINE, CURRENT, CHANGE, LIMIT, WORD, COLUMNS };

struct line {
        enum { TITLE, GROUP, ROW, DETAIL, CULPRIT } kind;
        const char *cells[COLUMNS]; // GROUP and DETAIL have one; CULPRIT has function, place, numbers
        const char *colour;         // of the last cell (DETAIL: of all), NULL for none
};

struct page {
        const struct pg_report *report;
        const struct pg_text_style *style;
        struct pg_arena *arena;
        struct pg_buf *out;
        size_t width;
        struct line *lines;
        size_t n_lines;
        bool failed;      // out of memory; sticky
        struct line lost; // what is written to after that
};

static const char *const RED = "\033[31m", *const YELLOW = "\033[33m", *const GREEN = "\033[32m",
                         *const DIM = "\033[2m", *const BOLD = "\033[1m";

/* ---- small things ---- */

/* NULL after out of memory, which is sticky, becomes "". */
static const char *kept(struct page *p, const char *s)
{
        p->failed |= !s;
        return s ? s : "";
}

static void put_coloured(struct page *p, const char *colour, const char *s)
{
        bool on = p->style->color && colour && *s;
        if (on)
                pg_buf_puts(p->out, colour);
        pg_buf_puts(p->out, s);
        if (on)
                pg_buf_puts(p->out, "\033[0m");
}

static void put_spaces(struct page *p, size_t n)
{
        while (n--)
                pg_buf_putc(p->out, ' ');
}

static const char *verdict_colour(enum pg_verdict v)
{
        return v == PG_PASS ? GREEN : v == PG_FAIL || v == PG_ERROR ? RED : YELLOW;
}

static const char *row_colour(const struct pg_row *row)
{
        return row->weighs ? verdict_colour(row->verdict) : DIM;
}

/* How much of the text, which starts with a word, goes on a line that has n columns left; at least that word.
 */
static size_t fitting(const char *text, size_t n)
{
        size_t end = strcspn(text, " "), columns = 0;
        for (size_t i = 0; text[i]; i++) {
                columns += ((unsigned char)text[i] & 0xc0) != 0x80;
                if (columns > n)
                        break;
                if (text[i + 1] == ' ' || text[i + 1] == '\0')
                        end = i + 1 > end ? i + 1 : end;
        }
        return end;
}

/* A text broken between words at the page's width; its first line goes on at column `at`. */
static void put_wrapped(struct page *p, const char *text, size_t at, size_t indent, const char *colour)
{
        for (bool first = true; *text || first; first = false) {
                if (!first)
                        put_spaces(p, indent);
                size_t n = fitting(text, p->width - (first ? at : indent));
                put_coloured(p, colour, kept(p, pg_arena_strndup(p->arena, text, n)));
                pg_buf_putc(p->out, '\n');
                text += n + strspn(text + n, " ");
        }
}

/* ---- collecting lines ---- */

static struct line *add_line(struct page *p, int kind, const char *first)
{
        struct line *lines = pg_arena_grow(p->arena, p->lines, p->n_lines, sizeof(*lines));
        if (!lines) {
                p->failed = true;
                return &p->lost;
        }
        p->lines = lines;
        struct line *line = &lines[p->n_lines++];
        *line = (struct line){ .kind = kind, .cells = { first, "", "", "", "", "" } };
        return line;
}

static void add_detail(struct page *p, const char *text)
{
        add_line(p, DETAIL, kept(p, text))->colour = DIM;
}

/* Function and place share the room: both whole if they fit, else the shorter one whole, else half and half.
 */
static void shorten_both(struct page *p, const char **function, const char **place, size_t room)
{
        size_t f = pg_columns(*function), w = pg_columns(*place);
        if (f + w <= room)
                return;
        if (w <= room / 2)
                f = room - w;
        else if (f <= room / 2)
                w = room - f;
        else
                f = room - (w = room / 2);
        *function = kept(p, pg_shorten(p->arena, *function, f));
        *place = kept(p, pg_shorten(p->arena, *place, w));
}

/* A cpu_share row has the numbers and, shortened, the name already. */
static void add_share_culprit(struct page *p, const struct pg_culprit *c)
{
        const char *function = kept(p, pg_printable(p->arena, c->function));
        const char *place = kept(p, pg_culprit_place(p->arena, c));
        size_t room = p->width - INDENT_DETAIL - GAP;
        shorten_both(p, &function, &place, room);
        struct line *line = add_line(p, CULPRIT, function);
        line->cells[1] = place;
}

/* The numbers of a culprit; only their difference where names of that many columns leave no room for more. */
static const char *culprit_numbers(struct page *p, enum pg_metric metric, const struct pg_culprit *c,
                                   size_t names, size_t *ret_room)
{
        enum { LEAST = 2 * MIN_LABEL };
        size_t taken = INDENT_DETAIL + 2 * GAP + (names < LEAST ? names : LEAST);
        const char *numbers = kept(p, pg_culprit_numbers(p->arena, metric, c, "->"));
        if (taken + pg_columns(numbers) > p->width)
                numbers = kept(p, pg_culprit_change(p->arena, metric, c));
        taken = INDENT_DETAIL + 2 * GAP + pg_columns(numbers);
        *ret_room = p->width > taken + LEAST ? p->width - taken : LEAST;
        return numbers;
}

static void add_culprits(struct page *p, const struct pg_row *row)
{
        size_t n = row->n_culprits, shown = n > MAX_CULPRITS && !p->style->verbose ? MAX_CULPRITS : n;
        for (size_t i = 0; i < shown; i++) {
                const struct pg_culprit *c = &row->culprits[i];
                if (row->metric == PG_CPU_SHARE) {
                        add_share_culprit(p, c);
                        continue;
                }
                const char *function = kept(p, pg_printable(p->arena, c->function));
                const char *place = kept(p, pg_culprit_place(p->arena, c));
                size_t room, names = pg_columns(function) + pg_columns(place);
                const char *numbers = culprit_numbers(p, row->metric, c, names, &room);
                shorten_both(p, &function, &place, room);
                struct line *line = add_line(p, CULPRIT, function);
                line->cells[1] = place;
                line->cells[2] = numbers;
        }
        if (n > shown)
                add_detail(p, pg_arena_printf(p->arena, "and %zu more", n - shown));
        const char *estimate = kept(p, pg_culprit_estimate(p->arena, row));
        if (*estimate)
                add_detail(p, estimate);
}

static void add_row(struct page *p, const struct pg_row *row, bool with_reason)
{
        struct pg_cells c;
        struct pg_error err = { 0 };
        if (!pg_cells_of(p->arena, row, &c, &err)) {
                p->failed = true;
                return;
        }
        struct line *line = add_line(p, ROW, c.label);
        line->cells[BASELINE] = kept(p, pg_arena_strdup(p->arena, c.baseline));
        line->cells[CURRENT] = kept(p, pg_arena_strdup(p->arena, c.current));
        line->cells[CHANGE] = kept(p, pg_arena_strdup(p->arena, c.change));
        line->cells[LIMIT] = c.limit;
        line->cells[WORD] = p->report->gate->has_base || row->weighs ? c.word : "";
        line->colour = row_colour(row);
        if (with_reason && c.reason)
                add_detail(p, c.reason);
        add_culprits(p, row);
}

/* ---- what to show ---- */

static bool is_shown(const struct pg_row *row)
{
        return pg_row_is_loud(row) || pg_row_is_better(row);
}

static bool is_quiet(const struct pg_benchmark_verdict *b)
{
        if (b->verdict != PG_PASS || b->reason)
                return false;
        for (size_t i = 0; i < b->n_rows; i++)
                if (is_shown(&b->rows[i]))
                        return false;
        return true;
}

static bool unfolds_all(const struct page *p)
{
        return p->style->verbose || !p->report->gate->has_base || p->report->gate->n_benchmarks == 1;
}

static void add_benchmark(struct page *p, const struct pg_benchmark_verdict *b)
{
        const char *name = kept(p, pg_printable(p->arena, b->name));
        struct line *group = add_line(p, GROUP, kept(p, pg_shorten(p->arena, name, p->width)));
        group->colour = BOLD;
        if (b->reason)
                add_detail(p, b->reason);
        size_t shares = 0, folded = 0;
        for (size_t i = 0; i < b->n_rows; i++) {
                const struct pg_row *row = &b->rows[i];
                bool quiet = !is_shown(row), share = row->metric == PG_CPU_SHARE && row->function;
                bool show = !quiet || p->style->verbose ||
                            (unfolds_all(p) && row->status == PG_ROW_MEASURED &&
                             !(row->metric == PG_CPU_SHARE && !row->function) &&
                             !(share && shares++ >= MAX_QUIET_SHARES));
                if (show)
                        add_row(p, row, !quiet || p->style->verbose);
                else
                        folded += row->weighs;
        }
        if (folded)
                add_detail(p, pg_arena_printf(p->arena, "and %zu more within the limits", folded));
}

/* ---- printing lines ---- */

static bool is_number(int column)
{
        return column >= BASELINE && column <= CHANGE;
}

static void measure_columns(const struct page *p, size_t widths[COLUMNS])
{
        for (int c = 0; c < COLUMNS; c++) {
                bool used = false;
                for (size_t i = 0; i < p->n_lines; i++) {
                        const struct line *line = &p->lines[i];
                        if (line->kind != ROW && line->kind != TITLE)
                                continue;
                        size_t n = pg_columns(line->cells[c]);
                        used |= n && line->kind == ROW;
                        widths[c] = n > widths[c] ? n : widths[c];
                }
                if (!used)
                        widths[c] = 0;
        }
        size_t taken = INDENT_ROW;
        for (int c = BASELINE; c < COLUMNS; c++)
                taken += widths[c] ? widths[c] + GAP : 0;
        size_t room = p->width > taken + MIN_LABEL ? p->width - taken : MIN_LABEL;
        if (widths[LABEL] > room)
                widths[LABEL] = room;
}

static void put_cell(struct page *p, const char *s, size_t width, bool right, bool last, const char *colour)
{
        size_t n = pg_columns(s), pad = n < width ? width - n : 0;
        if (right)
                put_spaces(p, pad);
        put_coloured(p, colour, s);
        if (!right && !last)
                put_spaces(p, pad);
}

/* The last column that has text, so that no line ends in blanks. */
static int last_cell(const struct line *line, const size_t widths[COLUMNS])
{
        int last = COLUMNS - 1;
        while (last > 0 && (!widths[last] || !*line->cells[last]))
                last--;
        return last;
}

static void put_table_line(struct page *p, const struct line *line, const size_t widths[COLUMNS])
{
        int last = last_cell(line, widths);
        put_spaces(p, INDENT_ROW);
        for (int c = 0; c <= last; c++) {
                if (!widths[c])
                        continue;
                if (c > 0)
                        put_spaces(p, GAP);
                const char *s = c == LABEL ? kept(p, pg_shorten(p->arena, line->cells[c], widths[c]))
                                           : line->cells[c];
                put_cell(p, s, widths[c], is_number(c), c == last,
                         line->kind == TITLE ? DIM
                         : c == WORD         ? line->colour
                                             : NULL);
        }
        pg_buf_putc(p->out, '\n');
}

/* Culprits of one row stand in columns of their own; i is the first of them. Returns the line behind them. */
static size_t put_culprits(struct page *p, size_t i)
{
        size_t end = i, widths[2] = { 0 };
        for (; end < p->n_lines && p->lines[end].kind == CULPRIT; end++)
                for (int c = 0; c < 2; c++) {
                        size_t n = pg_columns(p->lines[end].cells[c]);
                        widths[c] = n > widths[c] ? n : widths[c];
                }
        size_t taken = INDENT_DETAIL + widths[0] + widths[1] + 2 * GAP;
        for (; i < end; i++) {
                const char *const *cells = p->lines[i].cells;
                bool fits = taken + pg_columns(cells[2]) <= p->width;
                put_spaces(p, INDENT_DETAIL);
                pg_buf_puts(p->out, cells[0]);
                for (int c = 1; c < 3; c++) {
                        if (!*cells[c])
                                continue;
                        size_t n = pg_columns(cells[c - 1]);
                        put_spaces(p, GAP + (fits && n < widths[c - 1] ? widths[c - 1] - n : 0));
                        pg_buf_puts(p->out, cells[c]);
                }
                pg_buf_putc(p->out, '\n');
        }
        return end;
}

static void put_lines(struct page *p)
{
        size_t widths[COLUMNS] = { 0 };
        measure_columns(p, widths);
        for (size_t i = 0, next; i < p->n_lines; i = next) {
                const struct line *line = &p->lines[i];
                next = i + 1;
                if (line->kind == TITLE || line->kind == ROW) {
                        put_table_line(p, line, widths);
                } else if (line->kind == CULPRIT) {
                        next = put_culprits(p, i);
                } else if (line->kind == GROUP) {
                        put_coloured(p, line->colour, line->cells[0]);
                        pg_buf_putc(p->out, '\n');
                } else {
                        put_spaces(p, INDENT_DETAIL);
                        put_wrapped(p, line->cells[0], INDENT_DETAIL, INDENT_DETAIL, line->colour);
                }
        }
}

/* ---- the parts of a page ---- */

/* "parse-large: allocations +50.8 %, by intern (/src/app/intern.c:64)"; NULL when nothing stands out. */
static const char *worst_text(struct page *p, size_t room)
{
        struct pg_worst worst = pg_report_worst(p->report);
        struct pg_cells c;
        struct pg_error err = { 0 };
        if (!worst.row || worst.row->status != PG_ROW_MEASURED)
                return NULL;
        if (!pg_cells_of(p->arena, worst.row, &c, &err))
                return kept(p, NULL);
        struct pg_arena *a = p->arena;
        const struct pg_culprit *culprit = worst.row->n_culprits ? &worst.row->culprits[0] : NULL;
        const char *name = pg_shorten(a, kept(p, pg_printable(a, worst.benchmark->name)), room / 2);
        const char *by = "", *at = "";
        if (culprit && worst.row->metric != PG_CPU_SHARE)
                by = pg_shorten(a, kept(p, pg_printable(a, culprit->function)), room - sizeof(", by"));
        if (culprit)
                at = pg_shorten(a, kept(p, pg_culprit_place(a, culprit)), room - sizeof("()"));
        return kept(p, pg_arena_printf(a, "%s: %s %s%s%s%s%s%s", kept(p, name),
                                       kept(p, pg_shorten(a, c.label, room)), c.change,
                                       *kept(p, by) ? ", by " : "", kept(p, by), *kept(p, at) ? " (" : "",
                                       kept(p, at), *kept(p, at) ? ")" : ""));
}

static void put_headline(struct page *p)
{
        enum pg_verdict v = pg_report_verdict(p->report);
        const char *word = pg_report_word(p->report),
                   *headline = kept(p, pg_report_headline(p->arena, p->report));
        size_t indent = strlen(word) + GAP;
        if (p->style->color)
                pg_buf_puts(p->out, BOLD);
        put_coloured(p, verdict_colour(v), word);
        put_spaces(p, GAP);
        if (p->report->exit_code)
                headline = kept(p, pg_arena_printf(p->arena, "%s (exit %d)", headline, p->report->exit_code));
        put_wrapped(p, headline, indent, indent, NULL);
        const char *worst = worst_text(p, p->width - indent);
        if (worst) {
                put_spaces(p, indent);
                put_wrapped(p, worst, indent, indent, NULL);
        }
}

static void put_table(struct page *p)
{
        const struct pg_gate *g = p->report->gate;
        struct line *title = add_line(p, TITLE, "");
        const char *const names[COLUMNS] = { "", "old", "new", "change", "limit", "verdict" };
        memcpy(title->cells, names, sizeof(names));
        if (!g->has_base)
                title->cells[CURRENT] = "measured";
        size_t before = p->n_lines;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                if (unfolds_all(p) || !is_quiet(&g->benchmarks[i]))
                        add_benchmark(p, &g->benchmarks[i]);
        if (p->n_lines == before)
                return;
        pg_buf_putc(p->out, '\n');
        put_lines(p);
}

/* "12 unchanged: a, b, c and 9 more" on one line. */
static void put_folded(struct page *p)
{
        const struct pg_gate *g = p->report->gate;
        size_t n = 0, named = 0;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                n += is_quiet(&g->benchmarks[i]);
        if (n == 0 || unfolds_all(p))
                return;
        PG_AUTO_BUF struct pg_buf text = { 0 };
        pg_buf_printf(&text, "%zu unchanged:", n);
        size_t room = p->width - sizeof(" and 1000000 more"), used = text.len;
        for (size_t i = 0; i < g->n_benchmarks; i++) {
                if (!is_quiet(&g->benchmarks[i]))
                        continue;
                const char *name = kept(p, pg_printable(p->arena, g->benchmarks[i].name));
                name = kept(p, pg_shorten(p->arena, name, room / 2));
                used += pg_columns(name) + 2;
                if (named && used > room)
                        break;
                pg_buf_printf(&text, "%s %s", named++ ? "," : "", name);
        }
        if (named < n)
                pg_buf_printf(&text, " and %zu more", n - named);
        p->failed |= text.failed;
        pg_buf_putc(p->out, '\n');
        put_coloured(p, GREEN, text.data ? text.data : "");
        pg_buf_putc(p->out, '\n');
}

/* ---- notes: reasons of rows that the table does not show, each said once ---- */

struct note {
        const char *reason;
        const struct pg_benchmark_verdict *benchmark;
        const struct pg_row *row;
};

static bool is_noted(const struct page *p, const struct pg_row *row)
{
        bool in_table = is_shown(row) || p->style->verbose;
        bool share_passed = row->function && row->verdict == PG_PASS;
        return row->reason && !in_table && !share_passed;
}

static int by_reason(const void *a, const void *b)
{
        const struct note *x = a, *y = b;
        int order = strcmp(x->reason, y->reason);
        if (order)
                return order;
        if (x->benchmark != y->benchmark)
                return x->benchmark < y->benchmark ? -1 : 1;
        return (x->row > y->row) - (x->row < y->row);
}

/* All notes, equal reasons side by side. */
static struct note *collect_notes(struct page *p, size_t *ret_n)
{
        const struct pg_gate *g = p->report->gate;
        struct note *notes = NULL;
        size_t n = 0;
        for (size_t i = 0; i < g->n_benchmarks; i++)
                for (size_t k = 0; k < g->benchmarks[i].n_rows; k++) {
                        const struct pg_row *row = &g->benchmarks[i].rows[k];
                        if (!is_noted(p, row))
                                continue;
                        struct note *more = pg_arena_grow(p->arena, notes, n, sizeof(*notes));
                        p->failed |= !more;
                        if (!more)
                                break;
                        notes = more;
                        notes[n++] = (struct note){ row->reason, &g->benchmarks[i], row };
                }
        if (n)
                qsort(notes, n, sizeof(*notes), by_reason);
        *ret_n = n;
        return notes;
}

/* "allocations, peak_heap of a; peak_heap of b and 3 more: statically linked" */
static void put_note(struct page *p, const struct note *notes, size_t n)
{
        PG_AUTO_BUF struct pg_buf text = { 0 };
        const struct pg_benchmark_verdict *last = NULL;
        size_t benchmarks = 0;
        for (size_t i = 0; i < n; i++) {
                const char *metric = pg_metrics[notes[i].row->metric].name;
                if (notes[i].benchmark == last) {
                        if (benchmarks <= MAX_NAMED && notes[i].row->metric != notes[i - 1].row->metric)
                                pg_buf_printf(&text, ", %s", metric);
                        continue;
                }
                last = notes[i].benchmark;
                if (++benchmarks > MAX_NAMED)
                        continue;
                const char *name = kept(p, pg_printable(p->arena, last->name));
                pg_buf_printf(&text, "%s%s: %s", benchmarks > 1 ? "; " : "",
                              pg_shorten(p->arena, name, p->width / 2), metric);
        }
        if (benchmarks > MAX_NAMED)
                pg_buf_printf(&text, "; and %zu more", benchmarks - MAX_NAMED);
        const char *reason = kept(p, pg_printable(p->arena, notes[0].reason));
        pg_buf_printf(&text, " - %s", reason);
        p->failed |= text.failed;
        put_wrapped(p, text.data ? text.data : "", 0, INDENT_ROW, DIM);
}

static void put_notes(struct page *p)
{
        size_t n, said = 0;
        const struct note *notes = collect_notes(p, &n);
        if (n)
                pg_buf_putc(p->out, '\n');
        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && strcmp(notes[k].reason, notes[i].reason) == 0;)
                        k++;
                if (said++ < MAX_NOTES)
                        put_note(p, notes + i, k - i);
        }
        if (said > MAX_NOTES)
                pg_buf_printf(p->out, "and %zu more note%s, all with --verbose\n", said - MAX_NOTES,
                              pg_plural(said - MAX_NOTES));
}

/* What measuring had to say of a benchmark beyond its numbers. */
static void put_remarks(struct page *p)
{
        const struct pg_gate *g = p->report->gate;
        bool first = true;
        for (size_t i = 0; i < g->n_benchmarks; i++) {
                const struct pg_measurement *head = g->benchmarks[i].head;
                for (const char *const *note = head ? head->notes : NULL; note && *note; note++) {
                        if (first)
                                pg_buf_putc(p->out, '\n');
                        first = false;
                        const char *name = pg_shorten(p->arena, kept(p, pg_printable(p->arena, head->name)),
                                                      p->width / 2);
                        const char *text = pg_printable(p->arena, *note);
                        put_wrapped(
                                p, kept(p, pg_arena_printf(p->arena, "%s: %s", kept(p, name), kept(p, text))),
                                0, INDENT_ROW, DIM);
                }
        }
}

static void put_reproduce(struct page *p)
{
        if (!p->report->reproduce)
                return;
        const char *command = kept(p, pg_printable(p->arena, p->report->reproduce));
        pg_buf_putc(p->out, '\n');
        put_coloured(p, DIM, "reproduce: ");
        pg_buf_printf(p->out, "%s\n", command); // one line, to be copied
}

bool pg_report_text(const struct pg_report *r, const struct pg_text_style *style, struct pg_buf *out,
                    struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *arena = pg_arena_create();
        if (!arena)
                return pg_fail_nomem(err);
        struct page p = { .report = r, .style = style, .arena = arena, .out = out };
        p.width = style->width > MIN_WIDTH ? style->width : MIN_WIDTH;
        put_headline(&p);
        if (r->gate && r->gate->n_benchmarks) {
                put_table(&p);
                put_folded(&p);
                put_notes(&p);
                put_remarks(&p);
        }
        put_reproduce(&p);
        return p.failed ? pg_fail_nomem(err) : pg_buf_ok(out, err);
}
