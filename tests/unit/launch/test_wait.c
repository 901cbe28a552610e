// SPDX-License-Identifier: MIT
/*
 * test_wait.c - a target that waits before its exec until somebody has seen its process.
 */
#include "tests/unit/launch/rig.h"

#include <sys/stat.h>

#include "runner/base/cleanup.h"

struct witness {
        int calls;
        pid_t pid;
        char exe[256]; // of the waiting process
        bool refuse;
        const char *text;   // of the refusal
        volatile int *stop; // set it
        unsigned sleep_ms;
};

static bool see(void *user, pid_t pid, struct pg_error *err)
{
        struct witness *w = user;
        char link[32];
        w->calls++;
        w->pid = pid;
        snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
        ssize_t n = readlink(link, w->exe, sizeof(w->exe) - 1);
        w->exe[n > 0 ? n : 0] = '\0';
        if (w->stop)
                *w->stop = 1;
        usleep(w->sleep_ms * 1000);
        if (w->refuse && w->text)
                return pg_fail(err, PG_EOS, "%s", w->text);
        return !w->refuse;
}

static struct pg_launch_request seen_by(struct witness *w, struct pg_launch_request q)
{
        q.before_exec = see;
        q.user = w;
        return q;
}

static void the_process_is_seen_before_it_becomes_the_target(void **state)
{
        (void)state;
        struct witness w = { .calls = 0 };
        struct pg_launch_result r = rig_run(seen_by(&w, ACT_ARGS("show", "1", "exit", "5")));
        assert_int_equal(r.exit_status, 5);
        assert_int_equal(w.calls, 1);
        assert_int_equal(w.pid, r.pid);
        assert_string_equal(strrchr(w.exe, '/'), "/perfgate-helper"); // what it was before its exec
        if (!strstr(r.stderr_tail, "blocked=0 changed=0 open=3 leader=1"))
                fail_msg("a target that waited is not as others: %s", r.stderr_tail);
}

static void waiting_is_no_part_of_the_time_out(void **state)
{
        (void)state;
        struct witness w = { .sleep_ms = 2500 };
        struct pg_launch_request q = seen_by(&w, ACT_ARGS("exit", "0"));
        q.timeout_ns = rig_ms(2000);
        struct pg_launch_result r = rig_run(q);
        assert_false(r.timed_out);
        assert_true(r.wall_ns < rig_ms(2000));
}

static void a_refusal_is_the_error_and_nothing_runs(void **state)
{
        (void)state;
        struct witness w = { .refuse = true, .text = "not today" };
        struct pg_launch_request q = ACT_ARGS("touch", "1");
        struct pg_error e = rig_fail(seen_by(&w, q));
        assert_int_equal(e.code, PG_EOS);
        assert_string_equal(e.text, "not today");
        assert_int_equal(kill(w.pid, 0), -1); // reaped
        w.text = NULL;
        assert_true(strlen(rig_fail(seen_by(&w, q)).text) > 0);
        w.refuse = false; // the launcher is as before
        assert_int_equal(rig_run(seen_by(&w, ACT_ARGS("exit", "3"))).exit_status, 3);
        assert_int_equal(w.calls, 3);
}

static void a_program_that_cannot_start_is_named_as_ever(void **state)
{
        (void)state;
        struct witness w = { .calls = 0 };
        char path[96];
        snprintf(path, sizeof(path), "%s/no-format", scratch);
        PG_AUTO_FCLOSE FILE *f = fopen(path, "we");
        fputs("#!/no/such/interpreter\n", f);
        fflush(f);
        chmod(path, 0755);
        const char *const argv[] = { path, NULL };
        struct pg_error e = rig_fail(seen_by(&w, rig_request(argv)));
        assert_int_equal(e.code, PG_ETARGET);
        assert_int_equal(w.calls, 1);
        unlink(path);
}

static void an_interrupt_while_it_waits_ends_it(void **state)
{
        (void)state;
        volatile int stop = 0;
        struct witness w = { .stop = &stop };
        struct pg_launch_request q = seen_by(&w, ACT_ARGS("sleep", "60000"));
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        assert_false(pg_launch(launcher, &q, &stop, &r, &err));
        assert_int_equal(err.code, PG_ESTOPPED);
        assert_int_equal(kill(w.pid, 0), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_process_is_seen_before_it_becomes_the_target),
                cmocka_unit_test(waiting_is_no_part_of_the_time_out),
                cmocka_unit_test(a_refusal_is_the_error_and_nothing_runs),
                cmocka_unit_test(a_program_that_cannot_start_is_named_as_ever),
                cmocka_unit_test(an_interrupt_while_it_waits_ends_it),
        };
        return cmocka_run_group_tests(tests, rig_start, rig_end);
}
