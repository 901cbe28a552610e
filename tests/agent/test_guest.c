// SPDX-License-Identifier: MIT
/*
 * test_guest.c - threads, peaks, ends of all kinds, limits: exact, and the target notices nothing.
 */
#include "tests/unit/assert_near.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/agent/difference.h"

enum { ROUNDS = 1000 };

static void threads_count_exactly(void **state)
{
        (void)state;
        static const struct {
                const char *mode, *threads, *count;
                int64_t blocks;
        } rows[] = {
                { "pairs", "1", "50000", 50000 },  { "pairs", "2", "50000", 100000 },
                { "pairs", "8", "20000", 160000 }, { "pairs", "32", "5000", 160000 },
                { "pass", "8", "5000", 40000 },    { "short", "2000", "20", 40000 },
                { "pairs", "1500", "20", 30000 }, // more at once than there are cells
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const argv[] = { target("alloc_threads"), rows[i].mode, rows[i].threads, "COUNT",
                                             NULL };
                struct difference d = difference_of(argv, rows[i].count, 0, NULL);
                if (d.allocations != rows[i].blocks || d.bytes != 64 * rows[i].blocks ||
                    d.frees != rows[i].blocks || d.live != 0)
                        fail_msg("%s %s: %lld allocations, %lld bytes, %lld frees, %lld live", rows[i].mode,
                                 rows[i].threads, (long long)d.allocations, (long long)d.bytes,
                                 (long long)d.frees, (long long)d.live);
        }
}

static void every_end_and_place_counts(void **state)
{
        (void)state;
        static const struct {
                const char *mode;
                int status, times;
        } rows[] = {
                { "_exit", 4, 1 },
                { "abort", 128 + SIGABRT, 1 },
                { "kill", 128 + SIGKILL, 1 },
                { "segfault", 128 + SIGSEGV, 1 },
                { "constructor-exit", 3, 1 },
                { "atexit", 0, 1 },
                { "thread-destructor", 0, 1 },
                { "main-thread-ends", 0, 1 },
                { "dlclose", 0, 1 },
                { "errno", 0, 1 },
                { "descriptors", 0, 2 },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const argv[] = { target("alloc_ends"), rows[i].mode, "COUNT", NULL };
                struct difference d = difference_of(argv, "1000", rows[i].status, NULL);
                if (d.allocations != ROUNDS * rows[i].times || d.bytes != 64 * d.allocations || d.live != 0)
                        fail_msg("%s: %lld allocations, %lld bytes, %lld live", rows[i].mode,
                                 (long long)d.allocations, (long long)d.bytes, (long long)d.live);
        }
}

/* Output, exit status and usable sizes are those of a run without the agent. */
static void the_target_notices_nothing(void **state)
{
        (void)state;
        static const char *const modes[] = { "descriptors", "usable-sizes" };
        for (size_t i = 0; i < 2; i++) {
                const char *const argv[] = { target("alloc_ends"), modes[i], "10", NULL };
                struct counted with, without;
                run_counted(argv, NULL, &with);
                run_plain(argv, NULL, &without);
                assert_string_equal(with.output, without.output);
                assert_int_equal(with.exit_status, without.exit_status);
                assert_true(strlen(with.output) > 3);
                counted_free(&with);
        }
}

/* The target adds up malloc_usable_size itself; what libc holds at that time is what it holds at the end of a
 * run without rounds. */
static void the_peak_of_one_thread_is_exact(void **state)
{
        (void)state;
        const char *const none[] = { target("alloc_ends"), "peak", "0", NULL };
        const char *const argv[] = { target("alloc_ends"), "peak", "1000", NULL };
        struct counted base, c;
        run_counted(none, NULL, &base);
        run_counted(argv, NULL, &c);
        assert_int_equal(c.captured->n_processes, 1);
        uint64_t own = strtoull(c.output, NULL, 10);
        assert_true(own > 50 * 1000 * 1000); // 100 * (1 + ... + 1000) bytes
        assert_int_equal(c.captured->processes[0].peak_uncertainty_bytes, 0);
        assert_int_equal(c.captured->processes[0].peak_bytes, (int64_t)own + base.live);
        counted_free(&base);
        counted_free(&c);
}

static void the_peak_of_eight_threads_is_within_its_bound(void **state)
{
        (void)state;
        const char *const none[] = { target("alloc_threads"), "hold", "8", "0", NULL };
        const char *const argv[] = { target("alloc_threads"), "hold", "8", "5000", NULL };
        struct counted base, c;
        run_counted(none, NULL, &base);
        run_counted(argv, NULL, &c);
        const struct pg_captured_process *b = &base.captured->processes[0], *p = &c.captured->processes[0];
        uint64_t own = strtoull(c.output, NULL, 10);
        assert_true(own >= 8 * 5000 * 1000);
        assert_int_equal(p->n_threads, 8);
        assert_in_range(p->peak_uncertainty_bytes, 1, 8 * 65536);
        double tolerance = (double)(p->peak_uncertainty_bytes + b->peak_uncertainty_bytes);
        assert_near((double)p->peak_bytes, (double)(own + b->peak_bytes), tolerance);
        counted_free(&base);
        counted_free(&c);
}

/* A process that cannot map everything: the agent takes part of the limit, but the target runs. */
static void little_address_space(void)
{
        setrlimit(RLIMIT_AS, &(struct rlimit){ 64 << 20, 64 << 20 });
}

