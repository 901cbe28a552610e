// SPDX-License-Identifier: MIT
/*
 * test_decode.c - a capture built by hand, read whole, cut at each interesting length, and damaged field by
 * field.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runner/capture/capture.h"
#include "runner/capture/live_sampling.h"

#define CAPTURE_BYTES ((size_t)PG_CAPTURE_PAGE + PG_SLOT_BYTES) // sparse

enum { FIRST = PG_NODE_FIRST }; // index of the first node that is a frame

struct built {
        unsigned char *bytes;
        struct pg_file_header *header;
        struct pg_slot *slot;
        struct pg_module *modules;
        struct pg_cell *cells;
        struct pg_node *nodes;
        struct pg_node_peak *peaks;
        struct pg_live_block *blocks;
        struct pg_started *journal;
        struct pg_arena *arena;
};

static void add_node(struct built *b, uint32_t i, uint32_t parent, uint64_t raw, uint64_t count,
                     uint64_t amount)
{
        b->nodes[i].place = PG_PLACE(0, raw);
        b->nodes[i].parent = parent;
        b->nodes[i].count = count;
        b->nodes[i].amount = amount;
}

/* One process: module 0 at 0x1000; main at 0x1100 calls f, which allocates at 0x1200 (3 blocks, 30 bytes) and
 * at 0x1300 (2 blocks, 20 bytes). */
