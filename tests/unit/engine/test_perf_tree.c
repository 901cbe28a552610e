// SPDX-License-Identifier: MIT
/*
 * test_perf_tree.c - processes, execs, threads and stacks out of records made by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runner/engine/perf_tree.h"
#include "tests/unit/engine/perf_bytes.h"

struct rig {
        struct pg_perf_tree *tree;
        struct pg_arena *arena;
        struct pg_captured *captured;
        struct perf_bytes bytes;
};
static struct rig rig;

static void begin(uint32_t keep_every)
{
        struct pg_error err = { 0 };
        assert_true(pg_perf_tree_create(keep_every, &rig.tree, &err));
        rig.bytes.n = 0;
}

/* Everything that was put, record by record, into the tree. */
static void flush(void)
{
        struct pg_error err = { 0 };
        for (size_t at = 0; at < rig.bytes.n;) {
                struct perf_event_header h;
                memcpy(&h, rig.bytes.at + at, sizeof(h));
                assert_true(pg_perf_tree_add(rig.tree, rig.bytes.at + at, h.size, &err));
                at += h.size;
        }
        rig.bytes.n = 0;
}

static const struct pg_captured *finish(void)
{
        struct pg_error err = { 0 };
        flush();
        rig.arena = pg_arena_create();
        assert_true(pg_stacks_finish(pg_perf_tree_stacks(rig.tree, 3, 3000), rig.arena, &rig.captured, &err));
        return rig.captured;
}

static void end(void)
{
        pg_perf_tree_destroy(rig.tree);
        pg_arena_destroy(rig.arena);
}

/* Generated code at 0x10000: it is walked by frame pointers, so here it is one frame. */
static void put_code(uint32_t pid, uint64_t time_ns)
{
        put_map(&rig.bytes, pid, 0x10000, 0x1000, 0, 0, "//anon.", time_ns);
}

static void a_tree_of_processes_is_followed(void **state)
{
        (void)state;
        begin(1);
        put_exec(&rig.bytes, 10, 100);
        put_task(&rig.bytes, PERF_RECORD_FORK, 10, 10, 11, 150); // a thread
        put_task(&rig.bytes, PERF_RECORD_FORK, 20, 10, 20, 200); // a child, that execs
        put_exec(&rig.bytes, 20, 300);
        put_task(&rig.bytes, PERF_RECORD_EXIT, 20, 10, 20, 400);
        put_task(&rig.bytes, PERF_RECORD_FORK, 20, 10, 20, 500); // the same number again
        put_sample(&rig.bytes, 20, 20, 550, 1, 0x10000, 0x7000, NULL, 0);
        const struct pg_captured *c = finish();
        assert_int_equal(c->n_processes, 4);
        static const struct {
                int32_t pid, ppid;
                uint64_t start_ns;
                bool forked, execed;
                uint64_t threads, samples;
        } want[] = { { 10, 0, 100, false, false, 2, 0 },
                     { 20, 10, 200, true, true, 1, 0 },
                     { 20, 10, 300, false, false, 1, 0 },
                     { 20, 10, 500, true, false, 1, 1 } };
        for (size_t i = 0; i < 4; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                assert_int_equal(p->pid, want[i].pid);
                assert_int_equal(p->ppid, want[i].ppid);
                assert_int_equal(p->start_ns, want[i].start_ns);
                assert_int_equal(p->forked, want[i].forked);
                assert_int_equal(p->execed, want[i].execed);
                assert_int_equal(p->n_threads, want[i].threads);
                assert_int_equal(p->threads_task_clock, want[i].threads);
                assert_int_equal(p->sample_count, want[i].samples);
        }
        assert_int_equal(c->processes[0].lost_samples, 3);
        assert_int_equal(c->processes[0].lost_weight_ns, 3000);
        assert_int_equal(pg_perf_tree_totals(rig.tree)->tasks, 4); // execs make none
        end();
}

