// SPDX-License-Identifier: MIT
/*
 * test_perf.c - the perf engine on programs of all kinds, whose shares are known by construction.
 *
 * Truth about CPU time is the kernel's: what wait4 says of the tree, within the limits of the self-check
 * (pg_profile_doubt). Shares may be off by five standard deviations of chance (one false alarm in 1.7 million), and by
 * one of a hundred for loops of the targets around the work. How long something took decides nothing.
 *
 * Shares of incomplete stacks are what the engine may have, in the worst case, for each kind of program:
 * ORDINARY where unwind information is whole; what is left are the first and last moments of a process, which shows
 * its registers before it has a stack or when it has none any more. PROMISED for stacks that may be longer than their
 * copies: the engine asks for longer ones until at most that share was cut. GENERATED for code made while the program
 * runs, which has no unwind information: a sample in the first instructions of a function does not lead on.
 *
 * Needs perf events; where they cannot be had these tests fail and say why.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "tests/engine/outside.h"

#define FIXTURE(name) FIXTURES "/" name
#define ARGV(...)     ((const char *const[]){ __VA_ARGS__, NULL })

enum { RATE_HZ = 997 };
static const double ORDINARY = 0.005, PROMISED = 0.02, GENERATED = 0.05;
static const struct pg_engine_request request = { .rate_hz = RATE_HZ };

static int perf_is_there(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        const char *why = pg_perf_engine.obstacle(NULL, &request, a);
        if (why)
                fprintf(stderr, "these tests need perf events: %s\n", why);
        return why ? -1 : 0;
}

static struct profiled best(const char *const *argv)
{
        struct profiled p;
        profile_best(&pg_perf_engine, argv, request, &p);
        assert_int_equal(p.result.exit_status, 0);
        assert_int_equal(p.captured->n_damaged, 0);
        return p;
}

static void assert_accounts(const struct profiled *p)
{
        const char *doubt = pg_profile_doubt(p->captured, p->result.user_ns, p->result.system_ns,
                                             PG_NS_PER_S / RATE_HZ, p->arena);
        if (doubt)
                fail_msg("%s", doubt);
        assert_string_equal(pg_profile_clock(p->captured), "task-clock");
}

/* At most that share of stacks is incomplete, as far as chance allows one to say: where each stack is so with that
 * probability, five standard deviations more are a false alarm in millions. */
static void assert_complete(const struct profiled *p, double incomplete)
{
        double n = (double)p->samples, got = (double)(p->truncated + p->unknown);
        double bound = incomplete * n + 5 * sqrt(incomplete * (1 - incomplete) * n);
        if (p->samples == 0 || got > bound)
                fail_msg("of %.0f stacks %lu are truncated and %lu unknown: expected %.1f at most", n,
                         (unsigned long)p->truncated, (unsigned long)p->unknown, bound);
}

static void assert_share(const struct profiled *p, uint64_t part_ns, double share)
{
        double n = (double)p->samples, got = (double)part_ns / (double)p->weight_ns;
        double bound = 5 * sqrt(share * (1 - share) / n) + 0.01;
        if (fabs(got - share) > bound)
                fail_msg("a share is %.3f, expected %.3f +- %.3f (%.0f samples)", got, share, bound, n);
}

/* ---- programs -------------------------------------------------------------------------------------------- */

static void a_static_program_has_its_shares(void **state)
{
        (void)state;
        const char *program = FIXTURE("cpu_shares_static");
        struct profiled p = best(ARGV(program, "1500"));
        assert_accounts(&p);
        assert_complete(&p, ORDINARY);
        assert_share(&p, self_ns(&p, program, "seventy"), 0.7);
        assert_share(&p, self_ns(&p, program, "twenty"), 0.2);
        assert_share(&p, self_ns(&p, program, "ten"), 0.1);
        assert_share(&p, total_ns(&p, program, "main"), 1);
        assert_int_equal(p.captured->n_processes, 1);
        assert_string_equal(p.captured->processes[0].program, program);
        assert_int_equal(p.captured->processes[0].pid, p.result.pid);
        profiled_free(&p);
}

static void a_dynamic_program_has_them_too(void **state)
{
        (void)state;
        const char *program = FIXTURE("cpu_shares");
        struct profiled p = best(ARGV(program, "1000"));
        assert_accounts(&p);
        assert_complete(&p, ORDINARY);
        assert_share(&p, self_ns(&p, program, "seventy"), 0.7);
        assert_share(&p, total_ns(&p, program, "main"), 1);
        profiled_free(&p);
}