static int build(void **state)
{
        struct built *b = calloc(1, sizeof(*b));
        b->bytes = mmap(NULL, CAPTURE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_ptr_not_equal(b->bytes, MAP_FAILED);
        unsigned char *slot = b->bytes + PG_CAPTURE_PAGE;
        b->header = (struct pg_file_header *)b->bytes;
        b->slot = (struct pg_slot *)slot;
        b->modules = (struct pg_module *)(slot + PG_OFFSET_MODULES);
        b->cells = (struct pg_cell *)(slot + PG_OFFSET_CELLS);
        b->nodes = (struct pg_node *)(slot + PG_OFFSET_NODES);
        b->peaks = (struct pg_node_peak *)(slot + PG_OFFSET_PEAKS);
        b->blocks = (struct pg_live_block *)(slot + PG_OFFSET_LIVE_BLOCKS);
        b->journal = (struct pg_started *)(slot + PG_OFFSET_JOURNAL);
        b->arena = pg_arena_create();
        *b->header = (struct pg_file_header){ .magic = PG_CAPTURE_MAGIC,
                                              .version = PG_CAPTURE_VERSION,
                                              .header_bytes = sizeof(struct pg_file_header),
                                              .slot_size = PG_SLOT_BYTES,
                                              .n_slots = 4,
                                              .mode = PG_MODE_COUNT,
                                              .next_slot = 1 };
        b->slot->state = PG_SLOT_RUNNING;
        b->slot->pid = 10;
        b->slot->start_ns = 1000;
        strcpy(b->slot->program, "/bin/x");
        b->slot->n_modules = 1;
        b->slot->n_cells = 2;
        b->slot->n_nodes = PG_NODE_CHUNK;
        b->slot->nodes_limit = PG_NODES_MAX;
        b->slot->live_buckets = 2;
        b->slot->peak = 3;
        b->modules[0].flags = PG_MODULE_MAIN;
        b->modules[0].start = 0x1000;
        b->modules[0].end = 0x2000;
        b->modules[0].bias = 0x1000;
        strcpy(b->modules[0].path, "/bin/x");
        b->modules[0].ready = 1;
        b->cells[1].solo = 1;
        b->cells[1].flushed_bytes = PG_NOT_FLUSHED;
        b->cells[1].allocations = 5;
        b->cells[1].allocated_bytes = 50;
        b->cells[1].frees = 1;
        b->cells[1].net_bytes = 96;
        b->cells[1].solo_peak_bytes = 120;
        add_node(b, FIRST, PG_NODE_ROOT, 0x1100, 0, 0);
        add_node(b, FIRST + 1, FIRST, 0x1200, 3, 30);
        add_node(b, FIRST + 2, FIRST, 0x1300, 2, 20);
        b->nodes[FIRST + 2].temporary = 1;
        *state = b;
        return 0;
}

static int tear_down(void **state)
{
        struct built *b = *state;
        pg_arena_destroy(b->arena);
        munmap(b->bytes, CAPTURE_BYTES);
        free(b);
        return 0;
}

static struct pg_captured *decode(const struct built *b, size_t size)
{
        struct pg_captured *c = NULL;
        struct pg_error err = { 0 };
        assert_true(pg_capture_decode(b->bytes, size, b->arena, &c, &err));
        return c;
}

/* The node of p at a place of module 0, the only one there. */
static const struct pg_captured_node *node_at(const struct pg_captured_process *p, uint64_t address)
{
        const struct pg_captured_node *found = NULL;
        for (size_t i = 1; i < p->n_nodes; i++)
                if (p->nodes[i].place == PG_PLACE(0, address)) {
                        assert_null(found);
                        found = &p->nodes[i];
                }
        assert_non_null(found);
        return found;
}

static const struct pg_captured_node *pseudo(const struct pg_captured_process *p, uint32_t node)
{
        assert_int_equal(p->nodes[node].place, PG_PLACE_PSEUDO(node));
        return &p->nodes[node];
}

static void one_process_as_built(void **state)
{
        struct pg_captured *c = decode(*state, CAPTURE_BYTES);
        assert_int_equal(c->n_processes, 1);
        assert_int_equal(c->n_damaged + c->n_gaps, 0);
        const struct pg_captured_process *p = &c->processes[0];
        assert_int_equal(p->allocations, 5);
        assert_int_equal(p->allocated_bytes, 50);
        assert_int_equal(p->frees, 1);
        assert_int_equal(p->live_bytes, 96);
        assert_int_equal(p->peak_bytes, 120);
        assert_int_equal(p->peak_uncertainty_bytes, 0);
        const struct pg_captured_node *first = node_at(p, 0x200), *second = node_at(p, 0x300);
        assert_int_equal(first->count, 3);
        assert_int_equal(first->amount, 30);
        assert_int_equal(first->temporary, 0);
        assert_int_equal(second->count, 2);
        assert_int_equal(second->temporary, 1);
        assert_ptr_equal(&p->nodes[first->parent], node_at(p, 0x100));
        assert_int_equal(node_at(p, 0x100)->parent, 0);
        assert_string_equal(p->modules[0].path, "/bin/x");
}

static void what_has_no_stack_is_other(void **state)
{
        struct built *b = *state;
        b->cells[1].allocations = 9; // before attaching, or killed between two additions
        b->cells[1].allocated_bytes = 70;
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(pseudo(p, PG_NODE_OTHER)->count, 4);
        assert_int_equal(pseudo(p, PG_NODE_OTHER)->amount, 20);
}

/* Two threads made nodes for the same frames. */
static void stacks_of_threads_are_joined(void **state)
{
        struct built *b = *state;
        b->slot->n_cells = 3;
        b->slot->n_nodes = 2 * PG_NODE_CHUNK;
        add_node(b, PG_NODE_CHUNK, PG_NODE_ROOT, 0x1100, 0, 0);
        add_node(b, PG_NODE_CHUNK + 1, PG_NODE_CHUNK, 0x1200, 4, 44);
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(node_at(p, 0x200)->count, 7);
        assert_int_equal(node_at(p, 0x200)->amount, 74);
        assert_ptr_equal(&p->nodes[node_at(p, 0x200)->parent], node_at(p, 0x100));
}

/* Live: what is in the table, and each thread's newest block. At the peak: what was there then, freed since
 * or not. */
static void live_bytes_are_known_by_stack(void **state)
{
        struct built *b = *state;
        b->blocks[3] = (struct pg_live_block){ 0x10000, 64, FIRST + 1, 3 };  // part of the last peak
        b->blocks[9] = (struct pg_live_block){ 0x20000, 100, FIRST + 2, 4 }; // came after it
        b->blocks[16] = (struct pg_live_block){ 0x30000, 1, FIRST + 2, 4 };  // behind the table's end
        b->peaks[FIRST + 2] = (struct pg_node_peak){ 40, 2 * 256, 3, 0 };
        b->peaks[FIRST + 1] = (struct pg_node_peak){ 99, 9 * 256, 2, 0 }; // of an older peak
        b->cells[1].last_address = 0x40000;
        b->cells[1].last_bytes = 24;
        b->cells[1].last_node = FIRST + 1;
        b->cells[1].last_peak = 3;
        b->cells[1].pending = b->cells[1].last_address;
        b->cells[2] = b->cells[1]; // killed when the block had just come into the table
        b->cells[2].last_address = b->cells[2].pending = 0x10000;
        b->cells[2].last_bytes = 64;
        b->slot->n_cells = 3;
        b->cells[2].net_bytes = 0;
        b->cells[1].net_bytes = 64 + 100 + 24;
        b->cells[1].solo_peak_bytes = 1000;
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(node_at(p, 0x200)->live_bytes, 64 + 24);
        assert_int_equal(node_at(p, 0x200)->live_blocks, 2);
        assert_int_equal(node_at(p, 0x200)->peak_bytes, 64 + 24);
        assert_int_equal(node_at(p, 0x300)->live_bytes, 100);
        assert_int_equal(node_at(p, 0x300)->peak_bytes, 40);
        assert_int_equal(node_at(p, 0x300)->peak_blocks, 2);
        assert_int_equal(pseudo(p, PG_NODE_OTHER)->peak_bytes, 1000 - 88 - 40);
        assert_int_equal(p->quality.live_interval_bytes, 0);
}

/* A block of a quarter of the interval stands for four of its size. */
static void sampled_blocks_stand_for_others(void **state)
{
        struct built *b = *state;
        b->slot->live_level = 5; // 1024 bytes
        size_t hits = 0;
        for (uint64_t i = 0; i < 16; i++) {
                uint64_t address = 0x100000 + 256 * i;
                b->blocks[i] = (struct pg_live_block){ address, 256, FIRST + 1, 3 };
                hits += pg_live_is_hit(address, 256, 5);
        }
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_in_range(hits, 3, 5); // a quarter of them, evenly spread
        assert_int_equal(node_at(p, 0x200)->live_bytes, 1024 * hits);
        assert_int_equal(node_at(p, 0x200)->live_blocks, 4 * hits);
        assert_int_equal(p->quality.live_interval_bytes, 1024);
}

static void sampled_stacks_are_scaled_back(void **state)
{
        struct built *b = *state;
        b->header->stack_interval_bytes = 4096;
        b->nodes[FIRST + 1].count = PG_SCALE_ONE * 7 / 2;
        b->nodes[FIRST + 1].amount = PG_SCALE_ONE * 100ull;
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(node_at(p, 0x200)->count, 4);
        assert_int_equal(node_at(p, 0x200)->amount, 100);
        assert_int_equal(pseudo(p, PG_NODE_OTHER)->count, 0); // an estimate is not filled up
}

/* A block of the interval's size has its stack with probability 1 - 1/e and stands for 1.582 of them; one of half
 * the size for 2.541. Most blocks have none (node 0): that is no damage, and the others stand for them. */
static void live_blocks_with_sampled_stacks_stand_for_those_without(void **state)
{
        struct built *b = *state;
        b->header->stack_interval_bytes = 4096;
        b->blocks[0] = (struct pg_live_block){ 0x10000, 4096, FIRST + 1, 3 };
        b->blocks[1] = (struct pg_live_block){ 0x20000, 4096, 0, 3 };
        b->peaks[FIRST + 2] = (struct pg_node_peak){ 4096, 2 * 256, 3, 0 };
        b->peaks[0] = (struct pg_node_peak){ 8192, 4 * 256, 3, 0 };
        const struct pg_captured *c = decode(b, CAPTURE_BYTES);
        const struct pg_captured_process *p = &c->processes[0];
        assert_int_equal(c->n_damaged, 0);
        assert_int_equal(node_at(p, 0x200)->live_bytes, 6480); // 4096 * 1.58198
        assert_int_equal(node_at(p, 0x200)->live_blocks, 2);
        assert_int_equal(node_at(p, 0x300)->peak_bytes, 10410); // 4096 * 2.54149
        assert_int_equal(node_at(p, 0x300)->peak_blocks, 5);
        assert_int_equal(p->nodes[PG_NODE_ROOT].peak_bytes, 0);
        assert_int_equal(pseudo(p, PG_NODE_OTHER)->live_bytes, 0);
}

/* multi: the slot's peak, unless one thread's time before was higher; each cell may hold back the slack. */
static void the_peak_of_several_cells(void **state)
{
        struct built *b = *state;
        b->slot->multi = 1;
        b->slot->n_cells = 3;
        b->slot->peak_bytes = 5000;
        b->slot->slack_bytes = 256;
        b->cells[1].solo = 0;
        struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(p->peak_bytes, 5000);
        assert_int_equal(p->peak_uncertainty_bytes, 2 * 256);
        b->cells[1].solo_peak_bytes = 9000;
        assert_int_equal(decode(b, CAPTURE_BYTES)->processes[0].peak_bytes, 9000);
        b->slot->inherited_bytes = 1000;
        assert_int_equal(decode(b, CAPTURE_BYTES)->processes[0].peak_bytes, 10000);
}

static void started_programs_without_an_image_are_gaps(void **state)
{
        struct built *b = *state;
        b->slot->n_started = 4;
        b->journal[0] = (struct pg_started){ 1, 11, 2000, "/bin/gone" };
        b->journal[1] = (struct pg_started){ 1, 10, 900, "/bin/x" };  // the image that is here
        b->journal[2] = (struct pg_started){ 0, 12, 900, "/bin/no" }; // its exec failed
        b->journal[3] = (struct pg_started){ 1, PG_STARTED_BARE, 900, "/bin/sh" };
        struct pg_captured *c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_gaps, 2);
        assert_string_equal(c->gaps[0].path, "/bin/sh");
        assert_int_equal(c->gaps[0].pid, 0);
        assert_string_equal(c->gaps[1].path, "/bin/gone");
        assert_int_equal(c->gaps[1].pid, 11);
        assert_string_equal(c->gaps[1].why, "did not load the agent");
        b->slot->n_started = PG_JOURNAL_MAX + 1;
        b->header->slots_refused = 1;
        assert_int_equal(decode(b, CAPTURE_BYTES)->n_gaps, 4);
}

