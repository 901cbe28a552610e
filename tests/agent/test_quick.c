// SPDX-License-Identifier: MIT
/*
 * test_quick.c - malloc and free without calls, and what they leave to quick.c: what happens in between, blocks of the
 * static arena, company, and the number of a peak.
 *
 * The allocator and the stacks are the test's own. A block has glibc's header: the bytes of the chunk in the word
 * before it, of which 8 are the header's, so that a chunk of 112 holds 104.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/agent/cells.h"
#include "runner/agent/quick.h"
#include "tests/agent/lone_agent.h"

enum { NODE = 20 };
enum { CHUNK = 112, USABLE = 104, ASKED = 100, N_CHUNKS = 4096 };

_Atomic uint32_t agent_generation;
bool count_is_plain, count_samples_stacks, real_has_headers = true;
alignas(16) unsigned char real_early[REAL_EARLY_BYTES];

static struct pg_cell *const childs = &cells[2];
static struct pg_live_block blocks[PLACES];
static alignas(16) unsigned char heap[N_CHUNKS * CHUNK + 16];
static const uint64_t frame[] = { 0, 0x1234, 0 };

/* ---- what is around ---- */

static const void *last_freed;
static int n_freed, n_flushed;
static int64_t last_flushed;

static void note_free(void *p)
{
        last_freed = p;
        n_freed++;
}

struct agent_real real = { .free = note_free };

static struct stack_kept no_stack;
_Thread_local struct stack_kept *stack_self = &no_stack;

uint32_t stack_find(const uint64_t *f)
{
        assert_ptr_equal(f, frame);
        return NODE;
}

void stack_verify(const uint64_t *f, uint32_t node)
{
        fail_msg("%p %u: nothing is kept", (const void *)f, node);
}

uint32_t cells_count(void)
{
        return N_CELLS;
}

/* Who has another generation than the process is in the child of a fork. */
struct pg_cell *count_adopt(void)
{
        count_set_generation(agent_generation);
        count_self.cell = childs;
        return childs;
}

void count_flush(struct pg_cell *c, int64_t net)
{
        n_flushed++;
        last_flushed = net;
        c->flushed_bytes = net;
}

void count_block_without_cell(void *p, uint64_t bytes)
{
        fail_msg("%p %lu: there is a cell", p, (unsigned long)bytes);
}

void count_free_without_cell(void *p)
{
        fail_msg("%p: there is a cell", p);
}

uint32_t count_sampled_stack(struct pg_cell *c, uint64_t bytes, const uint64_t *f)
{
        fail_msg("%p %lu %p: each has a stack", (void *)c, (unsigned long)bytes, (const void *)f);
        return 0;
}

static int start(void **state)
{
        (void)state;
        memset(blocks, 0, sizeof(blocks));
        lone_agent_start(blocks);
        cell->solo = 1;
        agent_generation = 7;
        count_is_plain = true;
        count_set_generation(7);
        n_freed = n_flushed = 0;
        return 0;
}

/* Level 5: 1024 bytes stand for each in the sample. */
enum { LEVEL = 5 };

static void sample(void)
{
        slot.live_level = LEVEL;
        live_shift = pg_live_shift(LEVEL);
}

static void *chunk(size_t i)
{
        unsigned char *p = heap + 16 + i * CHUNK;
        ((size_t *)(void *)p)[-1] = CHUNK | 1; // the one before is in use
        return p;
}

/* The i-th block, from 0, that is in the sample, or is not. */
static void *chunk_in(size_t i, bool is_in)
{
        for (size_t k = 0; k < N_CHUNKS; k++)
                if (pg_live_is_hit((uint64_t)(uintptr_t)chunk(k), USABLE, LEVEL) == is_in && i-- == 0)
                        return chunk(k);
        fail_msg("no such block");
        return NULL;
}

static void *give(void *p)
{
        struct quick_ahead ahead = quick_ahead(frame);
        assert_int_equal(ahead.generation, agent_generation); // else it is not quick
        return quick_allocation(ahead, p, ASKED, frame);
}

/* ---- tests ---- */