static void a_go_program_has_its_shares_and_stacks(void **state)
{
        (void)state;
        const char *program = FIXTURE("shares_go");
        struct profiled p = best(ARGV(program, "1500"));
        assert_accounts(&p);
        assert_complete(&p, PROMISED);
        // spin is the innermost frame, called by either
        double seventy = (double)total_ns(&p, program, "main.seventy"),
               thirty = (double)total_ns(&p, program, "main.thirty");
        double n = (seventy + thirty) * RATE_HZ / PG_NS_PER_S, share = seventy / (seventy + thirty);
        if (fabs(share - 0.7) > 5 * sqrt(0.7 * 0.3 / n) + 0.01)
                fail_msg("seventy has %.3f of %.0f samples", share, n);
        assert_true(total_ns(&p, program, "main.deep") >= (uint64_t)(seventy + thirty));
        assert_true(total_ns(&p, program, "runtime.goexit.abi0") > (uint64_t)(seventy + thirty));
        profiled_free(&p);
}

/* Without symbols and .debug_frame frame pointers remain, which Go keeps. */
static void a_stripped_go_program_has_stacks(void **state)
{
        (void)state;
        struct profiled p = best(ARGV(FIXTURE("shares_go_stripped"), "1000", "plain"));
        assert_accounts(&p);
        assert_complete(&p, PROMISED);
        profiled_free(&p);
}

/* CPU time whose innermost frame is in no file. */
static uint64_t generated_ns(const struct pg_captured_process *c)
{
        uint64_t sum = 0;
        for (size_t i = 1; i < c->n_nodes; i++)
                if (PG_PLACE_MODULE(c->nodes[i].place) == PG_MODULE_NONE &&
                    !pg_place_is_pseudo(c->nodes[i].place))
                        sum += c->nodes[i].amount;
        return sum;
}

static void generated_code_keeps_its_addresses(void **state)
{
        (void)state;
        char map[64];
        struct profiled p = best(ARGV(NODE, "--perf-basic-prof", FIXTURE_SOURCES "/busy.js", "5000"));
        snprintf(map, sizeof(map), "/tmp/perf-%d.map", p.result.pid);
        assert_int_equal(access(map, R_OK), 0); // where the names are
        unlink(map);
        assert_accounts(&p);
        assert_complete(&p, GENERATED);
        assert_int_equal(p.captured->n_processes, 1);
        assert_int_equal(p.captured->processes[0].pid, p.result.pid);
        assert_true((double)generated_ns(&p.captured->processes[0]) >
                    0.6 * (double)p.weight_ns); // busy() is compiled
        profiled_free(&p);
}

static void an_interpreter_has_stacks(void **state)
{
        (void)state;
        struct profiled p = best(ARGV(PYTHON, FIXTURE_SOURCES "/busy.py", "8"));
        assert_accounts(&p);
        assert_complete(&p, ORDINARY);
        profiled_free(&p);
}

/* ---- threads and processes ------------------------------------------------------------------------------- */

static void threads_are_covered_however_they_are_made(void **state)
{
        (void)state;
        const char *program = FIXTURE("cpu_unruly");
        struct profiled p = best(ARGV(program, "clones", "8"));
        assert_accounts(&p);
        assert_complete(&p, ORDINARY);
        assert_share(&p, total_ns(&p, program, "raw_thread"), 1); // its work, and its looks at the clock
        assert_int_equal(p.captured->processes[0].n_threads, 9);
        profiled_free(&p);
}

static void short_threads_are_covered(void **state)
{
        (void)state;
        const char *program = FIXTURE("cpu_unruly");
        struct profiled p = best(ARGV(program, "thousand", "1000"));
        assert_accounts(&p);
        assert_complete(&p, ORDINARY);
        assert_int_equal(p.captured->processes[0].n_threads, 1001);
        // each is at least 2 ms; what is left is the kernel's work of making threads
        double ns = (double)self_ns(&p, program, "in_thread"), truth_ns = 1000 * 2e6;
        double period_ns = 1e9 / RATE_HZ;
        assert_true(fabs(ns - truth_ns) < 0.1 * truth_ns + 5 * period_ns * sqrt(truth_ns / period_ns));
        profiled_free(&p);
}

