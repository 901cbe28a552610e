// SPDX-License-Identifier: MIT
/*
 * tick.h - a clock that runs on one thread's CPU time and signals that thread once per period.
 *
 * Two kinds. A task-clock perf event is exact at any rate and counts only while the thread is in user space.
 * A CPU timer needs no permission, but the kernel looks at it on its own tick (often 4 ms): it counts user
 * and system time, and what it misses comes back as overrun. Nothing stays in the descriptor table: the event
 * lives by its mapped page. All functions are async-signal-safe and keep errno; a tick belongs to the thread
 * that started it.
 */
#ifndef PG_AGENT_TICK_H
#define PG_AGENT_TICK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum tick_kind { TICK_NONE, TICK_EVENT, TICK_TIMER };

struct tick {
        enum tick_kind kind;
        bool first;   // not hit yet: running towards first_ns
        int event_fd; // the number that signals carry; the descriptor itself is closed. -1: never one
        int timer_id; // of TICK_TIMER
        void *pages;  // keep the event of TICK_EVENT alive
        uint32_t mapped_bytes;
        uint64_t period_ns; // what one expiry stands for
        uint64_t tick_ns;   // TICK_TIMER: the kernel's tick, at which it looks at timers
        uint64_t first_ns;  // TICK_EVENT: CPU time from the start to the first hit
};

/**
 * Starts ticking the calling thread with signal sig.
 *
 * kinds      bit (1 << TICK_EVENT), (1 << TICK_TIMER) or both; the event is tried first
 * first_ns   in [1, period_ns]. Uniform over it makes the expected weight of a thread equal to its CPU time,
 *            however short it lives
 * returns    false when neither kind could be had; kind is then TICK_NONE
 */
bool tick_start(struct tick *t, unsigned kinds, int sig, uint64_t first_ns, uint64_t period_ns);

/** Goes on with whole periods at once, without a first hit: later the calls for it may be forbidden. */
void tick_settle(struct tick *t, unsigned kinds, int sig);

/** Stops it; a signal that is already under way is still recognised by tick_owns. */
void tick_stop(struct tick *t);

/** In a forked child, which inherits neither events nor timers: forgets them. */
void tick_forget(struct tick *t);

/** Whether a signal with this information came from t, not from anybody else who sends the same signal. */
bool tick_owns(const struct tick *t, const siginfo_t *info);

/**
 * Takes note of a hit (tick_owns was true) and goes on with whole periods after the first.
 * Returns the CPU time that the hit stands for; 0 when it came too late to say what ran then.
 */
uint64_t tick_hit(struct tick *t, unsigned kinds, int sig, const siginfo_t *info);

#endif
