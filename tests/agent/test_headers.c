// SPDX-License-Identifier: MIT
/*
 * test_headers.c - what the agent reads in front of a block is what malloc_usable_size says of it: blocks of
 * all sizes, in the main heap, in another thread's arena, in mappings of their own, aligned, grown and made
 * smaller.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/agent/real.h"

enum { SMALL_BYTES = 5000, LARGEST_BITS = 26 };

static _Atomic unsigned long n_blocks, n_wrong;

static void compare(void *p)
{
        if (!p)
                abort();
        n_blocks++;
        if (real_header_bytes(p) != malloc_usable_size(p)) {
                n_wrong++;
                fprintf(stderr, "%zu instead of %zu bytes\n", real_header_bytes(p), malloc_usable_size(p));
        }
}

static void compare_size(size_t bytes)
{
        void *p = malloc(bytes), *q = calloc(1, bytes);
        compare(p);
        compare(q);
        free(q);
        compare(p); // whose neighbour is free now
        compare(p = realloc(p, bytes + bytes / 2 + 1));
        compare(p = realloc(p, bytes / 3 + 1));
        free(p);
}

static void compare_aligned(size_t alignment)
{
        for (size_t bytes = 1; bytes < 2000000; bytes = 3 * bytes + 5) {
                void *p = NULL;
                if (posix_memalign(&p, alignment, bytes) != 0)
                        abort();
                compare(p);
                free(p);
        }
}

static void *compare_all(void *unused)
{
        (void)unused;
        for (size_t bytes = 0; bytes < SMALL_BYTES; bytes++)
                compare_size(bytes);
        for (int bits = 12; bits <= LARGEST_BITS; bits++)
                for (int off = -17; off <= 17; off++)
                        compare_size(((size_t)1 << bits) + (size_t)off);
        for (size_t alignment = 16; alignment <= 65536; alignment *= 2)
                compare_aligned(alignment);
        return NULL;
}

static void headers_tell_the_usable_size(void **state)
{
        (void)state;
        pthread_t thread;
        compare_all(NULL);
        assert_int_equal(pthread_create(&thread, NULL, compare_all, NULL), 0);
        pthread_join(thread, NULL);
        assert_true(n_blocks > 4ul * SMALL_BYTES);
        assert_int_equal(n_wrong, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(headers_tell_the_usable_size) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
