// SPDX-License-Identifier: MIT
/*
 * test_report.c - every format over every hand-made report.
 *
 * The golden files under tests/golden/report were read by a person against the comments in cases.c; they keep
 * what was seen. `test_report --write` writes them anew after a change on purpose, to be read again in the
 * diff. The other tests hold whatever the reports look like.
 */
#include "tests/unit/assert_near.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/snapshot.h"
#include "runner/base/file.h"
#include "tests/unit/compare/made.h"
#include "ci/report/cells.h"
#include "tests/unit/report/cases.h"

#define FOLDER "tests/golden/report/"

static const struct pg_text_style plain = { .width = 80 };

static bool as_text(const struct pg_report *r, struct pg_buf *out, struct pg_error *err)
{
        return pg_report_text(r, &plain, out, err);
}

static bool as_github(const struct pg_report *r, struct pg_buf *out, struct pg_error *err)
{
        return pg_report_github(r, "/src/app", out, err);
}

static const struct format {
        const char *suffix;
        bool (*put)(const struct pg_report *r, struct pg_buf *out, struct pg_error *err);
} formats[] = {
        { "txt", as_text }, { "json", pg_report_json }, { "md", pg_report_markdown }, { "github", as_github }
};
enum { TEXT, JSON, MARKDOWN, GITHUB, FORMATS };

/* The report as a string, to be freed. */
static char *render(struct report_case *c, int format)
{
        struct pg_error err = { 0 };
        struct pg_buf out = { 0 };
        if (!formats[format].put(&c->report, &out, &err))
                fail_msg("%s.%s: %s", c->name, formats[format].suffix, err.text);
        char *s = pg_buf_steal(&out);
        assert_non_null(s);
        return s;
}

static void reports_are_what_was_read_and_found_good(void **state)
{
        (void)state;
        for (size_t i = 0; i < n_report_cases; i++) {
                struct report_case *c = &report_cases[i];
                case_open(c);
                for (int f = 0; f < FORMATS; f++) {
                        char path[128], *want;
                        size_t len;
                        struct pg_error err = { 0 };
                        snprintf(path, sizeof(path), FOLDER "%s.%s", c->name, formats[f].suffix);
                        if (!pg_file_read(path, 1 << 20, &want, &len, &err))
                                fail_msg("%s: %s", path, err.text);
                        char *got = render(c, f);
                        if (strcmp(got, want) != 0)
                                fail_msg("%s differs, it is now:\n%s", path, got);
                        free(got);
                        free(want);
                }
                case_close(c);
        }
}

/* ---- text ---- */

static size_t signs(const char *s, size_t n)
{
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
                count += ((unsigned char)s[i] & 0xc0) != 0x80;
        return count;
}

static void text_keeps_to_the_width_and_has_no_control_characters(void **state)
{
        (void)state;
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                for (unsigned width = 72; width <= 160; width += 8) {
                        struct pg_error err = { 0 };
                        struct pg_buf out = { 0 };
                        assert_true(pg_report_text(
                                &report_cases[i].report,
                                &(struct pg_text_style){ .width = width, .verbose = width % 16 }, &out,
                                &err));
                        for (const char *line = out.data; *line;) {
                                size_t n = strcspn(line, "\n");
                                bool copied = strncmp(line, "reproduce: ", 11) == 0; // one line on purpose
                                if (!copied && signs(line, n) > width)
                                        fail_msg("%s at %u: %.*s", report_cases[i].name, width, (int)n, line);
                                assert_true(n == 0 || line[n - 1] != ' ');
                                assert_int_not_equal(strncmp(line + strspn(line, " "), "::", 2), 0);
                                assert_null(strstr(line, "##["));
                                for (size_t k = 0; k < n; k++)
                                        assert_true((unsigned char)line[k] >= ' ' && line[k] != 0x7f);
                                line += n + (line[n] == '\n');
                        }
                        pg_buf_deinit(&out);
                }
                case_close(&report_cases[i]);
        }
}

/* Removes "\033[...m" in place. */
static void strip_colour(char *s)
{
        char *to = s;
        while (*s) {
                if (s[0] == '\033' && s[1] == '[') {
                        s += strcspn(s, "m") + 1;
                        continue;
                }
                *to++ = *s++;
        }
        *to = '\0';
}

static void colour_is_help_only(void **state)
{
        (void)state;
        for (size_t i = 0; i < n_report_cases; i++) {
                struct pg_error err = { 0 };
                struct pg_buf out = { 0 };
                case_open(&report_cases[i]);
                assert_true(pg_report_text(&report_cases[i].report,
                                           &(struct pg_text_style){ .color = true, .width = 80 }, &out,
                                           &err));
                assert_non_null(strstr(out.data, "\033["));
                strip_colour(out.data);
                char *want = render(&report_cases[i], TEXT);
                assert_string_equal(out.data, want);
                free(want);
                pg_buf_deinit(&out);
                case_close(&report_cases[i]);
        }
}

