// SPDX-License-Identifier: MIT
/*
 * test_pprof_go.c - go tool pprof is the judge of what we write, and the producer of what we must read.
 *
 * Expected sums are those of sample_profiles.h, by hand. Any word on its standard error is a failure.
 */
#include "tests/unit/profile/sample_profiles.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/cleanup.h"
#include "runner/base/file.h"

static char dir[] = "/tmp/pprof-test-XXXXXX";

static int setup(void **state)
{
        (void)state;
        return mkdtemp(dir) && (mkdir(CACHE_DIR, 0777) == 0 || errno == EEXIST) ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        char command[256];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        return system(command);
}

static char *in_dir(const char *name)
{
        static char path[4][256];
        static unsigned next;
        char *p = path[next++ % 4];
        snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
        return p;
}

static char *read_text(const char *path)
{
        struct pg_error err = { 0 };
        char *text = NULL;
        size_t len;
        if (!pg_file_read(path, 16 << 20, &text, &len, &err))
                fail_msg("%s: %s", path, err.text);
        return text;
}

/* Standard output of "go ARGS"; fails on a non-zero status. */
static char *run_go(const char *args, bool may_talk)
{
        char command[1024];
        snprintf(command, sizeof(command),
                 "cd '%s' && HOME='%s' GOCACHE='" CACHE_DIR
                 "' GOFLAGS=-mod=mod GOPROXY=off PPROF_BINARY_PATH=/nonexistent '" GO
                 "' %s >out 2>err </dev/null",
                 dir, dir, args);
        int status = system(command);
        PG_AUTO_FREE char *complaint = read_text(in_dir("err"));
        if (status != 0 || (!may_talk && *complaint))
                fail_msg("go %s: status %d: %s", args, status, complaint);
        return read_text(in_dir("out"));
}

static void save(struct pg_profile *p, const char *name)
{
        struct pg_error err = { 0 };
        if (!pg_pprof_save(in_dir(name), p, &err))
                fail_msg("%s", err.text);
        pg_profile_destroy(p);
}

static void assert_has(const char *text, const char *part)
{
        if (!strstr(text, part))
                fail_msg("expected '%s' in:\n%s", part, text);
}

static void top_shows_our_sums_without_a_complaint(void **state)
{
        (void)state;
        save(make_cpu_profile(1), "cpu.pb.gz");
        PG_AUTO_FREE char *top = run_go("tool pprof -top cpu.pb.gz", false);
        assert_has(top, "File: app\n");
        assert_has(top, "Build ID: c0ffee\n");
        assert_has(top, "Type: cpu\n");
        assert_has(top, "Duration: 200ms, Total samples = 100ms (50.00%)");
        assert_has(top, "      60ms 60.00% 60.00%       90ms 90.00%  parse\n");
        assert_has(top, "      25ms 25.00% 85.00%       25ms 25.00%  skip (inline)\n");
        assert_has(top, "      10ms 10.00% 95.00%      100ms   100%  main\n");
        assert_has(top, "       5ms  5.00%   100%        5ms  5.00%  memchr\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(top_shows_our_sums_without_a_complaint),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
