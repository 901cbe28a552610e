// SPDX-License-Identifier: MIT
/*
 * test_perf_record.c - records made by hand come apart as they were put together, cut ones are refused, and rings are
 * read in order of time, around their end, and not beyond the moment asked for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "runner/engine/perf_ring.h"
#include "tests/unit/engine/perf_bytes.h"

static struct perf_bytes bytes;

static struct pg_perf_record parsed(void)
{
        struct pg_perf_record r;
        assert_true(pg_perf_record_parse(bytes.at, bytes.n, &r));
        return r;
}

static void a_sample_comes_apart(void **state)
{
        (void)state;
        const uint64_t stack[2] = { 1, 2 };
        bytes.n = 0;
        put_sample(&bytes, 7, 8, 99, 5, 0x4000, 0x7000, stack, sizeof(stack));
        struct pg_perf_record r = parsed();
        assert_int_equal(r.kind, PG_PERF_SAMPLE);
        assert_int_equal(r.pid, 7);
        assert_int_equal(r.tid, 8);
        assert_int_equal(r.time_ns, 99);
        assert_int_equal(r.sample.stream, 5);
        assert_int_equal(r.sample.period_ns, 1000);
        assert_true(r.sample.has_regs);
        // the kernel's numbers: ax 0, bx 1, cx 2, dx 3, si 4, di 5, bp 6, sp 7, ip 8, then r8 to r15
        static const uint64_t want[PG_GREGS] = { 9, 10, 11, 12, 13, 14, 15,     16,    5,
                                                 4, 6,  1,  3,  0,  2,  0x7000, 0x4000 };
        assert_memory_equal(r.sample.regs, want, sizeof(want));
        assert_int_equal(r.sample.stack_bytes, sizeof(stack));
        assert_memory_equal(r.sample.stack, stack, sizeof(stack));
        assert_int_equal(r.sample.n_chain, 2);
        assert_int_equal(r.sample.chain[1], 0x4000);
        assert_int_equal(pg_perf_record_time_offset((void *)bytes.at, bytes.n), 24);
}

static void a_kernel_thread_has_no_registers(void **state)
{
        (void)state;
        bytes.n = 0;
        size_t start = begin_record(&bytes, PERF_RECORD_SAMPLE, 1);
        for (int i = 0; i < 5; i++)
                put_u64(&bytes, 1);
        put_u64(&bytes, 0); // no chain
        put_u64(&bytes, PERF_SAMPLE_REGS_ABI_NONE);
        put_u64(&bytes, 0); // no stack
        end_record(&bytes, start);
        struct pg_perf_record r = parsed();
        assert_false(r.sample.has_regs);
        assert_int_equal(r.sample.stack_bytes, 0);
}

static void a_mapping_comes_apart(void **state)
{
        (void)state;
        bytes.n = 0;
        put_map(&bytes, 7, 0x1000, 0x2000, 0x3000, 42, "/bin/ab", 5);
        struct pg_perf_record r = parsed();
        assert_int_equal(r.kind, PG_PERF_MAP);
        assert_int_equal(r.map.start, 0x1000);
        assert_int_equal(r.map.end, 0x3000);
        assert_int_equal(r.map.file_offset, 0x3000);
        assert_int_equal(r.map.inode, 42);
        assert_int_equal(r.map.build_id_bytes, 0);
        assert_string_equal(r.map.path, "/bin/ab");
        assert_int_equal(r.time_ns, 5);
}

static void a_build_id_takes_the_place_of_the_inode(void **state)
{
        (void)state;
        uint8_t identity[24] = { 20, 0, 0, 0, 0xaa, 0xbb };
        bytes.n = 0;
        put_map(&bytes, 7, 0x1000, 0x2000, 0, 42, "/bin/ab", 5);
        uint16_t misc = PERF_RECORD_MISC_MMAP_BUILD_ID;
        memcpy(bytes.at + 4, &misc, sizeof(misc));
        memcpy(bytes.at + 40, identity, sizeof(identity));
        struct pg_perf_record r = parsed();
        assert_int_equal(r.map.inode, 0);
        assert_int_equal(r.map.build_id_bytes, 20);
        assert_int_equal(r.map.build_id[1], 0xbb);
        bytes.at[40] = 21; // longer than there is room
        assert_int_equal(parsed().map.build_id_bytes, 0);
}

static void tasks_come_apart(void **state)
{
        (void)state;
        bytes.n = 0;
        put_task(&bytes, PERF_RECORD_FORK, 5, 4, 6, 9);
        struct pg_perf_record r = parsed();
        assert_int_equal(r.kind, PG_PERF_FORK);
        assert_int_equal(r.pid, 5);
        assert_int_equal(r.task.ppid, 4);
        assert_int_equal(r.tid, 6);
        assert_int_equal(r.time_ns, 9);
        bytes.n = 0;
        put_exec(&bytes, 5, 9);
        assert_int_equal(parsed().kind, PG_PERF_EXEC);
        bytes.at[4] = bytes.at[5] = 0; // only a new name
        assert_int_equal(parsed().kind, PG_PERF_OTHER);
}

/* Every shorter length of every kind of record, with the header saying so too. */
static void cut_records_are_refused(void **state)
{
        (void)state;
        const uint64_t stack[4] = { 0 };
        for (int kind = 0; kind < 4; kind++) {
                bytes.n = 0;
                if (kind == 0)
                        put_sample(&bytes, 7, 8, 99, 5, 0x4000, 0x7000, stack, sizeof(stack));
                else if (kind == 1)
                        put_map(&bytes, 7, 0x1000, 0x2000, 0x3000, 42, "/bin/ab", 5);
                else if (kind == 2)
                        put_task(&bytes, PERF_RECORD_FORK, 5, 4, 6, 9);
                else
                        put_exec(&bytes, 5, 9);
                // of a name or a path what is there could be all; of the others everything is needed
                size_t least = kind == 0 ? bytes.n : kind == 1 ? bytes.n - 8 : kind == 2 ? bytes.n - 16 : 40;
                for (size_t n = 0; n < least; n++) {
                        uint8_t *cut = malloc(n + 1); // so that a sanitizer sees each byte too far
                        struct pg_perf_record r;
                        struct perf_event_header h;
                        memcpy(&h, bytes.at, sizeof(h));
                        h.size = (uint16_t)n;
                        memcpy(cut, bytes.at, n);
                        memcpy(cut, &h, n < sizeof(h) ? n : sizeof(h));
                        assert_false(pg_perf_record_parse(cut, n, &r));
                        assert_int_equal(r.kind, PG_PERF_OTHER);
                        free(cut);
                }
        }
}

