// SPDX-License-Identifier: MIT
/*
 * trie.c - open addressing with linear probing; an entry has the hash, so that a probe touches a node only when
 * it is very likely the right one.
 */
#include "runner/agent/trie.h"

#include "runner/agent/raw.h"

enum {
        TABLE_FIRST = 512, // entries; a page
        HUGE_PAGE = 1 << 21,
        WAIT_FOR_MEMORY = 4096,
};

/* A large table is asked for in huge pages: it is read at random, and each look-up would miss the TLB. */
static struct trie_entry *map_table(uint32_t entries)
{
        size_t size = entries * sizeof(struct trie_entry);
        if (size < HUGE_PAGE)
                return raw_map_private(size);
        char *p = raw_map_private(size + HUGE_PAGE);
        if (!p)
                return NULL;
        size_t before = -(uintptr_t)p & (HUGE_PAGE - 1);
        if (before)
                raw_unmap(p, before);
        if (before < HUGE_PAGE)
                raw_unmap(p + before + size, HUGE_PAGE - before);
        raw_call(SYS_madvise, (long)(p + before), (long)size, MADV_HUGEPAGE, 0, 0, 0);
        return (struct trie_entry *)(p + before);
}

static struct trie_entry nothing; // never written: a table of one place has no room

void trie_start(struct trie *t)
{
        *t = (struct trie){ .table = &nothing };
}

static void put(struct trie *t, struct trie_entry e)
{
        uint32_t i = e.hash & t->mask;
        while (t->table[i].node)
                i = (i + 1) & t->mask;
        t->table[i] = e;
}

/* Also the first one. False: no memory, the old table stays. */
static bool grow(struct trie *t)
{
        uint32_t old_size = t->table == &nothing ? 0 : t->mask + 1,
                 size = old_size ? 4 * old_size : TABLE_FIRST;
        struct trie_entry *old = t->table, *table = map_table(size);
        if (!table)
                return false;
        t->table = table;
        t->mask = size - 1;
        for (uint32_t i = 0; i < old_size; i++)
                if (old[i].node)
                        put(t, old[i]);
        if (old_size)
                raw_unmap(old, old_size * sizeof(*old));
        return true;
}

static bool take_nodes(struct trie *t)
{
        struct pg_slot *s = agent.slot;
        uint32_t first = atomic_load_explicit(&s->n_nodes, memory_order_relaxed);
        if (first < s->nodes_limit)
                first = atomic_fetch_add_explicit(&s->n_nodes, PG_NODE_CHUNK, memory_order_relaxed);
        if (first > s->nodes_limit - PG_NODE_CHUNK)
                return false;
        t->next = first;
        t->end = first + PG_NODE_CHUNK;
        return true;
}

/* For one entry more. */
static bool has_room(struct trie *t)
{
        if (t->used < t->mask / 2)
                return true;
        if (t->waiting) {
                t->waiting--;
                return false;
        }
        t->waiting = grow(t) ? 0 : WAIT_FOR_MEMORY;
        return t->waiting == 0;
}

static uint32_t make(struct trie *t, uint32_t parent, pg_place place, uint32_t hash)
{
        if ((t->next == t->end && !take_nodes(t)) || !has_room(t))
                return PG_NODE_OTHER;
        uint32_t node = t->next++;
        struct pg_node *n = &agent.nodes[node];
        n->parent = parent;
        atomic_store_explicit(&n->place, place, memory_order_release);
        put(t, (struct trie_entry){ node, hash });
        t->used++;
        return node;
}

uint32_t trie_child_elsewhere(struct trie *t, uint32_t parent, pg_place place, uint32_t hash)
{
        if (parent == PG_NODE_OTHER)
                return PG_NODE_OTHER;
        for (uint32_t i = hash & t->mask; t->table[i].node; i = (i + 1) & t->mask)
                if (trie_is_child(&t->table[i], hash, parent, place))
                        return t->table[i].node;
        return make(t, parent, place, hash);
}

void trie_reset(struct trie *t)
{
        if (t->table != &nothing)
                raw_unmap(t->table, (t->mask + 1) * sizeof(*t->table));
        trie_start(t);
}
