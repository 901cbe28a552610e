// SPDX-License-Identifier: MIT
/*
 * test_live_table.c - the table of live blocks by itself: what another thread does in the middle of live_settle(),
 * levels, and peaks.
 *
 * The table is not writable when a block is put into it; the handler of the fault is the other thread, and makes it
 * writable again. Levels: live_sampling.h. Blocks of 100 bytes are all in the sample of levels 0 and 1.
 */
#include "tests/unit/assert_near.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "runner/agent/cells.h"
#include "tests/agent/lone_agent.h"

enum { TABLE_BYTES = PLACES * sizeof(struct pg_live_block) };
enum { NODE = 20, OTHER_NODE = 21, BYTES = 100 };

static struct pg_live_block *blocks;

static void (*volatile before_cells)(void);

uint32_t cells_count(void)
{
        if (before_cells)
                before_cells();
        return N_CELLS;
}

static int start(void **state)
{
        (void)state;
        blocks = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (blocks == MAP_FAILED)
                return -1;
        lone_agent_start(blocks);
        return 0;
}

static int end(void **state)
{
        (void)state;
        return munmap(blocks, TABLE_BYTES);
}

static void set_level(uint32_t level)
{
        slot.live_level = level;
        live_shift = pg_live_shift(level);
}

/* The i-th one after start of 16 bytes' distance that is in the sample of the level, or is not. */
static uint64_t address_in(uint64_t after, uint64_t bytes, uint32_t level, bool is_in)
{
        do
                after += 16;
        while (pg_live_is_hit(after, bytes, level) != is_in);
        return after;
}

static bool is_in_table(uint64_t address)
{
        for (size_t i = 0; i < PLACES; i++)
                if (blocks[i].address == address)
                        return true;
        return false;
}

static int32_t taken_places(void)
{
        int32_t n = 0;
        for (size_t i = 0; i < PLACES; i++)
                n += blocks[i].address != 0;
        return n;
}

/* What the slot and the cells think is in the table. */
static int32_t counted_places(void)
{
        int32_t n = slot.live_blocks;
        for (size_t i = 0; i < N_CELLS; i++)
                n += cells[i].live_change;
        return n;
}

static void assert_table_has(int32_t n)
{
        assert_int_equal(taken_places(), n);
        assert_int_equal(counted_places(), n);
}

static void put(uint64_t address, uint64_t bytes, uint32_t node, uint32_t peak)
{
        live_born(cell, address, bytes, node, peak);
        live_settle(cell);
}

/* ---- in the middle of live_settle() ---- */

static void (*volatile other_thread)(void);

static void on_fault(int sig)
{
        (void)sig;
        if (!other_thread || mprotect(blocks, TABLE_BYTES, PROT_READ | PROT_WRITE) != 0)
                signal(SIGSEGV, SIG_DFL); // a fault of another kind: it comes again, and ends the test
        else
                other_thread();
        other_thread = NULL;
}

static void settle_while(void (*meanwhile)(void))
{
        slot.multi = 1;
        other_thread = meanwhile;
        signal(SIGSEGV, on_fault);
        assert_int_equal(mprotect(blocks, TABLE_BYTES, PROT_READ), 0);
        live_settle(cell);
        signal(SIGSEGV, SIG_DFL);
        assert_null(other_thread); // it was there
}

static uint64_t address;

static void free_it(void)
{
        live_remove(address, BYTES);
}

static void a_block_freed_while_it_is_put_in_does_not_stay(void **state)
{
        (void)state;
        address = 0x1000;
        live_born(cell, address, BYTES, NODE, 1);
        settle_while(free_it);
        assert_table_has(0);
        assert_int_equal(cell->pending, 0);
        assert_int_equal(peaks[NODE].bytes, BYTES); // it was part of the peak, once
}

static void raise_to_level_5(void)
{
        set_level(5);
}

/* Level 5: 1024 bytes stand for each; a block of 100 is in the sample or not. */
static void a_level_raised_while_a_block_is_put_in_counts(void **state)
{
        (void)state;
        live_born(cell, address_in(0x1000, BYTES, 5, false), BYTES, NODE, 1);
        settle_while(raise_to_level_5);
        assert_table_has(0);
        set_level(0);
        address = address_in(0x1000, BYTES, 5, true);
        live_born(cell, address, BYTES, NODE, 1);
        settle_while(raise_to_level_5);
        assert_table_has(1);
        assert_true(is_in_table(address));
}

