// SPDX-License-Identifier: MIT
/*
 * show.c - `agent_show COMMAND ARG...`: what the agent counts in a program, for looking at by hand.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/agent/harness.h"

static void show_process(const struct pg_captured_process *p)
{
        printf("%d%s%s %s: %" PRIu64 " allocations, %" PRIu64 " bytes, %" PRIu64 " frees, peak %" PRIu64
               " +- %" PRIu64 ", live %" PRId64 ", threads %" PRIu64 ", modules %zu, sites %zu, disarm %d\n",
               p->pid, p->forked ? " forked" : "", p->execed ? " execed" : "", p->program, p->allocations,
               p->allocated_bytes, p->frees, p->peak_bytes, p->peak_uncertainty_bytes, p->live_bytes,
               p->n_threads, p->n_modules, p->n_sites, (int)p->disarm);
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                fprintf(stderr, "usage: agent_show COMMAND ARG...\n");
                return 1;
        }
        struct counted c;
        run_counted((const char *const *)argv + 1, NULL, &c);
        fputs(c.output, stdout);
        printf("exit %d, %zu processes, %" PRIu64 " damaged\n", c.exit_status, c.captured->n_processes,
               c.captured->n_damaged);
        for (size_t i = 0; i < c.captured->n_processes; i++)
                show_process(&c.captured->processes[i]);
        for (size_t i = 0; i < c.captured->n_gaps; i++)
                printf("gap: %d %s: %s\n", c.captured->gaps[i].pid, c.captured->gaps[i].path,
                       c.captured->gaps[i].why);
        counted_free(&c);
        return 0;
}