static void generated_code_keeps_its_addresses(void **state)
{
        (void)state;
        begin(1);
        put_exec(&rig.bytes, 10, 100);
        put_code(10, 110);
        // bp is 6, which is in no stack, and there is no return address either
        const uint64_t stack[2] = { 0, 0 };
        put_sample(&rig.bytes, 10, 10, 200, 1, 0x10123, 0x7000, stack, sizeof(stack));
        // now bp points at two frames: one in generated code, and zero behind it
        const uint64_t frames[] = { 0x7010, 0x10200, 0, 0x10300 };
        put_sample(&rig.bytes, 10, 10, 300, 1, 0x10456, 0x7000, frames, sizeof(frames));
        size_t bp = rig.bytes.n - 8 - sizeof(frames) - 8 - 17 * 8 + 6 * 8;
        uint64_t first = 0x7000;
        memcpy(rig.bytes.at + bp, &first, sizeof(first));
        const struct pg_captured *c = finish();
        const struct pg_captured_process *p = &c->processes[0];
        assert_int_equal(p->sample_count, 2);
        assert_int_equal(p->n_modules, 0);
        // root, [unknown or truncated], 0x10123; then 0x102ff, 0x101ff, 0x10456, complete
        assert_int_equal(p->n_nodes, 6);
        static const uint64_t want[] = { 0x10456, 0x101ff, 0x102ff };
        uint32_t at = 5;
        for (size_t i = 0; i < 3; i++, at = p->nodes[at].parent) {
                assert_int_equal(PG_PLACE_MODULE(p->nodes[at].place), PG_MODULE_NONE);
                assert_int_equal(PG_PLACE_ADDRESS(p->nodes[at].place), want[i]);
        }
        assert_int_equal(at, 0);
        assert_int_equal(p->quality.truncated + p->quality.unknown, 1);
        end();
}

/* The kernel's work for an exec shows registers of the program that asked for it. */
static void an_exec_belongs_to_the_program_before(void **state)
{
        (void)state;
        begin(1);
        put_exec(&rig.bytes, 10, 100);
        put_code(10, 110);
        put_exec(&rig.bytes, 10, 200);
        const uint64_t stack[2] = { 0x10200, 0x10200 }; // of the new program: means nothing
        put_sample(&rig.bytes, 10, 10, 210, 1, 0x10123, 0x7000, stack, sizeof(stack));
        put_code(10, 220);
        put_sample(&rig.bytes, 10, 10, 230, 1, 0x10123, 0x7000, NULL, 0); // now it is the new one's
        const struct pg_captured *c = finish();
        assert_int_equal(c->n_processes, 2);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(c->processes[i].sample_count, 1);
                assert_int_equal(c->processes[i].n_nodes, 3); // root, pseudo frame, the one frame
                assert_int_equal(PG_PLACE_ADDRESS(c->processes[i].nodes[2].place), 0x10123);
        }
        assert_int_equal(pg_perf_tree_totals(rig.tree)->cut, 0);
        end();
}

static void what_cannot_be_walked_still_counts(void **state)
{
        (void)state;
        begin(1);
        put_exec(&rig.bytes, 10, 100);
        put_sample(&rig.bytes, 10, 10, 200, 1, 0x666000, 0x7000, NULL, 0); // in no code at all
        size_t start = begin_record(&rig.bytes, PERF_RECORD_SAMPLE, 1);    // without registers
        put_u64(&rig.bytes, 1);
        put_u32(&rig.bytes, 10);
        put_u32(&rig.bytes, 10);
        put_u64(&rig.bytes, 300);
        put_u64(&rig.bytes, 1);
        put_u64(&rig.bytes, 1000);
        for (int i = 0; i < 3; i++)
                put_u64(&rig.bytes, 0);
        end_record(&rig.bytes, start);
        put_sample(&rig.bytes, 99, 99, 400, 1, 0x666000, 0x7001, NULL,
                   0); // whose fork was lost; a crooked sp
        const struct pg_captured *c = finish();
        assert_int_equal(c->n_processes, 2);
        assert_int_equal(c->processes[0].sample_count, 2);
        assert_int_equal(c->processes[0].sample_weight_ns, 2000);
        assert_int_equal(c->processes[0].quality.unknown, 2);
        assert_int_equal(c->processes[1].pid, 99);
        assert_int_equal(c->processes[1].sample_count, 1);
        end();
}

