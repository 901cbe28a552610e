// SPDX-License-Identifier: MIT
/*
 * test_programs.c - whole programs, counted with every VERIFY-th reused stack checked, and sampled by both clocks:
 * complete stacks, no differences, and nothing that the program does differently. Prints a table of what was seen.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/agent/harness.h"
#include "tests/programs/programs.h"

enum { VERIFY = 23, RATE_HZ = 997 };
static const double INCOMPLETE_MAX = 0.01;
/* A program's samples are few, and chance may put two of them where stacks cannot be complete (the dynamic linker's
 * resolver of first calls, libgcc while an exception lands). All programs' together must do without. */
enum { CHANCE = 2 };

/* Of the processes that run a program's image. */
struct quality {
        uint64_t events, stacks, incomplete, verified, different, processes;
};

static void add_process(struct quality *q, const struct pg_captured_process *p)
{
        for (size_t i = 0; i < p->n_nodes; i++) {
                q->events += p->nodes[i].count;
                q->stacks += p->nodes[i].count != 0;
        }
        q->incomplete += p->quality.truncated + p->quality.unknown + p->quality.stacks_other;
        q->verified += p->quality.stacks_verified;
        q->different += p->quality.stacks_different;
        q->processes++;
}

static struct quality quality_of(const struct counted *c, const struct program *program)
{
        struct quality q = { 0 };
        for (size_t i = 0; i < c->captured->n_processes; i++)
                if (program_is(program, c->captured->processes[i].program))
                        add_process(&q, &c->captured->processes[i]);
        return q;
}

static double complete(const struct quality *q)
{
        return q->events ? 1 - (double)q->incomplete / (double)q->events : 0;
}

/* One pass; its output and end must be the bare run's. */
static struct quality measure(const struct program *p, const struct counted *bare,
                              const struct pg_capture_request *request, const char *settings)
{
        struct counted c;
        run_set_up(request, settings, p->argv, NULL, &c);
        struct quality q = quality_of(&c, p);
        bool same = c.exit_status == bare->exit_status && strcmp(c.output, bare->output) == 0;
        uint64_t damaged = c.captured->n_damaged;
        int status = c.exit_status;
        counted_free(&c);
        if (!same)
                fail_msg("%s: exit status %d instead of %d, or another output", p->name, status,
                         bare->exit_status);
        if (damaged)
                fail_msg("%s: %" PRIu64 " pieces of the capture are damaged", p->name, damaged);
        return q;
}

static void check_complete(const char *name, const char *pass, const struct quality *q, double more)
{
        if (q->events == 0 || (double)q->incomplete > INCOMPLETE_MAX * (double)q->events + more)
                fail_msg("%s, %s: %" PRIu64 " of %" PRIu64 " stacks are not complete", name, pass,
                         q->incomplete, q->events);
}

/* Adds the samples to all. */
static void check_program(const struct program *p, struct quality *all)
{
        struct counted bare;
        run_plain(p->argv, NULL, &bare);
        if (bare.exit_status != 0)
                fail_msg("%s: exit status %d without an agent", p->name, bare.exit_status);
        const struct pg_capture_request count = { .mode = PG_MODE_COUNT, .verify_every = VERIFY };
        const struct pg_capture_request sample = { .mode = PG_MODE_SAMPLE, .rate_hz = RATE_HZ };
        struct quality allocations = measure(p, &bare, &count, "");
        struct quality events = measure(p, &bare, &sample, ",clock=event");
        struct quality timers = measure(p, &bare, &sample, ",clock=timer");
        printf("%-20s %11" PRIu64 " %8" PRIu64 " %8.3f %9" PRIu64 " %9" PRIu64 " %8" PRIu64 " %8.2f %8" PRIu64
               " %8.2f\n",
               p->name, allocations.events, allocations.stacks, 100 * complete(&allocations),
               allocations.verified, allocations.different, events.events, 100 * complete(&events),
               timers.events, 100 * complete(&timers));
        fflush(stdout);
        counted_free(&bare);
        all->events += events.events + timers.events;
        all->incomplete += events.incomplete + timers.incomplete;
        check_complete(p->name, "allocations", &allocations, 0);
        check_complete(p->name, "samples by events", &events, CHANCE);
        check_complete(p->name, "samples by timers", &timers, CHANCE);
        if (allocations.verified == 0 || allocations.different != 0)
                fail_msg("%s: %" PRIu64 " of %" PRIu64 " reused stacks differ from a full walk", p->name,
                         allocations.different, allocations.verified);
}

static void stacks_are_complete_and_right(void **state)
{
        (void)state;
        printf("%-20s %11s %8s %8s %9s %9s %8s %8s %8s %8s\n", "program", "allocations", "stacks", "complete",
               "verified", "different", "samples", "complete", "samples", "complete");
        struct quality all = { 0 };
        for (size_t i = 0; i < n_programs; i++)
                check_program(&programs[i], &all);
        check_complete("all programs", "samples", &all, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stacks_are_complete_and_right),
        };
        if (!programs_set_up())
                return 1;
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        programs_tear_down();
        return failed;
}
