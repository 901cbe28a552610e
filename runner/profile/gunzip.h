// SPDX-License-Identifier: MIT
/*
 * gunzip.h - gzip bytes in memory, unpacked within a limit.
 */
#ifndef PG_PROFILE_GUNZIP_H
#define PG_PROFILE_GUNZIP_H

#include <stddef.h>

#include "runner/base/buf.h"
#include "runner/base/error.h"

bool pg_is_gzip(const void *bytes, size_t len);

/** Appends what all members together hold. PG_EDATA when damaged, cut off, or more than max_bytes. */
PG_MUST_CHECK bool pg_gunzip(const void *bytes, size_t len, size_t max_bytes, struct pg_buf *ret,
                             struct pg_error *err);

#endif
