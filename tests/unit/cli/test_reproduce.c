// SPDX-License-Identifier: MIT
/*
 * test_reproduce.c - command lines for people to copy; what a shell makes of them was written down by hand.
 */
#include "tests/unit/assert_near.h"

#include "ci/cli/reproduce.h"

enum { WORDS = 12 };

static void words_are_quoted_for_a_shell(void **state)
{
        (void)state;
        static const struct {
                const char *words[WORDS], *want;
        } cases[] = {
                { { "run", "--", "./jq", "-c", "a/b.json" }, "perfgate run -- ./jq -c a/b.json" },
                { { "run", "" }, "perfgate run ''" },
                { { "run", "two words" }, "perfgate run 'two words'" },
                { { "run", "$HOME", "*.c", "a;b", "~" }, "perfgate run '$HOME' '*.c' 'a;b' '~'" },
                { { "run", "it's" }, "perfgate run 'it'\\''s'" },
                { { "run", "\xc3\xa4" }, "perfgate run '\xc3\xa4'" },
                { { "run", "a\xff"
                           "1" },
                  "perfgate run $'a\\3771'" }, // no UTF-8
                // a line feed, a tab, an escape and a backslash: octal, so that no digit behind it can join
                { { "run", "a\nb" }, "perfgate run $'a\\012b'" },
                { { "run", "\t'\\\x1b\x7f" }, "perfgate run $'\\011\\047\\134\\033\\177'" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_error err = { 0 };
                PG_AUTO_BUF struct pg_buf out = { 0 };
                assert_true(pg_reproduce((char **)cases[i].words, &out, &err));
                assert_string_equal(out.data, cases[i].want);
        }
}

#define SAVES "perfgate run --save-baseline new.json"

static void the_baseline_is_made_instead_of_read(void **state)
{
        (void)state;
        static const struct {
                const char *words[WORDS], *want;
        } cases[] = {
                { { "run", "--baseline", "x.json", "--runs", "3" }, SAVES " --runs 3" },
                { { "run", "--baseline=x.json", "-q" }, SAVES " -q" },
                { { "run", "-b", "x.json", "--", "true" }, SAVES " -- true" },
                { { "run", "-bx.json", "--", "true" }, SAVES " -- true" },
                { { "run", "--base", "x.json", "-q" }, SAVES " -q" }, // a beginning that getopt_long takes
                { { "run", "--base=x.json", "-q" }, SAVES " -q" },
                // the file that was to be written would win over the one that is missing
                { { "run", "--baseline", "x", "--save-baseline", "y", "-q" }, SAVES " -q" },
                { { "run", "-sy", "-b", "x", "-q" }, SAVES " -q" },
                // behind -- the words are the command's own
                { { "run", "-b", "x", "--", "tool", "--baseline", "z", "-b" },
                  SAVES " -- tool --baseline z -b" },
                { { "run", "--filter", "b*" }, SAVES " --filter 'b*'" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_error err = { 0 };
                PG_AUTO_BUF struct pg_buf out = { 0 };
                assert_true(pg_reproduce_saving((char **)cases[i].words, "new.json", &out, &err));
                assert_string_equal(out.data, cases[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_are_quoted_for_a_shell),
                cmocka_unit_test(the_baseline_is_made_instead_of_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
