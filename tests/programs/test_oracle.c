// SPDX-License-Identifier: MIT
/*
 * test_oracle.c - stacks of whole programs against libunwind: those of allocations, as the agent keeps them, and those
 * of threads that are stopped at random.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/programs/oracle_run.h"
#include "tests/programs/programs.h"
#include "tests/programs/stops.h"
#include "tests/programs/verdict.h"

static const double INCOMPLETE_MAX = 0.01;
static const char *const kinds[VERDICT_KINDS] = { "equal", "they stop", "we stop", "different" };

/*
 * The differences that are known, and why ours is not the wrong one. Nothing else may differ.
 *
 * vdso      libunwind-ptrace reads unwind information from files, and the vDSO is none; it goes on by guessing.
 * no CFI    a gap in a module's unwind information: clone3 of glibc behind its system call, the .init and .fini stubs
 *           of a library. libunwind takes it for the end, or guesses by frame pointers.
 * resolver  _dl_runtime_resolve of glibc keeps its caller's stack pointer in rbx, and our rules know bp and sp below
 *           the first frame. Ours ends there in [unknown]: not complete, not wrong.
 * landing   an exception is about to land: libgcc has begun to overwrite the registers that its own frame saved with
 *           those of the handler (uw_install_context), or the return address next to the handler's frame with that of
 *           the handler, which no call stands in front of (__builtin_eh_return); so that memory does not hold the true
 *           stack any more. Both walks follow what is there.
 */
static const char *const classes[CLASS_COUNT] = { "unexplained", "vdso", "no CFI", "resolver", "landing" };

static void print_example(const struct verdict_example *e)
{
        printf("  %s, %s, at frame %" PRIu32 "; ours has %" PRIu32 " frames%s, libunwind's %" PRIu32
               "%s; from frame %" PRIu32 ":\n",
               kinds[e->kind], classes[e->class], e->at, e->n_ours, e->ours_complete ? "" : " and no end",
               e->n_theirs, e->theirs_complete ? "" : " and no end", e->from);
        for (uint32_t i = 0; i < VERDICT_SHOWN && (e->ours[i] || e->theirs[i]); i++)
                printf("    %12" PRIx64 " %12" PRIx64 " %s+%" PRIx64 "\n", e->ours[i], e->theirs[i],
                       e->module[i], e->module_address[i]);
}

static void print_head(const char *what)
{
        printf("%-30s", what);
        for (int i = 0; i < VERDICT_KINDS; i++)
                printf(" %9s", kinds[i]);
        for (int i = 0; i < CLASS_COUNT; i++)
                printf(" %11s", classes[i]);
        printf(" %7s %10s %9s\n", "unseen", "incomplete", "frames");
}

static void print_sums(const char *name, const char *how, const struct verdict_sums *s)
{
        printf("%-22s%-8s", name, how);
        for (int i = 0; i < VERDICT_KINDS; i++)
                printf(" %9" PRIu64, s->kinds[i]);
        for (int i = 0; i < CLASS_COUNT; i++)
                printf(" %11" PRIu64, s->classes[i]);
        printf(" %7" PRIu64 " %10" PRIu64 " %9" PRIu64 "\n", s->unseen, s->incomplete, s->frames);
        uint32_t n = s->n_examples < VERDICT_EXAMPLES ? s->n_examples : VERDICT_EXAMPLES;
        for (uint32_t i = 0; i < n; i++)
                if (s->examples[i].class == CLASS_NONE || getenv("ORACLE_VERBOSE"))
                        print_example(&s->examples[i]);
        fflush(stdout);
}

static uint64_t compared(const struct verdict_sums *s)
{
        uint64_t n = 0;
        for (int i = 0; i < VERDICT_KINDS; i++)
                n += s->kinds[i];
        return n;
}

static void check_sums(const char *name, const struct verdict_sums *s, uint64_t at_least)
{
        uint64_t n = compared(s);
        if (s->classes[CLASS_NONE])
                fail_msg("%s: %" PRIu64 " stacks are not libunwind's, for no known reason", name,
                         s->classes[CLASS_NONE]);
        if (n < at_least)
                fail_msg("%s: only %" PRIu64 " stacks were compared, and %" PRIu64 " not seen", name, n,
                         s->unseen);
        if ((double)s->incomplete > INCOMPLETE_MAX * (double)n)
                fail_msg("%s: %" PRIu64 " of %" PRIu64 " stacks are not complete", name, s->incomplete, n);
}

/* ---- allocations ---- */

enum { EVERY = 13, ALLOCATIONS_MIN = 300 };

static void stacks_of_allocations_are_libunwinds(void **state)
{
        (void)state;
        struct verdict_sums *sums = oracle_set_up();
        print_head("allocations");
        for (size_t i = 0; i < n_programs; i++) {
                struct counted c;
                oracle_run(programs[i].argv, EVERY, 0, sums, &c);
                print_sums(programs[i].name, "", sums);
                check_sums(programs[i].name, sums, ALLOCATIONS_MIN);
                assert_int_equal(c.exit_status, 0);
                counted_free(&c);
        }
        oracle_tear_down(sums);
}

/* ---- CPU ---- */

static void stacks_of_stopped_threads_are_libunwinds(void **state)
{
        (void)state;
        enum { STOPS_MIN = 500, AT_MOST = 1000, PERIOD_NS = 500000, RUNS_MAX = 6 };
        static struct verdict_sums sums[STOPS_WALKS];
        print_head("stopped threads");
        for (size_t i = 0; i < n_programs; i++) {
                memset(sums, 0, sizeof(sums));
                int status = 0;
                for (int run = 0; run < RUNS_MAX && status == 0 && compared(&sums[0]) < STOPS_MIN; run++)
                        status = stops_run(&programs[i], PERIOD_NS, AT_MOST, sums);
                print_sums(programs[i].name, "outside", &sums[STOPS_OUTSIDE]);
                print_sums(programs[i].name, "agent", &sums[STOPS_AGENT]);
                assert_int_equal(status, 0);
                for (int how = 0; how < STOPS_WALKS; how++)
                        check_sums(programs[i].name, &sums[how], STOPS_MIN);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stacks_of_allocations_are_libunwinds),
                cmocka_unit_test(stacks_of_stopped_threads_are_libunwinds),
        };
        if (!programs_set_up())
                return 1;
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        programs_tear_down();
        return failed;
}
