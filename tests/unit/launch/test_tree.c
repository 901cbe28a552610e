// SPDX-License-Identifier: MIT
/*
 * test_tree.c - nothing that a target leaves behind stays alive: time-outs, interruptions, orphans, and
 * targets that turn against the helper.
 *
 * "for ever" is 1,000 s, far beyond the test's own time limit: who waits for it fails. Survivors are found by
 * their working directory, not by what the code under test says.
 */
#include "tests/unit/launch/rig.h"

#include <errno.h>
#include <sys/time.h>
#include <sys/wait.h>

#define FOR_EVER "1000000"

static void time_out_ends_what_does_not_end(void **state)
{
        (void)state;
        const char *const *const endless[] = {
                (const char *const[]){ ACT, "sleep", FOR_EVER, NULL },
                (const char *const[]){ ACT, "deafen", "1", "sleep", FOR_EVER, NULL },
                (const char *const[]){ ACT, "raise", "19", NULL }, // SIGSTOP
                (const char *const[]){ ACT, "raise", "20", NULL }, // SIGTSTP
                (const char *const[]){ ACT, "flood", FOR_EVER "000", NULL },
                (const char *const[]){ ACT, "child", "0", "deafen", "1", "child", "0", "sleep", FOR_EVER,
                                       NULL },
                (const char *const[]){ ACT, "background", FOR_EVER, "close-all", "1", "sleep", FOR_EVER,
                                       NULL },
                (const char *const[]){ ACT, "spread", "50", NULL },
        };
        for (size_t i = 0; i < sizeof(endless) / sizeof(*endless); i++) {
                struct pg_launch_result r = rig_run_for(rig_request(endless[i]), rig_ms(200));
                assert_true(r.timed_out);
                assert_int_equal(r.signal, SIGKILL);
                assert_int_equal(r.exit_status, 128 + SIGKILL);
                assert_true(r.wall_ns >= rig_ms(200));
                assert_int_equal(r.left_running, 0);
                assert_int_equal(rig_living(), 0);
        }
}

static void time_out_finds_those_that_left_group_and_parent(void **state)
{
        (void)state;
        // a daemon by the hand of a child, while the target itself sleeps on
        const char *const argv[] = { "/bin/sh", "-c",
                                     ACT " daemon 0 deafen 1 release 1 sleep " FOR_EVER "; exec sleep 1000",
                                     NULL };
        struct pg_launch_result r = rig_run_for(rig_request(argv), rig_ms(300));
        assert_true(r.timed_out);
        assert_int_equal(rig_living(), 0);
}

static void orphan_that_ends_by_itself_is_waited_for(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("orphan", "3", "outlive", "1", "flood", "0");
        assert_int_equal(r.exit_status, 3);
        assert_int_equal(r.left_running, 0);
        assert_string_equal(r.stderr_tail, "the end\n"); // written by the orphan after the target's end
}

static void what_outlives_the_target_is_ended_and_counted(void **state)
{
        (void)state;
        uint64_t start_ns = pg_now_ns();
        struct pg_launch_result r = RUN_ACT("daemon", "4", "deafen", "1", "release", "1", "sleep", FOR_EVER);
        uint64_t all_ns = pg_now_ns() - start_ns;
        assert_int_equal(r.exit_status, 4);
        assert_int_equal(r.left_running, 1);
        assert_false(r.timed_out);
        assert_true(r.wall_ns + rig_ms(1000) <= all_ns); // the second of grace is no time of the target
        assert_int_equal(rig_living(), 0);
        r = RUN_ACT("background", FOR_EVER, "background", FOR_EVER, "exit", "0");
        assert_int_equal(r.exit_status, 0);
        assert_int_equal(r.left_running, 2);
        assert_int_equal(rig_living(), 0);
}

static void chain_of_forks_cannot_run_away(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("chain", "100");
        assert_int_equal(r.left_running, 0);
        r = RUN_ACT("chain", "0"); // for ever, each generation in a new session
        assert_int_equal(r.exit_status, 0);
        assert_true(r.left_running >= 1);
        assert_int_equal(rig_living(), 0);
}

/* ---- interruption ---------------------------------------------------------------------------------------
 */

static volatile int stop;

static void on_alarm(int sig)
{
        (void)sig;
        stop = 1;
}

static void stop_in_ms(int ms)
{
        stop = 0;
        struct itimerval t = { .it_value = { .tv_usec = ms * 1000 } };
        setitimer(ITIMER_REAL, &t, NULL);
}

