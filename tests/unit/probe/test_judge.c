// SPDX-License-Identifier: MIT
/*
 * test_judge.c - one line of one check in bare and measured runs, and what is to be said of it.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/probe/judge.h"

enum { RUNS_MAX = 3 };

/* Observations with one line each; NULL: none. */
static size_t observe(struct pg_arena *a, const char *const values[RUNS_MAX + 1],
                      struct pg_observation out[RUNS_MAX])
{
        struct pg_error err = { 0 };
        size_t n = 0;
        for (; values[n] && n < RUNS_MAX; n++) {
                out[n] = (struct pg_observation){ 0 };
                if (values[n][0])
                        assert_true(pg_observation_add(&out[n], a, PG_CHECK_THREADS, "sh: created", values[n],
                                                       &err));
        }
        return n;
}

static void verdicts(void **state)
{
        (void)state;
        static const struct {
                const char *what, *bare[RUNS_MAX + 1], *measured[RUNS_MAX + 1];
                enum pg_likeness want;
        } cases[] = {
                { "equal", { "1", "1" }, { "1" }, PG_LIKE_SAME },
                { "another one", { "1", "1" }, { "2" }, PG_LIKE_DIFFERS },
                { "bare runs differ", { "1", "2" }, { "1" }, PG_LIKE_VARIES },
                { "bare runs differ, another one", { "1", "2" }, { "3" }, PG_LIKE_VARIES },
                { "only measured", { "", "" }, { "1" }, PG_LIKE_DIFFERS },
                { "only bare", { "1", "1" }, { "" }, PG_LIKE_DIFFERS },
                { "in one bare run", { "1", "" }, { "1" }, PG_LIKE_VARIES },
                { "nowhere", { "", "" }, { "" }, PG_LIKE_SAME },
                { "one of two measured", { "1", "1" }, { "1", "2" }, PG_LIKE_VARIES },
                { "both measured, differently", { "1", "1", "1" }, { "2", "3" }, PG_LIKE_DIFFERS },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
                struct pg_observation bare[RUNS_MAX], measured[RUNS_MAX];
                struct pg_likenesses l;
                struct pg_error err = { 0 };
                size_t n_bare = observe(a, cases[i].bare, bare);
                size_t n_measured = observe(a, cases[i].measured, measured);
                assert_true(pg_interference_judge(bare, n_bare, measured, n_measured, a, &l, &err));
                if (l.of[PG_CHECK_THREADS] != cases[i].want)
                        fail_msg("%s: %d, expected %d", cases[i].what, l.of[PG_CHECK_THREADS], cases[i].want);
                assert_int_equal(l.any_differs, cases[i].want == PG_LIKE_DIFFERS);
                assert_int_equal(l.n, cases[i].want == PG_LIKE_DIFFERS);
                assert_int_equal(l.of[PG_CHECK_ERRNO], PG_LIKE_SAME);
        }
}

/* A line that varies keeps another one of the same check from nothing. */
static void a_difference_shows_beside_what_varies(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_observation runs[3] = { 0 };
        struct pg_likenesses l;
        struct pg_error err = { 0 };
        static const char *const steady[] = { "3", "3", "4" }, *const wild[] = { "1", "2", "3" };
        for (size_t i = 0; i < 3; i++)
                assert_true(pg_observation_add(&runs[i], a, PG_CHECK_OPEN, "cat: open", wild[i], &err) &&
                            pg_observation_add(&runs[i], a, PG_CHECK_OPEN, "sh: open", steady[i], &err));
        assert_true(pg_interference_judge(runs, 2, &runs[2], 1, a, &l, &err));
        assert_int_equal(l.of[PG_CHECK_OPEN], PG_LIKE_DIFFERS);
        assert_int_equal(l.n, 1);
        assert_string_equal(l.differences[0].key, "sh: open");
        assert_string_equal(l.differences[0].bare, "3");
        assert_string_equal(l.differences[0].measured, "4");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(verdicts),
                cmocka_unit_test(a_difference_shows_beside_what_varies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
