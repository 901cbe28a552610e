// SPDX-License-Identifier: MIT
/*
 * call_tree.h - the call stacks of all processes and runs of a pass as one tree, on its way into a profile.
 *
 * A node is a frame below the frames of its parents; what happened with it innermost is counted in it, so nothing
 * here ever writes a stack out but for the samples of the profile. Frames of the agent itself are left out.
 * Processes stay apart below the root; processes with the same name and ordinal of several runs are one.
 */
#ifndef PG_MEASURE_CALL_TREE_H
#define PG_MEASURE_CALL_TREE_H

#include "runner/measure/code_map.h"

enum { PG_CALL_PROCESSES_MAX = 200 }; // told apart; all others are one more, "[others]"

struct pg_call_node {
        uint32_t parent;  // smaller than its own index; 0 is the root, which is no frame
        uint32_t point;   // of the code map
        uint32_t process; // of the tree
        uint32_t reserved;
        uint64_t count;                   // allocations, samples or waits
        uint64_t amount;                  // bytes asked for, CPU ns or waited ns
        uint64_t temporary;               // of count: freed as the thread's next event
        uint64_t peak_blocks, peak_bytes; // live at the peak of the one process whose peak is the tree's
        uint64_t leaked_bytes;            // live at exit, without what was inherited or handed on by exec
};

struct pg_call_tree;

/** A tree of the root alone, over the points of map, which must outlive it. NULL when out of memory. */
struct pg_call_tree *pg_call_tree_create(struct pg_code_map *map);
void pg_call_tree_destroy(struct pg_call_tree *t);
PG_DEFINE_CLEANUP(struct pg_call_tree, pg_call_tree_destroy)
#define PG_AUTO_CALL_TREE __attribute__((cleanup(pg_call_tree_destroyp)))

/* What becomes of events whose innermost frame is the agent's. */
enum pg_agent_time {
        PG_AGENT_TO_CALLER, // they are the target's: an allocation that the agent stands between
        PG_AGENT_LEFT_OUT,  // they are not: CPU time that only the measuring costs
};

/**
 * Adds all processes of one run.
 *
 * agent_path  the agent's module has the same base name
 * err         PG_ENOMEM; PG_EDATA when there are 2^32 nodes
 *
 * O(nodes) for processes that are met for the first time, else a look-up for each node.
 */
PG_MUST_CHECK bool pg_call_tree_add_run(struct pg_call_tree *t, const struct pg_captured *c,
                                        const char *agent_path, enum pg_agent_time agent,
                                        struct pg_error *err);

/** nodes[0] is the root; borrowed until the next add. */
const struct pg_call_node *pg_call_tree_nodes(const struct pg_call_tree *t, size_t *ret_n);

/* What folding did. */
struct pg_fold {
        uint64_t stacks, folded; // stacks with a value, and how many of them are gone
};

/**
 * Adds what a stack holds to that of its caller where it is less than 1 of 100,000 parts of the tree's count, amount
 * and peak_bytes alike, innermost first, so that a caller keeps what its small callees have together. Sums stay the
 * same, and a stack of one frame stays.
 */
void pg_call_tree_fold(struct pg_call_tree *t, struct pg_fold *ret);

/** Marks the points of all frames of stacks with a value, as pg_code_map_symbolize wants them: an array with one
 * byte for each point of the map, zeroed by the caller. */
void pg_call_tree_mark_points(const struct pg_call_tree *t, uint8_t *marks);

/**
 * Adds a sample for each stack with a value: count and amount, and where the kind of profile has more, peak_blocks
 * and peak_bytes. After symbolizing at least the marked points.
 *
 * Samples are labelled with the process ("jq/1": the program's name and which one of that name it was) when more than
 * one has any.
 */
PG_MUST_CHECK bool pg_call_tree_export(struct pg_call_tree *t, struct pg_profile_builder *b,
                                       struct pg_error *err);

#endif
