// SPDX-License-Identifier: MIT
/*
 * test_pick.c - the ladder of engines. Whether perf events may be had is the machine's affair: what is asked here is
 * that the answer is the same as the engine's own, and has a reason.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/engine/engine.h"

static const struct pg_engine_request request = { .rate_hz = 997, .agent_path = "/a/b.so" };
static struct pg_arena *arena;
static const struct pg_engine_ops *picked;
static const char *why;

static bool pick(const char *name, const char *program, struct pg_error *err)
{
        picked = NULL;
        why = NULL;
        *err = (struct pg_error){ 0 };
        return pg_engine_pick(name, program, &request, arena, &picked, &why, err);
}

static void a_dynamic_program_gets_the_agent(void **state)
{
        (void)state;
        struct pg_error err;
        assert_true(pick("auto", DYNAMIC, &err));
        assert_ptr_equal(picked, &pg_agent_engine);
        assert_null(why);
        assert_true(pick("auto", NULL, &err)); // not known yet
        assert_ptr_equal(picked, &pg_agent_engine);
}

static void a_static_program_gets_the_next_one_that_can(void **state)
{
        (void)state;
        struct pg_error err;
        const char *obstacle = pg_perf_engine.obstacle(STATIC, &request, arena);
        assert_true(pick("auto", STATIC, &err));
        assert_ptr_not_equal(picked, &pg_agent_engine);
        assert_memory_equal(why, "agent: statically linked", 24);
        if (!obstacle)
                assert_ptr_equal(picked, &pg_perf_engine);
        else
                assert_non_null(strstr(why, obstacle));
}

static void a_named_engine_is_taken_or_says_why_not(void **state)
{
        (void)state;
        struct pg_error err;
        assert_true(pick("agent", DYNAMIC, &err));
        assert_ptr_equal(picked, &pg_agent_engine);
        assert_null(why);
        assert_true(pick("agent", STATIC, &err));
        assert_null(picked);
        assert_string_equal(why, "statically linked");
        assert_true(pick("perf", DYNAMIC, &err));
        assert_int_equal(picked == NULL, why != NULL);
        assert_true(pick("ptrace", STATIC, &err));
        assert_int_equal(picked == NULL, why != NULL);
        assert_false(pick("crystal ball", DYNAMIC, &err));
        assert_int_equal(err.code, PG_EUSAGE);
}

static void a_32_bit_program_is_not_for_perf(void **state)
{
        (void)state;
        char path[] = "/tmp/perfgate-elf32-XXXXXX";
        const char head[16] = "\177ELF\1\1\1";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
        close(fd);
        assert_string_equal(pg_perf_engine.obstacle(path, &request, arena), "a 32-bit program");
        unlink(path);
}

static void a_session_without_a_target_is_empty(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_engine_session *s;
        struct pg_captured *captured;
        assert_true(pg_perf_engine.start(&request, &s, &err));
        assert_null(pg_perf_engine.preload(s));
        assert_null(pg_perf_engine.environment(s)[0]);
        assert_true(pg_perf_engine.collect(s, arena, &captured, &err)); // the target could not be started
        assert_int_equal(captured->n_processes, 0);
        struct pg_engine_request next = request;
        assert_null(pg_perf_engine.again(s, &next, arena));
        pg_perf_engine.stop(s);
        pg_perf_engine.stop(NULL);
        struct pg_engine_request none = { .rate_hz = 0 };
        assert_false(pg_perf_engine.start(&none, &s, &err));
        assert_int_equal(err.code, PG_EUSAGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_dynamic_program_gets_the_agent),
                cmocka_unit_test(a_static_program_gets_the_next_one_that_can),
                cmocka_unit_test(a_named_engine_is_taken_or_says_why_not),
                cmocka_unit_test(a_32_bit_program_is_not_for_perf),
                cmocka_unit_test(a_session_without_a_target_is_empty),
        };
        arena = pg_arena_create();
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        pg_arena_destroy(arena);
        return failed;
}
