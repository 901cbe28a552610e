// SPDX-License-Identifier: MIT
/*
 * search.h - a walk that ends where it meets a kept frame.
 */
#ifndef PG_AGENT_SEARCH_H
#define PG_AGENT_SEARCH_H

#include "runner/agent/stack_store.h"

/* A walk under way. */
struct search {
        struct stack_store *store;
        struct pg_regs regs;
        struct pg_stack stack;
        uint32_t kept; // frames[0, kept) may still be met
        uint32_t n_fresh, n_words;
        bool switched; // a signal frame led to another stack: nothing of this may be kept
        enum pg_stop end;
};

/* Walks from w->regs; regs, stack, kept and store are set, all else is zero. On return [0, kept) is met (0:
 * nothing, and the end is known), and the fresh frames are those below it. */
void search_walk(struct search *w);
/* The stack that was found becomes the kept one, if it may be, and its frames nodes; returns the innermost
 * one's. A whole walk hangs below root. */
uint32_t search_keep(struct search *w, uint32_t root);

/* The frame that stands for what could not be found. */
static inline uint32_t root_for(enum pg_stop end)
{
        if (end == PG_STOP_ROOT)
                return PG_NODE_ROOT;
        return end == PG_STOP_MEMORY || end == PG_STOP_DEPTH ? PG_NODE_TRUNCATED : PG_NODE_UNKNOWN;
}

static inline void note_end(enum pg_stop end)
{
        atomic_fetch_add_explicit(&agent.slot->stops[end], 1, memory_order_relaxed);
}

/* A caller where no code is, is no frame. */
static inline bool is_no_frame(enum pg_stop end, uint32_t n_frames)
{
        return end == PG_STOP_NO_CFI && n_frames > 1;
}

#endif
