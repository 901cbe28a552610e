// SPDX-License-Identifier: MIT
/*
 * passes.h - inside runner/measure: the state of one benchmark's measuring, and the passes over it.
 *
 * A pass runs the target in fresh processes and fills its series; a new pass is a file of its own and a row
 * in measure.c.
 */
#ifndef PG_MEASURE_PASSES_H
#define PG_MEASURE_PASSES_H

#include "runner/capture/capture.h"
#include "runner/measure/measure.h"

struct pg_session {
        const struct pg_workload *workload;
        const struct pg_measure_options *options;
        struct pg_arena *arena;
        struct pg_measured *out;
        const char *program; // the executable that will run, NULL when it was not found
        const char *agent_path, *sampler_path, *locks_path; // as LD_PRELOAD can hold them
        uint32_t done, total;                               // process runs, for progress
        uint64_t start_ns;
        int64_t stdin_start; // offset of standard input, where a second pass begins again; -1: it has none
};

/** Timing: warm-up runs, then w->runs runs with nothing in the target. */
PG_MUST_CHECK bool pg_pass_timing(struct pg_session *s, struct pg_error *err);
/** Allocation: two counting runs, more when they differ. */
PG_MUST_CHECK bool pg_pass_allocation(struct pg_session *s, struct pg_error *err);
/** Profile: w->runs sampled runs. */
PG_MUST_CHECK bool pg_pass_profile(struct pg_session *s, struct pg_error *err);
/** Lock: w->runs runs with the lock functions wrapped. */
PG_MUST_CHECK bool pg_pass_lock(struct pg_session *s, struct pg_error *err);

/* ---- what passes share (measure.c) ---- */

/** Starts the target once and checks how it ended; what: "timing run", for progress and messages. */
PG_MUST_CHECK bool pg_session_run(struct pg_session *s, const char *what, const char *const *environment,
                                  bool fixed_addresses, struct pg_launch_result *ret, struct pg_error *err);
/** The same with before_exec(user, ...) called as struct pg_launch_request has it; NULL: not. */
PG_MUST_CHECK bool pg_session_run_watched(struct pg_session *s, const char *what,
                                          const char *const *environment,
                                          bool (*before_exec)(void *user, pid_t pid, struct pg_error *err),
                                          void *user, struct pg_launch_result *ret, struct pg_error *err);
/** Adds what a run's capture says of its stacks. */
void pg_session_add_quality(struct pg_session *s, enum pg_stacks_of of, const struct pg_captured *c);
/** True when the time budget is spent. */
bool pg_session_late(const struct pg_session *s);
/** Room for n samples in a wanted metric's series, status measured, n still 0; nothing when it is not wanted.
 */
PG_MUST_CHECK bool pg_session_open_series(struct pg_session *s, enum pg_metric metric, size_t n,
                                          struct pg_error *err);
void pg_session_add_sample(struct pg_session *s, enum pg_metric metric, uint64_t value);
/** Marks every wanted metric of a pass. reason must outlive the arena's user (static, or in the arena). */
void pg_session_unavailable(struct pg_session *s, enum pg_pass pass, const char *reason);
/** What a profile leaves out, as its comment. */
struct pg_fold;
PG_MUST_CHECK bool pg_session_tell_fold(struct pg_session *s, const struct pg_fold *fold,
                                        struct pg_profile_builder *b, struct pg_error *err);
PG_MUST_CHECK bool pg_session_note(struct pg_session *s, struct pg_error *err, const char *fmt, ...)
        PG_PRINTF(3, 4);

#endif
