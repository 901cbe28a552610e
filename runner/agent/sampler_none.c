// SPDX-License-Identifier: MIT
/*
 * sampler_none.c - in place of sampler.c in the agent for locks, which never samples and takes no signal.
 */
#include "runner/agent/attach.h"
#include "runner/agent/sampler.h"

void sampler_start(void)
{
        agent.state = AGENT_PASSIVE;
}

void sampler_after_fork(void)
{
}