/* ---- result.json ---- */

static const char *const row_keys[] = { "baseline", "change", "culprits", "current", "interval", "kind",
                                        "limit",    "metric", "reason",   "status",  "unit",     "verdict" };

/* A remark is there only when it is true. */
static void check_culprit(const json_t *culprit)
{
        static const char *const keys[] = { "baseline", "change", "current", "file",
                                            "function", "line",   "module" };
        static const char *const remarks[] = { "estimated", "freed_at_once" };
        size_t n = sizeof(keys) / sizeof(*keys);
        for (size_t i = 0; i < n; i++)
                assert_non_null(json_object_get(culprit, keys[i]));
        for (size_t i = 0; i < sizeof(remarks) / sizeof(*remarks); i++) {
                const json_t *remark = json_object_get(culprit, remarks[i]);
                assert_true(!remark || json_is_true(remark));
                n += remark != NULL;
        }
        assert_int_equal(json_object_size(culprit), n);
}

static void check_row(const json_t *row)
{
        enum { N = sizeof(row_keys) / sizeof(*row_keys) };
        for (size_t i = 0; i < N; i++)
                assert_non_null(json_object_get(row, row_keys[i]));
        bool share = strcmp(json_string_value(json_object_get(row, "metric")), "cpu_share") == 0;
        assert_int_equal(json_object_size(row), N + share);
        size_t i;
        const json_t *culprit;
        json_array_foreach(json_object_get(row, "culprits"), i, culprit) check_culprit(culprit);
        const json_t *interval = json_object_get(row, "interval");
        assert_true(json_is_null(interval) || json_array_size(interval) == 2);
        if (strcmp(json_string_value(json_object_get(row, "status")), "unavailable") == 0) {
                assert_true(json_is_null(json_object_get(row, "current"))); // never 0
                assert_string_not_equal(json_string_value(json_object_get(row, "verdict")), "pass");
        }
}

static void results_have_the_keys_that_users_were_promised(void **state)
{
        (void)state;
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                char *text = render(&report_cases[i], JSON);
                json_t *result = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
                assert_non_null(result);
                assert_string_equal(json_string_value(json_object_get(result, "schema")),
                                    "perfgate.result.v1");
                assert_int_equal(json_integer_value(json_object_get(result, "exit_code")),
                                 report_cases[i].report.exit_code);
                assert_true(json_is_object(json_object_get(result, "host")));
                assert_true(json_is_object(json_object_get(result, "tool")));
                assert_true(json_is_string(json_object_get(result, "verdict")));
                size_t b, m;
                const json_t *benchmark, *row;
                json_array_foreach(json_object_get(result, "benchmarks"), b, benchmark)
                {
                        assert_true(json_is_object(json_object_get(benchmark, "engines")));
                        assert_true(json_is_object(json_object_get(benchmark, "profiles")));
                        json_array_foreach(json_object_get(benchmark, "metrics"), m, row) check_row(row);
                }
                json_decref(result);
                free(text);
                case_close(&report_cases[i]);
        }
}

static void results_can_be_read_back_and_gated_again(void **state)
{
        (void)state;
        struct report_case *c = &report_cases[2]; // "fail"
        case_open(c);
        char *text = render(c, JSON);
        struct pg_error err = { 0 };
        struct pg_snapshot *back;
        if (!pg_snapshot_parse("result.json", text, strlen(text), &back, &err))
                fail_msg("%s", err.text);
        assert_int_equal(back->n_benchmarks, c->head->n_benchmarks);
        struct pg_gate *g = made_gate(c->base, back, &c->options);
        struct report_case again = { .name = "again", .report = c->report };
        again.report.gate = g;
        again.report.head = back;
        char *text_again = render(&again, JSON);
        assert_string_equal(text_again, text);
        free(text_again);
        free(text);
        pg_gate_destroy(g);
        pg_snapshot_destroy(back);
        case_close(c);
}

static void a_rise_from_zero_has_no_finite_change(void **state)
{
        (void)state;
        struct report_case c = { .name = "zero", .base = made_snapshot(), .head = made_snapshot() };
        c.options = made_options();
        made_series(c.base, made_benchmark(c.base, "a"), PG_ALLOCATIONS, 0, 0);
        made_series(c.head, made_benchmark(c.head, "a"), PG_ALLOCATIONS, 5, 5);
        struct pg_gate *g = made_gate(c.base, c.head, &c.options);
        c.report = (struct pg_report){ .gate = g, .base = c.base, .head = c.head, .exit_code = g->exit_code };
        char *text = render(&c, JSON);
        assert_non_null(strstr(text, "\"change\": null"));
        assert_non_null(strstr(text, "\"reason\": \"the baseline is 0\""));
        free(text);
        case_close(&c);
}