/* Another thread frees the newest block after its owner saw that there is one. */
static void where_nothing_is_pending_nothing_is_put_in(void **state)
{
        (void)state;
        for (uint32_t multi = 0; multi <= 1; multi++) {
                slot.multi = multi;
                live_born(cell, 0x1000, BYTES, NODE, 1);
                cell->pending = 0;
                live_settle(cell);
                assert_table_has(0);
        }
}

static void the_newest_block_of_another_thread_is_found(void **state)
{
        (void)state;
        slot.multi = 1;
        live_born(&cells[2], 0x1000, BYTES, NODE, 1);
        live_remove(0x1000, BYTES);
        assert_int_equal(cells[2].pending, 0);
        assert_int_equal(peaks[NODE].bytes, BYTES);
        live_settle(&cells[2]);
        assert_table_has(0);
}

static void its_owner_settles_it(void)
{
        live_settle(&cells[2]);
}

/* Not yet in the table at the first look, not pending any more at the second. */
static void a_block_on_its_way_into_the_table_is_found(void **state)
{
        (void)state;
        slot.multi = 1;
        live_born(&cells[2], 0x1000, BYTES, NODE, 1);
        before_cells = its_owner_settles_it;
        live_remove(0x1000, BYTES);
        before_cells = NULL;
        assert_table_has(0);
        assert_int_equal(peaks[NODE].bytes, BYTES);
}

/* The newest block is freed by another thread, which gets its address anew and hands it back. */
static void an_address_may_come_back_as_another_block(void **state)
{
        (void)state;
        for (int quick = 0; quick <= 1; quick++) {
                slot.multi = 1;
                live_born(cell, 0x1000, BYTES, NODE, 2);
                live_remove(0x1000, BYTES);
                live_born(&cells[2], 0x1000, BYTES, OTHER_NODE, 2);
                live_settle(&cells[2]);
                assert_table_has(1);
                if (!quick || !live_dies_quickly(cell, 0x1000, BYTES))
                        live_dies(cell, 0x1000, BYTES);
                assert_table_has(0);
        }
}

/* ---- levels ---- */

/* Twice as many blocks of 24 bytes as there are places: the level rises, as often as needed. */
static void a_full_table_keeps_the_sample_of_a_higher_level(void **state)
{
        (void)state;
        for (slot.multi = 0; slot.multi <= 1; slot.multi++) {
                for (uint64_t i = 0; i < 2 * PLACES; i++)
                        put(0x10000 + 32 * i, 24, NODE, 1);
                int32_t in_sample = 0;
                for (uint64_t i = 0; i < 2 * PLACES; i++) {
                        const uint64_t a = 0x10000 + 32 * i;
                        const bool is_hit = pg_live_is_hit(a, 24, slot.live_level);
                        in_sample += is_hit;
                        assert_int_equal(is_in_table(a), is_hit);
                }
                assert_true(slot.live_level > 0);
                assert_int_equal(slot.live_lost, 0);
                assert_int_equal(live_shift, pg_live_shift(slot.live_level));
                assert_table_has(in_sample);
                assert_true(in_sample > PLACES / 4); // no more levels than were needed
                for (uint64_t i = 0; i < 2 * PLACES; i++)
                        if (live_is_hit(0x10000 + 32 * i, 24))
                                live_remove(0x10000 + 32 * i, 24);
                assert_table_has(0);
                set_level(0);
        }
}

/* What is written there before its address is nobody else's business. */
static void a_place_that_is_being_filled_stays_taken(void **state)
{
        (void)state;
        slot.multi = 1;
        blocks[1].address = PG_LIVE_CLAIMED; // of a thread that has not come further yet
        slot.live_blocks = PLACES / 8 * 5 + 1;
        put(0x1000, BYTES, NODE, 1);
        assert_int_equal(slot.live_level, 1);
        assert_int_equal(blocks[1].address, PG_LIVE_CLAIMED);
}

/* Interval of level 1: 64 bytes. */
static void a_block_that_raises_the_level_may_be_out_itself(void **state)
{
        (void)state;
        slot.live_blocks = PLACES / 8 * 5 + 1;
        address = address_in(0x1000, 24, 1, false);
        put(address, 24, NODE, 1);
        assert_int_equal(slot.live_level, 1);
        assert_int_equal(taken_places(), 0);
        assert_int_equal(cell->pending, 0);
}

/* live.c: full at five eighths, at six while a thread is making room. */
static void one_thread_makes_room_for_all(void **state)
{
        (void)state;
        const struct {
                int32_t eighths;
                uint32_t sweeping, level;
        } rows[] = { { 5, 0, 1 }, { 5, 1, 0 }, { 6, 1, 1 } };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                set_level(0);
                slot.live_sweeping = rows[i].sweeping;
                slot.live_blocks = PLACES / 8 * rows[i].eighths; // not more than that
                put(0x1000, BYTES, NODE, 1);
                assert_int_equal(slot.live_level, 0);
                slot.live_sweeping = rows[i].sweeping;
                slot.live_blocks = PLACES / 8 * rows[i].eighths + 1;
                put(0x2000, BYTES, NODE, 1);
                assert_int_equal(slot.live_level, rows[i].level);
        }
}

