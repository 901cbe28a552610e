// SPDX-License-Identifier: MIT
/*
 * test_ptrace_engine.c - static programs sampled by stopping their threads.
 *
 * The truth about CPU time is what the targets' own clocks say. Whether a sample falls into a function is
 * chance: bounds are five standard deviations of that chance, and a tenth for what a busy machine does to
 * when a thread is stopped. What must not be disturbed is checked by the targets themselves
 * (fixtures/targets/traced.c).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "tests/engine/traced.h"

#define FIXTURE(name) FIXTURES "/" name
#define RUN(run, ...)                                                                                        \
        struct traced_run run;                                                                               \
        traced_run(&run, &pg_ptrace_engine, 250, 0, (const char *const[]){ __VA_ARGS__, NULL })
#define RUN_BARE(run, ...)                                                                                   \
        struct traced_run run;                                                                               \
        traced_run(&run, NULL, 0, 0, (const char *const[]){ __VA_ARGS__, NULL })

static void assert_ran(const struct traced_run *run, int status)
{
        if (run->err.code != PG_OK || run->result.exit_status != status)
                fail_msg("status %d, expected %d; %s", run->result.exit_status, status, run->err.text);
}

static const char *doubt(const struct traced_run *run)
{
        return pg_profile_doubt(run->captured, run->result.user_ns, run->result.system_ns, run->period_ns,
                                run->arena);
}

/* The self-check is content, or says that threads were met at the end of calls too often. On a busy machine they are:
 * an order to stop arrives when the thread runs again. Shares are asserted all the same, by the targets' own clocks. */
static void assert_trusted(const struct traced_run *run)
{
        const char *why = doubt(run);
        if (why && !strstr(why, "end of a system call"))
                fail_msg("%s", why);
}

/* The same, or it says that threads ended too early and by how much. */
static void assert_accounted(const struct traced_run *run)
{
        const char *why = doubt(run);
        if (!why || !strstr(why, "threads ended before they could be stopped"))
                assert_trusted(run);
}

/* Samples and losses together are all of the CPU time: five deviations and a tenth. */
static void assert_sum(const struct traced_run *run, double truth_ns)
{
        struct traced_sum all = traced_all(run);
        double sum = all.weight_ns + traced_lost_ns(run);
        double bound = 5 * sqrt(truth_ns * 4e6) + truth_ns / 10;
        if (fabs(sum - truth_ns) > bound)
                fail_msg("samples and losses are %.1f ms, expected %.1f +- %.1f", sum / 1e6, truth_ns / 1e6,
                         bound / 1e6);
}

static void assert_function(const struct traced_run *run, const char *name)
{
        char line[64];
        snprintf(line, sizeof(line), "cpu %s", name);
        struct traced_sum sum = traced_function(run, name);
        double truth_ns = traced_number(run, line);
        double bound = 5 * sqrt(truth_ns * 4e6) + truth_ns / 10;
        if (!(truth_ns > 0) || fabs(sum.weight_ns - truth_ns) > bound)
                fail_msg("%s: %.1f ms, expected %.1f +- %.1f", name, sum.weight_ns / 1e6, truth_ns / 1e6,
                         bound / 1e6);
}

/* Of these programs every stack can be walked but in the first and last moments of a process: one of two hundred, and
 * five standard deviations of chance. */
static void assert_complete(const struct traced_run *run)
{
        double all = traced_all(run).samples, incomplete = traced_incomplete(run), share = 0.005;
        double bound = share * all + 5 * sqrt(share * (1 - share) * all);
        if (!(all > 0) || incomplete > bound)
                fail_msg("%.0f of %.0f stacks are incomplete, expected %.1f at most", incomplete, all, bound);
}

/* ---- where time goes ---- */

static void assert_share(const struct traced_run *run, const char *name, double share)
{
        static const char *const names[] = { "seventy", "twenty", "ten" };
        double all = 0, samples = 0;
        for (size_t i = 0; i < 3; i++) {
                all += traced_function(run, names[i]).weight_ns;
                samples += traced_function(run, names[i]).samples;
        }
        double bound = 5 * sqrt(share * (1 - share) / samples) + 0.01; // binomial, and a point for the calls
        double got = traced_function(run, name).weight_ns / all;
        if (samples < 100 || fabs(got - share) > bound)
                fail_msg("%s: %.3f of %.0f samples, expected %.3f +- %.3f", name, got, samples, share, bound);
}

