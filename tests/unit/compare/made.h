// SPDX-License-Identifier: MIT
/*
 * made.h - snapshots made by hand, for tests of whoever judges or shows them.
 *
 * Every function asserts that memory is there. A made snapshot and what it holds go with made_destroy.
 */
#ifndef PG_TESTS_MADE_H
#define PG_TESTS_MADE_H

#include "baseline/snapshot.h"
#include "compare/gate.h"

/** An empty snapshot of one fixed machine. */
struct pg_snapshot *made_snapshot(void);
void made_destroy(struct pg_snapshot *s);

/** One more benchmark. The pointer is good until the next one is added. */
struct pg_measurement *made_benchmark(struct pg_snapshot *s, const char *name);

/** Samples of one metric, as many as there are arguments behind it. */
#define made_series(s, m, metric, ...)                                                                       \
        made_series_of(s, m, metric, (const uint64_t[]){ __VA_ARGS__ },                                      \
                       sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
void made_series_of(struct pg_snapshot *s, struct pg_measurement *m, enum pg_metric metric,
                    const uint64_t *samples, size_t n);
void made_unavailable(struct pg_measurement *m, enum pg_metric metric, const char *reason);

/** A CPU profile without functions yet: runs with 1,000 samples and no time each. */
void made_profile(struct pg_snapshot *s, struct pg_measurement *m, size_t runs);
/** A function with its milliseconds in each run; they are added to the runs' totals. In sorted order, please.
 */
#define made_function(s, m, function, file, line, ...)                                                       \
        made_function_of(s, m, function, file, line, (const double[]){ __VA_ARGS__ },                        \
                         sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double))
void made_function_of(struct pg_snapshot *s, struct pg_measurement *m, const char *function, const char *file,
                      uint32_t line, const double *ms, size_t n);
void made_site(struct pg_snapshot *s, struct pg_measurement *m, const char *function, const char *file,
               uint32_t line, uint64_t allocations, uint64_t allocated_bytes);

/** Options with the defaults and nothing else. */
struct pg_gate_options made_options(void);
/** Judges, or fails the test. */
struct pg_gate *made_gate(const struct pg_snapshot *base, const struct pg_snapshot *head,
                          const struct pg_gate_options *options);

#endif
