// SPDX-License-Identifier: MIT
/*
 * test_options.c - a table of options of every type, and the words that are right and wrong for it.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "ci/cli/options.h"

struct values {
        bool quiet;
        const char *file;
        struct pg_option_list globs;
        uint32_t runs;
        uint64_t timeout_ns;
        int color;
};

static const char *const colors[] = { "auto", "always", "never", NULL };

#define AT(field) offsetof(struct values, field)
static const struct pg_option options[] = {
        { PG_OPTION_FLAG, 'q', "quiet", AT(quiet), NULL, "say little", NULL, 0 },
        { PG_OPTION_TEXT, 'f', "file", AT(file), "FILE", "a file", NULL, 0 },
        { PG_OPTION_LIST, 0, "glob", AT(globs), "GLOB", "repeatable", NULL, 0 },
        { PG_OPTION_COUNT, 'n', "runs", AT(runs), "N", "how many", NULL, 2 },
        { PG_OPTION_DURATION, 0, "timeout", AT(timeout_ns), "DURATION", "how long", NULL, 0 },
        { PG_OPTION_CHOICE, 0, "color", AT(color), "WHEN", "when", colors, 0 },
        { .type = PG_OPTION_END },
};

enum { WORDS = 12 };

struct parsed {
        struct values values;
        int rest;
        bool dashes, help;
        struct pg_error err;
};

/* words: NULL-terminated, the command's name first */
static bool parse(const char *const *words, struct parsed *p)
{
        char *argv[WORDS + 1] = { NULL };
        int argc = 0;
        for (; words[argc]; argc++)
                argv[argc] = (char *)words[argc];
        *p = (struct parsed){ 0 };
        return pg_options_parse(options, argc, argv, &p->values, &p->rest, &p->dashes, &p->help, &p->err);
}

static void every_type_arrives(void **state)
{
        (void)state;
        static const char *const words[] = { "run", "-q",       "--file=x", "--glob", "a*",
                                             "-n7", "--glob=b", "rest",     NULL };
        static const char *const more[] = { "run", "--timeout", "1500ms", "--color", "never", NULL };
        struct parsed p;
        assert_true(parse(words, &p));
        assert_true(p.values.quiet);
        assert_string_equal(p.values.file, "x");
        assert_int_equal(p.values.globs.n, 2);
        assert_string_equal(p.values.globs.values[0], "a*");
        assert_string_equal(p.values.globs.values[1], "b");
        assert_null(p.values.globs.values[2]);
        assert_int_equal(p.values.runs, 7);
        assert_int_equal(p.rest, 7);
        assert_false(p.dashes);
        assert_true(parse(more, &p));
        assert_int_equal(p.values.timeout_ns, 1500000000);
        assert_int_equal(p.values.color, 2);
        assert_int_equal(p.rest, 5);
}

/* The first word that is no option ends them: what follows belongs to it. */
static void options_end_where_the_command_begins(void **state)
{
        (void)state;
        static const char *const plain[] = { "run", "-q", "tool", "--file=x", NULL };
        static const char *const dashed[] = { "run", "-q", "--", "-q", NULL };
        static const char *const none[] = { "run", "--", NULL };
        struct parsed p;
        assert_true(parse(plain, &p));
        assert_int_equal(p.rest, 2);
        assert_null(p.values.file);
        assert_true(parse(dashed, &p));
        assert_int_equal(p.rest, 3);
        assert_true(p.dashes);
        assert_true(parse(none, &p));
        assert_int_equal(p.rest, 2);
        assert_true(p.dashes);
}

static void help_is_always_there(void **state)
{
        (void)state;
        static const char *const words[] = { "run", "--help", "--nonsense", NULL };
        struct parsed p;
        assert_true(parse(words, &p));
        assert_true(p.help);
}