static void lengths_inside_are_not_trusted(void **state)
{
        (void)state;
        struct pg_perf_record r;
        const uint64_t stack[4] = { 0 };
        // where a sample has the length of its chain, of its stack, and how much of that was filled
        static const size_t places[] = { 48, 80 + 17 * 8, 80 + 17 * 8 + 8 + 32 };
        for (size_t i = 0; i < 3; i++) {
                bytes.n = 0;
                put_sample(&bytes, 7, 8, 99, 5, 0x4000, 0x7000, stack, sizeof(stack));
                uint64_t huge = UINT64_MAX / 8 + 2;
                memcpy(bytes.at + places[i], &huge, sizeof(huge));
                assert_false(pg_perf_record_parse(bytes.at, bytes.n, &r));
        }
        bytes.n = 0;
        put_map(&bytes, 7, UINT64_MAX - 5, 0x2000, 0x3000, 42, "/bin/ab",
                5); // its end would be before its start
        assert_false(pg_perf_record_parse(bytes.at, bytes.n, &r));
        bytes.n = 0;
        put_map(&bytes, 7, 0x1000, 0x2000, 0x3000, 42, "/bin/ab", 5);
        memset(bytes.at + bytes.n - 32, 'x', 8); // a path without an end
        assert_false(pg_perf_record_parse(bytes.at, bytes.n, &r));
}

/* ---- rings ----------------------------------------------------------------------------------------------- */

enum { RING = 4096 };

struct ring {
        struct perf_event_mmap_page page;
        _Alignas(8) uint8_t data[RING];
        struct pg_perf_ring ring;
};

/* As the kernel writes: around the end, then the head. */
static void ring_put(struct ring *r, const struct perf_bytes *b)
{
        assert_true(r->page.data_head + b->n - r->page.data_tail <= RING);
        for (size_t i = 0; i < b->n; i++)
                r->data[(r->page.data_head + i) % RING] = b->at[i];
        r->page.data_head += b->n;
}

struct seen {
        uint64_t times[1000];
        size_t n, stop_at; // 0: never
};

static bool note(void *user, const void *record, size_t n, struct pg_error *err)
{
        struct seen *s = user;
        struct pg_perf_record r;
        assert_true(pg_perf_record_parse(record, n, &r));
        assert_int_equal((uintptr_t)record % 8, 0);
        s->times[s->n++] = r.time_ns;
        return s->n != s->stop_at || pg_fail(err, PG_ENOMEM, "enough");
}

static _Alignas(8) uint8_t wrapped[PG_PERF_RECORD_MAX];

static bool read_rings(struct ring *r, size_t n, uint64_t until_ns, struct seen *seen, uint64_t *n_damaged)
{
        struct pg_error err = { 0 };
        struct pg_perf_ring rings[2];
        for (size_t i = 0; i < n; i++)
                rings[i] = r[i].ring;
        bool ok = pg_perf_rings_read(rings, n, until_ns, wrapped, note, seen, n_damaged, &err);
        for (size_t i = 0; i < n; i++)
                r[i].ring = rings[i];
        return ok;
}

