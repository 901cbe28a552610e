// SPDX-License-Identifier: MIT
/*
 * test_sampler.c - the sampler inside targets whose shares are known by construction and that check
 * themselves.
 *
 * Whether a sample falls into a function is chance, so bounds are five standard deviations of that chance
 * (one false alarm in 1.7 million), computed from the number of samples, plus an allowance for what is not
 * chance and is named where it is used. Truth about CPU time comes from the kernel's clocks in the target
 * itself, never from how long something took.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/base/file.h"
#include "tests/agent/target.h"

#define FIXTURE(name) FIXTURES "/" name
#define RUN(run, rate_hz, clock, ...)                                                                        \
        struct target_run run;                                                                               \
        target_run(&run, AGENT, rate_hz, clock, (const char *const[]){ __VA_ARGS__, NULL })

static const enum pg_clock clocks[] = { PG_CLOCK_EVENT, PG_CLOCK_TIMER };
enum { N_CLOCKS = 2 };

/* |weight - truth|: five standard deviations, and a tenth for interrupt work that the kernel's clocks charge
 * to whom they interrupt. */
static bool accounts_for(struct target_sum sum, double truth_ns)
{
        double bound = 5 * sqrt(sum.variance_ns2) + truth_ns / 10;
        if (truth_ns > 0 && sum.samples > 0 && fabs(sum.weight_ns - truth_ns) <= bound)
                return true;
        fprintf(stderr, "%.0f samples stand for %.1f ms, expected %.1f +- %.1f\n", sum.samples,
                sum.weight_ns / 1e6, truth_ns / 1e6, bound / 1e6);
        return false;
}

/* Timers are looked at by the kernel at its ticks, which on a busy machine may find another program for all of a short
 * target's time. So a function of some 100 ms may have any weight under them but too much; that they do tick is
 * asserted where the target runs long (shares_are_as_built). */
static bool function_accounts_for(const struct target_run *run, enum pg_clock clock, const char *name)
{
        char line[64];
        snprintf(line, sizeof(line), "cpu %s", name);
        double truth_ns = target_number(run, line);
        struct target_sum sum = target_function(run, name);
        if (clock == PG_CLOCK_TIMER && truth_ns > 0 && sum.weight_ns < truth_ns)
                return true;
        return accounts_for(sum, truth_ns);
}

/* ---- shares ---- */

/* least: so many samples of equal weight must be there. */
static void assert_share(const struct target_run *run, const char *name, double share, double least)
{
        struct target_sum of = target_function(run, name), all = { 0 };
        static const char *const names[] = { "seventy", "twenty", "ten" };
        for (size_t i = 0; i < 3; i++) {
                struct target_sum s = target_function(run, names[i]);
                all.weight_ns += s.weight_ns;
                all.variance_ns2 += s.variance_ns2;
        }
        // so many of equal weight scatter like these
        double samples = all.weight_ns > 0 ? all.weight_ns * all.weight_ns / all.variance_ns2 : 0;
        if (samples < least)
                fail_msg("%.0f samples, expected %.0f at least", samples, least);
        // binomial, and a point for the calls themselves
        double bound = 5 * sqrt(share * (1 - share) / samples) + 0.01;
        if (fabs(of.weight_ns / all.weight_ns - share) > bound)
                fail_msg("%s: %.3f of %.0f samples, expected %.3f +- %.3f", name,
                         of.weight_ns / all.weight_ns, samples, share, bound);
}

static void shares_are_as_built(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 1999, clocks[i], FIXTURE("cpu_shares"), "1000");
                assert_int_equal(run.status, 0);
                // on a busy machine the kernel's ticks, which drive timers, seldom meet the target
                double least = clocks[i] == PG_CLOCK_EVENT ? 100 : 10;
                assert_share(&run, "seventy", 0.7, least);
                assert_share(&run, "twenty", 0.2, least);
                assert_share(&run, "ten", 0.1, least);
                assert_string_equal(pg_profile_clock(run.captured), i == 0 ? "task-clock" : "cpu-timer");
                assert_null(
                        pg_profile_doubt(run.captured, run.user_ns, run.system_ns, run.period_ns, run.arena));
                target_run_deinit(&run);
        }
}

/* ---- threads ---- */

static void equal_threads_get_equal_weight(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 997, clocks[i], FIXTURE("cpu_threads"), "equal");
                assert_int_equal(run.status, 0);
                assert_true(function_accounts_for(&run, clocks[i], "first"));
                assert_true(function_accounts_for(&run, clocks[i], "second"));
                assert_true(function_accounts_for(&run, clocks[i], "third"));
                assert_true(function_accounts_for(&run, clocks[i], "fourth"));
                assert_int_equal(run.captured->processes[0].threads_armed, 5);
                assert_int_equal(run.captured->processes[0].threads_unarmed, 0);
                target_run_deinit(&run);
        }
}

/* 400 threads of 1 ms under a period of 2 ms: half of them must be hit. A clock that starts with a whole
 * period would see none. */
static void threads_shorter_than_a_period_are_seen(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 499, clocks[i], FIXTURE("cpu_threads"), "short");
                assert_int_equal(run.status, 0);
                assert_true(function_accounts_for(&run, clocks[i], "first"));
                target_run_deinit(&run);
        }
}

