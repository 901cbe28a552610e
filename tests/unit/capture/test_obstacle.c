// SPDX-License-Identifier: MIT
/*
 * test_obstacle.c - programs made for it, ELF headers by hand, and what every system has.
 */
#include "tests/unit/assert_near.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/capture/capture.h"

static const char *obstacle_of_bytes(const void *bytes, size_t n)
{
        char path[] = "/tmp/perfgate-test-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, n), (ssize_t)n);
        close(fd);
        const char *why = pg_capture_obstacle(path, PG_MODE_COUNT);
        unlink(path);
        return why;
}

static void ordinary_programs_have_none(void **state)
{
        (void)state;
        assert_null(pg_capture_obstacle(FIXTURES "/alloc_tree", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle("/bin/sh", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle("/usr/bin/jq", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle("/nonexistent", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle("/", PG_MODE_COUNT));
}

static void what_keeps_the_agent_out_is_named(void **state)
{
        (void)state;
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_tree_static", PG_MODE_COUNT),
                            "statically linked");
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_inside", PG_MODE_COUNT),
                            "its allocator is inside the program");
}

/* Texts and names are those of CPython 3.13, and of the headers of its builds without a global lock. */
static void an_allocator_inside_counts_where_it_is_used(void **state)
{
        (void)state;
        static const char why[] = "its allocator is inside the program (mimalloc)";
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_no_python", PG_MODE_COUNT), why);
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_python_no_gil", PG_MODE_COUNT), why);
        assert_null(pg_capture_obstacle(FIXTURES "/alloc_python", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle("/usr/bin/python3", PG_MODE_COUNT));
}

/* Samples need no allocator: only what keeps the agent out counts. */
static void its_own_allocator_does_not_keep_samples_out(void **state)
{
        (void)state;
        assert_null(pg_capture_obstacle(FIXTURES "/alloc_inside", PG_MODE_SAMPLE));
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_tree_static", PG_MODE_SAMPLE),
                            "statically linked");
}

/* The same text in its constants with and without a call of libc's function; real programs of the language
 * have both. */
static void locks_that_are_not_libcs_are_told(void **state)
{
        (void)state;
        assert_string_equal(pg_capture_obstacle(FIXTURES "/lock_foreign", PG_MODE_LOCK),
                            "its locks are its language's own (Rust)");
        assert_null(pg_capture_obstacle(FIXTURES "/lock_foreign", PG_MODE_COUNT));
        assert_null(pg_capture_obstacle(FIXTURES "/lock_foreign_too", PG_MODE_LOCK));
        assert_string_equal(pg_capture_obstacle(FIXTURES "/lock_inside", PG_MODE_LOCK),
                            "its lock functions are inside the program");
        assert_null(pg_capture_obstacle(FIXTURES "/lock_waits", PG_MODE_LOCK));
        assert_null(pg_capture_obstacle(FIXTURES "/alloc_inside", PG_MODE_LOCK));
        assert_null(pg_capture_obstacle("/bin/sh", PG_MODE_LOCK));
        assert_string_equal(pg_capture_obstacle(FIXTURES "/alloc_tree_static", PG_MODE_LOCK),
                            "statically linked");
}

static void a_script_is_its_interpreter(void **state)
{
        (void)state;
        static const char script[] = "#! " FIXTURES "/alloc_tree_static -x\n", shell[] = "#!/bin/sh\n";
        assert_string_equal(obstacle_of_bytes(script, sizeof(script) - 1), "statically linked");
        assert_null(obstacle_of_bytes(shell, sizeof(shell) - 1));
}

static void headers_of_other_machines(void **state)
{
        (void)state;
        Elf32_Ehdr narrow = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                              .e_type = ET_EXEC,
                              .e_machine = EM_386,
                              .e_version = EV_CURRENT,
                              .e_ehsize = sizeof(narrow) };
        Elf64_Ehdr other = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                             .e_type = ET_EXEC,
                             .e_machine = EM_S390,
                             .e_version = EV_CURRENT,
                             .e_ehsize = sizeof(other) };
        assert_string_equal(obstacle_of_bytes(&narrow, sizeof(narrow)), "a 32-bit program");
        assert_string_equal(obstacle_of_bytes(&other, sizeof(other)), "a program for another processor");
        assert_null(obstacle_of_bytes("\177ELF", 4));
        assert_null(obstacle_of_bytes("", 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ordinary_programs_have_none),
                cmocka_unit_test(what_keeps_the_agent_out_is_named),
                cmocka_unit_test(an_allocator_inside_counts_where_it_is_used),
                cmocka_unit_test(its_own_allocator_does_not_keep_samples_out),
                cmocka_unit_test(locks_that_are_not_libcs_are_told),
                cmocka_unit_test(a_script_is_its_interpreter),
                cmocka_unit_test(headers_of_other_machines),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