static void ring_begin(struct ring *r, uint64_t at)
{
        memset(r, 0, sizeof(*r));
        r->page.data_head = r->page.data_tail = at;
        pg_perf_ring_init(&r->ring, &r->page, r->data, RING);
}

static void put_tick(struct ring *r, uint64_t time_ns)
{
        bytes.n = 0;
        put_task(&bytes, PERF_RECORD_FORK, 5, 5, 6, time_ns);
        ring_put(r, &bytes);
}

static void rings_are_merged_by_time_up_to_a_moment(void **state)
{
        (void)state;
        static struct ring r[2];
        struct seen seen = { .n = 0 };
        uint64_t damaged = 0;
        ring_begin(&r[0], 0);
        ring_begin(&r[1], 0);
        static const uint64_t first[] = { 1, 4, 5, 9 }, second[] = { 2, 3, 6, 7, 8 };
        for (size_t i = 0; i < 4; i++)
                put_tick(&r[0], first[i]);
        for (size_t i = 0; i < 5; i++)
                put_tick(&r[1], second[i]);
        assert_true(read_rings(r, 2, 7, &seen, &damaged));
        assert_int_equal(seen.n, 7);
        put_tick(&r[0], 10); // ... and the rest with what came later
        assert_true(read_rings(r, 2, UINT64_MAX - 1, &seen, &damaged));
        assert_int_equal(seen.n, 10);
        for (size_t i = 0; i < seen.n; i++)
                assert_int_equal(seen.times[i], i + 1);
        assert_int_equal(damaged, 0);
        assert_int_equal(r[0].page.data_tail, r[0].page.data_head);
        assert_int_equal(r[1].page.data_tail, r[1].page.data_head);
}

/* 200 records of 56 bytes through 4,096 bytes: some of them lie around the end. */
static void records_around_the_end_are_whole(void **state)
{
        (void)state;
        static struct ring r;
        struct seen seen = { .n = 0 };
        uint64_t damaged = 0;
        ring_begin(&r, (1ull << 32) - 64); // numbers that do not fit 32 bits soon
        for (uint64_t i = 0; i < 200; i++) {
                put_tick(&r, i);
                if (i % 10 == 9)
                        assert_true(read_rings(&r, 1, UINT64_MAX - 1, &seen, &damaged));
        }
        assert_int_equal(seen.n, 200);
        for (size_t i = 0; i < seen.n; i++)
                assert_int_equal(seen.times[i], i);
        assert_int_equal(damaged, 0);
}

static void a_ring_that_makes_no_sense_is_emptied(void **state)
{
        (void)state;
        static struct ring r[2];
        // size 0, below a header, no multiple of 8, beyond what is there
        static const uint16_t sizes[] = { 0, 4, 12, 4000 };
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                struct seen seen = { .n = 0 };
                uint64_t damaged = 0;
                ring_begin(&r[0], 0);
                ring_begin(&r[1], 0);
                put_tick(&r[0], 1);
                put_tick(&r[0], 2);
                put_tick(&r[1], 3);
                memcpy(r[0].data + r[0].page.data_head / 2 + 6, &sizes[i], sizeof(sizes[i])); // of the second
                assert_true(read_rings(r, 2, UINT64_MAX - 1, &seen, &damaged));
                assert_int_equal(damaged, 1);
                assert_int_equal(seen.n, 2);
                assert_int_equal(seen.times[1], 3);
                assert_int_equal(r[0].page.data_tail, r[0].page.data_head);
        }
        uint64_t damaged = 0;
        struct seen seen = { .n = 0 };
        ring_begin(&r[0], 0);
        r[0].page.data_head = RING + 8; // more than it holds
        assert_true(read_rings(r, 1, UINT64_MAX - 1, &seen, &damaged));
        assert_int_equal(damaged, 1);
}

static void a_failure_ends_the_reading(void **state)
{
        (void)state;
        static struct ring r;
        struct seen seen = { .n = 0, .stop_at = 2 };
        uint64_t damaged = 0;
        ring_begin(&r, 0);
        for (uint64_t i = 0; i < 5; i++)
                put_tick(&r, i);
        assert_false(read_rings(&r, 1, UINT64_MAX - 1, &seen, &damaged));
        assert_int_equal(seen.n, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sample_comes_apart),
                cmocka_unit_test(a_kernel_thread_has_no_registers),
                cmocka_unit_test(a_mapping_comes_apart),
                cmocka_unit_test(a_build_id_takes_the_place_of_the_inode),
                cmocka_unit_test(tasks_come_apart),
                cmocka_unit_test(cut_records_are_refused),
                cmocka_unit_test(lengths_inside_are_not_trusted),
                cmocka_unit_test(rings_are_merged_by_time_up_to_a_moment),
                cmocka_unit_test(records_around_the_end_are_whole),
                cmocka_unit_test(a_ring_that_makes_no_sense_is_emptied),
                cmocka_unit_test(a_failure_ends_the_reading),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
