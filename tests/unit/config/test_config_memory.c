// SPDX-License-Identifier: MIT
/*
 * test_config_memory.c - every single allocation of loading a configuration fails once: it is said, nothing
 * leaks (the sanitizer build looks).
 */
#include "tests/unit/assert_near.h"

#include "ci/config/config.h"
#include "tests/unit/alloc_failure.h"

static void sweep(const char *path)
{
        for (long n = 0;; n++) {
                struct pg_error err = { 0 };
                PG_AUTO_CONFIG struct pg_config *c = NULL;
                alloc_fail(n);
                bool ok = pg_config_load(path, &c, &err);
                if (!alloc_failed()) {
                        assert_true(ok && n >= 3); // the text, the arena, its first chunk
                        return;
                }
                assert_false(ok);
                assert_null(c);
                assert_int_equal(err.code, PG_ENOMEM);
        }
}

static void a_load_without_memory_says_so(void **state)
{
        (void)state;
        sweep("fixtures/configs/valid/every-key/input.json");
        sweep("fixtures/configs/valid/minimal/input.json");
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(a_load_without_memory_says_so) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
