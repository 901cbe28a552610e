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

/* Each number on its own line of the section's rows; by hand from make_cpu_profile. */
static void raw_shows_what_was_put_in(void **state)
{
        (void)state;
        save(make_cpu_profile(1), "raw.pb.gz");
        PG_AUTO_FREE char *raw = run_go("tool pprof -raw raw.pb.gz", false);
        assert_has(raw, "PeriodType: cpu nanoseconds\nPeriod: 1000000\n");
        assert_has(raw, "Time: 2023-11-14 ");
        assert_has(raw, "samples/count cpu/nanoseconds[dflt]\n");
        assert_has(raw, "         60   60000000: ");
        assert_has(raw, "          5    5000000: "); // 4 and 1 of one stack are one sample
        const bool columns = strstr(raw, ":0 s=");   // newer Go shows them, and we have none
        assert_has(raw, columns ? "0x1210 M=1 skip /src/a.c:7:0 s=3\n             parse /src/a.c:17:0 s=11\n"
                                : "0x1210 M=1 skip /src/a.c:7 s=3\n             parse /src/a.c:17 s=11\n");
        assert_has(raw, "1: 0x1000/0x9000/0x0 /opt/app/bin/app c0ffee [FN][FL][LN][IN]\n");
        assert_has(raw, "2: 0x70000/0x80000/0x0 /lib/libc.so.6  [FN][FL][LN]\n");
        assert_has(raw, "made by a test");
}

static void traces_list_every_stack_innermost_first(void **state)
{
        (void)state;
        save(make_cpu_profile(1), "traces.pb.gz");
        PG_AUTO_FREE char *traces = run_go("tool pprof -traces traces.pb.gz", false);
        assert_has(traces, "      25ms   skip (inline)\n             parse\n             main\n");
        assert_has(traces, "       5ms   memchr\n             parse\n             main\n");
}

static void diff_base_shows_the_change(void **state)
{
        (void)state;
        save(make_cpu_profile(1), "base.pb.gz");
        save(make_cpu_profile(2), "head.pb.gz");
        PG_AUTO_FREE char *diff = run_go("tool pprof -top -diff_base=base.pb.gz head.pb.gz", false);
        // parse's own 60 ms became 120 ms; the base's sum is 100 ms.
        assert_has(diff, "      60ms 60.00% 60.00%       60ms 60.00%  parse\n");
        assert_has(diff, "         0     0% 60.00%       60ms 60.00%  main\n");
        assert_null(strstr(diff, "skip"));
}

static void values_beyond_32_bits_survive(void **state)
{
        (void)state;
        save(make_cpu_profile(1000000), "large.pb.gz");
        PG_AUTO_FREE char *raw = run_go("tool pprof -raw large.pb.gz", false);
        assert_has(raw, "   60000000 60000000000000: ");
}

/* Four values each; a mapping whose file is not there and none of whose addresses has a symbol. */
static void a_heap_profile_without_symbols_is_read_without_a_complaint(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_HEAP, 1);
        struct pg_frame nameless = { .name = "gone+0x1100" };
        int32_t m;
        uint32_t l;
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x9000, "/no/such/gone", "ab", &m, &err));
        assert_true(pg_profile_add_location(b, m, 0x1100, &(struct pg_location){ &nameless, 1, false }, &l,
                                            &err));
        assert_true(pg_profile_add_sample(b, &l, 1, (int64_t[]){ 3, 3072, 1, 1024 }, &err));
        assert_true(pg_profile_finish(b, 1, 0, &p, &err));
        pg_profile_builder_destroy(b);
        save(p, "heap.pb.gz");
        PG_AUTO_FREE char *space = run_go("tool pprof -top -sample_index=alloc_space heap.pb.gz", false);
        assert_has(space, "   3kB   100%   100%        3kB   100%  gone+0x1100");
        PG_AUTO_FREE char *objects = run_go("tool pprof -top -sample_index=inuse_objects heap.pb.gz", false);
        assert_has(objects, "         1   100%   100%          1   100%  gone+0x1100");
}

static void a_profile_without_samples_is_legal(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        assert_true(pg_profile_finish(b, 1, 1, &p, &err));
        pg_profile_builder_destroy(b);
        assert_int_equal(p->n_mappings, 1);
        save(p, "none.pb.gz");
        PG_AUTO_FREE char *top = run_go("tool pprof -top none.pb.gz", false);
        assert_has(top, "Total samples = 0");
}

/* ---- what Go's runtime wrote ---- */

