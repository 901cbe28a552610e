// SPDX-License-Identifier: MIT
/*
 * test_decode.c - a capture built by hand, read whole, cut at each interesting length, and damaged field by
 * field.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "runner/capture/capture.h"

enum { CAPTURE_BYTES = PG_CAPTURE_PAGE + PG_OFFSET_CHUNKS + 2 * PG_CHUNK_BYTES };

struct built {
        unsigned char *bytes;
        struct pg_file_header *header;
        struct pg_slot *slot;
        struct pg_module *modules;
        struct pg_cell *cells;
        struct pg_site_entry *sites;
        struct pg_started *journal;
        struct pg_chunk *chunk;
        struct pg_arena *arena;
};

/* One process: module 0, cell 1 with 3 allocations of 30 bytes in one cached site, 2 more of them in the
 * table. */
static int build(void **state)
{
        struct built *b = calloc(1, sizeof(*b));
        b->bytes = aligned_alloc(PG_CAPTURE_PAGE,
                                 (CAPTURE_BYTES + PG_CAPTURE_PAGE - 1) / PG_CAPTURE_PAGE * PG_CAPTURE_PAGE);
        memset(b->bytes, 0, CAPTURE_BYTES);
        unsigned char *slot = b->bytes + PG_CAPTURE_PAGE;
        b->header = (struct pg_file_header *)b->bytes;
        b->slot = (struct pg_slot *)slot;
        b->modules = (struct pg_module *)(slot + PG_OFFSET_MODULES);
        b->cells = (struct pg_cell *)(slot + PG_OFFSET_CELLS);
        b->sites = (struct pg_site_entry *)(slot + PG_OFFSET_SITES);
        b->journal = (struct pg_started *)(slot + PG_OFFSET_JOURNAL);
        b->chunk = (struct pg_chunk *)(slot + PG_OFFSET_CHUNKS);
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
        b->slot->n_sites = 2;
        b->modules[0].flags = PG_MODULE_MAIN;
        b->modules[0].start = 0x1000;
        b->modules[0].end = 0x2000;
        strcpy(b->modules[0].path, "/bin/x");
        b->modules[0].ready = 1;
        b->cells[1].solo = 1;
        b->cells[1].flushed_bytes = PG_NOT_FLUSHED;
        b->cells[1].allocations = 5;
        b->cells[1].allocated_bytes = 50;
        b->cells[1].frees = 1;
        b->cells[1].net_bytes = 96;
        b->cells[1].solo_peak_bytes = 120;
        b->cells[1].sites[7] = (struct pg_cell_site){ 0x1234, PG_PLACE(0, 0x234), 3, 30 };
        b->sites[1].place = PG_PLACE(0, 0x234);
        b->sites[1].allocations = 2;
        b->sites[1].bytes = 20;
        *state = b;
        return 0;
}

static int tear_down(void **state)
{
        struct built *b = *state;
        pg_arena_destroy(b->arena);
        free(b->bytes);
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
        assert_int_equal(p->n_sites, 1); // cache and table are one
        assert_int_equal(p->sites[0].place, PG_PLACE(0, 0x234));
        assert_int_equal(p->sites[0].allocations, 5);
        assert_int_equal(p->sites[0].bytes, 50);
        assert_string_equal(p->modules[0].path, "/bin/x");
}

static void what_reached_no_site_is_other(void **state)
{
        struct built *b = *state;
        b->cells[1].sites[7].pc = 0; // killed while it moved from the cache to the table
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(p->n_sites, 2);
        assert_int_equal(p->sites[1].place, PG_PLACE(PG_MODULE_NONE, 0));
        assert_int_equal(p->sites[1].allocations, 3);
        assert_int_equal(p->sites[1].bytes, 30);
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

static void samples_merge_by_place(void **state)
{
        struct built *b = *state;
        b->header->mode = PG_MODE_SAMPLE;
        b->slot->n_chunks = 2; // the second is not ready
        b->chunk->ready = 1;
        unsigned char *at = (unsigned char *)(b->chunk + 1);
        for (uint64_t i = 0; i < 3; i++, at += 24) {
                struct pg_sample_record r = { .bytes = 24, .n_frames = 1, .weight_ns = 1000 + i };
                pg_place place = PG_PLACE(0, i == 1 ? 0x300 : 0x200);
                memcpy(at, &r, sizeof(r));
                memcpy(at + sizeof(r), &place, sizeof(place));
        }
        b->chunk->used = 72;
        const struct pg_captured_process *p = &decode(b, CAPTURE_BYTES)->processes[0];
        assert_int_equal(p->sample_count, 3);
        assert_int_equal(p->sample_weight_ns, 3003);
        assert_int_equal(p->n_samples, 2);
        assert_int_equal(p->samples[0].weight_ns, 2002);
        assert_int_equal(p->samples[0].samples, 2);
        b->chunk->used = 73; // half a record more: what came before counts
        struct pg_captured *c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->processes[0].sample_count, 3);
        assert_int_equal(c->n_damaged, 1);
}

static void damage_is_counted_and_left_out(void **state)
{
        struct built *b = *state;
        b->sites[1].place = PG_PLACE(200, 5); // no such module
        memcpy(b->modules[0].path, "/a\n\xff\xc3\xa9", 7);
        struct pg_captured *c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_damaged, 1);
        assert_string_equal(c->processes[0].modules[0].path, "/a??\xc3\xa9");
        b->slot->state = 77;
        c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->n_processes, 0);
        assert_int_equal(c->n_damaged, 1);
        b->slot->state = PG_SLOT_RUNNING;
        b->slot->n_modules = b->slot->n_cells = b->slot->n_sites = UINT32_MAX; // may run past their limits
        c = decode(b, CAPTURE_BYTES);
        assert_int_equal(c->processes[0].n_modules, PG_MODULES_MAX);
        assert_int_equal(c->processes[0].allocations, 5);
}

static void every_length_is_read(void **state)
{
        struct built *b = *state;
        struct pg_captured *c;
        struct pg_error err = { 0 };
        assert_false(pg_capture_decode(b->bytes, sizeof(struct pg_file_header) - 1, b->arena, &c, &err));
        assert_int_equal(err.code, PG_EDATA);
        assert_int_equal(decode(b, sizeof(struct pg_file_header))->n_processes, 0);
        for (size_t size = PG_CAPTURE_PAGE; size < CAPTURE_BYTES; size += 40961)
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
                TEST(one_process_as_built),      TEST(what_reached_no_site_is_other),
                TEST(the_peak_of_several_cells), TEST(started_programs_without_an_image_are_gaps),
                TEST(samples_merge_by_place),    TEST(damage_is_counted_and_left_out),
                TEST(every_length_is_read),      TEST(another_header_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
