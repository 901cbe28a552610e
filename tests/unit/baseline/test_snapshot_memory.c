// SPDX-License-Identifier: MIT
/*
 * test_snapshot_memory.c - every single allocation of loading and saving fails once: it is said, nothing
 * leaks (the sanitizer build looks), and the old file stays.
 */
#include "tests/unit/assert_near.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/file.h"
#include "tests/unit/alloc_failure.h"
#include "tests/unit/baseline/sample_snapshot.h"

enum { FEWEST = 3 }; // the text, the arena, its first chunk: fewer would mean that the sweep met nothing

static void a_load_without_memory_says_so(void **state)
{
        (void)state;
        for (long n = 0;; n++) {
                struct pg_error err = { 0 };
                PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
                alloc_fail(n);
                bool ok = pg_snapshot_load("fixtures/baselines/valid/written-by-v1/input.json", &s, &err);
                if (!alloc_failed()) {
                        assert_true(ok && n >= FEWEST);
                        return;
                }
                assert_false(ok);
                assert_null(s);
                assert_int_equal(err.code, PG_ENOMEM);
        }
}

static char dir[64], path[128];

static int make_dir(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/perfgate-test-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        snprintf(path, sizeof(path), "%s/main.json", dir);
        return 0;
}

static int remove_dir(void **state)
{
        (void)state;
        return unlink(path) | rmdir(dir);
}

static int files_in_dir(void)
{
        DIR *d = opendir(dir);
        int n = 0;
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static void a_save_without_memory_leaves_the_old_file(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        assert_true(pg_file_replace(path, "old", 3, &err));
        for (long n = 0;; n++) {
                err = (struct pg_error){ 0 };
                alloc_fail(n);
                bool ok = pg_baseline_save(path, &sample_snapshot, &err);
                if (!alloc_failed()) {
                        assert_true(ok && n >= FEWEST);
                        return;
                }
                assert_false(ok);
                assert_int_equal(err.code, PG_ENOMEM);
                assert_int_equal(files_in_dir(), 1);
                PG_AUTO_FREE char *text = NULL;
                size_t len;
                err = (struct pg_error){ 0 };
                assert_true(pg_file_read(path, 100, &text, &len, &err));
                assert_string_equal(text, "old");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_load_without_memory_says_so),
                cmocka_unit_test(a_save_without_memory_leaves_the_old_file),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
