// SPDX-License-Identifier: MIT
/*
 * call_sites.h - who a stack's allocations are charged to: the line of the program's own code.
 *
 * The code that calls the allocator is seldom the one that somebody would edit: it is xmalloc, operator new,
 * or the inside of a container. So the call site of a stack is its first frame, from the innermost outwards
 * and inlined ones included, that is no allocator wrapper and no part of a language's standard library
 * (wrappers.c has the table). A stack without such a frame is charged to its innermost library frame, else to
 * its outermost wrapper.
 */
#ifndef PG_MEASURE_CALL_SITES_H
#define PG_MEASURE_CALL_SITES_H

#include "runner/base/arena.h"
#include "runner/base/error.h"
#include "runner/measure/code_map.h"
#include "runner/measure/measurement.h"

/*
 * A frame of the stacks of a process tree, merged, and what was allocated with it innermost. nodes[0] is the
 * root, which is no frame and has point 0 that nobody reads; a parent's index is smaller than its children's.
 */
struct pg_site_node {
        uint32_t parent;
        uint32_t point; // index into points
        uint64_t allocations, allocated_bytes;
        uint64_t temporary;    // of allocations: freed as the thread's next event
        uint64_t peak_bytes;   // live at the peak of the one process whose peak is the tree's
        uint64_t leaked_bytes; // live at exit, without what an image held when it became another program
};

/**
 * The call sites of a tree.
 *
 * nodes     n_nodes >= 1
 * points    symbolized: where, with at least one frame, and module_name are read. The pseudo frames
 *           "[other]", "[truncated]", "[unknown]" and "[inherited]" are points whose identity is that name; a
 *           stack is charged to one only when it has no other frame
 * wrappers  globs (fnmatch(3)) on a function's identity that are wrappers besides the built-in ones;
 *           NULL-terminated or NULL
 * ret       gets sites, n_sites (sorted, unique, none without any value) and site_quality.rule; the rest of
 *           site_quality is the caller's. Arrays are in a, the strings of rows are those of points. A value
 *           whose sum over all rows would exceed INT64_MAX is cut there. Untouched after a failure
 * err       PG_ENOMEM only
 *
 * O(nodes + frames of all points * wrappers + sites * log(sites)).
 */
PG_MUST_CHECK bool pg_call_sites_find(const struct pg_site_node *nodes, size_t n_nodes,
                                      const struct pg_point *points, size_t n_points,
                                      const char *const *wrappers, struct pg_arena *a,
                                      struct pg_measurement *ret, struct pg_error *err);

#endif
