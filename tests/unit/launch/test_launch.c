// SPDX-License-Identifier: MIT
/*
 * test_launch.c - what a launch reports: status, memory, time, standard error.
 *
 * Expected values are by construction of fixtures/targets/act.c. No short time decides anything.
 */
#include "tests/unit/launch/rig.h"

#include <sys/mman.h>

static void exit_status_and_signal_are_the_targets(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("exit", "3");
        assert_int_equal(r.exit_status, 3);
        assert_int_equal(r.signal, 0);
        assert_false(r.timed_out);
        assert_true(r.pid > 1);
        r = RUN_ACT("raise", "11");
        assert_int_equal(r.exit_status, 128 + SIGSEGV);
        assert_int_equal(r.signal, SIGSEGV);
        r = RUN_ACT("exit", "0");
        assert_int_equal(r.exit_status, 0);
}

static void cpu_time_is_what_the_tree_used(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("child", "0", "burn", "200");
        assert_int_equal(r.exit_status, 0);
        assert_true(r.user_ns + r.system_ns >= rig_ms(195)); // 200 ms, burnt by a child
        assert_true(r.wall_ns >= rig_ms(200));
        assert_true(r.wall_ns < rig_ms(60000));
}

static void cpu_time_of_orphans_counts(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("daemon", "0", "burn", "200", "release", "1");
        assert_int_equal(r.left_running, 0);
        assert_true(r.user_ns + r.system_ns >= rig_ms(195));
}

static void peak_memory_is_the_targets_and_not_the_runners(void **state)
{
        (void)state;
        size_t n = 300 * (size_t)MIB;
        void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        assert_true(p != MAP_FAILED);
        struct pg_launcher *small = launcher;
        struct pg_error err = { 0 };
        assert_true(pg_launcher_create(HELPER, &launcher, &err)); // by a runner that is large already
        struct pg_launch_result fresh = RUN_ACT("touch", "1");
        pg_launcher_destroy(launcher);
        launcher = small;
        struct pg_launch_result old = RUN_ACT("touch", "1");
        munmap(p, n);
        assert_in_range(fresh.peak_rss_bytes, 1 * MIB, 6 * MIB); // and a C library of about 1.5 MiB
        assert_in_range(old.peak_rss_bytes, 1 * MIB, 6 * MIB);
}

static void large_target_leaves_no_trace_in_the_next(void **state)
{
        (void)state;
        assert_in_range(RUN_ACT("touch", "100").peak_rss_bytes, 100 * MIB, 106 * MIB);
        assert_in_range(RUN_ACT("touch", "1").peak_rss_bytes, 1 * MIB, 6 * MIB);
}

static void peak_memory_is_the_largest_single_process(void **state)
{
        (void)state;
        assert_in_range(RUN_ACT("child", "0", "touch", "40").peak_rss_bytes, 40 * MIB, 46 * MIB);
        assert_in_range(RUN_ACT("daemon", "0", "touch", "40").peak_rss_bytes, 40 * MIB, 46 * MIB);
        struct pg_launch_result two = RUN_ACT("touch", "40", "child", "0", "touch", "30");
        assert_in_range(two.peak_rss_bytes, 40 * MIB, 46 * MIB); // not their sum
}

static void smallest_target_shows_no_more_than_the_floor(void **state)
{
        (void)state;
        assert_in_range(rig_run(rig_request(ARGV(TINY))).peak_rss_bytes, 1, PG_LAUNCH_FLOOR_BYTES);
}

/* 1,500,000 bytes pass through the helper's memory, and must not stay in its high-water mark. */
static void large_environment_leaves_no_trace_in_the_next(void **state)
{
        (void)state;
        enum { STRINGS = 15, LENGTH = 100000 };
        char *words[STRINGS + 1] = { NULL };
        for (int i = 0; i < STRINGS; i++) {
                words[i] = malloc(LENGTH);
                memset(words[i], 'a' + i, LENGTH - 1);
                words[i][1] = '=';
                words[i][LENGTH - 1] = '\0';
        }
        struct pg_launch_request q = rig_request(ARGV(TINY));
        q.envp = (const char *const *)words;
        struct pg_launch_result large = rig_run(q);
        for (int i = 0; i < STRINGS; i++)
                free(words[i]);
        assert_int_equal(large.exit_status, 0);
        assert_true(large.peak_rss_bytes >= STRINGS * LENGTH); // they lie on its stack, so they are its own
        assert_in_range(rig_run(rig_request(ARGV(TINY))).peak_rss_bytes, 1, PG_LAUNCH_FLOOR_BYTES);
}

