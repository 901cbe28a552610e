// SPDX-License-Identifier: MIT
/*
 * trie.h - a cell's part of the slot's tree of stacks: finding and making children.
 *
 * One writer: the thread that has the cell. Nodes live in shared memory, the hash table that finds them is
 * private and grows by doubling, so a child costs O(1) on average. Hashes are those of whole paths from the
 * root: all of a stack's are known before the first node is, and their memory can be fetched at once. When no
 * node is left everything below is [other].
 */
#ifndef PG_AGENT_TRIE_H
#define PG_AGENT_TRIE_H

#include "runner/agent/attach.h"

struct trie_entry {
        uint32_t node; // 0: empty
        uint32_t hash;
};

struct trie {
        struct trie_entry *table; // private memory; at first a shared one without entries
        uint32_t mask, used;
        uint32_t next, end; // nodes taken and not used yet
        uint32_t waiting;   // new frames until memory is asked for again, after it was refused
};

/* Hash of a path that ends with a frame at place, from that of the path above; a pseudo node's is its number. */
static inline uint32_t trie_hash(uint32_t above, pg_place place)
{
        uint64_t h = (place ^ (uint64_t)above << 31) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
        return (uint32_t)(h * 0xbf58476d1ce4e5b9ull >> 32);
}

static inline void trie_prefetch_entry(const struct trie *t, uint32_t hash)
{
        __builtin_prefetch(&t->table[hash & t->mask]);
}

static inline void trie_prefetch_node(const struct trie *t, uint32_t hash)
{
        __builtin_prefetch(&agent.nodes[t->table[hash & t->mask].node], 1);
}

static inline bool trie_is_child(const struct trie_entry *e, uint32_t hash, uint32_t parent, pg_place place)
{
        const struct pg_node *n = &agent.nodes[e->node];
        return e->hash == hash && e->node && atomic_load_explicit(&n->place, memory_order_relaxed) == place &&
               n->parent == parent;
}

/* The rest of trie_child, when the first place that it looks at is not the child's. */
uint32_t trie_child_elsewhere(struct trie *t, uint32_t parent, pg_place place, uint32_t hash);

/* The child of parent (a node of this trie, or a pseudo node) at place, whose path has this hash; made when new. */
static inline uint32_t trie_child(struct trie *t, uint32_t parent, pg_place place, uint32_t hash)
{
        const struct trie_entry *e = &t->table[hash & t->mask];
        if (__builtin_expect(trie_is_child(e, hash, parent, place), 1))
                return e->node;
        return trie_child_elsewhere(t, parent, place, hash);
}

/* Before the first use. */
void trie_start(struct trie *t);

/* Forgets everything without touching nodes: they belong to a parent process's slot. */
void trie_reset(struct trie *t);

#endif
