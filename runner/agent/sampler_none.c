// SPDX-License-Identifier: MIT
/*
 * sampler_none.c - in place of sampler.c in the agent for locks, which never samples and takes no signal, and which
 * has no malloc either.
 */
#include "runner/agent/attach.h"
#include "runner/agent/real.h"
#include "runner/agent/sampler.h"

const bool real_wants_sized_frees = false;

void sampler_start(void)
{
        agent.state = AGENT_PASSIVE;
}

void sampler_after_fork(void)
{
}
