// SPDX-License-Identifier: MIT
/*
 * sampling.c - what a sample costs: bench_sampling AGENT CLOCK PAIRS COMMAND ARG...
 *
 * The cost at the usual rate drowns in the noise of CPU time (several per cent on a shared machine), so the
 * command runs at a rate that is 20 times higher, in turn with bare runs (ABBA), and the difference is
 * divided by the number of samples. Printed are the median cost of a sample in user and system CPU time, and
 * the share of the CPU that 997 of them take in a second; CLOCK is event or timer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/agent/target.h"

enum { HIGH_RATE_HZ = 19937, USUAL_RATE_HZ = 997, PAIRS_MAX = 1000 };

static double cpu_ns(const char *agent, uint32_t rate_hz, enum pg_clock clock, const char *const *argv,
                     double *ret_samples)
{
        struct target_run run;
        target_run(&run, agent, rate_hz, clock, argv);
        if (run.status != 0) {
                fprintf(stderr, "%s: status %d\n", argv[0], run.status);
                exit(1);
        }
        double ns = (double)(run.user_ns + run.system_ns);
        for (size_t i = 0; run.captured && i < run.captured->n_processes; i++)
                *ret_samples += (double)run.captured->processes[i].sample_count;
        target_run_deinit(&run);
        return ns;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        int pairs = argc > 4 ? atoi(argv[3]) : 0;
        if (pairs < 1 || pairs > PAIRS_MAX) {
                fprintf(stderr, "usage: bench_sampling AGENT event|timer PAIRS COMMAND ARG...\n");
                return 1;
        }
        enum pg_clock clock = strcmp(argv[2], "timer") == 0 ? PG_CLOCK_TIMER : PG_CLOCK_EVENT;
        const char *const *command = (const char *const *)&argv[4];
        double cost_ns[PAIRS_MAX], samples = 0, bare_ns = 0;
        for (int i = 0; i < pairs; i++) {
                double bare = 0, sampled, n = 0;
                if (i % 2)
                        bare = cpu_ns(argv[1], 0, clock, command, &n);
                sampled = cpu_ns(argv[1], HIGH_RATE_HZ, clock, command, &n);
                if (i % 2 == 0)
                        bare = cpu_ns(argv[1], 0, clock, command, &n);
                cost_ns[i] = n > 0 ? (sampled - bare) / n : 0;
                samples += n;
                bare_ns += bare;
        }
        qsort(cost_ns, (size_t)pairs, sizeof(cost_ns[0]), by_value);
        double median = cost_ns[pairs / 2];
        printf("%s: %.0f ns a sample (quartiles %.0f, %.0f; %.0f samples in %d runs of %.2f s); at %d Hz "
               "%.2f %%\n",
               argv[2], median, cost_ns[pairs / 4], cost_ns[pairs * 3 / 4], samples, pairs,
               bare_ns / pairs / 1e9, USUAL_RATE_HZ, median * USUAL_RATE_HZ / 1e7);
        return 0;
}