static void shares_are_as_built_and_stacks_complete(void **state)
{
        (void)state;
        RUN(run, FIXTURE("cpu_shares_static"), "2000");
        assert_ran(&run, 0);
        assert_share(&run, "seventy", 0.7);
        assert_share(&run, "twenty", 0.2);
        assert_share(&run, "ten", 0.1);
        assert_complete(&run);
        assert_trusted(&run);
        assert_string_equal(pg_profile_clock(run.captured), "thread-cpu-time");
        assert_int_equal(run.captured->n_processes, 1);
        assert_int_equal(run.captured->n_gaps, 0);
        assert_string_equal(run.captured->processes[0].program, FIXTURE("cpu_shares_static"));
        traced_run_deinit(&run);
}

static void no_thread_is_sampled_more_often_than_250_times_a_second(void **state)
{
        (void)state;
        struct traced_run run;
        traced_run(&run, &pg_ptrace_engine, 9973, 0,
                   (const char *const[]){ FIXTURE("cpu_shares_static"), "500", NULL });
        assert_ran(&run, 0);
        // a point in each period of 4 ms, and one more in the first and last
        double most = (double)(run.result.user_ns + run.result.system_ns) / 4e6 + 2;
        if (traced_all(&run).samples > most)
                fail_msg("%.0f samples, expected %.0f at most", traced_all(&run).samples, most);
        assert_trusted(&run);
        traced_run_deinit(&run);
}

static void equal_threads_get_equal_weight(void **state)
{
        (void)state;
        static const char *const names[] = { "one", "two", "three", "four", "five", "six", "seven", "eight" };
        RUN(run, FIXTURE("traced_static"), "eight");
        assert_ran(&run, 0);
        for (size_t i = 0; i < 8; i++)
                assert_function(&run, names[i]);
        assert_int_equal(run.captured->processes[0].n_threads, 9);
        assert_complete(&run);
        assert_accounted(&run);
        traced_run_deinit(&run);
}

static void brief_threads_are_sampled_or_counted_as_lost(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "brief");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->processes[0].n_threads, 1001);
        assert_sum(&run, (double)(run.result.user_ns + run.result.system_ns));
        assert_true(traced_function(&run, "one").samples > 0);
        assert_accounted(&run);
        traced_run_deinit(&run);
}

static void deep_stacks_are_not_cut(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "deep");
        assert_ran(&run, 0);
        assert_complete(&run);
        assert_true(run.captured->processes[0].n_nodes > 1000);
        assert_function(&run, "one");
        traced_run_deinit(&run);
}

static void handlers_on_stacks_of_their_own_are_walked_through(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "handler");
        assert_ran(&run, 0);
        assert_complete(&run);
        assert_function(&run, "one");
        traced_run_deinit(&run);
}

/* How many samples meet the end of a call depends on how long an order to stop takes to arrive on this
 * machine. What must not be is that shares are far off and nobody says so. */
static void a_profile_that_leans_towards_calls_says_so(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "chatter");
        assert_ran(&run, 0);
        double truth = (traced_number(&run, "cpu one") + traced_number(&run, "cpu two")) /
                       traced_number(&run, "total");
        double all = traced_all(&run).weight_ns, samples = traced_all(&run).samples;
        double got = (traced_function(&run, "one").weight_ns + traced_function(&run, "two").weight_ns) / all;
        const char *why = doubt(&run);
        // the check's own tolerance, and chance in both
        double bound = 0.2 + 10 * sqrt(truth * (1 - truth) / samples);
        if (truth - got > bound && !(why && strstr(why, "end of a system call")))
                fail_msg("%.3f of the samples, expected %.3f +- %.3f; %s", got, truth, bound,
                         why ? why : "no doubt");
        traced_run_deinit(&run);
}

/* The collector works on stacks of its own; a stack that is being switched may be met. */
static void stacks_of_go_programs_lead_from_one_to_the_other(void **state)
{
        (void)state;
        RUN(run, FIXTURE("shares_go"), "1000");
        assert_ran(&run, 0);
        assert_true(traced_incomplete(&run) <= traced_all(&run).samples / 20);
        assert_accounted(&run);
        traced_run_deinit(&run);
}

/* Libraries come after the program's start, and one while it runs. */
static void dynamic_programs_are_no_different(void **state)
{
        (void)state;
        RUN(run, FIXTURE("cpu_loaded"));
        assert_ran(&run, 0);
        assert_complete(&run);
        assert_trusted(&run);
        traced_run_deinit(&run);
}

/* ---- processes ---- */

static void forked_children_are_sampled(void **state)
{
        (void)state;
        RUN(run, FIXTURE("cpu_processes_static"), "forks", "200");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->n_processes, 201);
        assert_true(traced_function(&run, "in_child").samples > 0);
        assert_true(traced_function(&run, "in_parent").samples > 0);
        assert_sum(&run, (double)(run.result.user_ns + run.result.system_ns));
        traced_run_deinit(&run);
}

