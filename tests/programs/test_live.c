// SPDX-License-Identifier: MIT
/*
 * test_live.c - live bytes by call stack, at the peak and at the end, against a program that knows them.
 *
 * Small heaps and `exact` are right to the byte; sampled ones within 5 % for every site that holds 5 % or more. Without
 * address randomisation a run repeats, so the seeds below stay as they were found.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "tests/agent/harness.h"

enum { SITES = 8 };

struct site {
        uint64_t start, end;
        int64_t peak, live, temporary; // as the program says
        int64_t got_peak, got_live, got_temporary;
};

static void parse(const char *output, const char *who, struct site sites[SITES])
{
        char head[32];
        memset(sites, 0, SITES * sizeof(*sites));
        for (int i = 0; i < SITES; i++) {
                snprintf(head, sizeof(head), "%s %d ", who, i);
                const char *line = strstr(output, head);
                if (!line ||
                    sscanf(line + strlen(head), "%" SCNx64 " %" SCNx64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                           &sites[i].start, &sites[i].end, &sites[i].peak, &sites[i].live,
                           &sites[i].temporary) != 5)
                        fail_msg("no line for %s", head);
        }
}

static bool is_inside(const struct pg_captured_process *p, const struct pg_captured_node *n,
                      const struct site *s)
{
        uint32_t m = PG_PLACE_MODULE(n->place);
        return m < p->n_modules && p->modules[m].is_main && PG_PLACE_ADDRESS(n->place) >= s->start &&
               PG_PLACE_ADDRESS(n->place) < s->end;
}

static void add_up(const struct pg_captured_process *p, struct site sites[SITES])
{
        for (size_t i = 1; i < p->n_nodes; i++)
                for (int k = 0; k < SITES; k++)
                        if (is_inside(p, &p->nodes[i], &sites[k])) {
                                sites[k].got_peak += (int64_t)p->nodes[i].peak_bytes;
                                sites[k].got_live += (int64_t)p->nodes[i].live_bytes;
                                sites[k].got_temporary += (int64_t)p->nodes[i].temporary;
                        }
}

static const struct row {
        const char *kind, *blocks;
        enum pg_live live;
        bool sampled; // too many blocks for the table
} rows[] = {
        { "plain", "20000", PG_LIVE_SAMPLED, false },   { "moving", "20000", PG_LIVE_SAMPLED, false },
        { "passing", "20000", PG_LIVE_SAMPLED, false }, { "threads", "20000", PG_LIVE_SAMPLED, false },
        { "forked", "20000", PG_LIVE_SAMPLED, false },  { "plain", "500000", PG_LIVE_EXACT, false },
        { "moving", "500000", PG_LIVE_EXACT, false },   { "threads", "500000", PG_LIVE_EXACT, false },
        { "forked", "500000", PG_LIVE_EXACT, false },   { "plain", "800000", PG_LIVE_SAMPLED, true },
        { "moving", "800000", PG_LIVE_SAMPLED, true },  { "passing", "800000", PG_LIVE_SAMPLED, true },
        { "threads", "800000", PG_LIVE_SAMPLED, true }, { "forked", "1600000", PG_LIVE_SAMPLED, true },
};

/* The largest error of a site with 5 % or more, as a part of its truth. Of several threads' bytes at the peak some may
 * be unsure: as many as the capture says. */
static double check_number(const struct row *row, const char *what, int i, int64_t got, int64_t want,
                           int64_t all, uint64_t unsure)
{
        const double limit = (row->sampled ? 0.05 : 0) + (want ? (double)unsure / (double)want : 0);
        if (row->sampled && (double)want < 0.05 * (double)all)
                return 0;
        double error = want ? (double)(got - want) / (double)want : got ? 1 : 0;
        if (error > limit || error < -limit)
                fail_msg("%s %s: %s of site %d is %" PRId64 " instead of %" PRId64 " of %" PRId64, row->kind,
                         row->blocks, what, i, got, want, all);
        return error < 0 ? -error : error;
}

static double check_sites(const struct row *row, const struct site sites[SITES], uint64_t unsure)
{
        int64_t peak = 0, live = 0;
        double worst = 0;
        for (int i = 0; i < SITES; i++) {
                peak += sites[i].peak;
                live += sites[i].live;
        }
        for (int i = 0; i < SITES; i++) {
                double a = check_number(row, "peak", i, sites[i].got_peak, sites[i].peak, peak, unsure);
                double b = check_number(row, "rest", i, sites[i].got_live, sites[i].live, live, 0);
                worst = worst > a ? worst : a;
                worst = worst > b ? worst : b;
        }
        return worst;
}

/* Chance alone makes others, with realloc and threads; where they are the kind's matter they are exact. */
static void check_temporary(const struct row *row, const struct site sites[SITES])
{
        for (int i = 0; i < SITES && strcmp(row->kind, "passing") == 0; i++)
                assert_int_equal(sites[i].got_temporary, sites[i].temporary);
}

static void check_row(const struct row *row, const char *seed)
{
        const char *const argv[] = { target("live_truth"), row->kind, row->blocks, seed, NULL };
        struct counted c;
        run_requested(&(struct pg_capture_request){ .mode = PG_MODE_COUNT, .live = row->live }, argv, NULL,
                      &c);
        assert_int_equal(c.exit_status, 0);
        assert_int_equal(c.captured->n_damaged, 0);
        double worst = 0;
        uint64_t interval = 0;
        for (size_t i = 0; i < c.captured->n_processes; i++) {
                const struct pg_captured_process *p = &c.captured->processes[i];
                struct site sites[SITES];
                parse(c.output, p->forked ? "child" : "site", sites);
                add_up(p, sites);
                double error = check_sites(row, sites, p->peak_uncertainty_bytes);
                check_temporary(row, sites);
                worst = error > worst ? error : worst;
                interval =
                        p->quality.live_interval_bytes > interval ? p->quality.live_interval_bytes : interval;
        }
        assert_int_equal(c.captured->n_processes, strcmp(row->kind, "forked") == 0 ? 2 : 1);
        counted_free(&c);
        printf("%-8s %8s blocks, %-7s interval %4" PRIu64 " bytes, largest error %.2f %%\n", row->kind,
               row->blocks, row->live == PG_LIVE_EXACT ? "exact" : "sampled", interval, 100 * worst);
        assert_int_equal(interval != 0, row->sampled);
}

static void live_bytes_are_known_by_stack(void **state)
{
        (void)state;
        const char *seed = getenv("LIVE_SEED");
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                check_row(&rows[i], seed ? seed : "1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(live_bytes_are_known_by_stack),
        };
        if (personality(ADDR_NO_RANDOMIZE) < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
