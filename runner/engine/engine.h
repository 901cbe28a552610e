// SPDX-License-Identifier: MIT
/*
 * engine.h - ways to take CPU samples of a process tree, behind one table of operations.
 *
 * An engine is started before the target, says what the target's environment must have, may look at the process
 * before its exec, and collects what came when the tree has ended. Which engine ran is part of the result. A new
 * way is a file here and a row in pg_engines.
 */
#ifndef PG_ENGINE_ENGINE_H
#define PG_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/capture/capture.h"

/* What may tick; PG_CLOCK_BEST tries the event for each thread and then the timer. The others are for tests.
 */
enum pg_clock { PG_CLOCK_BEST, PG_CLOCK_EVENT, PG_CLOCK_TIMER };

enum { PG_ENGINE_RATE_HZ_MAX = 100000 };

struct pg_engine_request {
        uint32_t rate_hz; // samples per second of CPU time, of each thread; 1 to PG_ENGINE_RATE_HZ_MAX
        enum pg_clock clock;
        const char *agent_path; // the library for preloading
        /* Engines that look from outside; 0 at first, raised by again(). */
        uint32_t stack_copy_bytes; // of the user stack in each sample; 0: the engine's choice
        uint32_t finer; // tick 2^finer times as often and keep every 2^finer-th: for short-lived threads
};

struct pg_engine_session; // one pass over one target

struct pg_engine_ops {
        const char *name;
        /** Why this engine cannot sample the program at that path here, NULL when nothing speaks against it.
         * Tries what it can try without the program. The text lives in a, or is static. */
        const char *(*obstacle)(const char *program, const struct pg_engine_request *request,
                                struct pg_arena *a);
        /** Gets ready for one target. PG_EUSAGE for a rate out of range; PG_EOS. */
        bool (*start)(const struct pg_engine_request *request, struct pg_engine_session **ret,
                      struct pg_error *err);
        /** "NAME=value" entries for the target's environment, NULL-terminated; borrowed until stop. Never NULL.
         */
        const char *const *(*environment)(const struct pg_engine_session *s);
        /** The library that must be preloaded, NULL for none; borrowed until stop. The caller puts it in
         * front of an LD_PRELOAD that is already there. */
        const char *(*preload)(const struct pg_engine_session *s);
        /** To be called while the target's process exists and waits before its exec (the hook of the same name
         * in struct pg_launch_request). NULL: not needed. */
        bool (*before_exec)(struct pg_engine_session *s, pid_t pid, struct pg_error *err);
        /** What the tree left, when it has ended; lives in a. */
        bool (*collect)(struct pg_engine_session *s, struct pg_arena *a, struct pg_captured **ret,
                        struct pg_error *err);
        /** After collect: why the run should be repeated with another request, which is then changed; NULL when
         * it is as good as this engine gets. The text lives in a, or is static. NULL: never. */
        const char *(*again)(const struct pg_engine_session *s, struct pg_engine_request *request,
                             struct pg_arena *a);
        /** Ends the session; takes NULL. */
        void (*stop)(struct pg_engine_session *s);
};

extern const struct pg_engine_ops pg_agent_engine;  // samples itself by the preloaded agent
extern const struct pg_engine_ops pg_perf_engine;   // sampled from outside by perf events
extern const struct pg_engine_ops pg_ptrace_engine; // stopped and read from outside

/** All engines, best first, NULL-terminated. */
extern const struct pg_engine_ops *const pg_engines[];
/** The engine of that name; NULL when there is none. */
const struct pg_engine_ops *pg_engine_by_name(const char *name);

/** For engines: whether the rate is in range; else PG_EUSAGE. */
static inline bool pg_engine_rate_ok(const struct pg_engine_request *request, struct pg_error *err)
{
        return (request->rate_hz > 0 && request->rate_hz <= PG_ENGINE_RATE_HZ_MAX) ||
               pg_fail(err, PG_EUSAGE, "sample rate %u Hz: expected 1 to %d", request->rate_hz,
                       PG_ENGINE_RATE_HZ_MAX);
}

/**
 * The engine for one program: the first in pg_engines without an obstacle, or the named one.
 *
 * name     an engine's name, or "auto"
 * program  path of an existing executable; NULL (not found yet): nothing but the machine is asked
 * ret      the engine, NULL when none can
 * ret_why  "auto": why better ones were passed over ("agent: statically linked; perf: ..."), NULL when none was;
 *          a named one: its obstacle. In a, or static
 * err      PG_EUSAGE when there is no engine of that name; PG_ENOMEM
 */
PG_MUST_CHECK bool pg_engine_pick(const char *name, const char *program,
                                  const struct pg_engine_request *request, struct pg_arena *a,
                                  const struct pg_engine_ops **ret, const char **ret_why,
                                  struct pg_error *err);

/* ---- judging what came (check.c) ---- */

/** What ticked: "task-clock", "cpu-timer", "task-clock and cpu-timer", "thread-cpu-time" (read from outside), or ""
 * when nothing did. */
const char *pg_profile_clock(const struct pg_captured *captured);

/**
 * Why these samples must not decide anything, or NULL when they may: the weights of all samples against the
 * CPU time that the kernel accounted to the same tree.
 *
 * Events tick in user space alone, timers in both, so the weights must lie between user - tolerance and
 * user + system + tolerance (with timers alone, or threads stopped by their CPU time: around the
 * sum). The tolerance is 10 %, and five standard deviations of what chance does to samples and to the kernel's own
 * split, which it makes by sampling at CONFIG_HZ (100 assumed).
 *
 * And at most 2 % of the samples may be lost, or be without any frame. Where threads are stopped, at most 10 % of
 * all, beyond system time and chance, may have been met at the end of system calls.
 *
 * user_ns, system_ns: of the whole tree; period_ns: between two samples; a keeps the text, and when it is out
 * of memory a text without figures is returned.
 */
const char *pg_profile_doubt(const struct pg_captured *captured, uint64_t user_ns, uint64_t system_ns,
                             uint64_t period_ns, struct pg_arena *a);

#endif
