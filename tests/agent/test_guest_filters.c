// SPDX-License-Identifier: MIT
/*
 * test_guest_filters.c - programs with seccomp filters that kill live and end in each pass as they do bare, and the
 * result says what was not covered.
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>

#include "tests/agent/undisturbed.h"

static void check(const char *kind, int status, check_function *look)
{
        const char *const argv[] = { target("guest_filter"), kind, NULL };
        assert_undisturbed(argv, NULL, status, look);
}

static bool sampled(enum guest_pass pass)
{
        return pass == GUEST_EVENT || pass == GUEST_TIMER;
}

/* guest_filter.c, work_and_allocate(): BLOCKS + DEPTH + 1 allocations each time. */
enum { TIMES_IN_LIVE = 10, ALLOCATIONS_EACH = 500 + 41 };

static bool counts_all(const struct counted *run, uint64_t times)
{
        uint64_t least = times * ALLOCATIONS_EACH, most = least + 200; // libc's own, for threads
        if (run->allocations >= least && run->allocations <= most)
                return true;
        fprintf(stderr, "%lu allocations, expected %lu to %lu\n", (unsigned long)run->allocations,
                (unsigned long)least, (unsigned long)most);
        return false;
}

/* Threads that were not armed, with the reason, in the one slot that is left to parent and child. */
static bool says_what_is_missing(enum guest_pass pass, const struct counted *run)
{
        const struct pg_captured_process *p = &run->captured->processes[0];
        bool whole = run->captured->n_processes == 1 && !run->captured->n_damaged;
        if (sampled(pass))
                whole = whole && p->disarm == PG_DISARM_FILTER && p->threads_armed > 0 &&
                        p->threads_unarmed > 0;
        if (!whole)
                fprintf(stderr, "%zu processes, disarm %d, %u armed, %u not\n", run->captured->n_processes,
                        (int)p->disarm, p->threads_armed, p->threads_unarmed);
        return whole;
}

static bool lived_counted(enum guest_pass pass, const struct counted *run)
{
        return says_what_is_missing(pass, run) && (pass != GUEST_COUNT || counts_all(run, TIMES_IN_LIVE));
}

static bool lived_longer_counted(enum guest_pass pass, const struct counted *run)
{
        return says_what_is_missing(pass, run) && (pass != GUEST_COUNT || counts_all(run, TIMES_IN_LIVE + 1));
}

static bool one_thread_counted(enum guest_pass pass, const struct counted *run)
{
        return says_what_is_missing(pass, run) && (pass != GUEST_COUNT || counts_all(run, 1));
}

static void a_whitelist_that_kills_is_kept(void **state)
{
        (void)state;
        check("whitelist", 0, lived_counted);
}

static void a_filter_with_a_listener_is_kept(void **state)
{
        (void)state;
        check("with-listener", 0, lived_counted);
}

static void a_filter_that_forbids_the_return_from_handlers_is_kept(void **state)
{
        (void)state;
        for (int i = 0; i < 5; i++)
                check("without-signals", 0, lived_counted);
}

static void a_filter_may_come_over_all_threads(void **state)
{
        (void)state;
        for (int i = 0; i < 5; i++)
                check("synchronized", 0, lived_longer_counted);
}

static bool nine_threads_counted(enum guest_pass pass, const struct counted *run)
{
        return says_what_is_missing(pass, run) && (pass != GUEST_COUNT || counts_all(run, 9));
}

/* Their sampler's signal is given back before they have armed it. */
static void threads_that_begin_meanwhile_live(void **state)
{
        (void)state;
        for (int i = 0; i < 5; i++)
                check("beginning", 0, nine_threads_counted);
}

static void two_calls_are_enough(void **state)
{
        (void)state;
        check("few", 0, one_thread_counted);
}

static void strict_mode_is_kept(void **state)
{
        (void)state;
        check("strict", 4, one_thread_counted);
}

/* Both processes, all of their threads. */
static bool misses_nothing(enum guest_pass pass, const struct counted *run)
{
        bool whole = was_measured(pass, run) && run->captured->n_processes == 2;
        for (size_t i = 0; i < run->captured->n_processes; i++)
                whole = whole && run->captured->processes[i].disarm == PG_DISARM_NONE &&
                        run->captured->processes[i].threads_unarmed == 0;
        return whole && (pass != GUEST_COUNT || counts_all(run, TIMES_IN_LIVE));
}

static void a_refused_filter_changes_nothing(void **state)
{
        (void)state;
        check("refused", 0, misses_nothing);
}

static void a_filter_of_a_vfork_child_changes_nothing(void **state)
{
        (void)state;
        check("in-vfork-child", 0, misses_nothing);
}

/* Parent and child. */
static bool both_counted(enum guest_pass pass, const struct counted *run)
{
        return was_measured(pass, run) && run->captured->n_processes == 2 && !run->captured->n_damaged &&
               (pass != GUEST_COUNT || counts_all(run, 2));
}

static void a_filter_of_a_child_that_was_not_seen_to_start_is_kept(void **state)
{
        (void)state;
        check("in-raw-child", 0, both_counted);
}

static void a_filter_that_lets_us_be_changes_nothing(void **state)
{
        (void)state;
        check("blacklist", 0, misses_nothing);
}

/* It inherits a filter that the agent would not survive. */
static bool names_the_program_that_ran_without(enum guest_pass pass, const struct counted *run)
{
        (void)pass;
        if (run->captured->n_processes == 1 && run->captured->n_gaps == 1)
                return true;
        fprintf(stderr, "%zu processes, %zu gaps\n", run->captured->n_processes, run->captured->n_gaps);
        return false;
}

static void a_program_that_inherits_a_filter_runs_without_the_agent(void **state)
{
        (void)state;
        check("start-another", 5, names_the_program_that_ran_without);
}

static bool names_two_shells(enum guest_pass pass, const struct counted *run)
{
        (void)pass;
        return run->captured->n_processes == 1 && run->captured->n_gaps == 2;
}

static void a_shell_that_inherits_a_filter_runs_without_the_agent(void **state)
{
        (void)state;
        check("shell", 0, names_two_shells);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_whitelist_that_kills_is_kept),
                cmocka_unit_test(a_filter_with_a_listener_is_kept),
                cmocka_unit_test(a_filter_that_forbids_the_return_from_handlers_is_kept),
                cmocka_unit_test(a_filter_may_come_over_all_threads),
                cmocka_unit_test(threads_that_begin_meanwhile_live),
                cmocka_unit_test(two_calls_are_enough),
                cmocka_unit_test(strict_mode_is_kept),
                cmocka_unit_test(a_refused_filter_changes_nothing),
                cmocka_unit_test(a_filter_of_a_vfork_child_changes_nothing),
                cmocka_unit_test(a_filter_of_a_child_that_was_not_seen_to_start_is_kept),
                cmocka_unit_test(a_filter_that_lets_us_be_changes_nothing),
                cmocka_unit_test(a_program_that_inherits_a_filter_runs_without_the_agent),
                cmocka_unit_test(a_shell_that_inherits_a_filter_runs_without_the_agent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
