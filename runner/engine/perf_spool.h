// SPDX-License-Identifier: MIT
/*
 * perf_spool.h - records between the thread that empties the kernel's rings and the one that has time to unwind.
 *
 * A ring that is full loses samples, and some records take long: a new file's unwind information is read, a large
 * program forks. So one thread only copies records out of the rings, into ordinary memory, and another works them off
 * in the same order. Memory grows by what is waiting, up to a bound; when that is reached, or no more is to be had,
 * the writer waits for the reader, and the rings fill up as they would without a spool.
 *
 * One thread writes, one reads.
 */
#ifndef PG_ENGINE_PERF_SPOOL_H
#define PG_ENGINE_PERF_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/error.h"

struct pg_perf_spool;

/** max_bytes: what may wait, at least; it is rounded up to whole blocks of 1 MiB. PG_ENOMEM. */
PG_MUST_CHECK bool pg_perf_spool_create(size_t max_bytes, struct pg_perf_spool **ret, struct pg_error *err);
/** When neither thread uses it any more; takes NULL. */
void pg_perf_spool_destroy(struct pg_perf_spool *spool);

/** A pg_perf_record_function with the spool as user: keeps a copy of the record, n at most PG_PERF_RECORD_MAX. Waits
 * when there is no room. Always true. */
bool pg_perf_spool_add(void *spool, const void *record, size_t n, struct pg_error *err);
/** The writer is done. */
void pg_perf_spool_close(struct pg_perf_spool *spool);

/** The oldest record, 8-aligned, and its size; waits for one. Good until the next call. NULL: the writer is done, and
 * all records were taken. */
const void *pg_perf_spool_next(struct pg_perf_spool *spool, size_t *ret_n);

#endif