/* A full copy that was too short is told apart from a stack that ended: only a longer copy helps the first. */
static void a_copy_that_is_too_short_is_noticed(void **state)
{
        (void)state;
        begin(1);
        put_exec(&rig.bytes, 10, 100);
        put_code(10, 110);
        const uint64_t frames[] = { 0x7100, 0x10200 }; // the next frame is beyond the copy
        for (int full = 0; full < 2; full++) {
                put_sample(&rig.bytes, 10, 10, 300, 1, 0x10456, 0x7000, frames, sizeof(frames));
                uint64_t bp = 0x7000, filled = full ? 16 : 8;
                memcpy(rig.bytes.at + rig.bytes.n - 8 - sizeof(frames) - 8 - 17 * 8 + 6 * 8, &bp, sizeof(bp));
                memcpy(rig.bytes.at + rig.bytes.n - 8, &filled, sizeof(filled));
        }
        const struct pg_captured *c = finish();
        assert_int_equal(c->processes[0].quality.truncated, 2);
        assert_int_equal(pg_perf_tree_totals(rig.tree)->cut, 1);
        end();
}

/* 1,000 threads of 8 ticks each and one of 8,000, of which every 16th is kept: 500 +- 1 and 500 +- 1, because whether
 * a short thread is seen is spread evenly over consecutive streams. */
static void one_tick_in_so_many_is_kept(void **state)
{
        (void)state;
        enum { EVERY = 16, THREADS = 1000, TICKS = 8 };
        begin(EVERY);
        put_exec(&rig.bytes, 10, 100);
        put_exec(&rig.bytes, 11, 100);
        for (uint64_t thread = 0; thread < THREADS; thread++) {
                for (int i = 0; i < TICKS; i++)
                        put_sample(&rig.bytes, 10, 10, 200, 5000 + thread, 0x666000, 0x7000, NULL, 0);
                flush();
        }
        for (int i = 0; i < THREADS * TICKS; i++) {
                put_sample(&rig.bytes, 11, 11, 200, 4999, 0x666000, 0x7000, NULL, 0);
                flush();
        }
        const struct pg_captured *c = finish();
        assert_in_range(c->processes[0].sample_count, THREADS * TICKS / EVERY - 10,
                        THREADS * TICKS / EVERY + 10);
        assert_in_range(c->processes[1].sample_count, THREADS * TICKS / EVERY - 1,
                        THREADS * TICKS / EVERY + 1);
        for (int i = 0; i < 2; i++)
                assert_int_equal(c->processes[i].sample_weight_ns,
                                 c->processes[i].sample_count * 1000 * EVERY);
        end();
}

static void records_that_make_no_sense_are_counted(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        begin(1);
        uint64_t nonsense[4] = { UINT64_MAX, 1, 2, 3 };
        assert_true(pg_perf_tree_add(rig.tree, nonsense, sizeof(nonsense), &err));
        assert_true(pg_perf_tree_add(rig.tree, nonsense, 0, &err));
        assert_int_equal(finish()->n_processes, 0);
        assert_int_equal(pg_perf_tree_totals(rig.tree)->damaged, 2);
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tree_of_processes_is_followed),
                cmocka_unit_test(generated_code_keeps_its_addresses),
                cmocka_unit_test(an_exec_belongs_to_the_program_before),
                cmocka_unit_test(what_cannot_be_walked_still_counts),
                cmocka_unit_test(a_copy_that_is_too_short_is_noticed),
                cmocka_unit_test(one_tick_in_so_many_is_kept),
                cmocka_unit_test(records_that_make_no_sense_are_counted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
