// SPDX-License-Identifier: MIT
/*
 * stack_store.h - what a thread remembers between its walks.
 *
 * Kept frames and their words, walks that were made before, its part of the tree, and room for the walk under way.
 */
#ifndef PG_AGENT_STACK_STORE_H
#define PG_AGENT_STACK_STORE_H

#include "runner/agent/bounds.h"
#include "runner/agent/memo.h"
#include "runner/agent/private_stack.h"
#include "runner/agent/stack.h"
#include "runner/agent/trie.h"
#include "runner/unwind/step.h"
#include "runner/unwind/walk.h"

enum { STACK_WORDS_MAX = 4 * PG_STACK_MAX };

/* A kept frame. */
struct stack_frame {
        uint64_t pc, sp, bp;
        uint32_t node;
        uint32_t words;   // how many words lie above, its own step's included
        uint32_t hash;    // of its path (trie.h)
        uint32_t uses_bp; // 1: some rule from here outwards depends on bp; 0: any bp gives the same frames
};

/* A frame found by walking. Its step read the next `words` of fresh_words. */
struct fresh_frame {
        uint64_t pc, sp, bp;
        pg_place place;
        uint32_t hash; // of its path, when that is known
        uint16_t words;
        bool uses_bp;    // the caller's place depends on bp
        bool reloads_bp; // the caller's bp is the last word that was read; else it is the same one
};

struct stack_store {
        struct stack_kept kept;
        const uint64_t *walking; // frame of the walk under way; NULL: none
        struct trie trie;
        struct bounds bounds;
        uint32_t epoch;       // agent.epoch whose slot the nodes are in
        uint32_t turned_away; // walks that came in the middle of the one under way
        uint32_t depth;
        uint16_t stamp; // of valid entries in memo
        struct memo_set memo[1 << MEMO_BITS];
        uint8_t recent[1 << MEMO_BITS]; // which way of a set was used last
        struct stack_frame frames[PG_STACK_MAX];
        struct stack_word words[STACK_WORDS_MAX + 2]; // one more is written for speed
        struct fresh_frame fresh[PG_STACK_MAX];
        struct stack_word fresh_words[STACK_WORDS_MAX + 2];
        struct pg_walked walked[PG_STACK_MAX];
        _Alignas(16) unsigned char private_stack[PRIVATE_STACK_BYTES]; // of the signal handler
};

static inline void stack_keep_nothing(struct stack_store *s)
{
        s->depth = 0;
        s->kept.pc = 0;
}

#endif