static void children_by_raw_system_calls_are_followed(void **state)
{
        (void)state;
        RUN(run, FIXTURE("cpu_processes_static"), "clones", "50");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->n_processes, 51);
        traced_run_deinit(&run);
}

static void each_program_of_a_process_is_one_image(void **state)
{
        (void)state;
        RUN(run, FIXTURE("cpu_processes_static"), "execs", "100");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->n_processes, 100);
        for (size_t i = 0; i < 100; i++)
                assert_int_equal(run.captured->processes[i].execed, i < 99);
        traced_run_deinit(&run);
}

static void any_thread_may_become_another_program(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "execs");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->n_processes, 11);
        for (size_t i = 0; i < 10; i++)
                assert_int_equal(run.captured->processes[i].n_threads, 5);
        assert_true(traced_function(&run, "two").samples > 0);
        traced_run_deinit(&run);
}

/* vfork, posix_spawn and system make a copy and a program each, and an orphan is two children: 8 images a
 * round. */
static void spawned_programs_and_orphans_are_followed(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "spawns");
        assert_ran(&run, 0);
        assert_int_equal(run.captured->n_processes, 81);
        assert_true(traced_function(&run, "two").samples > 0);
        traced_run_deinit(&run);
}

static void the_end_is_the_target_s_own(void **state)
{
        (void)state;
        RUN(unknown, FIXTURE("traced_static"), "no such kind");
        assert_ran(&unknown, 99);
        traced_run_deinit(&unknown);

        struct traced_run killed;
        traced_run(&killed, &pg_ptrace_engine, 250, 300 * PG_NS_PER_MS,
                   (const char *const[]){ FIXTURE("traced_static"), "wait", NULL });
        assert_ran(&killed, 128 + SIGKILL);
        assert_true(killed.result.timed_out);
        assert_int_equal(killed.result.signal, SIGKILL);
        assert_true(traced_function(&killed, "one").samples > 0);
        traced_run_deinit(&killed);
}

/* As an ordinary user: 0 when the result says that su was not what it usually is. */
static int run_su(const char *helper)
{
        if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
                return 1;
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // as for any program that this user starts
        if (!traced_start_helper(helper))
                return 2;
        RUN(run, "/bin/sh", "-c", "su --version");
        if (run.err.code != PG_OK || run.result.exit_status != 0)
                return 3;
        if (run.captured->n_gaps != 1 || !strstr(run.captured->gaps[0].path, "/su") ||
            !strstr(run.captured->gaps[0].why, "set-user-ID"))
                return 4;
        const char *obstacle = pg_ptrace_engine.obstacle("/bin/su", NULL, run.arena);
        return obstacle && strstr(obstacle, "set-user-ID") ? 0 : 5;
}

static void a_program_without_its_privileges_is_told(void **state)
{
        (void)state;
        int status = -1;
        char helper[64];
        assert_true(traced_copy_helper(helper));
        pid_t child = fork();
        if (child == 0)
                _exit(run_su(helper));
        assert_int_equal(waitpid(child, &status, 0), child);
        unlink(helper);
        assert_int_equal(status, 0);
}

static void what_cannot_be_started_is_reported_as_ever(void **state)
{
        (void)state;
        RUN(run, "/etc/passwd");
        assert_int_equal(run.err.code, PG_ETARGET);
        traced_run_deinit(&run);
}

/* ---- what must not be disturbed ---- */

/* As by the engine, and 100 times as often. */
static void is_undisturbed(const char *fixture, const char *kind)
{
        struct pg_trace_counts counts;
        RUN_BARE(bare, fixture, kind);
        assert_ran(&bare, 0);
        RUN(run, fixture, kind);
        assert_ran(&run, 0);
        struct traced_run often;
        traced_run_often(&often, 40 * PG_NS_PER_US, &counts, (const char *const[]){ fixture, kind, NULL });
        assert_ran(&often, 0);
        assert_string_equal(run.out, bare.out);
        assert_string_equal(often.out, bare.out);
        assert_true(counts.stops > 0);
        traced_run_deinit(&bare);
        traced_run_deinit(&run);
        traced_run_deinit(&often);
}

static void signals_arrive_as_without_us(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("traced_static"), "signals");
        is_undisturbed(FIXTURE("cpu_signals_static"), "handlers");
        is_undisturbed(FIXTURE("cpu_signals_static"), "waits");
}

static void ignored_signals_wake_nobody(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("traced_static"), "ignored");
}

static void faults_and_breakpoints_reach_their_handlers(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("traced_static"), "faults");
}