static void interruption_ends_the_tree(void **state)
{
        (void)state;
        struct sigaction a = { .sa_handler = on_alarm }, old;
        sigaction(SIGALRM, &a, &old);
        struct pg_launch_request q = ACT_ARGS("background", FOR_EVER, "deafen", "1", "sleep", FOR_EVER);
        q.timeout_ns = 0;
        for (int i = 0; i < 3; i++) {
                struct pg_launch_result r;
                struct pg_error err = { 0 };
                stop_in_ms(100);
                assert_false(pg_launch(launcher, &q, &stop, &r, &err));
                assert_int_equal(err.code, PG_ESTOPPED);
                assert_int_equal(rig_living(), 0);
                assert_int_equal(RUN_ACT("exit", "5").exit_status, 5); // the launcher goes on
        }
        sigaction(SIGALRM, &old, NULL);
}

static void interruption_before_the_start_starts_nothing(void **state)
{
        (void)state;
        struct pg_launch_request q = ACT_ARGS("sleep", FOR_EVER);
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        stop = 1;
        assert_false(pg_launch(launcher, &q, &stop, &r, &err));
        assert_int_equal(err.code, PG_ESTOPPED);
}

/* The request to stop and the answer cross on the way: the launcher must stay in step. */
static void interruption_at_the_very_end_does_no_harm(void **state)
{
        (void)state;
        struct sigaction a = { .sa_handler = on_alarm }, old;
        sigaction(SIGALRM, &a, &old);
        struct pg_launch_request q = ACT_ARGS("sleep", "20");
        for (int i = 0; i < 40; i++) {
                struct pg_launch_result r;
                struct pg_error err = { 0 };
                stop_in_ms(15 + i / 4);
                bool ok = pg_launch(launcher, &q, &stop, &r, &err);
                assert_true(ok ? r.exit_status == 0 : err.code == PG_ESTOPPED);
                stop_in_ms(0);
                assert_int_equal(RUN_ACT("exit", "5").exit_status, 5);
        }
        sigaction(SIGALRM, &old, NULL);
}

/* ---- a helper in trouble --------------------------------------------------------------------------------
 */

static void helper_killed_by_its_target_is_an_error_and_replaced(void **state)
{
        (void)state;
        struct pg_error err =
                rig_fail(ACT_ARGS("background", FOR_EVER, "signal-parent", "9", "sleep", FOR_EVER));
        assert_int_equal(err.code, PG_EOS);
        assert_non_null(strstr(err.text, "launch helper was killed"));
        assert_true(rig_all_gone());
        assert_int_equal(RUN_ACT("exit", "5").exit_status, 5);
}

static void helper_stopped_by_its_target_goes_on(void **state)
{
        (void)state;
        struct pg_launch_request q = ACT_ARGS("signal-parent", "19", "sleep", FOR_EVER);
        struct pg_launch_result r = rig_run_for(q, rig_ms(300));
        assert_true(r.timed_out);
        assert_int_equal(rig_living(), 0);
}

static void signals_of_its_target_do_not_disturb_the_helper(void **state)
{
        (void)state;
        assert_int_equal(
                RUN_ACT("signal-parent", "15", "signal-parent", "2", "signal-parent", "17", "exit", "6")
                        .exit_status,
                6);
}

/* In a process of its own: a runner that starts a launcher, launches, and never comes back. */
static void be_a_runner(void)
{
        struct pg_launch_request q = ACT_ARGS("background", FOR_EVER, "deafen", "1", "sleep", FOR_EVER);
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        q.timeout_ns = 0;
        if (!pg_launcher_create(HELPER, &launcher, &err) || !pg_launch(launcher, &q, NULL, &r, &err))
                _exit(1);
        _exit(0);
}

static void death_of_the_runner_ends_the_tree(void **state)
{
        (void)state;
        pid_t runner = fork();
        if (runner == 0)
                be_a_runner();
        while (rig_living() < 2) // the target and its child; the test's time limit ends a vain wait
                nanosleep(&(struct timespec){ .tv_nsec = PG_NS_PER_MS }, NULL);
        kill(runner, SIGKILL);
        assert_int_equal(waitpid(runner, NULL, 0), runner);
        assert_true(rig_all_gone());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(time_out_ends_what_does_not_end),
                cmocka_unit_test(time_out_finds_those_that_left_group_and_parent),
                cmocka_unit_test(orphan_that_ends_by_itself_is_waited_for),
                cmocka_unit_test(what_outlives_the_target_is_ended_and_counted),
                cmocka_unit_test(chain_of_forks_cannot_run_away),
                cmocka_unit_test(interruption_ends_the_tree),
                cmocka_unit_test(interruption_before_the_start_starts_nothing),
                cmocka_unit_test(interruption_at_the_very_end_does_no_harm),
                cmocka_unit_test(helper_killed_by_its_target_is_an_error_and_replaced),
                cmocka_unit_test(helper_stopped_by_its_target_goes_on),
                cmocka_unit_test(signals_of_its_target_do_not_disturb_the_helper),
                cmocka_unit_test(death_of_the_runner_ends_the_tree),
        };
        return cmocka_run_group_tests(tests, rig_start, rig_end);
}