/* 5,000 threads one after another: each has a place for its stacks, most of them one that was used before. */
static void places_are_handed_on(void **state)
{
        (void)state;
        RUN(run, 9973, PG_CLOCK_EVENT, FIXTURE("cpu_threads"), "many");
        assert_int_equal(run.status, 0);
        assert_int_equal(run.captured->processes[0].threads_armed, 5001);
        assert_int_equal(run.captured->processes[0].lost_samples, 0);
        assert_true(target_function(&run, "first").samples > 1000);
        target_run_deinit(&run);
}

static void threads_may_end_in_any_way(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 1999, clocks[i], FIXTURE("cpu_threads"), "ends");
                assert_int_equal(run.status, 0);
                assert_true(function_accounts_for(&run, clocks[i], "first"));
                assert_true(function_accounts_for(&run, clocks[i], "second"));
                target_run_deinit(&run);
        }
}

/* ---- what the target has of its own ---- */

/* The bare run shows that the target's own checks hold without us; output and status must be equal. */
static void is_undisturbed(const char *kind)
{
        RUN(bare, 0, PG_CLOCK_BEST, FIXTURE("cpu_signals"), kind);
        assert_int_equal(bare.status, 0);
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 9973, clocks[i], FIXTURE("cpu_signals"), kind);
                assert_int_equal(run.status, 0);
                assert_string_equal(run.out, bare.out);
                assert_true(run.captured->processes[0].threads_armed > 0);
                assert_true(clocks[i] == PG_CLOCK_TIMER || target_function(&run, "work").samples > 0);
                target_run_deinit(&run);
        }
        target_run_deinit(&bare);
}

static void handlers_of_the_target_are_called_as_without_us(void **state)
{
        (void)state;
        is_undisturbed("handlers");
}

static void a_vfork_child_that_resets_signals_hurts_nobody(void **state)
{
        (void)state;
        is_undisturbed("vfork");
}

static void handlers_may_jump(void **state)
{
        (void)state;
        is_undisturbed("jumps");
}

static void the_smallest_alternate_stack_is_left_alone(void **state)
{
        (void)state;
        is_undisturbed("small-altstack");
}

static void descriptors_have_the_same_numbers(void **state)
{
        (void)state;
        is_undisturbed("descriptors");
}

static void errno_is_kept(void **state)
{
        (void)state;
        is_undisturbed("errno");
}

/* An event hits in user space only, so no call can be cut short; a timer may. */
static void no_call_is_interrupted(void **state)
{
        (void)state;
        RUN(run, 9973, PG_CLOCK_EVENT, FIXTURE("cpu_signals"), "interrupted");
        assert_int_equal(run.status, 0);
        assert_true(target_number(&run, "interrupted") == 0);
        assert_true(target_function(&run, "work").samples > 0);
        target_run_deinit(&run);
}

static void waiting_for_signals_does_not_see_ticks(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 9973, clocks[i], FIXTURE("cpu_signals"), "waits");
                assert_int_equal(run.status, 0);
                target_run_deinit(&run);
        }
}

static void blocked_signals_make_a_doubtful_profile(void **state)
{
        (void)state;
        RUN(run, 997, PG_CLOCK_BEST, FIXTURE("cpu_signals"), "blocked");
        assert_int_equal(run.status, 0);
        assert_non_null(pg_profile_doubt(run.captured, run.user_ns, run.system_ns, run.period_ns, run.arena));
        target_run_deinit(&run);
}

/* The promise is 1 KiB beyond the frame that the kernel pushes for any handler. */
static void the_handler_needs_less_than_a_kibibyte_of_stack(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 9973, clocks[i], FIXTURE("cpu_signals"), "altstack");
                assert_int_equal(run.status, 0);
                double frame = target_number(&run, "frame"), used = target_number(&run, "used");
                assert_true(frame > 0);
                assert_true(used > 0);
                assert_true(used < frame + 1024);
                target_run_deinit(&run);
        }
}

/* ---- processes ---- */

static void forked_children_are_sampled(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 1999, clocks[i], FIXTURE("cpu_processes"), "forks", "200");
                assert_int_equal(run.status, 0);
                assert_int_equal(run.captured->n_processes, 201);
                assert_true(function_accounts_for(&run, clocks[i], "in_parent"));
                assert_true(function_accounts_for(&run, clocks[i], "in_child"));
                target_run_deinit(&run);
        }
}

static void fork_of_a_large_process_ends(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 9973, clocks[i], FIXTURE("cpu_processes"), "large", "10");
                assert_int_equal(run.status, 0);
                target_run_deinit(&run);
        }
}

static void children_by_raw_system_calls_survive(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                // A higher rate costs CPU time of its own, which is no function's.
                RUN(run, 1999, clocks[i], FIXTURE("cpu_processes"), "clones", "50");
                assert_int_equal(run.status, 0);
                assert_true(function_accounts_for(&run, clocks[i], "in_parent"));
                target_run_deinit(&run);
        }
}

