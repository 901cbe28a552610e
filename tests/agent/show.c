// SPDX-License-Identifier: MIT
/*
 * show.c - `agent_show [-e] [-l] [-s] [-v N] [-i BYTES] [-n ROWS] COMMAND ARG...`: what the agent counts in a
 * program, for looking at by hand. -e: live bytes exact, -o: not at all, -s: CPU samples, -l: locks, -v:
 * verify every Nth reused stack, -i: a stack each so many bytes, -n: rows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/agent/harness.h"

static void show_process(const struct pg_captured_process *p)
{
        printf("%d%s%s %s: %" PRIu64 " allocations, %" PRIu64 " bytes, %" PRIu64 " frees, peak %" PRIu64
               " +- %" PRIu64 ", live %" PRId64 ", threads %" PRIu64 ", modules %zu, nodes %zu, disarm %d\n",
               p->pid, p->forked ? " forked" : "", p->execed ? " execed" : "", p->program, p->allocations,
               p->allocated_bytes, p->frees, p->peak_bytes, p->peak_uncertainty_bytes, p->live_bytes,
               p->n_threads, p->n_modules, p->n_nodes, (int)p->disarm);
}

static void show_quality(const struct pg_captured_process *p)
{
        const struct pg_captured_quality *q = &p->quality;
        printf("  verified %" PRIu64 ", different %" PRIu64 ", other %" PRIu64 ", truncated %" PRIu64
               ", unknown %" PRIu64 ", live interval %" PRIu64 ", live lost %" PRIu64 ", samples %" PRIu64
               " of %" PRIu64 " ns\n",
               q->stacks_verified, q->stacks_different, q->stacks_other, q->truncated, q->unknown,
               q->live_interval_bytes, q->live_lost, p->sample_count, p->sample_weight_ns);
}

static const struct pg_captured_process *shown;

static int by_count(const void *a, const void *b)
{
        const struct pg_captured_node *x = &shown->nodes[*(const uint32_t *)a],
                                      *y = &shown->nodes[*(const uint32_t *)b];
        return (x->count < y->count) - (x->count > y->count);
}

static void show_node(const struct pg_captured_process *p, const struct pg_captured_node *n)
{
        printf("  %9" PRIu64 " %11" PRIu64 " temp %" PRIu64 " live %" PRIu64 "/%" PRIu64 " peak %" PRIu64
               "/%" PRIu64 ":",
               n->count, n->amount, n->temporary, n->live_blocks, n->live_bytes, n->peak_blocks,
               n->peak_bytes);
        for (; n != p->nodes; n = &p->nodes[n->parent]) {
                uint32_t m = PG_PLACE_MODULE(n->place);
                const char *path = m < p->n_modules ? p->modules[m].path : "";
                printf(" %s+%llx", strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
                       (unsigned long long)PG_PLACE_ADDRESS(n->place));
        }
        puts("");
}

static void show_stacks(const struct pg_captured_process *p, size_t rows)
{
        uint32_t *order = calloc(p->n_nodes, sizeof(*order));
        for (uint32_t i = 0; order && i < p->n_nodes; i++)
                order[i] = i;
        shown = p;
        if (order)
                qsort(order, p->n_nodes, sizeof(*order), by_count);
        for (size_t i = 0; order && i < rows && i < p->n_nodes; i++)
                show_node(p, &p->nodes[order[i]]);
        free(order);
}

int main(int argc, char **argv)
{
        struct pg_capture_request request = { .mode = PG_MODE_COUNT };
        size_t rows = 0;
        for (int option; (option = getopt(argc, argv, "+elosv:i:n:")) != -1;)
                switch (option) {
                case 'e':
                        request.live = PG_LIVE_EXACT;
                        break;
                case 'o':
                        request.live = PG_LIVE_OFF;
                        break;
                case 'l':
                        request.mode = PG_MODE_LOCK;
                        break;
                case 's':
                        request.mode = PG_MODE_SAMPLE;
                        request.rate_hz = 997;
                        break;
                case 'v':
                        request.verify_every = (uint32_t)strtoul(optarg, NULL, 10);
                        break;
                case 'i':
                        request.stack_interval_bytes = strtoul(optarg, NULL, 10);
                        break;
                case 'n':
                        rows = strtoul(optarg, NULL, 10);
                        break;
                default:
                        return 1;
                }
        if (optind == argc) {
                fprintf(stderr,
                        "usage: agent_show [-e] [-l] [-o] [-s] [-v N] [-i BYTES] [-n ROWS] COMMAND ARG...\n");
                return 1;
        }
        struct counted c;
        run_requested(&request, (const char *const *)argv + optind, NULL, &c);
        fputs(c.output, stdout);
        printf("exit %d, %zu processes, %" PRIu64 " damaged\n", c.exit_status, c.captured->n_processes,
               c.captured->n_damaged);
        for (size_t i = 0; i < c.captured->n_processes; i++)
                show_process(&c.captured->processes[i]), show_quality(&c.captured->processes[i]),
                        show_stacks(&c.captured->processes[i], rows);
        for (size_t i = 0; i < c.captured->n_gaps; i++)
                printf("gap: %d %s: %s\n", c.captured->gaps[i].pid, c.captured->gaps[i].path,
                       c.captured->gaps[i].why);
        counted_free(&c);
        return 0;
}
