// SPDX-License-Identifier: MIT
/*
 * test_launch.c - targets with known ends, sizes and trees, through a real helper.
 *
 * Expected values are by construction of fixtures/targets/act.c. Nothing is decided by a short time: limits
 * on durations only tell "at once" from "never", with seconds between them.
 */
#include "tests/unit/assert_near.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/launch/launch.h"

enum { MIB = 1 << 20 };

static struct pg_launcher *launcher;
static const char *const no_environment[] = { NULL };

static int start_launcher(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        if (pg_launcher_create(HELPER, &launcher, &err))
                return 0;
        fprintf(stderr, "%s\n", err.text);
        return -1;
}

static int end_launcher(void **state)
{
        (void)state;
        pg_launcher_destroy(launcher);
        return 0;
}

static struct pg_launch_request request_of(const char *const *argv)
{
        return (struct pg_launch_request){
                .argv = argv, .envp = no_environment, .cwd = "/", .timeout_ns = 60 * (uint64_t)PG_NS_PER_S
        };
}

static struct pg_launch_result run(struct pg_launch_request request)
{
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        if (!pg_launch(launcher, &request, NULL, &r, &err))
                fail_msg("%s", err.text);
        return r;
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define RUN(...)  run(request_of(ARGV(__VA_ARGS__)))

static void exit_status_and_signal_are_the_targets(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN(ACT, "exit", "3");
        assert_int_equal(r.exit_status, 3);
        assert_int_equal(r.signal, 0);
        assert_true(r.pid > 1);
        r = RUN(ACT, "raise", "11");
        assert_int_equal(r.exit_status, 128 + SIGSEGV);
        assert_int_equal(r.signal, SIGSEGV);
        r = RUN(ACT, "exit", "0");
        assert_int_equal(r.exit_status, 0);
}

static void cpu_time_is_what_the_tree_used(void **state)
{
        (void)state;
        struct pg_launch_result r = RUN(ACT, "child", "0", "burn", "200");
        assert_int_equal(r.exit_status, 0);
        assert_true(r.user_ns + r.system_ns >= 195 * (uint64_t)PG_NS_PER_MS); // burnt by a child, 200 ms
        assert_true(r.wall_ns >= 200 * (uint64_t)PG_NS_PER_MS);
}

static void peak_memory_is_the_targets_and_not_the_runners(void **state)
{
        (void)state;
        size_t n = 300 * (size_t)MIB;
        void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        assert_true(p != MAP_FAILED);
        struct pg_launch_result r = RUN(ACT, "touch", "1");
        munmap(p, n);
        assert_in_range(r.peak_rss_bytes, 1 * MIB, 4 * MIB); // and a C library of about 1.5 MiB
}

static void large_target_leaves_no_trace_in_the_next(void **state)
{
        (void)state;
        assert_in_range(RUN(ACT, "touch", "100").peak_rss_bytes, 100 * MIB, 103 * MIB);
        assert_in_range(RUN(ACT, "touch", "1").peak_rss_bytes, 1 * MIB, 4 * MIB);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exit_status_and_signal_are_the_targets),
                cmocka_unit_test(cpu_time_is_what_the_tree_used),
                cmocka_unit_test(peak_memory_is_the_targets_and_not_the_runners),
                cmocka_unit_test(large_target_leaves_no_trace_in_the_next),
        };
        return cmocka_run_group_tests(tests, start_launcher, end_launcher);
}
