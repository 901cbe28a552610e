// SPDX-License-Identifier: MIT
/*
 * sampler.h - CPU samples from inside: every thread carries a tick of its own CPU time, whose handler notes
 * the interrupted instruction.
 *
 * Covered are the thread that attached, every thread that pthread_create() starts later, and the one thread
 * of a forked child. Others (raw clone, _Fork, threads from before) are not: the runner sees it, because the weights
 * of the samples then do not add up to the CPU time that the kernel counted.
 */
#ifndef PG_AGENT_SAMPLER_H
#define PG_AGENT_SAMPLER_H

#include <stdbool.h>

/** At the end of attaching in PG_MODE_SAMPLE: takes the signal, arms this thread. Trouble disarms and leaves
 * the reason in the slot. */
void sampler_start(void);

/** In a forked child, when its slot is attached: arms its one thread. Nothing when the sampler is off. */
void sampler_after_fork(void);

/** Before the target installs a filter that does not let all of our calls through; signals: handlers may still run.
 * Threads that tick go on while they may; no other one is armed any more, and the slot says so. */
void sampler_before_filter(bool signals);
/** That filter was not installed. */
void sampler_after_refused_filter(void);

/* ---- for threads.c ---- */

/** False: new threads need no attention. */
bool sampler_is_on(void);
/** Arms the calling thread. */
void sampler_enter_thread(void);
/** Disarms it, before it ends. */
void sampler_leave_thread(void);
/** Counts a thread that could not be armed. */
void sampler_count_unarmed(void);
/** In a forked child: forgets starts that threads of the parent had under way. */
void threads_after_fork(void);

#endif