/* ---- Markdown ---- */

/* Removes every occurrence of a tag that we write ourselves. */
static void remove_all(char *s, const char *what)
{
        for (char *at; (at = strstr(s, what));)
                memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

/* Removes code spans: inside them nothing is markup. A span ends on its line. */
static void remove_spans(char *s)
{
        for (char *at; (at = strchr(s, '`'));) {
                char *end = strpbrk(at + 1, "`|\n\r\033");
                assert_true(end && *end == '`');
                memmove(at, end + 1, strlen(end + 1) + 1);
        }
}

static void nothing_from_outside_is_markup(void **state)
{
        (void)state;
        static const char *const ours[] = { "<code>",    "</code>",    "<details>", "</details>",
                                            "<summary>", "</summary>", "<!-- -->" };
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                char *text = render(&report_cases[i], MARKDOWN);
                for (size_t k = 0; k < sizeof(ours) / sizeof(*ours); k++)
                        remove_all(text, ours[k]);
                remove_spans(text);
                assert_null(strpbrk(text, "<>@`\033\r"));
                char *save = NULL;
                for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                        if (*line != '|')
                                continue;
                        size_t bars = 0;
                        for (const char *p = line; *p; p++)
                                bars += *p == '|';
                        assert_int_equal(bars, 8); // seven cells
                }
                free(text);
                case_close(&report_cases[i]);
        }
}

/* Many benchmarks in one pair of snapshots, every one regressed. */
static void open_many(struct report_case *c, size_t n)
{
        *c = (struct report_case){ .name = "many", .base = made_snapshot(), .head = made_snapshot() };
        c->options = made_options();
        for (size_t i = 0; i < n; i++) {
                char name[240];
                snprintf(name, sizeof(name), "%0200zu", i);
                struct pg_measurement *b = made_benchmark(c->base, pg_arena_strdup(c->base->arena, name));
                struct pg_measurement *h = made_benchmark(c->head, pg_arena_strdup(c->head->arena, name));
                made_series(c->base, b, PG_ALLOCATIONS, 10, 10);
                made_series(c->head, h, PG_ALLOCATIONS, 20, 20);
                made_series(c->base, b, PG_CPU_TIME, 10, 11, 12);
                made_series(c->head, h, PG_CPU_TIME, 20, 21, 22);
        }
        struct pg_gate *g = made_gate(c->base, c->head, &c->options);
        c->report =
                (struct pg_report){ .gate = g, .base = c->base, .head = c->head, .exit_code = g->exit_code };
}

static void a_summary_stays_below_what_github_takes(void **state)
{
        (void)state;
        struct report_case c;
        open_many(&c, 5000);
        char *text = render(&c, MARKDOWN);
        assert_true(strlen(text) < 1024 * 1024);
        assert_true(strlen(text) > 800 * 1024); // and uses the room
        assert_non_null(strstr(text, "lines were left out here"));
        free(text);
        case_close(&c);
}

/* What people read names both; the keys of the file stay. */
static void functions_of_one_name_are_shown_with_their_modules(void **state)
{
        (void)state;
        struct report_case c;
        open_many(&c, 1);
        struct pg_row rows[] = { { .metric = PG_CPU_SHARE, .function = "update", .module = "liba.so" },
                                 { .metric = PG_CPU_SHARE, .function = "update", .module = "lib\033b.so" },
                                 { .metric = PG_CPU_SHARE, .function = "rest" } };
        const char *const labels[] = { "cpu_share update (liba.so)", "cpu_share update (lib\\x1bb.so)",
                                       "cpu_share rest" };
        for (size_t i = 0; i < 3; i++) {
                struct pg_cells cells;
                struct pg_error err = { 0 };
                assert_true(pg_cells_of(c.head->arena, &rows[i], &cells, &err));
                assert_string_equal(cells.label, labels[i]);
        }
        case_close(&c);
}

/* ---- annotations ---- */

static size_t count_lines(const char *text, const char *start)
{
        size_t n = 0;
        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
                n += strncmp(line, start, strlen(start)) == 0;
        return n;
}

static void annotations_are_few_and_each_is_one_command(void **state)
{
        (void)state;
        struct report_case c;
        open_many(&c, 30);
        char *text = render(&c, GITHUB);
        assert_int_equal(count_lines(text, "::error "), 10);
        assert_int_equal(count_lines(text, "::warning "), 10);
        assert_int_equal(count_lines(text, ""), 20);
        assert_non_null(strstr(text, "::21 more errors")); // 30 less the nine before it
        free(text);
        case_close(&c);
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                text = render(&report_cases[i], GITHUB);
                assert_int_equal(count_lines(text, ""),
                                 count_lines(text, "::error ") + count_lines(text, "::warning "));
                assert_null(strpbrk(text, "\033\r"));
                free(text);
                case_close(&report_cases[i]);
        }
}

