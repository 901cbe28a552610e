// SPDX-License-Identifier: MIT
/*
 * test_file.c - bounded reads and atomic replacement, in a folder of its own.
 */
#include "tests/unit/assert_near.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runner/base/cleanup.h"
#include "runner/base/file.h"

static char dir[64];

static int make_dir(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/perfgate-test-XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        (void)state;
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        return system(command);
}

static char *in_dir(const char *name)
{
        static char path[128];
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
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

static void what_is_written_is_read_back(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        assert_true(pg_file_replace(in_dir("a"), "one\0two", 7, &err));
        PG_AUTO_FREE char *data = NULL;
        size_t len;
        assert_true(pg_file_read(in_dir("a"), 100, &data, &len, &err));
        assert_int_equal(len, 7);
        assert_memory_equal(data, "one\0two", 8);
        assert_int_equal(files_in_dir(), 1);
}

static void a_replaced_file_keeps_mode_and_link(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        char target[128];
        strcpy(target, in_dir("real"));
        assert_true(pg_file_replace(target, "x", 1, &err));
        assert_int_equal(chmod(target, 0600), 0);
        assert_int_equal(symlink("real", in_dir("link")), 0);
        assert_true(pg_file_replace(in_dir("link"), "yy", 2, &err));
        struct stat st;
        assert_int_equal(lstat(in_dir("link"), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(stat(target, &st), 0);
        assert_int_equal(st.st_size, 2);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        assert_true(pg_file_replace(in_dir("keep"), "old", 3, &err));
        int before = files_in_dir();
        pid_t child = fork();
        if (child == 0) { // a file size limit stands for a full disk
                struct rlimit limit = { 4096, 4096 };
                setrlimit(RLIMIT_FSIZE, &limit);
                signal(SIGXFSZ, SIG_IGN);
                static char big[100000];
                struct pg_error e = { 0 };
                bool ok = pg_file_replace(in_dir("keep"), big, sizeof(big), &e);
                _exit(!ok && e.code == PG_EOS && e.os_errno == EFBIG ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        assert_int_equal(files_in_dir(), before);
        PG_AUTO_FREE char *data = NULL;
        size_t len;
        assert_true(pg_file_read(in_dir("keep"), 100, &data, &len, &err));
        assert_string_equal(data, "old");
}

static void what_is_no_file_or_too_large_is_refused(void **state)
{
        (void)state;
        char *data = NULL;
        size_t len = 0;
        struct pg_error err = { 0 };
        assert_false(pg_file_read(dir, 100, &data, &len, &err));
        assert_int_equal(err.code, PG_EDATA);
        err = (struct pg_error){ 0 };
        assert_false(pg_file_read(in_dir("missing"), 100, &data, &len, &err));
        assert_int_equal(err.os_errno, ENOENT);
        err = (struct pg_error){ 0 };
        assert_true(pg_file_replace(in_dir("big"), "0123456789", 10, &err));
        assert_false(pg_file_read(in_dir("big"), 9, &data, &len, &err));
        assert_int_equal(err.code, PG_EDATA);
        err = (struct pg_error){ 0 };
        assert_false(pg_file_replace(dir, "x", 1, &err));
        assert_int_equal(err.code, PG_EDATA);
        assert_null(data);
}

static void folders_are_made_with_their_parents(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        assert_true(pg_mkdirs(in_dir("x/y/z"), &err));
        assert_true(pg_mkdirs(in_dir("x/y/z"), &err));
        assert_true(pg_file_replace(in_dir("x/file"), "", 0, &err));
        assert_false(pg_mkdirs(in_dir("x/file/sub"), &err));
        assert_int_equal(err.code, PG_EOS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_is_read_back),
                cmocka_unit_test(a_replaced_file_keeps_mode_and_link),
                cmocka_unit_test(a_failed_write_leaves_the_old_file_and_nothing_else),
                cmocka_unit_test(what_is_no_file_or_too_large_is_refused),
                cmocka_unit_test(folders_are_made_with_their_parents),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
