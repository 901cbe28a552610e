// SPDX-License-Identifier: MIT
/*
 * progress.h - where a long run is: one line that rewrites itself on a terminal, one line a benchmark
 * elsewhere.
 *
 * Only on standard error.
 */
#ifndef PG_CLI_PROGRESS_H
#define PG_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_progress {
        bool quiet, terminal;
        const char *name; // of the benchmark
        size_t index, count;
        uint64_t start_ns;
        uint64_t shown_ns; // when the line was last written
        double done_share; // of the benchmarks before this one, for the time left in all
        uint64_t all_start_ns;
};

void pg_progress_init(struct pg_progress *p, bool quiet, size_t count);
void pg_progress_begin(struct pg_progress *p, const char *name, size_t index);
/** For pg_measure_options.progress; user is the struct. */
void pg_progress_step(void *user, const char *what, uint32_t done, uint32_t total, uint64_t left_ns);
/** Clears the line; elsewhere says that the benchmark is done (or failed: with the reason). */
void pg_progress_end(struct pg_progress *p, bool measured, const char *failure);

#endif
