// SPDX-License-Identifier: MIT
/*
 * stack.h - the call stack of every event, exactly, at the price of comparing it with the last one.
 *
 * Each thread keeps its last stack: for every frame the registers there, the memory words that its rule read,
 * and its node in the slot's tree. The next stack is walked only until a frame has the registers of a kept one;
 * when the words above still hold the same values, the rest is the same stack, because registers and words are
 * all that the rules depend on. So a hot loop costs a few comparisons, and the result is that of a full walk.
 *
 * Kept frames count only on the stack that the thread stands on, and not across an unload of code.
 */
#ifndef PG_AGENT_STACK_H
#define PG_AGENT_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/agent/attach.h"
#include "runner/agent/memo.h"

/* The stack of a thread's last event; the rest of its memory is stack_store.h's. The words are those of kept
 * frames, and those further in of the walk or of the memo. */
struct stack_kept {
        uint64_t pc, sp, bp; // in the caller of the interposed function; pc 0: nothing may be reused
        uint32_t uses_bp;    // 0: any bp gives the same frames
        uint32_t node;
        uint32_t n_outer, n_inner;
        const struct stack_word *outer, *inner;
        uint32_t until_verify;
};

/* This thread's; never NULL, an empty one while the thread has no cell. */
extern _Thread_local struct stack_kept *stack_self
        __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The calling thread works with this cell from now on (NULL: none): finds its memory and trusts no kept frame. */
void stack_adopt(const struct pg_cell *c);
/* stack_here() off the fast path: a walk that was made before, or one as far as needed. */
uint32_t stack_find(const uint64_t *frame);
/* A walk below a root of its own, which is a pseudo node; PG_NODE_ROOT: none. */
uint32_t stack_walk(const uint64_t *frame, uint32_t root);
/* Where a signal interrupted the thread; all: its registers in ucontext order. Never reuses. For a signal handler
 * with all signals blocked. */
uint32_t stack_of_context(const uint64_t *all);
/* A full walk beside a stack that was reused; counts a difference. */
void stack_verify(const uint64_t *frame, uint32_t node);

static inline bool stack_word_holds(const struct stack_word *w)
{
        return __builtin_expect(*(const volatile uint64_t *)(uintptr_t)w->address == w->value, 1);
}

/* The words hold what they held. Reads only words of the stack that the thread stands on. O(n), and nearly
 * all of what a known stack costs. */
static inline bool stack_words_hold(const struct stack_word *words, uint32_t n)
{
        const struct stack_word *w = words + n;
        for (; n >= 4; n -= 4, w -= 4)
                if (!stack_word_holds(w - 1) || !stack_word_holds(w - 2) || !stack_word_holds(w - 3) ||
                    !stack_word_holds(w - 4))
                        return false;
        if (n & 2) {
                if (!stack_word_holds(w - 1) || !stack_word_holds(w - 2))
                        return false;
                w -= 2;
        }
        return !(n & 1) || stack_word_holds(w - 1);
}

/**
 * Node of the stack that called an interposed function; 0 never.
 *
 * frame  __builtin_frame_address(0) of that function: the caller's bp, the return address, then the caller's
 *        stack
 */
static inline __attribute__((always_inline)) uint32_t stack_here(const uint64_t *frame)
{
        struct stack_kept *k = stack_self;
        if (__builtin_expect(k->pc != frame[1] || k->sp != (uint64_t)(uintptr_t)(frame + 2) ||
                                     (k->uses_bp && k->bp != frame[0]),
                             0) ||
            (k->n_inner && !stack_words_hold(k->inner, k->n_inner)) ||
            !stack_words_hold(k->outer, k->n_outer))
                return stack_find(frame);
        uint32_t node = k->node;
        atomic_signal_fence(memory_order_seq_cst);
        if (__builtin_expect(k->pc != frame[1], 0)) // a signal handler came in between
                return stack_find(frame);
        if (__builtin_expect(k->until_verify != 0, 0) && --k->until_verify == 0)
                stack_verify(frame, node);
        return node;
}

/* Adds an event to a node that this thread's cell made, or to a pseudo node. */
static inline void stack_count(uint32_t node, uint64_t count, uint64_t amount)
{
        struct pg_node *n = &agent.nodes[node];
        if (__builtin_expect(node < PG_NODE_FIRST, 0)) {
                __atomic_fetch_add(&n->count, count, __ATOMIC_RELAXED);
                __atomic_fetch_add(&n->amount, amount, __ATOMIC_RELAXED);
                return;
        }
        n->count += count;
        n->amount += amount;
}

/* The same for a node that another thread's cell may have made, where both only add by this. */
static inline void stack_count_foreign(uint32_t node, uint64_t count, uint64_t amount)
{
        __atomic_fetch_add(&agent.nodes[node].count, count, __ATOMIC_RELAXED);
        __atomic_fetch_add(&agent.nodes[node].amount, amount, __ATOMIC_RELAXED);
}

#endif
