// SPDX-License-Identifier: MIT
/*
 * test_memory.c - arena, buffer, error.
 */
#include "tests/unit/assert_near.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/arena.h"
#include "runner/base/buf.h"

static void an_array_grows_and_keeps_its_elements(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        int *v = NULL;
        for (size_t n = 0; n < 1000; n++) {
                v = pg_arena_grow(a, v, n, sizeof(*v));
                assert_non_null(v);
                assert_int_equal(v[n], 0);
                v[n] = (int)n + 1;
        }
        for (int i = 0; i < 1000; i++)
                assert_int_equal(v[i], i + 1);
}

static void arena_pieces_are_aligned_zeroed_and_apart(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t n = 0; n < 20000; n += 777) {
                unsigned char *p = pg_arena_calloc(a, n, 1);
                assert_int_equal((uintptr_t)p % 16, 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(p[i], 0);
                memset(p, 0xff, n);
        }
        assert_null(pg_arena_calloc(a, SIZE_MAX / 2, 3));
        assert_null(pg_arena_calloc(a, SIZE_MAX - 8, 1));
        assert_string_equal(pg_arena_printf(a, "%d-%s", 5, "x"), "5-x");
}

static void a_buffer_keeps_its_bytes_and_its_failure(void **state)
{
        (void)state;
        PG_AUTO_BUF struct pg_buf b = { 0 };
        struct pg_error err = { 0 };
        for (int i = 0; i < 1000; i++)
                pg_buf_printf(&b, "%03d,", i);
        assert_true(pg_buf_ok(&b, &err));
        assert_int_equal(b.len, 4000);
        assert_memory_equal(b.data + 3996, "999,", 5);
        pg_buf_append(&b, "", SIZE_MAX / 2);
        pg_buf_puts(&b, "more");
        assert_false(pg_buf_ok(&b, &err));
        assert_int_equal(err.code, PG_ENOMEM);
        assert_int_equal(b.len, 4000);
}

static void the_first_error_is_kept_and_context_goes_in_front(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        errno = ENOENT;
        assert_false(pg_fail_os(&err, "cannot open '%s'", "x"));
        assert_false(pg_fail(&err, PG_EDATA, "later"));
        assert_int_equal(err.code, PG_EOS);
        assert_int_equal(err.os_errno, ENOENT);
        assert_false(pg_context(&err, "baseline"));
        assert_string_equal(err.text, "baseline: cannot open 'x': No such file or directory");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_array_grows_and_keeps_its_elements),
                cmocka_unit_test(arena_pieces_are_aligned_zeroed_and_apart),
                cmocka_unit_test(a_buffer_keeps_its_bytes_and_its_failure),
                cmocka_unit_test(the_first_error_is_kept_and_context_goes_in_front),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