static void what_is_wrong_is_said(void **state)
{
        (void)state;
        static const struct {
                const char *words[WORDS], *text;
        } cases[] = {
                { { "run", "--flie", "x" }, "unknown option '--flie', did you mean '--file'?" },
                { { "run", "--zzzzzz" }, "unknown option '--zzzzzz', see --help" },
                { { "run", "--zzzzzz=3" }, "unknown option '--zzzzzz', see --help" },
                { { "run", "-z" }, "unknown option '-z'; options have long names, see --help" },
                { { "run", "-zq" }, "unknown option '-z'; options have long names, see --help" },
                { { "run", "-qz", "word" }, "unknown option '-z'; options have long names, see --help" },
                { { "run", "--file" }, "--file needs a value: FILE" },
                { { "run", "-n" }, "-n needs a value: N" },
                { { "run", "--file=" }, "--file: expected FILE, got nothing" },
                { { "run", "--quiet=3" }, "--quiet takes no value" },
                { { "run", "--help=3" }, "--help takes no value" },
                { { "run", "--runs", "1" }, "--runs: 1 is out of range, expected at least 2" },
                { { "run", "--runs", "4294967296" },
                  "--runs: 4294967296 is out of range, expected at least 2" },
                { { "run", "--color", "blue" }, "--color: 'blue' is none of auto, always, never" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct parsed p;
                assert_false(parse(cases[i].words, &p));
                assert_int_equal(p.err.code, PG_EUSAGE);
                assert_string_equal(p.err.text, cases[i].text);
        }
}

/* The parsers of numbers have tests of their own; here only that the option is named. */
static void a_bad_number_names_its_option(void **state)
{
        (void)state;
        static const char *const count[] = { "run", "--runs", "-3", NULL };
        static const char *const duration[] = { "run", "--timeout", "60", NULL };
        struct parsed p;
        assert_false(parse(count, &p));
        assert_int_equal(p.err.code, PG_EUSAGE);
        assert_ptr_equal(strstr(p.err.text, "--runs: "), p.err.text);
        assert_false(parse(duration, &p));
        assert_int_equal(p.err.code, PG_EUSAGE);
        assert_ptr_equal(strstr(p.err.text, "--timeout: "), p.err.text);
}

static void a_list_has_an_end(void **state)
{
        (void)state;
        enum { TOO_MANY = PG_OPTION_LIST_MAX + 1 };
        char command[] = "run", glob[] = "--glob=x", *argv[TOO_MANY + 2] = { command };
        for (int i = 1; i <= TOO_MANY; i++)
                argv[i] = glob;
        struct parsed p = { 0 };
        assert_false(pg_options_parse(options, TOO_MANY + 1, argv, &p.values, &p.rest, &p.dashes, &p.help,
                                      &p.err));
        assert_string_equal(p.err.text, "--glob: more than 64 of them");
        p = (struct parsed){ 0 };
        assert_true(
                pg_options_parse(options, TOO_MANY, argv, &p.values, &p.rest, &p.dashes, &p.help, &p.err));
        assert_int_equal(p.values.globs.n, 64);
}

/* Each row is "  ", 34 columns, a space, the help. */
static void help_has_a_line_for_each_row(void **state)
{
        (void)state;
        PG_AUTO_BUF struct pg_buf b = { 0 };
        pg_options_help(options, &b);
        assert_string_equal(b.data, "  -q, --quiet                        say little\n"
                                    "  -f, --file FILE                    a file\n"
                                    "      --glob GLOB                    repeatable\n"
                                    "  -n, --runs N                       how many\n"
                                    "      --timeout DURATION             how long\n"
                                    "      --color WHEN                   when\n"
                                    "      --help                         show this text\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_type_arrives),
                cmocka_unit_test(options_end_where_the_command_begins),
                cmocka_unit_test(help_is_always_there),
                cmocka_unit_test(what_is_wrong_is_said),
                cmocka_unit_test(a_bad_number_names_its_option),
                cmocka_unit_test(a_list_has_an_end),
                cmocka_unit_test(help_has_a_line_for_each_row),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