static void samples_are_counted_by_stack(void **state)
{
        struct built *b = *state;
        b->header->mode = PG_MODE_SAMPLE;
        add_node(b, FIRST + 3, PG_NODE_TRUNCATED, 0x1400, 5, 5000);
        add_node(b, FIRST + 4, PG_NODE_UNKNOWN, 0x1500, 6, 6000);
        add_node(b, FIRST + 5, FIRST + 4, 0x1600, 1, 1000);
        b->nodes[PG_NODE_TRUNCATED].place = PG_PLACE_PSEUDO(PG_NODE_TRUNCATED);
        b->nodes[PG_NODE_UNKNOWN].place = PG_PLACE_PSEUDO(PG_NODE_UNKNOWN);
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(p->sample_count, 3 + 2 + 5 + 6 + 1);
        assert_int_equal(p->sample_weight_ns, 30 + 20 + 5000 + 6000 + 1000);
        assert_int_equal(p->quality.truncated, 5);
        assert_int_equal(p->quality.unknown, 7);
        assert_ptr_equal(&p->nodes[node_at(p, 0x400)->parent], pseudo(p, PG_NODE_TRUNCATED));
}

static void damage_is_counted_and_left_out(void **state)
{
        struct built *b = *state;
        b->nodes[FIRST + 2].place = PG_PLACE(200, 5); // no such module
        memcpy(b->modules[0].path, "/a\n\xff\xc3\xa9", 7);
        struct pg_captured *c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_damaged, 1);
        assert_string_equal(c->processes[0].modules[0].path, "/a??\xc3\xa9");
        add_node(b, FIRST + 2, FIRST + 9, 0x1300, 2, 20); // a parent that comes later
        c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_damaged, 1);
        assert_int_equal(pseudo(&c->processes[0], PG_NODE_OTHER)->count, 2);
        b->blocks[0] = (struct pg_live_block){ 0x10000, 64, PG_NODES_MAX, 1 };
        assert_int_equal(decode(b, CAPTURE_BYTES)->n_damaged, 2);
        b->slot->state = 77;
        c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_processes, 0);
        assert_int_equal(c->n_damaged, 1);
}

