// SPDX-License-Identifier: MIT
/*
 * alloc_failure.h - lets the n-th allocation of the code under test fail: 0, 1, 2, ... until none is left.
 *
 * Needs PG_FAILING_ALLOCATIONS among the libraries of the test, which puts our functions in front of the C
 * library's for everything that is linked statically.
 */
#ifndef PG_TEST_ALLOC_FAILURE_H
#define PG_TEST_ALLOC_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

static long alloc_count, alloc_fail_at = -1; // -1: none fails

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool alloc_fails(void)
{
        return alloc_count++ == alloc_fail_at;
}

void *__wrap_malloc(size_t n)
{
        return alloc_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
        return alloc_fails() ? NULL : __real_realloc(p, n);
}

/* The n-th allocation from now on fails. */
static void alloc_fail(long n)
{
        alloc_count = 0;
        alloc_fail_at = n;
}

/* Whether one did; none does from now on. */
static bool alloc_failed(void)
{
        bool failed = alloc_fail_at >= 0 && alloc_count > alloc_fail_at;
        alloc_fail_at = -1;
        return failed;
}

#endif