static void forks_beside_running_threads_are_covered(void **state)
{
        (void)state;
        enum { CHILDREN = 300 };
        const char *program = FIXTURE("cpu_unruly");
        struct profiled p = best(ARGV(program, "threaded", "300"));
        assert_accounts(&p);
        assert_complete(&p, PROMISED); // a process that ends shows its registers, but no stack any more
        assert_int_equal(p.captured->n_processes, CHILDREN + 1);
        uint64_t samples = 0;
        for (size_t i = 1; i < p.captured->n_processes; i++) {
                const struct pg_captured_process *c = &p.captured->processes[i];
                assert_true(c->forked);
                assert_int_equal(c->ppid, p.result.pid);
                assert_string_equal(c->program, program);
                samples += c->sample_count;
        }
        double truth_ns = CHILDREN * 1e6, period_ns = 1e9 / RATE_HZ,
               ns = (double)self_ns(&p, program, "in_child");
        assert_true(fabs(ns - truth_ns) < 0.1 * truth_ns + 5 * period_ns * sqrt(truth_ns / period_ns));
        assert_true(samples > 0);
        profiled_free(&p);
}

static void each_exec_is_an_image_of_its_own(void **state)
{
        (void)state;
        struct profiled p = best(ARGV(FIXTURE("cpu_processes"), "execs", "50"));
        assert_int_equal(p.captured->n_processes, 50);
        for (size_t i = 0; i < 50; i++) {
                assert_int_equal(p.captured->processes[i].pid, p.result.pid);
                assert_int_equal(p.captured->processes[i].execed, i < 49);
                assert_string_equal(p.captured->processes[i].program, FIXTURE("cpu_processes"));
        }
        profiled_free(&p);
}

/* ---- copies of the stack --------------------------------------------------------------------------------- */

/* 512 bytes hold no Python stack: the engine says so and asks for more until it is enough. */
static void copies_grow_until_stacks_fit(void **state)
{
        (void)state;
        struct pg_engine_request small = request;
        small.stack_copy_bytes = 512;
        struct profiled p;
        profile(&pg_perf_engine, ARGV(PYTHON, FIXTURE_SOURCES "/busy.py", "3"), small, &p);
        assert_true(p.truncated > p.samples / 50);
        assert_non_null(p.again);
        assert_non_null(strstr(p.again, "512 bytes"));
        assert_in_range(p.next.stack_copy_bytes, 1024, 2048);
        assert_true(p.samples > 0); // none is dropped for that
        profiled_free(&p);
        small.stack_copy_bytes = 4096;
        profile_best(&pg_perf_engine, ARGV(PYTHON, FIXTURE_SOURCES "/busy.py", "3"), small, &p);
        assert_null(p.again);
        assert_complete(&p, PROMISED);
        profiled_free(&p);
}

/* What the target sees of being watched: nothing. Its descriptors and environment are those of a bare run. */
static void the_target_is_as_without(void **state)
{
        (void)state;
        struct profiled p;
        const char *const look =
                "ls /proc/self/fd | wc -l >&2; env | grep -cE '^(PERFGATE|LD_PRELOAD)' >&2; exit 0";
        profile(&pg_perf_engine, ARGV("/bin/sh", "-c", look), request, &p);
        assert_string_equal(p.result.stderr_tail, "4\n0\n"); // 0, 1, 2, and the folder that ls reads
        profiled_free(&p);
}

int main(void)
{
        unsetenv("PERFGATE_AGENT");
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_static_program_has_its_shares),
                cmocka_unit_test(a_dynamic_program_has_them_too),
                cmocka_unit_test(a_go_program_has_its_shares_and_stacks),
                cmocka_unit_test(a_stripped_go_program_has_stacks),
                cmocka_unit_test(generated_code_keeps_its_addresses),
                cmocka_unit_test(an_interpreter_has_stacks),
                cmocka_unit_test(threads_are_covered_however_they_are_made),
                cmocka_unit_test(short_threads_are_covered),
                cmocka_unit_test(forks_beside_running_threads_are_covered),
                cmocka_unit_test(each_exec_is_an_image_of_its_own),
                cmocka_unit_test(copies_grow_until_stacks_fit),
                cmocka_unit_test(the_target_is_as_without),
        };
        return cmocka_run_group_tests(tests, perf_is_there, NULL);
}
