// SPDX-License-Identifier: MIT
/*
 * coverage.c - gaps of a capture in words. A tree that was not seen whole gives no number: never a smaller one.
 */
#include "runner/measure/coverage.h"

#include "runner/symbolize/symbolize.h"

static const char *or_general(const char *text)
{
        return text ? text : "not all of the process tree could be measured";
}

static const char *describe_gap(const struct pg_captured_gap *g, size_t n_gaps, struct pg_arena *a)
{
        const char *more = n_gaps > 1 ? pg_arena_printf(a, " (and %zu more)", n_gaps - 1) : "";
        return or_general(pg_arena_printf(a, "not all of the process tree could be counted: %s %s%s",
                                          g->path[0] ? g->path : "a child process", g->why,
                                          more ? more : ""));
}

static const char *disarmed(enum pg_disarm d)
{
        if (d == PG_DISARM_NONE)
                return NULL;
        return d == PG_DISARM_NO_SYMBOLS ? "the allocator's functions were not found" : "the agent gave up";
}

const char *pg_coverage_missing(const struct pg_captured *c, int pid, struct pg_arena *a)
{
        bool root_seen = false;
        for (size_t i = 0; i < c->n_processes; i++) {
                root_seen |= c->processes[i].pid == pid;
                const char *why = disarmed(c->processes[i].disarm);
                if (why)
                        return or_general(
                                pg_arena_printf(a, "%s: %s", pg_module_name(c->processes[i].program), why));
        }
        if (!root_seen)
                return "the target did not load the agent (is it built for another C library, or protected?)";
        if (c->n_gaps)
                return describe_gap(&c->gaps[0], c->n_gaps, a);
        if (c->n_damaged)
                return "the target damaged the agent's memory";
        return NULL;
}
