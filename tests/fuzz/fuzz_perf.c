// SPDX-License-Identifier: MIT
/*
 * fuzz_perf.c - any bytes as a ring of perf records: nothing crashes, every sample that is counted is in a stack, and
 * the trees are what capture.h promises.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/engine/perf_ring.h"
#include "runner/engine/perf_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RING = 1 << 17 };

static _Alignas(8) uint8_t ring_data[RING], scratch[PG_PERF_RECORD_MAX];
static struct perf_event_mmap_page page;

static void check(const struct pg_captured *c, uint64_t samples)
{
        uint64_t counted = 0;
        for (size_t i = 0; i < c->n_processes; i++)
                for (uint32_t k = 0; k < c->processes[i].n_nodes; k++) {
                        const struct pg_captured_node *node = &c->processes[i].nodes[k];
                        uint32_t module = PG_PLACE_MODULE(node->place);
                        assert(k == 0 || node->parent < k);
                        assert(module == PG_MODULE_NONE || module < c->processes[i].n_modules);
                        counted += node->count;
                }
        assert(counted == samples);
}

/* The first byte says where in the ring the bytes begin, so that records lie around its end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1 || size > RING)
                return 0;
        struct pg_error err = { 0 };
        struct pg_perf_tree *tree;
        struct pg_captured *captured;
        struct pg_perf_ring ring;
        uint64_t n_damaged = 0, start = RING - data[0] * 8ull;
        for (size_t i = 1; i < size; i++)
                ring_data[(start + i - 1) % RING] = data[i];
        page.data_tail = start;
        page.data_head = start + size - 1;
        pg_perf_ring_init(&ring, &page, ring_data, RING);
        if (!pg_perf_tree_create(1u << (data[0] & 1), &tree, &err))
                return 0;
        assert(pg_perf_rings_read(&ring, 1, UINT64_MAX - 1, scratch, pg_perf_tree_add, tree, &n_damaged,
                                  &err));
        assert(page.data_tail == page.data_head);
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        assert(pg_stacks_finish(pg_perf_tree_stacks(tree, 0, 0), a, &captured, &err));
        check(captured, pg_perf_tree_totals(tree)->samples);
        pg_perf_tree_destroy(tree);
        return 0;
}
