// SPDX-License-Identifier: MIT
/*
 * test_check.c - the self-check of a profile. Expected results are by hand: with p = 1 (all user) the chance
 * part is five periods times the root of the number of samples, and 10 % comes on top.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runner/base/clock.h"
#include "runner/engine/engine.h"

enum { MS = PG_NS_PER_MS };

static struct pg_arena *texts; // of the last doubt

static const char *doubt_about(struct pg_captured_process p, uint64_t user_ms, uint64_t system_ms)
{
        pg_arena_destroy(texts);
        texts = pg_arena_create();
        struct pg_captured c = { .processes = &p, .n_processes = 1 };
        return pg_profile_doubt(&c, user_ms * MS, system_ms * MS, MS, texts);
}

static const char *doubt_from_outside(struct pg_captured_process p, uint64_t user_ms)
{
        pg_arena_destroy(texts);
        texts = pg_arena_create();
        struct pg_captured c = { .processes = &p, .n_processes = 1, .from_outside = true };
        return pg_profile_doubt(&c, user_ms * MS, 0, MS, texts);
}

static struct pg_captured_process sampled(uint64_t weight_ms, bool by_event)
{
        return (struct pg_captured_process){ .sample_count = weight_ms,
                                             .sample_weight_ns = weight_ms * MS,
                                             .threads_armed = 1,
                                             .threads_task_clock = by_event };
}

static void a_full_account_is_believed(void **state)
{
        (void)state;
        assert_null(doubt_about(sampled(10000, true), 10000, 0));
        assert_null(doubt_about(sampled(10000, false), 10000, 0));
        assert_null(doubt_about(sampled(0, true), 0, 0)); // nothing ran, nothing sampled
        assert_null(doubt_about(sampled(3, true), 4, 6)); // too short to say anything
}

static void what_is_missing_shows(void **state)
{
        (void)state;
        // 10 s: 9,000 - 5 * sqrt(9,001) = 8,526 and 11,000 + 5 * sqrt(11,001) = 11,524 are the limits
        assert_null(doubt_about(sampled(8530, true), 10000, 0));
        assert_non_null(doubt_about(sampled(8520, true), 10000, 0));
        assert_null(doubt_about(sampled(11520, true), 10000, 0));
        assert_non_null(doubt_about(sampled(11530, true), 10000, 0));
        assert_non_null(doubt_about(sampled(0, true), 100, 0));
}

static void events_need_not_see_system_time(void **state)
{
        (void)state;
        // 10 s user + 10 s system; the split by 2,001 ticks of 10 ms adds 5 * 10 ms * sqrt(2,001 / 4) = 1.1 s
        assert_null(doubt_about(sampled(10000, true), 10000, 10000));
        assert_null(doubt_about(sampled(20000, true), 10000, 10000));
        assert_non_null(doubt_about(sampled(7500, true), 10000, 10000));
        assert_non_null(doubt_about(sampled(10000, false), 10000, 10000)); // timers see both
        assert_null(doubt_about(sampled(20000, false), 10000, 10000));
}

static void the_text_names_the_cause(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(1000, true);
        p.lost_weight_ns = 9000ull * MS;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "1.000 s"));
        assert_non_null(strstr(doubt_about(p, 10000, 0), "the sample log was full"));
        p = sampled(1000, true);
        p.threads_unarmed = 1;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "some threads could not be sampled"));
        p.disarm = PG_DISARM_NO_TIMER;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "neither perf events nor CPU timers"));
        p.disarm = (enum pg_disarm)77; // from outside: any number may come
        assert_non_null(doubt_about(p, 10000, 0));
        p = sampled(1000, true);
        p.signal_taken_away = true;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "took the sampler's signal"));
}

/* There is no agent, and no log of its own. */
static void from_outside_other_things_go_wrong(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(1000, true);
        assert_non_null(strstr(doubt_from_outside(p, 10000), "too short for the rate"));
        p.lost_weight_ns = 9000ull * MS;
        assert_non_null(strstr(doubt_from_outside(p, 10000), "the kernel's buffers were full"));
        p = sampled(10000, true);
        p.lost_weight_ns = 1000ull * MS;
        assert_non_null(strstr(doubt_from_outside(p, 10000), "the kernel's buffers were full"));
}

/* 10,000 samples of 1 ms: 2 % and five samples more may be lost, 10,000 / 0.98 * 0.02 + 5 = 209 and some. */
static void few_samples_may_be_lost(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(10000, true);
        p.lost_weight_ns = 209ull * MS;
        assert_null(doubt_about(p, 10000, 0));
        p.lost_weight_ns = 212ull * MS;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "2.1 % of the CPU time was sampled but lost"));
}

/* Of 10,000 samples 205 may be without a function; that callers are missing does not matter. */
static void few_samples_may_be_nobodys(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(10000, true);
        struct pg_captured_node nodes[] = {
                { 0 },
                { .parent = 0, .place = PG_PLACE_PSEUDO(PG_NODE_OTHER), .count = 105 },
                { .parent = 0, .place = PG_PLACE_PSEUDO(PG_NODE_UNKNOWN), .count = 100 },
                { .parent = 2, .place = PG_PLACE(0, 0x1000), .count = 9795 },
        };
        p.nodes = nodes;
        p.n_nodes = 4;
        p.quality.unknown = 9895;
        assert_null(doubt_about(p, 10000, 0));
        nodes[1].count++;
        assert_non_null(strstr(doubt_about(p, 10000, 0), "2.1 % of the samples have no function"));
}

