// SPDX-License-Identifier: MIT
/*
 * test_locks.c - waits and their causes are counted where they happen, and nothing else about locks changes.
 *
 * Truths are those of the fixtures: lock_waits.c makes a known number of waits of a known least length, in
 * functions whose places it prints. A wait lies inside the time that it was measured in, so least lengths hold
 * on any machine; nothing here depends on how long anything took beyond that.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "tests/agent/harness.h"

static const struct pg_capture_request locks = { .mode = PG_MODE_LOCK };

/* Addresses of a function, from the line "function NAME START END". */
struct place {
        uint64_t start, end;
};

static struct place place_of(const struct counted *c, const char *function)
{
        char line[64];
        struct place p = { 0 };
        snprintf(line, sizeof(line), "function %s ", function);
        const char *at = strstr(c->output, line);
        if (!at)
                fail_msg("no line '%s' in: %s", line, c->output);
        char *end;
        p.start = strtoull(at + strlen(line), &end, 16);
        p.end = strtoull(end, NULL, 16);
        return p;
}

/* Events of one kind. */
struct events {
        uint64_t count, ns;
        uint64_t count_elsewhere; // not with that function innermost
};

static pg_place top_of(const struct pg_captured_process *p, size_t i)
{
        while (p->nodes[i].parent)
                i = p->nodes[i].parent;
        return p->nodes[i].place;
}

static bool is_in(const struct pg_captured_process *p, pg_place place, struct place function)
{
        uint32_t module = PG_PLACE_MODULE(place);
        uint64_t address = PG_PLACE_ADDRESS(place);
        return module < p->n_modules && p->modules[module].is_main && address >= function.start &&
               address < function.end;
}

/* Of process number i: those below root, with function innermost. */
static struct events events_of(const struct counted *c, size_t i, uint32_t root, const char *function)
{
        const struct pg_captured_process *p = &c->captured->processes[i];
        struct place at = place_of(c, function);
        struct events e = { 0 };
        for (size_t k = 1; k < p->n_nodes; k++) {
                const struct pg_captured_node *n = &p->nodes[k];
                if (!(n->count | n->amount) || top_of(p, k) != PG_PLACE_PSEUDO(root))
                        continue;
                if (is_in(p, n->place, at)) {
                        e.count += n->count;
                        e.ns += n->amount;
                } else {
                        e.count_elsewhere += n->count;
                }
        }
        return e;
}

static struct counted run_target(const char *name, const char *mode, const char *rounds, const char *ms)
{
        const char *const argv[] = { target(name), mode, rounds, ms, NULL };
        struct counted c;
        run_requested(&locks, argv, NULL, &c);
        if (c.exit_status != 0)
                fail_msg("%s %s: exit status %d", name, mode, c.exit_status);
        assert_int_equal(c.captured->n_damaged, 0);
        assert_int_equal(c.captured->n_gaps, 0);
        return c;
}

static void expect(const char *what, struct events e, uint64_t count, uint64_t least_ns)
{
        if (e.count != count || e.count_elsewhere || e.ns < least_ns)
                fail_msg("%s: %llu (and %llu elsewhere), %llu ns; expected %llu and at least %llu ns", what,
                         (unsigned long long)e.count, (unsigned long long)e.count_elsewhere,
                         (unsigned long long)e.ns, (unsigned long long)count, (unsigned long long)least_ns);
}

enum { ROUNDS = 3, MS = 20, NS_PER_MS = 1000000 };

/* Each kind of lock: the waits, and who has caused them. */
static void waits_and_holders_are_counted_by_stack(void **state)
{
        (void)state;
        static const struct {
                const char *mode;
                uint32_t waiter, holder;
        } rows[] = {
                { "mutex", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "timedlock", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "clocklock", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "robust", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "inherit", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "reader", PG_NODE_READER, PG_NODE_RWHOLDER },
                { "timedreader", PG_NODE_READER, PG_NODE_RWHOLDER },
                { "clockreader", PG_NODE_READER, PG_NODE_RWHOLDER },
                { "writer", PG_NODE_WRITER, PG_NODE_RWHOLDER },
                { "timedwriter", PG_NODE_WRITER, PG_NODE_RWHOLDER },
                { "clockwriter", PG_NODE_WRITER, PG_NODE_RWHOLDER },
                { "writer-behind-reader", PG_NODE_WRITER, PG_NODE_RWHOLDER },
                { "c11", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "c11-timed", PG_NODE_WAITER, PG_NODE_HOLDER },
                { "condition-holder", PG_NODE_WAITER, PG_NODE_RELEASER },
                { "condition-clock-holder", PG_NODE_WAITER, PG_NODE_RELEASER },
                { "c11-condition-holder", PG_NODE_WAITER, PG_NODE_RELEASER },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct counted c = run_target("lock_waits", rows[i].mode, "3", "20");
                struct events waits = events_of(&c, 0, rows[i].waiter, "wait_here");
                struct events holds = events_of(&c, 0, rows[i].holder, "release_here");
                expect(rows[i].mode, waits, ROUNDS, ROUNDS * MS * NS_PER_MS);
                expect(rows[i].mode, holds, ROUNDS, ROUNDS * MS * NS_PER_MS);
                assert_true(holds.ns <= waits.ns); // what is charged is a part of what was waited
                counted_free(&c);
        }
}

static void giving_up_counts_and_is_nobodys_fault(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "timeout", "3", "20");
        expect("waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), ROUNDS, ROUNDS * MS * NS_PER_MS);
        expect("holders", events_of(&c, 0, PG_NODE_HOLDER, "release_here"), 0, 0);
        counted_free(&c);
}