static void a_block_counts_by_what_it_holds(void **state)
{
        (void)state;
        void *p = chunk(0), *q = chunk(1);
        assert_ptr_equal(give(p), p);
        assert_ptr_equal(give(q), q);
        assert_int_equal(cell->allocations, 2);
        assert_int_equal(cell->allocated_bytes, 2 * ASKED);
        assert_int_equal(cell->net_bytes, 2 * USABLE);
        assert_int_equal(cell->solo_peak_bytes, 2 * USABLE);
        assert_int_equal(nodes[NODE].count, 2);
        assert_int_equal(nodes[NODE].amount, 2 * ASKED);
        quick_free(p);
        assert_int_equal(cell->frees, 1);
        assert_int_equal(cell->net_bytes, USABLE);
        assert_int_equal(cell->solo_peak_bytes, 2 * USABLE);
        assert_int_equal(peaks[NODE].bytes, USABLE); // freed since the peak
        assert_int_equal(nodes[NODE].temporary, 0);
        assert_int_equal(n_freed, 1);
        assert_ptr_equal(last_freed, p);
}

/* A signal handler forks while the block is made: it is the child's. */
static void a_fork_before_the_block_is_there_counts_in_the_child(void **state)
{
        (void)state;
        struct quick_ahead ahead = quick_ahead(frame);
        agent_generation = 8;
        quick_allocation(ahead, chunk(0), ASKED, frame);
        assert_int_equal(cell->allocations, 0);
        assert_int_equal(cell->net_bytes, 0);
        assert_int_equal(childs->allocations, 1);
        assert_int_equal(childs->net_bytes, USABLE);
        assert_int_equal(nodes[NODE].count, 1);
}

/* By the three ways of a free: not known to be plain, with a block in the table or pending, without. */
static void a_block_of_the_static_arena_is_not_the_allocators(void **state)
{
        for (int way = 0; way < 3; way++) {
                start(state);
                void *p = real_early + 16;
                if (way == 0)
                        count_set_generation(COUNT_NO_GENERATION);
                if (way == 1)
                        give(chunk(0));
                if (way == 2)
                        sample();
                ((size_t *)p)[-1] = way == 2 ? 8 : CHUNK; // of no bytes: in no sample
                int64_t net = cell->net_bytes;
                quick_free(p);
                assert_int_equal(n_freed, 0);
                assert_int_equal(cell->frees + childs->frees, 0);
                assert_int_equal(cell->net_bytes, net);
                assert_int_equal(childs->net_bytes, 0);
        }
}

/* More than the slack is told at once, less is held back. */
static void in_company_what_is_freed_is_told(void **state)
{
        for (int in = 0; in <= 1; in++) {
                start(state);
                sample();
                cell->solo = 0;
                cell->slack_bytes = 2 * USABLE;
                for (size_t i = 0; i < 3; i++) {
                        quick_free(chunk_in(i, in));
                        assert_int_equal(n_flushed, i == 2);
                }
                assert_int_equal(last_flushed, -3 * USABLE);
                assert_int_equal(n_freed, 3);
        }
}

/* A block that goes makes room: the next one is below the peak, whether the one that went was in the sample or not. */
static void what_comes_after_a_free_is_not_part_of_the_peak(void **state)
{
        for (int in = 0; in <= 1; in++) {
                start(state);
                sample();
                void *first = chunk_in(0, in), *next = chunk_in(1, true);
                give(chunk_in(2, false));
                give(first);
                give(chunk_in(3, false)); // the peak
                quick_free(first);
                assert_int_equal(peaks[NODE].bytes, in ? 1024 : 0);
                give(next);
                quick_free(next);
                assert_int_equal(peaks[NODE].bytes, in ? 1024 : 0);
                assert_int_equal(nodes[NODE].temporary, 1);
        }
}

/* Stacks are sampled, or blocks do not tell their size: frame is not even looked at. */
static void what_is_not_plain_is_not_quick(void **state)
{
        (void)state;
        count_is_plain = false;
        count_set_generation(7);
        assert_int_equal(quick_ahead(NULL).generation, COUNT_NO_GENERATION);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
        const struct CMUnitTest tests[] = {
                TEST(a_block_counts_by_what_it_holds),
                TEST(a_fork_before_the_block_is_there_counts_in_the_child),
                TEST(a_block_of_the_static_arena_is_not_the_allocators),
                TEST(in_company_what_is_freed_is_told),
                TEST(what_comes_after_a_free_is_not_part_of_the_peak),
                TEST(what_is_not_plain_is_not_quick),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
