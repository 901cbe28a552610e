// SPDX-License-Identifier: MIT
/*
 * test_perf_spool.c - what is added to the spool comes out whole and in order, whoever is faster.
 *
 * Each record is made from its number, so that expected sizes and bytes are known by construction.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "runner/engine/perf_ring.h"
#include "runner/engine/perf_spool.h"

enum { MIB = 1 << 20 };

/* 1 to PG_PERF_RECORD_MAX bytes, sizes of 8 and others. */
static size_t size_of(uint64_t number)
{
        return number * 7919 % PG_PERF_RECORD_MAX + 1;
}

static uint8_t byte_of(uint64_t number)
{
        return (uint8_t)(number * 37 + 1);
}

static void add(struct pg_perf_spool *s, uint64_t number)
{
        static _Thread_local uint8_t record[PG_PERF_RECORD_MAX];
        struct pg_error err = { 0 };
        memset(record, byte_of(number), size_of(number));
        pg_perf_spool_add(s, record, size_of(number), &err);
}

static void assert_next(struct pg_perf_spool *s, uint64_t number)
{
        static uint8_t want[PG_PERF_RECORD_MAX];
        size_t n = 0;
        const uint8_t *record = pg_perf_spool_next(s, &n);
        assert_non_null(record);
        assert_int_equal((uintptr_t)record % 8, 0);
        assert_int_equal(n, size_of(number));
        memset(want, byte_of(number), n);
        assert_memory_equal(record, want, n);
}

static void assert_end(struct pg_perf_spool *s)
{
        size_t n;
        assert_null(pg_perf_spool_next(s, &n));
        assert_null(pg_perf_spool_next(s, &n)); // and stays there
}

static struct pg_perf_spool *spool_of(size_t max_bytes)
{
        struct pg_error err = { 0 };
        struct pg_perf_spool *s = NULL;
        assert_true(pg_perf_spool_create(max_bytes, &s, &err));
        return s;
}

/* All that fits waits; the room is used again. */
static void records_wait_in_order(void **state)
{
        (void)state;
        struct pg_perf_spool *s = spool_of(64 * (size_t)MIB);
        uint64_t in = 0, out = 0;
        for (int round = 0; round < 4; round++) {
                while (in < 500u * (unsigned)(round + 1)) // of 32 KiB on average: 16 MiB each time
                        add(s, in++);
                while (out < in - 100)
                        assert_next(s, out++);
        }
        pg_perf_spool_close(s);
        while (out < in)
                assert_next(s, out++);
        assert_end(s);
        pg_perf_spool_destroy(s);
}

static void an_empty_one_ends(void **state)
{
        (void)state;
        struct pg_perf_spool *s = spool_of(MIB);
        pg_perf_spool_close(s);
        assert_end(s);
        pg_perf_spool_destroy(s);
        pg_perf_spool_destroy(NULL);
}

static void what_nobody_took_is_freed(void **state)
{
        (void)state;
        struct pg_perf_spool *s = spool_of(8 * (size_t)MIB);
        for (uint64_t i = 0; i < 100; i++)
                add(s, i);
        assert_next(s, 0);
        pg_perf_spool_destroy(s);
}

enum { MANY = 800 };

struct writer {
        struct pg_perf_spool *spool;
        unsigned yields_every; // 0: never
        uint64_t n_added;
};

static void *write_many(void *argument)
{
        struct writer *w = argument;
        for (uint64_t i = 0; i < MANY; i++) {
                add(w->spool, i);
                __atomic_store_n(&w->n_added, i + 1, __ATOMIC_RELAXED);
                if (w->yields_every && i % w->yields_every == 0)
                        sched_yield();
        }
        pg_perf_spool_close(w->spool);
        return NULL;
}

/* About 25 MiB through spools of one block to a few: the writer must wait for the reader, and goes on. */
static void a_full_one_makes_the_writer_wait(void **state)
{
        (void)state;
        static const struct {
                size_t max_bytes, most_waiting; // of which a record is 32 KiB on average, and 1 byte at least
                unsigned writer_yields, reader_yields;
        } cases[] = {
                { 0, MIB, 0, 0 },
                { MIB, MIB, 1, 0 },
                { MIB, MIB, 0, 1 },
                { 3 * MIB + 1, 4 * MIB, 7, 50 },
        };
        for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
                struct writer w = { spool_of(cases[c].max_bytes), cases[c].writer_yields, 0 };
                pthread_t thread;
                assert_int_equal(pthread_create(&thread, NULL, write_many, &w), 0);
                for (uint64_t i = 0, waiting_bytes; i < MANY; i++) {
                        assert_next(w.spool, i);
                        if (cases[c].reader_yields && i % cases[c].reader_yields == 0)
                                sched_yield();
                        waiting_bytes = 0;
                        uint64_t added = __atomic_load_n(&w.n_added, __ATOMIC_RELAXED);
                        for (uint64_t k = i; k < added; k++)
                                waiting_bytes += size_of(k);
                        assert_true(waiting_bytes <= cases[c].most_waiting);
                }
                assert_end(w.spool);
                pthread_join(thread, NULL);
                pg_perf_spool_destroy(w.spool);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(records_wait_in_order),
                cmocka_unit_test(an_empty_one_ends),
                cmocka_unit_test(what_nobody_took_is_freed),
                cmocka_unit_test(a_full_one_makes_the_writer_wait),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