/* Builds goprof from a copy of its source and runs it, once. */
static void make_go_profiles(void)
{
        char command[512];
        if (access(in_dir("heap.out"), F_OK) == 0)
                return;
        snprintf(command, sizeof(command),
                 "cp '" SOURCE_DIR "'/goprof/main.go '" SOURCE_DIR "'/goprof/go.mod '%s'", dir);
        assert_int_equal(system(command), 0);
        free(run_go("build -o goprof .", true));
        snprintf(command, sizeof(command), "'%s/goprof' '%s'", dir, dir);
        assert_int_equal(system(command), 0);
}

static const struct pg_top_row *find_row(const struct pg_top_row *rows, size_t n, const char *function)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(rows[i].function, function) == 0)
                        return &rows[i];
        fail_msg("no row for %s", function);
        return NULL;
}

/* Two processes in one function, 30 ms and 70 ms. */
static void tags_choose_a_process(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        int32_t m;
        struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1 * MS);
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x2000, "/bin/a", "", &m, &err));
        uint32_t f = add_place(b, m, 0x1100, "busy", NULL);
        assert_true(pg_profile_add_labelled(b, &f, 1, (int64_t[]){ 30, 30 * MS }, "sh/1", &err));
        assert_true(pg_profile_add_labelled(b, &f, 1, (int64_t[]){ 70, 70 * MS }, "jq/1", &err));
        assert_true(pg_profile_finish(b, 1, 100 * MS, &p, &err));
        pg_profile_builder_destroy(b);
        save(p, "tags.pb.gz");
        PG_AUTO_FREE char *all = run_go("tool pprof -top tags.pb.gz", true);
        assert_non_null(strstr(all, " 100ms   100%   100%      100ms   100%  busy"));
        PG_AUTO_FREE char *one = run_go("tool pprof -top -tagfocus=process=sh/1 tags.pb.gz", true);
        assert_non_null(strstr(one, "30ms 30.00% 30.00%       30ms 30.00%  busy"));
        PG_AUTO_FREE char *tags = run_go("tool pprof -tags tags.pb.gz", true);
        assert_non_null(strstr(tags, "jq/1"));
}

static void go_cpu_profiles_are_read(void **state)
{
        (void)state;
        make_go_profiles();
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_error err = { 0 };
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        if (!pg_pprof_load(in_dir("cpu.out"), &p, &err))
                fail_msg("%s", err.text);
        assert_int_equal(p->n_sample_types, 2);
        assert_string_equal(p->sample_types[p->default_type].type, "cpu");
        assert_true(pg_profile_top(p, p->default_type, a, &rows, &n, &sum, &err));
        // Burn is what the program did while it was profiled.
        assert_true(find_row(rows, n, "main.Burn")->total > sum / 2);
        assert_string_equal(pg_module_name(find_row(rows, n, "main.Burn")->file), "main.go");
}

static void go_heap_profiles_are_read(void **state)
{
        (void)state;
        make_go_profiles();
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_error err = { 0 };
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        if (!pg_pprof_load(in_dir("heap.out"), &p, &err))
                fail_msg("%s", err.text);
        assert_int_equal(p->n_sample_types, 4);
        assert_string_equal(p->sample_types[p->default_type].type, "inuse_space");
        assert_true(pg_profile_top(p, p->default_type, a, &rows, &n, &sum, &err));
        // 16 blocks of 1 MiB, every one recorded, and the slice that holds them.
        assert_true(find_row(rows, n, "main.Keep")->self >= 16 << 20);
        assert_true(find_row(rows, n, "main.Keep")->self < 17 << 20);
}

/* The same profile in Go's words before and after it went through our reader and writer. */
static void a_go_profile_that_we_write_again_says_the_same(void **state)
{
        (void)state;
        make_go_profiles();
        struct pg_profile *p = NULL;
        struct pg_error err = { 0 };
        assert_true(pg_pprof_load(in_dir("cpu.out"), &p, &err));
        save(p, "again.pb.gz");
        PG_AUTO_FREE char *before = run_go("tool pprof -traces cpu.out", false);
        PG_AUTO_FREE char *after = run_go("tool pprof -traces again.pb.gz", false);
        assert_string_equal(before, after);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(top_shows_our_sums_without_a_complaint),
                cmocka_unit_test(raw_shows_what_was_put_in),
                cmocka_unit_test(traces_list_every_stack_innermost_first),
                cmocka_unit_test(diff_base_shows_the_change),
                cmocka_unit_test(values_beyond_32_bits_survive),
                cmocka_unit_test(a_heap_profile_without_symbols_is_read_without_a_complaint),
                cmocka_unit_test(a_profile_without_samples_is_legal),
                cmocka_unit_test(tags_choose_a_process),
                cmocka_unit_test(go_cpu_profiles_are_read),
                cmocka_unit_test(go_heap_profiles_are_read),
                cmocka_unit_test(a_go_profile_that_we_write_again_says_the_same),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
