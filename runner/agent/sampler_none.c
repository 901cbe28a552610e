// SPDX-License-Identifier: MIT
/*
 * sampler_none.c - in place of sampler.c in the agents that never sample and take no signal.
 */
#include "runner/agent/sampler.h"

void sampler_start(void)
{
}

void sampler_after_fork(void)
{
}

void sampler_before_filter(bool signals)
{
        (void)signals;
}

void sampler_after_refused_filter(void)
{
}
