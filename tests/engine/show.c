// SPDX-License-Identifier: MIT
/*
 * show.c - for looking: engine_show ENGINE RATE COMMAND... prints what an engine saw of a command, stacks with
 * -v in front.
 */
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/engine/outside.h"

static void print_stack(const struct pg_captured_process *c, uint32_t n)
{
        printf("  %6lu %10.3f ms ", (unsigned long)c->nodes[n].count, (double)c->nodes[n].amount / 1e6);
        for (uint32_t at = n; at; at = c->nodes[at].parent) {
                pg_place place = c->nodes[at].place;
                uint32_t m = PG_PLACE_MODULE(place);
                const char *name = m < c->n_modules ? strrchr(c->modules[m].path, '/') : "/-";
                printf(" %s+%lx", name ? name + 1 : "[vdso]", (unsigned long)PG_PLACE_ADDRESS(place));
        }
        printf("\n");
}

static double seconds(struct timeval t)
{
        return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
        bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
        argv += verbose;
        if (argc - verbose < 4)
                return 2;
        struct pg_engine_request request = { .rate_hz = (uint32_t)atoi(argv[2]) };
        const char *stack = getenv("STACK"), *finer = getenv("FINER");
        request.stack_copy_bytes = stack ? (uint32_t)atoi(stack) : 0;
        request.finer = finer ? (uint32_t)atoi(finer) : 0;
        struct profiled p;
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        profile(&pg_perf_engine, (const char *const *)&argv[3], request, &p);
        getrusage(RUSAGE_SELF, &after);
        double own = seconds(after.ru_utime) - seconds(before.ru_utime) + seconds(after.ru_stime) -
                     seconds(before.ru_stime);
        for (size_t i = 0; verbose && i < p.captured->n_processes; i++) {
                const struct pg_captured_process *c = &p.captured->processes[i];
                printf("process %d of %d %s%s%s: %lu samples, %lu threads, %zu nodes\n", c->pid, c->ppid,
                       c->program, c->forked ? " forked" : "", c->execed ? " execed" : "",
                       (unsigned long)c->sample_count, (unsigned long)c->n_threads, c->n_nodes);
                for (size_t m = 0; m < c->n_modules; m++)
                        printf("  module %zu %s %lx-%lx bias %lx%s\n", m, c->modules[m].path,
                               (unsigned long)c->modules[m].start, (unsigned long)c->modules[m].end,
                               (unsigned long)c->modules[m].bias, c->modules[m].is_main ? " main" : "");
                for (uint32_t n = 1; n < c->n_nodes; n++)
                        if (c->nodes[n].count)
                                print_stack(c, n);
        }
        fprintf(stderr,
                "exit %d, %zu processes, %lu samples %.3f s of %.3f s user + %.3f s system, lost %lu, "
                "truncated %lu, unknown %lu, "
                "complete %.2f %%, damaged %lu, %.1f us each in the collector, %ld KiB; again: %s\n",
                p.result.exit_status, p.captured->n_processes, (unsigned long)p.samples,
                (double)p.weight_ns / 1e9, (double)p.result.user_ns / 1e9, (double)p.result.system_ns / 1e9,
                (unsigned long)p.lost_samples, (unsigned long)p.truncated, (unsigned long)p.unknown,
                100 * complete(&p), (unsigned long)p.captured->n_damaged,
                own * 1e6 / (double)(p.samples ? p.samples : 1), after.ru_maxrss, p.again ? p.again : "no");
        profiled_free(&p);
        return 0;
}
