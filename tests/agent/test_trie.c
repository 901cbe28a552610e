// SPDX-License-Identifier: MIT
/*
 * test_trie.c - a cell's part of the tree of stacks: children are told apart by parent and place, whatever their
 * hashes, are found again after the table has grown, and are [other] when no node is left.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/agent/trie.h"

enum { N_NODES = 512 * PG_NODE_CHUNK, CHILDREN = 20000 };

struct agent_process agent;
static struct pg_slot slot;
static struct pg_node nodes[N_NODES];
static struct trie trie;

static int start(void **state)
{
        (void)state;
        memset(&slot, 0, sizeof(slot));
        memset(nodes, 0, sizeof(nodes));
        slot.nodes_limit = N_NODES;
        slot.n_nodes = PG_NODE_CHUNK; // the pseudo nodes have the first
        agent.slot = &slot;
        agent.nodes = nodes;
        trie_start(&trie);
        return 0;
}

static int end(void **state)
{
        (void)state;
        trie_reset(&trie);
        return 0;
}

static uint32_t child(uint32_t parent, pg_place place, uint32_t hash)
{
        uint32_t node = trie_child(&trie, parent, place, hash);
        assert_true(node < N_NODES);
        if (node != PG_NODE_OTHER) {
                assert_int_equal(nodes[node].parent, parent);
                assert_true(nodes[node].place == place);
        }
        return node;
}

/* A hash has 32 bits: among 100,000 paths two are likely to share one. */
static void paths_of_one_hash_are_told_apart(void **state)
{
        (void)state;
        enum { HASH = 42 };
        uint32_t first = child(PG_NODE_ROOT, 1000, HASH), other_place = child(PG_NODE_ROOT, 2000, HASH);
        uint32_t other_parent = child(first, 1000, HASH);
        assert_true(first != other_place && first != other_parent && other_place != other_parent);
        assert_int_equal(child(PG_NODE_ROOT, 1000, HASH), first);
        assert_int_equal(child(PG_NODE_ROOT, 2000, HASH), other_place);
        assert_int_equal(child(first, 1000, HASH), other_parent);
}

/* Half of them in the same few places of any table. */
static uint32_t hash_of(uint32_t i)
{
        return i & 1 ? i << 20 : trie_hash(PG_NODE_ROOT, i);
}

static void children_are_found_again_when_the_table_has_grown(void **state)
{
        (void)state;
        static uint32_t made[CHILDREN];
        for (uint32_t i = 0; i < CHILDREN; i++) {
                made[i] = child(PG_NODE_ROOT, 4096 + i, hash_of(i));
                assert_int_equal(made[i], PG_NODE_CHUNK + i); // each is new, one after the other
        }
        for (uint32_t i = 0; i < CHILDREN; i++)
                assert_int_equal(child(PG_NODE_ROOT, 4096 + i, hash_of(i)), made[i]);
}

/* Two chunks: the one of the pseudo nodes, and 128 children. */
static void without_nodes_all_that_is_new_is_other(void **state)
{
        (void)state;
        slot.nodes_limit = 2 * PG_NODE_CHUNK;
        for (uint32_t i = 0; i < PG_NODE_CHUNK; i++)
                assert_int_equal(child(PG_NODE_ROOT, 4096 + i, i), PG_NODE_CHUNK + i);
        assert_int_equal(child(PG_NODE_ROOT, 8192, 8192), PG_NODE_OTHER);
        assert_int_equal(child(PG_NODE_OTHER, 4096, 0), PG_NODE_OTHER); // no place below it
        assert_int_equal(child(PG_NODE_ROOT, 4096, 0), PG_NODE_CHUNK);  // what is there stays
}

static void after_a_reset_nothing_is_known(void **state)
{
        (void)state;
        uint32_t before = child(PG_NODE_ROOT, 4096, 7);
        trie_reset(&trie);
        assert_int_not_equal(child(PG_NODE_ROOT, 4096, 7), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(paths_of_one_hash_are_told_apart, start, end),
                cmocka_unit_test_setup_teardown(children_are_found_again_when_the_table_has_grown, start,
                                                end),
                cmocka_unit_test_setup_teardown(without_nodes_all_that_is_new_is_other, start, end),
                cmocka_unit_test_setup_teardown(after_a_reset_nothing_is_known, start, end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
