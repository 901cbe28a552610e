// SPDX-License-Identifier: MIT
/*
 * sampler.c - CPU samples: not armed yet, every thread is counted as unarmed so that the reader can tell.
 */
#include "runner/agent/sampler.h"

#include "runner/agent/attach.h"

void sampler_start(void)
{
        atomic_fetch_add_explicit(&agent.slot->threads_unarmed, 1, memory_order_relaxed);
}

void sampler_after_fork(void)
{
        atomic_fetch_add_explicit(&agent.slot->threads_unarmed, 1, memory_order_relaxed);
}
