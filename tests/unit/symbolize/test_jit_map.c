// SPDX-License-Identifier: MIT
/*
 * test_jit_map.c - maps as JIT compilers write them, and as they should not.
 *
 * The forms of V8's names are those that node v20 writes with --perf-basic-prof; those of node v12 have no column.
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runner/symbolize/jit_map.h"
#include "runner/symbolize/symbolize.h"

static struct pg_jit_map *parse(const char *text)
{
        struct pg_jit_map *m = pg_jit_map_parse(text, strlen(text));
        assert_non_null(m);
        return m;
}

static const char *name_at(const struct pg_jit_map *m, uint64_t address)
{
        const struct pg_jit_code *code = pg_jit_map_find_code(m, address);
        return code ? code->name : "-";
}

static void names_are_made_readable(void **state)
{
        (void)state;
        static const struct {
                const char *text, *name, *file;
                uint32_t line;
        } cases[] = {
                { "JS:*fib /srv/app.js:3:5", "fib", "/srv/app.js", 3 },
                { "JS:~fib /srv/app.js:3:5", "fib", "/srv/app.js", 3 },
                { "JS:*'fib /srv/app.js:3:5", "fib", "/srv/app.js", 3 },
                { "LazyCompile:*fib /srv/app.js:3:5", "fib", "/srv/app.js", 3 },
                { "JS:^get foo /srv/x y.js:2:18", "get foo", "/srv/x y.js", 2 },
                { "JS:~ /srv/app.js:1:1", "(anonymous app.js)", "/srv/app.js", 1 },
                { "Eval:~ node:net:1:1", "(anonymous node:net)", "node:net", 1 },
                { "JS:+run file:///srv/m.mjs:20:7", "run", "file:///srv/m.mjs", 20 },
                { "JS:*evaluate evalmachine.<anonymous>:1:2", "evaluate", "evalmachine.<anonymous>", 1 },
                { "JS:*fib", "fib", NULL, 0 },
                { "JS:*", "(anonymous)", NULL, 0 },
                { "LazyCompile:*fib /srv/app.js:3", "fib", "/srv/app.js", 3 },
                { "Script:~ /srv/app.js:1", "(anonymous app.js)", "/srv/app.js", 1 },
                { "JS:*fib /srv/app.js", "fib /srv/app.js", NULL, 0 },
                { "Builtin:ArrayMap", "Builtin:ArrayMap", NULL, 0 },
                { "BytecodeHandler:Add", "BytecodeHandler:Add", NULL, 0 },
                { "instance int[] Program::Main(string[])", "instance int[] Program::Main(string[])", NULL,
                  0 },
                { "JS:*f /a.js:4294967296:1", "f", "/a.js:4294967296", 1 }, // the former is no line
                { "JS:*f /a.js:4294967296", "f /a.js:4294967296", NULL, 0 },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char line[256];
                snprintf(line, sizeof(line), "1000 10 %s\n", cases[i].text);
                struct pg_jit_map *m = parse(line);
                const struct pg_jit_code *code = pg_jit_map_find_code(m, 0x1008);
                assert_non_null(code);
                assert_string_equal(code->name, cases[i].name);
                assert_string_equal(code->system_name, cases[i].text);
                if (cases[i].file)
                        assert_string_equal(code->file, cases[i].file);
                else
                        assert_null(code->file);
                assert_int_equal(code->line, cases[i].line);
                pg_jit_map_destroy(m);
        }
}

static void ranges_are_half_open(void **state)
{
        (void)state;
        struct pg_jit_map *m = parse("1000 10 a\n0x1010 0x10 b\nFFFFFFFFFFFFF000 fff high\n");
        assert_string_equal(name_at(m, 0xfff), "-");
        assert_string_equal(name_at(m, 0x1000), "a");
        assert_string_equal(name_at(m, 0x100f), "a");
        assert_string_equal(name_at(m, 0x1010), "b");
        assert_string_equal(name_at(m, 0x101f), "b");
        assert_string_equal(name_at(m, 0x1020), "-");
        assert_string_equal(name_at(m, 0xfffffffffffffffe), "high");
        assert_string_equal(name_at(m, 0xffffffffffffffff), "-");
        pg_jit_map_destroy(m);
}

/* Code is thrown away and its place used again: later lines cut holes into earlier ones. */
static void the_later_line_wins(void **state)
{
        (void)state;
        struct pg_jit_map *m = parse("1000 100 old\n"
                                     "1020 10 middle\n"
                                     "10f0 20 end\n"
                                     "2000 10 before\n"
                                     "2000 10 after\n"
                                     "3000 10 inner\n"
                                     "2f00 1000 around\n");
        assert_string_equal(name_at(m, 0x101f), "old");
        assert_string_equal(name_at(m, 0x1020), "middle");
        assert_string_equal(name_at(m, 0x102f), "middle");
        assert_string_equal(name_at(m, 0x1030), "old");
        assert_string_equal(name_at(m, 0x10ef), "old");
        assert_string_equal(name_at(m, 0x10f0), "end");
        assert_string_equal(name_at(m, 0x110f), "end");
        assert_string_equal(name_at(m, 0x1110), "-");
        assert_string_equal(name_at(m, 0x2008), "after");
        assert_string_equal(name_at(m, 0x3008), "around");
        pg_jit_map_destroy(m);
}