static void standard_error_is_kept_from_its_end(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN_ACT("flood", "4096", "exit", "1");
        char want[PG_STDERR_TAIL];
        memset(want, 'x', sizeof(want)); // 1,023 x and a line feed, again and again, then "the end\n"
        memcpy(want + sizeof(want) - 9, "the end\n", 9);
        want[sizeof(want) - 10] = want[sizeof(want) - 10 - 1024] = '\n';
        assert_string_equal(r.stderr_tail, want);
        assert_int_equal(r.exit_status, 1);
        assert_string_equal(RUN_ACT("flood", "0").stderr_tail, "the end\n");
        assert_string_equal(RUN_ACT("exit", "0").stderr_tail, "");
}

static void standard_error_is_a_string_whatever_was_written(void **state)
{
        (void)state;
        const char *const zero[] = { "/bin/sh", "-c", "printf 'a\\0b' >&2", NULL };
        assert_string_equal(rig_run(rig_request(zero)).stderr_tail, "a?b");
        // 1,023 two-byte characters and an x: the tail of 2,047 bytes begins with a whole one
        const char *const even[] = {
                "/bin/sh", "-c",
                "i=0; while [ $i -lt 1100 ]; do printf '\\303\\244'; i=$((i+1)); done >&2; printf x >&2", NULL
        };
        struct pg_launch_result r = rig_run(rig_request(even));
        assert_int_equal(strlen(r.stderr_tail), 2 * 1023 + 1);
        assert_memory_equal(r.stderr_tail, "\303\244", 2);
        // without the x it would begin with half a one, which is left out
        const char *const odd[] = {
                "/bin/sh", "-c", "i=0; while [ $i -lt 1100 ]; do printf '\\303\\244'; i=$((i+1)); done >&2",
                NULL
        };
        r = rig_run(rig_request(odd));
        assert_int_equal(strlen(r.stderr_tail), 2 * 1023);
        assert_memory_equal(r.stderr_tail, "\303\244", 2);
}

static void strange_targets_are_only_targets(void **state)
{
        (void)state;
        assert_int_equal(RUN_ACT("close-all", "1", "exit", "7").exit_status, 7);
        assert_int_equal(RUN_ACT("limit", "64", "exit", "7").exit_status, 7);
        assert_int_equal(RUN_ACT("deafen", "1", "exit", "7").exit_status, 7);
        assert_int_equal(RUN_ACT("ignore-children", "1", "background", "50", "exit", "7").exit_status, 7);
        assert_int_equal(RUN_ACT("ignore-children", "1", "child", "50").exit_status, 96); // ECHILD for itself
}

static int open_files(const char *folder)
{
        int n = 0;
        DIR *dir = opendir(folder);
        while (dir && readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void launches_leave_no_descriptor_behind(void **state)
{
        (void)state;
        RUN_ACT("exit", "0");
        int before = open_files("/proc/self/fd");
        for (int i = 0; i < 20; i++) {
                RUN_ACT("exit", "0");
                rig_fail(rig_request(ARGV("./nothing-here")));
        }
        assert_int_equal(open_files("/proc/self/fd"), before);
        struct pg_launch_result r = RUN_ACT("show", "1");
        assert_non_null(strstr(r.stderr_tail, "open=3 ")); // nor in the helper, whence a target would have it
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exit_status_and_signal_are_the_targets),
                cmocka_unit_test(cpu_time_is_what_the_tree_used),
                cmocka_unit_test(cpu_time_of_orphans_counts),
                cmocka_unit_test(peak_memory_is_the_targets_and_not_the_runners),
                cmocka_unit_test(large_target_leaves_no_trace_in_the_next),
                cmocka_unit_test(peak_memory_is_the_largest_single_process),
                cmocka_unit_test(smallest_target_shows_no_more_than_the_floor),
                cmocka_unit_test(large_environment_leaves_no_trace_in_the_next),
                cmocka_unit_test(standard_error_is_kept_from_its_end),
                cmocka_unit_test(standard_error_is_a_string_whatever_was_written),
                cmocka_unit_test(strange_targets_are_only_targets),
                cmocka_unit_test(launches_leave_no_descriptor_behind),
        };
        return cmocka_run_group_tests(tests, rig_start, rig_end);
}
