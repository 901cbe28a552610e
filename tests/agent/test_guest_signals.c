// SPDX-License-Identifier: MIT
/*
 * test_guest_signals.c - programs with signals, timers, stacks and waits of their own behave under counting and
 * under both clocks of the sampler as they do bare. The targets check themselves; what they print must be equal.
 */
#include "tests/unit/assert_near.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/agent/undisturbed.h"

static void undisturbed(const char *kind, int status)
{
        const char *const argv[] = { target("guest_signals"), kind, NULL };
        assert_undisturbed(argv, NULL, status, was_measured);
}

static void interval_timers_of_the_target_keep_their_count(void **state)
{
        (void)state;
        undisturbed("own-timers", 0);
}

static void posix_timers_of_the_target_keep_their_count(void **state)
{
        (void)state;
        undisturbed("own-posix-timer", 0);
}

static void a_handler_for_once_is_called_once(void **state)
{
        (void)state;
        undisturbed("reset-after-one", 0);
}

static void a_guard_page_handler_on_a_small_stack_tells_an_overflow(void **state)
{
        (void)state;
        undisturbed("overflow", 7);
}

static void an_overflow_that_nobody_catches_ends_the_target(void **state)
{
        (void)state;
        undisturbed("plain-overflow", 128 + SIGSEGV);
}

static void coroutines_switch_stacks_under_the_sampler(void **state)
{
        (void)state;
        undisturbed("coroutines", 0);
}

static void cancelled_threads_end_and_clean_up(void **state)
{
        (void)state;
        undisturbed("cancel", 0);
}

static void exceptions_in_eight_threads_are_caught(void **state)
{
        (void)state;
        const char *const argv[] = { target("guest_throw"), NULL };
        assert_undisturbed(argv, NULL, 0, was_measured);
}

static void block_all(void)
{
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        signal(SIGHUP, SIG_IGN);
        signal(SIGURG, SIG_IGN);
}

/* What nohup, daemons and shells hand on to a program is there as they set it. */
static void inherited_masks_and_dispositions_are_seen(void **state)
{
        (void)state;
        const char *const argv[] = { target("guest_signals"), "print-mask", NULL };
        assert_undisturbed(argv, NULL, 0, was_measured);
        assert_undisturbed(argv, block_all, 0, was_measured);
}

/* Counting and events cut nothing short; a timer can (signal(7): these are never restarted), and when it does, the
 * call fails with EINTR and nothing else. The target checks that. */
static void no_wait_is_interrupted_unless_a_timer_ticks(void **state)
{
        (void)state;
        const char *const argv[] = { target("guest_signals"), "interruptions", NULL };
        for (enum guest_pass pass = GUEST_BARE; pass < GUEST_PASSES; pass++) {
                struct counted run;
                guest_run(pass, argv, NULL, &run);
                if (run.exit_status != 0 || strncmp(run.output, "interrupted ", 12) != 0)
                        fail_msg("%s: status %d, %s", guest_pass_name(pass), run.exit_status, run.output);
                if (pass != GUEST_TIMER)
                        assert_string_equal(run.output, "interrupted 0\n");
                counted_free(&run);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(interval_timers_of_the_target_keep_their_count),
                cmocka_unit_test(posix_timers_of_the_target_keep_their_count),
                cmocka_unit_test(a_handler_for_once_is_called_once),
                cmocka_unit_test(a_guard_page_handler_on_a_small_stack_tells_an_overflow),
                cmocka_unit_test(an_overflow_that_nobody_catches_ends_the_target),
                cmocka_unit_test(coroutines_switch_stacks_under_the_sampler),
                cmocka_unit_test(cancelled_threads_end_and_clean_up),
                cmocka_unit_test(exceptions_in_eight_threads_are_caught),
                cmocka_unit_test(inherited_masks_and_dispositions_are_seen),
                cmocka_unit_test(no_wait_is_interrupted_unless_a_timer_ticks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