static void exec_leaves_nothing_behind(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_CLOCKS; i++) {
                RUN(run, 9973, clocks[i], FIXTURE("cpu_processes"), "execs", "200");
                assert_int_equal(run.status, 0);
                assert_int_equal(run.captured->n_processes, 200);
                target_run_deinit(&run);
        }
}

/* ---- permissions ---- */

static void without_any_clock_the_target_runs_and_the_reason_is_kept(void **state)
{
        (void)state;
        struct rlimit old, none = { 0 };
        assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &old), 0);
        none.rlim_max = old.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0); // timers are counted against it
        RUN(run, 997, PG_CLOCK_TIMER, FIXTURE("cpu_shares"), "100");
        assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &old), 0);
        assert_int_equal(run.status, 0);
        assert_int_equal(run.captured->processes[0].disarm, PG_DISARM_NO_TIMER);
        const char *doubt =
                pg_profile_doubt(run.captured, run.user_ns, run.system_ns, run.period_ns, run.arena);
        assert_non_null(doubt);
        assert_non_null(strstr(doubt, "neither perf events nor CPU timers"));
        target_run_deinit(&run);
}

static bool copy_program(const char *from, const char *to)
{
        struct pg_error err = { 0 };
        char *bytes;
        size_t n;
        if (!pg_file_read(from, 64 << 20, &bytes, &n, &err))
                return false;
        bool ok = pg_file_replace(to, bytes, n, &err);
        free(bytes);
        return ok && chmod(to, 0755) == 0;
}

/* In a child that became an ordinary user: status 0 when the shares' target was sampled by events. */
static int sample_as_nobody(const char *agent, const char *program)
{
        if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
                return 1;
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // as for any program that this user starts
        struct target_run run;
        target_run(&run, agent, 997, PG_CLOCK_EVENT, (const char *const[]){ program, "300", NULL });
        if (run.status != 0 || run.captured->n_processes != 1)
                return 2;
        if (run.captured->processes[0].threads_task_clock != 1)
                return 3;
        if (pg_profile_doubt(run.captured, run.user_ns, run.system_ns, run.period_ns, run.arena))
                return 4;
        return target_function(&run, "seventy").samples > 0 ? 0 : 5;
}

static void an_ordinary_user_is_enough(void **state)
{
        (void)state;
        char folder[] = "/tmp/perfgate-test-XXXXXX", agent[64], program[64];
        assert_non_null(mkdtemp(folder));
        assert_int_equal(chmod(folder, 0755), 0);
        snprintf(agent, sizeof(agent), "%s/agent.so", folder);
        snprintf(program, sizeof(program), "%s/cpu_shares", folder);
        assert_true(copy_program(AGENT, agent));
        assert_true(copy_program(FIXTURE("cpu_shares"), program));
        pid_t child = fork();
        if (child == 0)
                _exit(sample_as_nobody(agent, program));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        unlink(agent), unlink(program), rmdir(folder);
        assert_int_equal(status, 0);
}

/* ---- modules ---- */

/* Each file is one module, by whatever name the loader knows it. A second of samples in a library would fill
 * the table if each made an entry of its own. */
static void a_library_loaded_by_a_relative_path_is_one_module(void **state)
{
        (void)state;
        RUN(run, 997, PG_CLOCK_TIMER, FIXTURE("cpu_loaded"));
        assert_int_equal(run.status, 0);
        const struct pg_captured_process *p = &run.captured->processes[0];
        size_t found = 0;
        for (size_t i = 0; i < p->n_modules; i++)
                found += strcmp(p->modules[i].path, FIXTURE("libcpu_library.so")) == 0;
        assert_int_equal(found, 1);
        target_run_deinit(&run);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shares_are_as_built),
                cmocka_unit_test(a_library_loaded_by_a_relative_path_is_one_module),
                cmocka_unit_test(equal_threads_get_equal_weight),
                cmocka_unit_test(threads_shorter_than_a_period_are_seen),
                cmocka_unit_test(places_are_handed_on),
                cmocka_unit_test(threads_may_end_in_any_way),
                cmocka_unit_test(handlers_of_the_target_are_called_as_without_us),
                cmocka_unit_test(a_vfork_child_that_resets_signals_hurts_nobody),
                cmocka_unit_test(handlers_may_jump),
                cmocka_unit_test(the_smallest_alternate_stack_is_left_alone),
                cmocka_unit_test(descriptors_have_the_same_numbers),
                cmocka_unit_test(errno_is_kept),
                cmocka_unit_test(no_call_is_interrupted),
                cmocka_unit_test(waiting_for_signals_does_not_see_ticks),
                cmocka_unit_test(blocked_signals_make_a_doubtful_profile),
                cmocka_unit_test(the_handler_needs_less_than_a_kibibyte_of_stack),
                cmocka_unit_test(forked_children_are_sampled),
                cmocka_unit_test(fork_of_a_large_process_ends),
                cmocka_unit_test(children_by_raw_system_calls_survive),
                cmocka_unit_test(exec_leaves_nothing_behind),
                cmocka_unit_test(without_any_clock_the_target_runs_and_the_reason_is_kept),
                cmocka_unit_test(an_ordinary_user_is_enough),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