/* A checkout with one file, whose name is seen from a build folder of it. */
static void make_checkout(char root[static 32])
{
        char path[64];
        struct pg_error err = { 0 };
        strcpy(root, "/tmp/test-report-XXXXXX");
        assert_non_null(mkdtemp(root));
        snprintf(path, sizeof(path), "%s/seen.c", root);
        assert_true(pg_file_replace(path, "", 0, &err));
}

static void remove_checkout(const char *root)
{
        char path[64];
        snprintf(path, sizeof(path), "%s/seen.c", root);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(root), 0);
}

static void annotations_stand_on_lines_of_the_tree(void **state)
{
        (void)state;
        char checkout[32];
        make_checkout(checkout);
        const struct {
                const char *file, *root, *want;
        } cases[] = {
                { "/src/app/a.c", "/src/app", "file=a.c,line=7," },
                { "/src/app/a.c", "/src/app/", "file=a.c,line=7," },
                { "/src/app/build/../lib/./a.c", "/src/app", "file=lib/a.c,line=7," },
                { "/src/application/a.c", "/src/app", NULL },
                { "/src/app/../../etc/passwd", "/src/app", NULL },
                { "/usr/include/c++/12/vector", "/src/app", NULL },
                { "lib/a.c", "/src/app", "file=lib/a.c,line=7," },
                { "../a.c", "/src/app", NULL },
                { "../a.c", checkout, NULL },
                { "../seen.c", checkout, "file=seen.c,line=7," },
                { "../../lib/.././seen.c", checkout, "file=seen.c,line=7," },
                { "../../../seen.c/../../seen.c", checkout, NULL },
                { "../..", checkout, NULL },
                { "../seen.c", "", NULL },
                { "/src/app", "/src/app", NULL },
                { "/src/app/a,b:c%d.c", "/src/app", "file=a%2Cb%3Ac%25d.c,line=7," },
                { "/a.c", "", NULL },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct report_case c = { .name = "place", .base = made_snapshot(), .head = made_snapshot() };
                struct pg_measurement *b = made_benchmark(c.base, "a"), *h = made_benchmark(c.head, "a");
                c.options = made_options();
                made_series(c.base, b, PG_ALLOCATIONS, 1, 1);
                made_series(c.head, h, PG_ALLOCATIONS, 5, 5);
                made_site(c.base, b, "f", cases[i].file, 7, 1, 1);
                made_site(c.head, h, "f", cases[i].file, 7, 5, 5);
                struct pg_gate *g = made_gate(c.base, c.head, &c.options);
                c.report = (struct pg_report){ .gate = g, .base = c.base, .head = c.head, .exit_code = 2 };
                struct pg_error err = { 0 };
                struct pg_buf out = { 0 };
                assert_true(pg_report_github(&c.report, cases[i].root, &out, &err));
                if (cases[i].want ? !strstr(out.data, cases[i].want) : strstr(out.data, "file=") != NULL)
                        fail_msg("%s in %s: %s", cases[i].file, cases[i].root, out.data);
                pg_buf_deinit(&out);
                case_close(&c);
        }
        remove_checkout(checkout);
}

static int write_golden(void)
{
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                for (int f = 0; f < FORMATS; f++) {
                        char path[128];
                        struct pg_error err = { 0 };
                        snprintf(path, sizeof(path), FOLDER "%s.%s", report_cases[i].name, formats[f].suffix);
                        char *text = render(&report_cases[i], f);
                        if (!pg_file_replace(path, text, strlen(text), &err)) {
                                fprintf(stderr, "%s: %s\n", path, err.text);
                                return 1;
                        }
                        free(text);
                }
                case_close(&report_cases[i]);
        }
        return 0;
}

int main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[1], "--write") == 0)
                return write_golden();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reports_are_what_was_read_and_found_good),
                cmocka_unit_test(text_keeps_to_the_width_and_has_no_control_characters),
                cmocka_unit_test(colour_is_help_only),
                cmocka_unit_test(results_have_the_keys_that_users_were_promised),
                cmocka_unit_test(results_can_be_read_back_and_gated_again),
                cmocka_unit_test(a_rise_from_zero_has_no_finite_change),
                cmocka_unit_test(nothing_from_outside_is_markup),
                cmocka_unit_test(functions_of_one_name_are_shown_with_their_modules),
                cmocka_unit_test(a_summary_stays_below_what_github_takes),
                cmocka_unit_test(annotations_are_few_and_each_is_one_command),
                cmocka_unit_test(annotations_stand_on_lines_of_the_tree),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
