// SPDX-License-Identifier: MIT
/*
 * sampler.h - CPU samples of this process's threads, only in the profile pass (AGENT_SAMPLING).
 */
#ifndef PG_AGENT_SAMPLER_H
#define PG_AGENT_SAMPLER_H

/** At the end of attaching, in the constructor: one thread exists. */
void sampler_start(void);
/** In a forked child that has its slot (agent.borrowed: goes on in its parent's): one thread exists. */
void sampler_after_fork(void);

#endif
