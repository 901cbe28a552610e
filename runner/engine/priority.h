// SPDX-License-Identifier: MIT
/*
 * priority.h - a thread of ours that must not come late, on a machine with more to do than processors.
 *
 * For threads that work little and sleep in between: what they do not do in time is lost, or seen in the wrong place.
 */
#ifndef PG_ENGINE_PRIORITY_H
#define PG_ENGINE_PRIORITY_H

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

/* From now on the calling thread runs before all ordinary ones; else, where only that is allowed, as nice says; else as
 * before. Threads and processes that it starts do not inherit it. */
static inline void pg_go_first(int nice_else)
{
        const struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };
        if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) < 0)
                setpriority(PRIO_PROCESS, (id_t)gettid(), nice_else);
}

#endif