static void the_clock_is_named(void **state)
{
        (void)state;
        struct pg_captured_process p[] = { sampled(1, true), sampled(1, false) };
        struct pg_captured both = { .processes = p, .n_processes = 2 };
        struct pg_captured event = { .processes = &p[0], .n_processes = 1 };
        struct pg_captured timer = { .processes = &p[1], .n_processes = 1 };
        struct pg_captured none = { 0 };
        assert_string_equal(pg_profile_clock(&both), "task-clock and cpu-timer");
        assert_string_equal(pg_profile_clock(&event), "task-clock");
        assert_string_equal(pg_profile_clock(&timer), "cpu-timer");
        assert_string_equal(pg_profile_clock(&none), "");
}

/* Both kinds of time count, and the engine may be slower than it was asked to be. */
static void stopped_threads_have_words_of_their_own(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(10000, false);
        struct pg_captured c = { .processes = &p, .n_processes = 1 };
        p.threads_stopped = 1;
        assert_string_equal(pg_profile_clock(&c), "thread-cpu-time");
        assert_null(doubt_about(p, 5000, 5000));
        assert_non_null(strstr(doubt_about(p, 10000, 10000), "a machine too busy to stop threads in time"));
        p.lost_weight_ns = 10000ull * MS;
        assert_non_null(strstr(doubt_about(p, 10000, 10000), "threads ended before they could be stopped"));
        assert_non_null(
                strstr(doubt_about(p, 10000, 0), "50.0 % of the CPU time was not sampled: threads ended"));
        // 1 s in 250 samples of 4 ms: the limit is 900 - 5 * 4 * sqrt(900 / 4 + 1) = 599 ms
        p = sampled(600, false);
        p.threads_stopped = 1;
        p.sample_count = 150;
        assert_null(doubt_about(p, 1000, 0));
        p.sample_count = 600; // of 1 ms: 900 - 5 * sqrt(901) = 750 ms
        assert_non_null(doubt_about(p, 1000, 0));
}

/* 10 s, a fifth of it system time: 2 s + 1 s + 5 * hypot(1 ms * sqrt(3,001), 10 ms * sqrt(1,001 * 0.8 * 0.2)) =
 * 3.69 s may be met at the end of calls. */
static void samples_at_the_end_of_calls_are_too_many(void **state)
{
        (void)state;
        struct pg_captured_process p = sampled(10000, false);
        p.threads_stopped = 1;
        p.call_weight_ns = 3600ull * MS;
        assert_null(doubt_about(p, 8000, 2000));
        p.call_weight_ns = 4000ull * MS;
        assert_non_null(
                strstr(doubt_about(p, 8000, 2000), "40.0 % of the samples met the end of a system call"));
}

static void engines_are_found_by_name(void **state)
{
        (void)state;
        assert_ptr_equal(pg_engine_by_name("agent"), &pg_agent_engine);
        assert_null(pg_engine_by_name("crystal ball"));
}

static void the_agent_engine_says_what_the_target_needs(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_engine_request request = { .rate_hz = 997,
                                             .clock = PG_CLOCK_TIMER,
                                             .agent_path = "/a/b.so" };
        struct pg_engine_session *s = NULL;
        assert_true(pg_agent_engine.start(&request, &s, &err));
        const char *const *environment = pg_agent_engine.environment(s);
        assert_memory_equal(environment[0], "PERFGATE_AGENT=", 15);
        assert_non_null(strstr(environment[0], ",clock=timer"));
        assert_null(environment[1]);
        assert_string_equal(pg_agent_engine.preload(s), "/a/b.so");

        struct pg_arena *a = pg_arena_create();
        struct pg_captured *captured = NULL;
        assert_true(pg_agent_engine.collect(s, a, &captured, &err)); // no target was started
        assert_int_equal(captured->n_processes, 0);
        pg_arena_destroy(a);
        pg_agent_engine.stop(s);
        pg_agent_engine.stop(NULL);
}

static void a_rate_out_of_range_is_refused(void **state)
{
        (void)state;
        static const uint32_t rates[] = { 0, 100001 };
        for (size_t i = 0; i < 2; i++) {
                struct pg_error err = { 0 };
                struct pg_engine_request request = { .rate_hz = rates[i], .agent_path = "/a/b.so" };
                struct pg_engine_session *s = NULL;
                assert_false(pg_agent_engine.start(&request, &s, &err));
                assert_int_equal(err.code, PG_EUSAGE);
                assert_null(s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_full_account_is_believed),
                cmocka_unit_test(what_is_missing_shows),
                cmocka_unit_test(events_need_not_see_system_time),
                cmocka_unit_test(the_text_names_the_cause),
                cmocka_unit_test(from_outside_other_things_go_wrong),
                cmocka_unit_test(few_samples_may_be_lost),
                cmocka_unit_test(few_samples_may_be_nobodys),
                cmocka_unit_test(the_clock_is_named),
                cmocka_unit_test(stopped_threads_have_words_of_their_own),
                cmocka_unit_test(samples_at_the_end_of_calls_are_too_many),
                cmocka_unit_test(engines_are_found_by_name),
                cmocka_unit_test(the_agent_engine_says_what_the_target_needs),
                cmocka_unit_test(a_rate_out_of_range_is_refused),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        pg_arena_destroy(texts);
        return failed;
}