static void counts_may_run_past_their_limits(void **state)
{
        struct built *b = *state;
        b->slot->n_modules = b->slot->n_cells = UINT32_MAX;
        struct pg_captured *c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->processes[0].n_modules, PG_MODULES_MAX);
        assert_int_equal(c->processes[0].allocations, 5);
        b->slot->nodes_limit = PG_NODE_CHUNK; // all that could be mapped
        b->slot->n_nodes = UINT32_MAX;
        assert_int_equal(node_at(&decode(b, CAPTURE_BYTES)->processes[0], 0x200)->count, 3);
}

static void every_length_is_read(void **state)
{
        struct built *b = *state;
        struct pg_captured *c;
        struct pg_error err = { 0 };
        assert_false(pg_capture_decode(b->bytes, sizeof(struct pg_file_header) - 1, b->arena, &c, &err));
        assert_int_equal(err.code, PG_EDATA);
        assert_int_equal(decode(b, sizeof(struct pg_file_header))->n_processes, 0);
        for (size_t size = PG_CAPTURE_PAGE; size < CAPTURE_BYTES; size += 4096 * 9001 + 1)
                assert_true(decode(b, size)->n_processes <= 1);
}

static void another_header_is_refused(void **state)
{
        struct built *b = *state;
        uint32_t *fields[] = { (uint32_t *)&b->header->magic, &b->header->version, &b->header->header_bytes,
                               (uint32_t *)&b->header->slot_size, &b->header->mode };
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
                struct pg_captured *c;
                struct pg_error err = { 0 };
                *fields[i] += 7;
                assert_false(pg_capture_decode(b->bytes, CAPTURE_BYTES, b->arena, &c, &err));
                assert_int_equal(err.code, PG_EDATA);
                *fields[i] -= 7;
        }
        assert_int_equal(decode(b, CAPTURE_BYTES)->n_processes, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(one_process_as_built),
                TEST(what_has_no_stack_is_other),
                TEST(stacks_of_threads_are_joined),
                TEST(live_bytes_are_known_by_stack),
                TEST(sampled_blocks_stand_for_others),
                TEST(sampled_stacks_are_scaled_back),
                TEST(live_blocks_with_sampled_stacks_stand_for_those_without),
                TEST(the_peak_of_several_cells),
                TEST(started_programs_without_an_image_are_gaps),
                TEST(samples_are_counted_by_stack),
                TEST(damage_is_counted_and_left_out),
                TEST(counts_may_run_past_their_limits),
                TEST(every_length_is_read),
                TEST(another_header_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