static void waiting_for_a_condition_is_kept_apart(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "condition", "3", "20");
        expect("conditions", events_of(&c, 0, PG_NODE_CONDITION, "wait_here"), ROUNDS,
               ROUNDS * MS * NS_PER_MS);
        expect("waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), 0, 0);
        counted_free(&c);
}

/* The child's copy of the lock has no waiter, whatever the parent's table said. */
static void a_forked_child_starts_without_waiters(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "fork", "1", "20");
        assert_int_equal(c.captured->n_processes, 2);
        expect("parent waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), 1, MS * NS_PER_MS);
        expect("parent holds", events_of(&c, 0, PG_NODE_HOLDER, "release_here"), 1, MS * NS_PER_MS);
        expect("child waits", events_of(&c, 1, PG_NODE_WAITER, "wait_here"), 0, 0);
        expect("child holds", events_of(&c, 1, PG_NODE_HOLDER, "release_here"), 0, 0);
        assert_int_equal(events_of(&c, 1, PG_NODE_HOLDER, "release_here").ns, 0);
        counted_free(&c);
}

/* More than a bucket of the table of waiters holds. */
static void every_waiter_of_a_crowd_is_charged(void **state)
{
        (void)state;
        enum { CROWD = 300 };
        struct counted c = run_target("lock_waits", "crowd", "300", "20");
        struct events waits = events_of(&c, 0, PG_NODE_WAITER, "wait_here");
        struct events holds = events_of(&c, 0, PG_NODE_HOLDER, "release_here");
        expect("waits", waits, CROWD, (uint64_t)CROWD * MS * NS_PER_MS);
        expect("holders", holds, CROWD, (uint64_t)CROWD * MS * NS_PER_MS);
        assert_true(holds.ns <= waits.ns);
        counted_free(&c);
}

/* 3,000 frames are more than are kept: the innermost ones are, and the rest is said to be missing. */
static void a_stack_that_is_too_deep_is_cut_and_says_so(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "deep", "3", "20");
        expect("waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), ROUNDS, ROUNDS * MS * NS_PER_MS);
        expect("holders", events_of(&c, 0, PG_NODE_HOLDER, "release_here"), ROUNDS, ROUNDS * MS * NS_PER_MS);
        assert_int_equal(c.captured->processes[0].quality.truncated, ROUNDS);
        assert_int_equal(c.captured->processes[0].quality.unknown, 0);
        counted_free(&c);
}

static void a_refusal_is_no_wait(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "refusals", "3", "20");
        expect("waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), 0, 0);
        counted_free(&c);
}

static void signal_handlers_may_come_in_between(void **state)
{
        (void)state;
        struct counted c = run_target("lock_waits", "signal", "2", "20");
        expect("waits", events_of(&c, 0, PG_NODE_WAITER, "wait_here"), 2, 2 * MS * NS_PER_MS);
        expect("holds", events_of(&c, 0, PG_NODE_HOLDER, "release_here"), 2, 2 * MS * NS_PER_MS);
        counted_free(&c);
}

/* Every function, every kind of lock: what comes back is what came back without us. */
static void results_are_those_of_libc(void **state)
{
        (void)state;
        const char *const argv[] = { target("lock_results"), NULL };
        struct counted with, without;
        run_requested(&locks, argv, NULL, &with);
        run_plain(argv, NULL, &without);
        assert_int_equal(without.exit_status, 0);
        assert_int_equal(with.exit_status, 0);
        assert_true(strlen(without.output) > 40000);
        assert_string_equal(with.output, without.output);
        counted_free(&with);
        counted_free(&without);
}

/* Everything at once: nothing is lost, nothing hangs, and what holders are charged with was waited for. */
static void many_threads_fight_for_many_locks(void **state)
{
        (void)state;
        static const char *const threads[] = { "2", "8", "32" };
        for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++) {
                const char *const argv[] = { target("lock_stress"), threads[i], "2000", NULL };
                struct counted with, without;
                run_requested(&locks, argv, NULL, &with);
                run_plain(argv, NULL, &without);
                assert_int_equal(with.exit_status, 0);
                assert_string_equal(with.output, without.output);
                assert_int_equal(with.captured->n_damaged, 0);
                assert_int_equal(with.captured->processes[0].quality.stacks_other, 0);
                counted_free(&with);
                counted_free(&without);
        }
}

/* Descriptors, errno and exit status are those of a run without the agent. */
static void the_target_notices_nothing(void **state)
{
        (void)state;
        static const char *const modes[] = { "descriptors", "errno", "_exit", "thread-destructor",
                                             "dlclose" };
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                const char *const argv[] = { target("alloc_ends"), modes[i], "10", NULL };
                struct counted with, without;
                run_requested(&locks, argv, NULL, &with);
                run_plain(argv, NULL, &without);
                assert_int_equal(with.captured->n_processes, 1);
                assert_string_equal(with.output, without.output);
                assert_int_equal(with.exit_status, without.exit_status);
                counted_free(&with);
                counted_free(&without);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(waits_and_holders_are_counted_by_stack),
                cmocka_unit_test(giving_up_counts_and_is_nobodys_fault),
                cmocka_unit_test(waiting_for_a_condition_is_kept_apart),
                cmocka_unit_test(a_forked_child_starts_without_waiters),
                cmocka_unit_test(every_waiter_of_a_crowd_is_charged),
                cmocka_unit_test(a_stack_that_is_too_deep_is_cut_and_says_so),
                cmocka_unit_test(a_refusal_is_no_wait),
                cmocka_unit_test(signal_handlers_may_come_in_between),
                cmocka_unit_test(results_are_those_of_libc),
                cmocka_unit_test(many_threads_fight_for_many_locks),
                cmocka_unit_test(the_target_notices_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