static void the_highest_level_is_the_last(void **state)
{
        (void)state;
        set_level(PG_LIVE_LEVEL_MAX);
        slot.live_blocks = PLACES;
        put(0x1000, UINT64_MAX / 2, NODE, 1);
        assert_int_equal(slot.live_level, PG_LIVE_LEVEL_MAX);
}

/* ---- peaks ---- */

static void what_is_freed_after_a_peak_was_part_of_it(void **state)
{
        (void)state;
        for (uint64_t i = 0; i < 4; i++)
                put(0x1000 + 16 * i, BYTES + i, NODE, i < 3 ? 1 : 2);
        live_remove(0x1000, BYTES);
        live_remove(0x1010, BYTES + 1);
        live_remove(0x1030, BYTES + 3); // of no peak so far
        assert_int_equal(peaks[NODE].bytes, BYTES + BYTES + 1);
        assert_int_equal(peaks[NODE].blocks_256ths, 2 * 256);
        slot.peak = 2; // a higher one, which those are not part of
        live_remove(0x1020, BYTES + 2);
        assert_int_equal(peaks[NODE].peak, 2);
        assert_int_equal(peaks[NODE].bytes, BYTES + 2);
        assert_int_equal(peaks[NODE].blocks_256ths, 256);
}

/* Level 5 has 1024 bytes for each in the sample: a block of 100 stands for 10.24, 2621.44 / 256. */
static void a_block_of_the_sample_stands_for_its_like(void **state)
{
        (void)state;
        set_level(5);
        address = address_in(0x1000, BYTES, 5, true);
        put(address, BYTES, NODE, 1);
        live_remove(address, BYTES);
        assert_int_equal(peaks[NODE].bytes, 1024);
        assert_int_equal(peaks[NODE].blocks_256ths, 2621);
}

/* ---- as the thread's next event ---- */

/* Blocks that are in the sample, and blocks that are not, freed without a call and with one. */
static void only_the_next_event_makes_a_block_temporary(void **state)
{
        (void)state;
        set_level(5);
        for (int in = 0; in <= 1; in++)
                for (int quick = 0; quick <= 1; quick++) {
                        memset(nodes, 0, sizeof(nodes));
                        cell->solo = (uint32_t)quick;
                        const uint64_t a = address_in(0x1000, BYTES, 5, in), b = address_in(a, BYTES, 5, in);
                        const uint64_t order[] = { a, b };
                        live_born(cell, a, BYTES, NODE, 2);
                        live_born(cell, b, BYTES, OTHER_NODE, 2);
                        for (int i = 0; i < 2; i++) // each is the newest of somebody, not of its event
                                if (!quick || !live_dies_quickly(cell, order[i], BYTES))
                                        live_dies(cell, order[i], BYTES);
                        assert_int_equal(nodes[NODE].temporary + nodes[OTHER_NODE].temporary, 0);
                        assert_table_has(0);
                        live_born(cell, a, BYTES, NODE, 2);
                        if (!quick || !live_dies_quickly(cell, a, BYTES))
                                live_dies(cell, a, BYTES);
                        assert_int_equal(nodes[NODE].temporary, 1);
                        assert_table_has(0);
                        assert_int_equal(cell->pending | cell->last_address, 0);
                }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
        const struct CMUnitTest tests[] = {
                TEST(a_block_freed_while_it_is_put_in_does_not_stay),
                TEST(a_level_raised_while_a_block_is_put_in_counts),
                TEST(where_nothing_is_pending_nothing_is_put_in),
                TEST(the_newest_block_of_another_thread_is_found),
                TEST(a_block_on_its_way_into_the_table_is_found),
                TEST(an_address_may_come_back_as_another_block),
                TEST(a_full_table_keeps_the_sample_of_a_higher_level),
                TEST(a_place_that_is_being_filled_stays_taken),
                TEST(a_block_that_raises_the_level_may_be_out_itself),
                TEST(one_thread_makes_room_for_all),
                TEST(the_highest_level_is_the_last),
                TEST(what_is_freed_after_a_peak_was_part_of_it),
                TEST(a_block_of_the_sample_stands_for_its_like),
                TEST(only_the_next_event_makes_a_block_temporary),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
