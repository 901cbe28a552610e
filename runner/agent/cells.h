// SPDX-License-Identifier: MIT
/*
 * cells.h - a thread's place in the slot: counters that it alone writes.
 *
 * Cells of ended threads are taken over by new ones, counters and stacks and all: sums stay exact.
 */
#ifndef PG_AGENT_CELLS_H
#define PG_AGENT_CELLS_H

#include "runner/agent/attach.h"

/* A cell for the calling thread, which has none; NULL when all are taken by living threads, or when it
 * may not ask for its number. */
struct pg_cell *cells_claim(void);

/* Cells that were ever claimed, the shared one included. */
uint32_t cells_count(void);

#endif
