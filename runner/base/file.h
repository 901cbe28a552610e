// SPDX-License-Identifier: MIT
/*
 * file.h - whole files in and out.
 *
 * Reading has a size limit and only takes regular files (and pipes). Writing replaces atomically: a temporary
 * file in the same folder, synced, renamed; a reader sees the old bytes or the new ones, and a failure leaves
 * the old ones.
 */
#ifndef PG_BASE_FILE_H
#define PG_BASE_FILE_H

#include <stddef.h>

#include "runner/base/error.h"

/**
 * Reads all of path. *ret gets the bytes with a NUL behind them (free it), *ret_len their number.
 * PG_EOS when it cannot be opened or read (os_errno ENOENT when missing), PG_EDATA when it is a directory or
 * holds more than max_bytes. The text names the reason but not the path: callers add it as context.
 */
PG_MUST_CHECK bool pg_file_read(const char *path, size_t max_bytes, char **ret, size_t *ret_len,
                                struct pg_error *err);

/** Replaces path by data, atomically and durably. Mode 0644 less umask for a new file, the old file's mode
 * else. */
PG_MUST_CHECK bool pg_file_replace(const char *path, const void *data, size_t len, struct pg_error *err);

/** mkdir -p. PG_EOS names the folder that failed. */
PG_MUST_CHECK bool pg_mkdirs(const char *path, struct pg_error *err);

/** "dir/name" as a new string, or name alone when it is absolute or dir is "."; NULL when out of memory. */
char *pg_path_join(const char *dir, const char *name);

#endif
