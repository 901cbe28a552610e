// SPDX-License-Identifier: MIT
/*
 * lone_agent.h - what parts of the agent need around them when they are tested by themselves: a slot, cells, nodes.
 *
 * The test's thread has the second cell, as a process's first thread has. To be included once, by the test.
 */
#ifndef PG_TESTS_LONE_AGENT_H
#define PG_TESTS_LONE_AGENT_H

#include <string.h>

#include "runner/agent/count.h"
#include "runner/agent/live.h"

enum { N_CELLS = 3, N_NODES = 64, BUCKETS = 64, PLACES = BUCKETS * PG_LIVE_BUCKET };

struct agent_process agent;
_Thread_local struct count_thread count_self;
static struct pg_slot slot;
static struct pg_cell cells[N_CELLS], *const cell = &cells[1];
static struct pg_node nodes[N_NODES];
static struct pg_node_peak peaks[N_NODES];

/* All as at the start of a process; blocks: PLACES empty ones. */
static inline void lone_agent_start(struct pg_live_block *blocks)
{
        memset(&slot, 0, sizeof(slot));
        memset(cells, 0, sizeof(cells));
        memset(nodes, 0, sizeof(nodes));
        memset(peaks, 0, sizeof(peaks));
        agent = (struct agent_process){ .slot = &slot,
                                        .cells = cells,
                                        .nodes = nodes,
                                        .peaks = peaks,
                                        .live_blocks = blocks,
                                        .live_mask = BUCKETS - 1 };
        slot.peak = 1;
        count_self = (struct count_thread){ .cell = cell };
        live_start();
}

#endif
