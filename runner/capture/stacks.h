// SPDX-License-Identifier: MIT
/*
 * stacks.h - builds a struct pg_captured from call stacks, for engines that see a target from outside.
 *
 * Processes, their modules and their stacks come in any order while the target runs; what is kept is one tree of
 * frames for each process, so memory grows with distinct stacks and not with samples. Not thread-safe.
 */
#ifndef PG_CAPTURE_STACKS_H
#define PG_CAPTURE_STACKS_H

#include "runner/capture/capture.h"
#include "runner/unwind/rule.h"

struct pg_stacks;

/** NULL when out of memory. */
struct pg_stacks *pg_stacks_create(void);
/** Frees everything but what pg_stacks_finish handed over; takes NULL. */
void pg_stacks_destroy(struct pg_stacks *s);
PG_DEFINE_CLEANUP(struct pg_stacks, pg_stacks_destroy)
#define PG_AUTO_STACKS __attribute__((cleanup(pg_stacks_destroyp)))

/** A new process image: one for each fork and each exec. program is copied, "" while it is unknown. */
PG_MUST_CHECK bool pg_stacks_add_process(struct pg_stacks *s, int32_t pid, int32_t ppid, const char *program,
                                         uint64_t start_ns, bool forked, uint32_t *ret, struct pg_error *err);
/** Another name for the program of a process; copied. */
PG_MUST_CHECK bool pg_stacks_set_program(struct pg_stacks *s, uint32_t process, const char *program,
                                         struct pg_error *err);

/** What was set, made printable; valid until it is set again. */
const char *pg_stacks_program(const struct pg_stacks *s, uint32_t process);

/** A module of that process; path is copied and made printable. *ret is its number in places of this process.
 * PG_MODULE_NONE when there are 65,535 already. */
PG_MUST_CHECK bool pg_stacks_add_module(struct pg_stacks *s, uint32_t process,
                                        const struct pg_captured_module *module, uint32_t *ret,
                                        struct pg_error *err);

/**
 * Adds to the stack's innermost frame.
 *
 * frames  innermost first, n of them (0: nothing is known of it but that it happened); addresses in the file's
 *         own terms, absolute with PG_MODULE_NONE
 * end     why there are no more: PG_STOP_ROOT, complete; PG_STOP_MEMORY or PG_STOP_DEPTH: [truncated] becomes the
 *         outermost frame; else [unknown] does
 *
 * O(n) on average.
 */
PG_MUST_CHECK bool pg_stacks_add(struct pg_stacks *s, uint32_t process, const pg_place *frames, uint32_t n,
                                 uint64_t count, uint64_t amount, enum pg_stop end, struct pg_error *err);

/**
 * What else is known of a process (execed, n_threads, lost_samples, threads_armed, ...): to be set by the caller.
 * Its program, modules, nodes, quality and sums belong to the functions here. Valid until the next process is
 * added.
 */
struct pg_captured_process *pg_stacks_process(struct pg_stacks *s, uint32_t process);
uint32_t pg_stacks_n_processes(const struct pg_stacks *s);

/** Everything so far, processes in order of start; lives in a and is independent of s. */
PG_MUST_CHECK bool pg_stacks_finish(const struct pg_stacks *s, struct pg_arena *a, struct pg_captured **ret,
                                    struct pg_error *err);

#endif