static void job_control_works(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("traced_static"), "jobs");
}

static void handlers_may_jump_and_stacks_be_small(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("cpu_signals_static"), "jumps");
        is_undisturbed(FIXTURE("cpu_signals_static"), "small-altstack");
        is_undisturbed(FIXTURE("cpu_signals_static"), "vfork");
}

static void descriptors_and_errno_are_the_target_s(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("cpu_signals_static"), "descriptors");
        is_undisturbed(FIXTURE("cpu_signals_static"), "errno");
}

static void no_call_is_interrupted_or_too_short(void **state)
{
        (void)state;
        is_undisturbed(FIXTURE("traced_static"), "calls"); // prints how many were
        is_undisturbed(FIXTURE("cpu_signals_static"), "interrupted");
}

static void threads_that_sleep_are_left_alone(void **state)
{
        (void)state;
        RUN(run, FIXTURE("traced_static"), "sleepers");
        assert_ran(&run, 0);
        assert_true(traced_number(&run, "switches") == 0);
        assert_function(&run, "two");
        traced_run_deinit(&run);
}

/* ---- when the runner dies ---- */

/* Traces child and is killed in the middle of it. */
static void trace_until_killed(pid_t child, int ready)
{
        struct pg_tracer *tracer;
        struct pg_error err = { 0 };
        const struct pg_trace_handler handler = { .begin = NULL }; // no exec, so nothing begins
        if (!pg_tracer_create(&handler, 40 * PG_NS_PER_US, &tracer, &err) ||
            !pg_tracer_seize(tracer, child, &err))
                _exit(1);
        (void)!write(ready, "x", 1);
        for (;;)
                pause();
}

static void a_target_outlives_its_tracer(void **state)
{
        (void)state;
        volatile uint64_t *counter =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int ready[2], status = -1;
        char c;
        assert_ptr_not_equal(counter, MAP_FAILED);
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0)
                prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); // the tracer is no ancestor here
        while (child == 0)
                ++*counter;
        pid_t tracer = fork();
        if (tracer == 0)
                trace_until_killed(child, ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        usleep(50000);
        assert_int_equal(kill(tracer, SIGKILL), 0);
        assert_int_equal(waitpid(tracer, &status, 0), tracer);
        assert_true(WIFSIGNALED(status));
        uint64_t before = *counter;
        for (int i = 0; i < 10000 && *counter == before; i++)
                usleep(1000);
        assert_true(*counter != before);
        assert_int_equal(waitpid(child, &status, WNOHANG | WUNTRACED), 0); // neither dead nor stopped
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        munmap((void *)counter, 4096);
        close(ready[0]), close(ready[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shares_are_as_built_and_stacks_complete),
                cmocka_unit_test(no_thread_is_sampled_more_often_than_250_times_a_second),
                cmocka_unit_test(equal_threads_get_equal_weight),
                cmocka_unit_test(brief_threads_are_sampled_or_counted_as_lost),
                cmocka_unit_test(deep_stacks_are_not_cut),
                cmocka_unit_test(handlers_on_stacks_of_their_own_are_walked_through),
                cmocka_unit_test(a_profile_that_leans_towards_calls_says_so),
                cmocka_unit_test(stacks_of_go_programs_lead_from_one_to_the_other),
                cmocka_unit_test(dynamic_programs_are_no_different),
                cmocka_unit_test(forked_children_are_sampled),
                cmocka_unit_test(children_by_raw_system_calls_are_followed),
                cmocka_unit_test(each_program_of_a_process_is_one_image),
                cmocka_unit_test(any_thread_may_become_another_program),
                cmocka_unit_test(spawned_programs_and_orphans_are_followed),
                cmocka_unit_test(the_end_is_the_target_s_own),
                cmocka_unit_test(a_program_without_its_privileges_is_told),
                cmocka_unit_test(what_cannot_be_started_is_reported_as_ever),
                cmocka_unit_test(signals_arrive_as_without_us),
                cmocka_unit_test(ignored_signals_wake_nobody),
                cmocka_unit_test(faults_and_breakpoints_reach_their_handlers),
                cmocka_unit_test(job_control_works),
                cmocka_unit_test(handlers_may_jump_and_stacks_be_small),
                cmocka_unit_test(descriptors_and_errno_are_the_target_s),
                cmocka_unit_test(no_call_is_interrupted_or_too_short),
                cmocka_unit_test(threads_that_sleep_are_left_alone),
                cmocka_unit_test(a_target_outlives_its_tracer),
        };
        return cmocka_run_group_tests(tests, traced_setup, traced_teardown);
}
