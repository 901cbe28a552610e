// SPDX-License-Identifier: MIT
/*
 * memo.h - walks that were made before, found by the caller's pc and sp.
 *
 * An entry says how a stack went on from there: the words that the walk read until it met a kept frame, which
 * frame that was, and the node. When all of it is so again the stack is the same one, and is not walked. A
 * program that goes round a few call sites needs no walk at all.
 */
#ifndef PG_AGENT_MEMO_H
#define PG_AGENT_MEMO_H

#include <stdalign.h>
#include <stdint.h>

struct stack_word {
        uint64_t address, value;
};

enum { MEMO_BITS = 10, MEMO_WAYS = 2, MEMO_WORDS = 12 };

struct memo_entry {
        alignas(256) uint64_t key; // memo_key; 0: nothing here
        uint64_t sp, bp;           // bp counts only if uses_bp
        uint64_t base_bp;          // of the kept frame that was met; counts only if that one uses bp
        uint32_t base_node;
        uint32_t base_above; // bytes from sp to that frame's
        uint32_t node;       // of the caller's frame
        uint16_t base;       // frames from the outermost to the one that was met
        uint8_t n_words;
        uint8_t uses_bp;
        alignas(64) struct stack_word words[MEMO_WORDS]; // in order from the outermost inwards
};
_Static_assert(sizeof(struct memo_entry) == 256, "four cache lines");

/* Where entries of a pc and sp may be: a set has MEMO_WAYS of them. */
struct memo_set {
        struct memo_entry entries[MEMO_WAYS];
};

static inline uint32_t memo_set_of(uint64_t pc, uint64_t sp)
{
        return (uint32_t)(((pc ^ sp << 20) * 0x9e3779b97f4a7c15ull) >> (64 - MEMO_BITS));
}

#endif
