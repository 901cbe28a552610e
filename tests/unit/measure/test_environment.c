// SPDX-License-Identifier: MIT
/*
 * test_environment.c - what a target's environment holds; the process's own is replaced by known ones.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "runner/measure/environment.h"

static struct pg_arena *arena;

static int setup(void **state)
{
        (void)state;
        arena = pg_arena_create();
        return arena ? clearenv() : -1;
}

static int teardown(void **state)
{
        (void)state;
        pg_arena_destroy(arena);
        return 0;
}

static const char *const *compose(const char *const *added, const char *const *agent, const char *preload)
{
        struct pg_error err = { 0 };
        const char *const *got = NULL;
        if (!pg_environment_compose(arena, added, agent, preload, &got, &err))
                fail_msg("%s", err.text);
        return got;
}

static size_t count(const char *const *environment)
{
        size_t n = 0;
        while (environment[n])
                n++;
        return n;
}

static void expect(const char *const *environment, const char *name, const char *value)
{
        const char *got = pg_environment_get(environment, name);
        if (!value)
                assert_null(got);
        else if (!got || strcmp(got, value) != 0)
                fail_msg("%s is %s, expected %s", name, got ? got : "unset", value);
}

static void a_name_is_whole(void **state)
{
        (void)state;
        static const char *const environment[] = { "AB=1", "A=2", "EMPTY=", NULL };
        expect(environment, "A", "2");
        expect(environment, "AB", "1");
        expect(environment, "EMPTY", "");
        expect(environment, "ABC", NULL);
        expect(environment, "", NULL);
}

static void added_entries_win(void **state)
{
        (void)state;
        static const char *const added[] = { "B=3", "C=4", "AB=5", "C=6", NULL };
        setenv("A", "1", 1);
        setenv("B", "2", 1);
        const char *const *got = compose(added, NULL, NULL);
        expect(got, "A", "1");
        expect(got, "B", "3");
        expect(got, "C", "6");
        expect(got, "AB", "5");
        assert_int_equal(count(got), 4);
}

/* perfgate measured by perfgate: the inner one's targets are none of the outer one's. */
static void an_outer_agent_is_dropped(void **state)
{
        (void)state;
        static const char *const agent[] = { "PERFGATE_AGENT=new", NULL };
        setenv("PERFGATE_AGENT", "stale", 1);
        setenv("PERFGATE_AGENTS", "another name", 1);
        expect(compose(NULL, NULL, NULL), "PERFGATE_AGENT", NULL);
        expect(compose(NULL, NULL, NULL), "PERFGATE_AGENTS", "another name");
        expect(compose(NULL, agent, NULL), "PERFGATE_AGENT", "new");
        assert_int_equal(count(compose(NULL, agent, NULL)), 2);
}

static void preload_stands_in_front(void **state)
{
        (void)state;
        static const char *const added[] = { "LD_PRELOAD=/b.so", NULL };
        expect(compose(NULL, NULL, "/agent.so"), "LD_PRELOAD", "/agent.so");
        setenv("LD_PRELOAD", "", 1);
        expect(compose(NULL, NULL, "/agent.so"), "LD_PRELOAD", "/agent.so");
        setenv("LD_PRELOAD", "/x.so:/y.so", 1);
        expect(compose(NULL, NULL, "/agent.so"), "LD_PRELOAD", "/agent.so:/x.so:/y.so");
        expect(compose(added, NULL, "/agent.so"), "LD_PRELOAD", "/agent.so:/b.so");
        expect(compose(NULL, NULL, NULL), "LD_PRELOAD", "/x.so:/y.so");
        assert_int_equal(count(compose(added, NULL, "/agent.so")), 1);
}

static void an_empty_environment_stays_empty(void **state)
{
        (void)state;
        assert_int_equal(count(compose(NULL, NULL, NULL)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_name_is_whole, setup, teardown),
                cmocka_unit_test_setup_teardown(added_entries_win, setup, teardown),
                cmocka_unit_test_setup_teardown(an_outer_agent_is_dropped, setup, teardown),
                cmocka_unit_test_setup_teardown(preload_stands_in_front, setup, teardown),
                cmocka_unit_test_setup_teardown(an_empty_environment_stays_empty, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