/* 2,000 lines at random against the plain answer: the last line that covers the address. */
static void overlaps_are_those_of_a_plain_search(void **state)
{
        (void)state;
        enum { LINES = 2000, SPACE = 5000 };
        static char text[LINES * 32];
        static int newest[SPACE + 400];
        uint32_t x = 12345;
        char *p = text;
        memset(newest, -1, sizeof(newest));
        for (int i = 0; i < LINES; i++) {
                x = x * 1103515245 + 12345;
                uint32_t start = (x >> 8) % SPACE;
                x = x * 1103515245 + 12345;
                uint32_t size = 1 + (x >> 8) % (i % 50 == 0 ? 400 : 20);
                p += sprintf(p, "%x %x f%d\n", start, size, i);
                for (uint32_t k = start; k < start + size && k < SPACE + 400; k++)
                        newest[k] = i;
        }
        struct pg_jit_map *m = parse(text);
        for (uint32_t k = 0; k < SPACE + 400; k++) {
                char want[16] = "-";
                if (newest[k] >= 0)
                        sprintf(want, "f%d", newest[k]);
                assert_string_equal(name_at(m, k), want);
        }
        pg_jit_map_destroy(m);
}

static void damaged_lines_are_passed_over(void **state)
{
        (void)state;
        struct pg_jit_map *m = parse("\n"
                                     "hello world\n"
                                     "1000\n"
                                     "1000 \n"
                                     "1000 10\n"
                                     "1000 10 \n"
                                     "1000 0 empty\n"
                                     "11111111111111111 10 too long\n"
                                     "ffffffffffffffff 10 beyond the end\n"
                                     "-1000 10 negative\n"
                                     "2000 10 good\n"
                                     "3000 10 cut o");
        assert_string_equal(name_at(m, 0x1000), "-");
        assert_string_equal(name_at(m, 0xffffffffffffffff), "-");
        assert_string_equal(name_at(m, 0x2000), "good");
        assert_string_equal(name_at(m, 0x3000), "cut o");
        pg_jit_map_destroy(m);
        m = parse("");
        assert_string_equal(name_at(m, 0), "-");
        pg_jit_map_destroy(m);
        pg_jit_map_destroy(NULL);
}

static void a_name_has_a_limit(void **state)
{
        (void)state;
        static char line[5000] = "1000 10 ";
        memset(line + 8, 'x', sizeof(line) - 9);
        struct pg_jit_map *m = parse(line);
        assert_int_equal(strlen(name_at(m, 0x1000)), 1024);
        pg_jit_map_destroy(m);
}

static void paths_are_told_by_their_name(void **state)
{
        (void)state;
        assert_true(pg_is_jit_map("/tmp/perf-1.map"));
        assert_true(pg_is_jit_map("perf-4194304.map"));
        assert_false(pg_is_jit_map("/tmp/perf-.map"));
        assert_false(pg_is_jit_map("/tmp/perf-1x.map"));
        assert_false(pg_is_jit_map("/tmp/perf-1.map.so"));
        assert_false(pg_is_jit_map("/tmp/perf-1.map/libc.so"));
        assert_string_equal(pg_module_name("/tmp/perf-17.map"), "[jit]");
}

static void put_file(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static uint64_t monotonic_now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The file of a process that had the same number long ago, a link, and a file of somebody else are not believed. */
static void only_a_trusted_file_is_found(void **state)
{
        (void)state;
        char path[64], found[PG_JIT_MAP_PATH];
        int pid = getpid();
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
        unlink(path);
        assert_false(pg_jit_map_find(pid, 0, found));
        put_file(path, "1000 10 f\n");
        bool there = pg_jit_map_find(pid, 0, found);
        bool same = there && strcmp(found, path) == 0;
        bool young = pg_jit_map_find(pid, monotonic_now_ns() - 1000000, found);
        const struct timespec hour_ago[2] = { { .tv_sec = time(NULL) - 3600 },
                                              { .tv_sec = time(NULL) - 3600 } };
        utimensat(AT_FDCWD, path, hour_ago, 0);
        bool old = pg_jit_map_find(pid, monotonic_now_ns(), found);
        bool foreign = false;
        if (geteuid() == 0 && chown(path, 65534, 65534) == 0)
                foreign = pg_jit_map_find(pid, 0, found);
        unlink(path);
        bool linked = symlink("/etc/passwd", path) == 0 && pg_jit_map_find(pid, 0, found);
        unlink(path);
        assert_true(there && same && young);
        assert_false(old || foreign || linked);
        assert_false(pg_jit_map_find(0, 0, found));
        assert_false(pg_jit_map_find(-1, 0, found));
}

static void addresses_are_symbolized_by_the_map(void **state)
{
        (void)state;
        char dir[] = "/tmp/jit-test-XXXXXX", path[64];
        struct pg_error err = { 0 };
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/perf-5.map", dir);
        put_file(path, "1000 10 JS:*f /a.js:3:5\n");
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_symbolizer *s = pg_symbolizer_create(a);
        struct pg_location found[2];
        bool ok = pg_symbolize(s, path, (uint64_t[]){ 0x2000, 0x1004 }, 2, found, &err);
        unlink(path);
        rmdir(dir);
        assert_true(ok);
        assert_false(found[0].has_symbol);
        assert_true(found[1].has_symbol);
        assert_string_equal(found[1].frames[0].identity, "f");
        assert_string_equal(found[1].frames[0].system_name, "JS:*f /a.js:3:5");
        assert_string_equal(found[1].frames[0].file, "/a.js");
        assert_int_equal(found[1].frames[0].line, 3);
        assert_string_equal(pg_symbolizer_build_id(s, path), "");
        pg_symbolizer_destroy(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_made_readable),
                cmocka_unit_test(ranges_are_half_open),
                cmocka_unit_test(the_later_line_wins),
                cmocka_unit_test(overlaps_are_those_of_a_plain_search),
                cmocka_unit_test(damaged_lines_are_passed_over),
                cmocka_unit_test(a_name_has_a_limit),
                cmocka_unit_test(paths_are_told_by_their_name),
                cmocka_unit_test(only_a_trusted_file_is_found),
                cmocka_unit_test(addresses_are_symbolized_by_the_map),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
