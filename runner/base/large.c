// SPDX-License-Identifier: MIT
/*
 * large.c - huge pages, by advice.
 */
#include "runner/base/large.h"

#include <stdint.h>
#include <sys/mman.h>

enum { LEAST = 8 << 20, PAGE = 4096 };

void pg_expect_large(void *p, size_t bytes)
{
        if (!p || bytes < LEAST)
                return;
        uintptr_t start = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)p + bytes) / PAGE * PAGE;
        (void)madvise((void *)start, end - start,
                      MADV_HUGEPAGE); // advice: nothing is lost where it is not taken
}