static void four_descriptors(void)
{
        closefrom(3); // the test's own surroundings may have left some open
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4, 4 });
}

static void no_file_may_grow(void)
{
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, 0 });
}

static void narrow_limits_do_not_matter(void **state)
{
        (void)state;
        static prepare_function *const limits[] = { little_address_space, four_descriptors,
                                                    no_file_may_grow };
        for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
                const char *const argv[] = { target("alloc_exact"), "malloc", "COUNT", "64", NULL };
                struct difference d = difference_of(argv, "1000", 0, limits[i]);
                assert_int_equal(d.allocations, ROUNDS);
                assert_int_equal(d.bytes, 64 * ROUNDS);
        }
}

/* The agent stays passive: nothing is claimed, the target runs as without it. */
static void wrong_key(void)
{
        char value[512];
        snprintf(value, sizeof(value), "%s", getenv(PG_AGENT_VARIABLE));
        char *key = strstr(value, "key=");
        key[4] = key[4] == '0' ? '1' : '0';
        setenv(PG_AGENT_VARIABLE, value, 1);
}

static void no_variable(void)
{
        unsetenv(PG_AGENT_VARIABLE);
}

static void nonsense(void)
{
        setenv(PG_AGENT_VARIABLE, "fd=/dev/null,key=0,,", 1);
}

static void a_variable_of_another_run_is_not_ours(void **state)
{
        (void)state;
        static prepare_function *const changes[] = { wrong_key, no_variable, nonsense };
        for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
                const char *const argv[] = { target("alloc_tree"), "fork", "10", NULL };
                struct counted c;
                run_counted(argv, changes[i], &c);
                assert_int_equal(c.exit_status, 0);
                assert_int_equal(c.captured->n_processes, 0);
                counted_free(&c);
        }
}

static void counting_library(void)
{
        setenv("LD_PRELOAD", agent_path(), 1);
}

static void sampling_library(void)
{
        setenv("LD_PRELOAD", sampler_path(), 1);
}

static void locks_library(void)
{
        setenv("LD_PRELOAD", locks_path(), 1);
}

/* A slot that it cannot fill would look measured. */
static void a_library_is_passive_in_a_mode_of_another(void **state)
{
        (void)state;
        static const struct {
                uint32_t mode;
                prepare_function *library;
                size_t processes; // a parent, its child and its grandchild, or none
        } rows[] = {
                { PG_MODE_COUNT, counting_library, 3 },  { PG_MODE_COUNT, sampling_library, 0 },
                { PG_MODE_COUNT, locks_library, 0 },     { PG_MODE_SAMPLE, counting_library, 0 },
                { PG_MODE_SAMPLE, sampling_library, 3 }, { PG_MODE_SAMPLE, locks_library, 0 },
                { PG_MODE_LOCK, counting_library, 0 },   { PG_MODE_LOCK, sampling_library, 0 },
                { PG_MODE_LOCK, locks_library, 3 },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const argv[] = { target("alloc_tree"), "fork", "10", NULL };
                const struct pg_capture_request request = { .mode = rows[i].mode, .rate_hz = 997 };
                struct counted c;
                run_requested(&request, argv, rows[i].library, &c);
                if (c.exit_status != 0 || c.captured->n_processes != rows[i].processes)
                        fail_msg("row %zu: exit status %d, %zu processes", i, c.exit_status,
                                 (size_t)c.captured->n_processes);
                counted_free(&c);
        }
}

/* The stack of 1000 calls ends in the program, and all stacks together are all allocations. */
static void stacks_add_up(void **state)
{
        (void)state;
        const char *const argv[] = { target("alloc_exact"), "leak", "1000", "64", NULL };
        struct counted c;
        run_counted(argv, NULL, &c);
        const struct pg_captured_process *p = &c.captured->processes[0];
        uint64_t allocations = 0, bytes = 0, live = 0, peak = 0;
        const struct pg_captured_node *top = &p->nodes[0];
        for (size_t i = 0; i < p->n_nodes; i++) {
                allocations += p->nodes[i].count;
                bytes += p->nodes[i].amount;
                live += p->nodes[i].live_bytes;
                peak += p->nodes[i].peak_bytes;
                if (p->nodes[i].count > top->count)
                        top = &p->nodes[i];
        }
        assert_int_equal(allocations, p->allocations);
        assert_int_equal(bytes, p->allocated_bytes);
        assert_int_equal(live, p->live_bytes);
        assert_int_equal(peak, p->peak_bytes);
        assert_int_equal(top->count, 1000);
        assert_int_equal(top->amount, 64000);
        assert_int_equal(top->live_blocks, 1000);
        assert_in_range(PG_PLACE_MODULE(top->place), 0, p->n_modules - 1);
        const struct pg_captured_module *m = &p->modules[PG_PLACE_MODULE(top->place)];
        assert_true(m->is_main);
        assert_string_equal(m->path, p->program);
        counted_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(threads_count_exactly),
                cmocka_unit_test(every_end_and_place_counts),
                cmocka_unit_test(the_target_notices_nothing),
                cmocka_unit_test(the_peak_of_one_thread_is_exact),
                cmocka_unit_test(the_peak_of_eight_threads_is_within_its_bound),
                cmocka_unit_test(narrow_limits_do_not_matter),
                cmocka_unit_test(a_variable_of_another_run_is_not_ours),
                cmocka_unit_test(a_library_is_passive_in_a_mode_of_another),
                cmocka_unit_test(stacks_add_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
