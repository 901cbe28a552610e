// SPDX-License-Identifier: MIT
/*
 * progress.c - the progress line, redrawn at most ten times a second.
 */
#include "ci/cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/base/units.h"

void pg_progress_init(struct pg_progress *p, bool quiet, size_t count)
{
        *p = (struct pg_progress){ .quiet = quiet, .terminal = isatty(STDERR_FILENO), .count = count };
        p->all_start_ns = pg_now_ns();
}

void pg_progress_begin(struct pg_progress *p, const char *name, size_t index)
{
        p->name = name;
        p->index = index;
        p->start_ns = pg_now_ns();
        p->shown_ns = 0;
}

/* Time left over all benchmarks, if the rest are like those so far. */
static uint64_t left_in_all(const struct pg_progress *p, uint32_t done, uint32_t total)
{
        double share = ((double)p->index + (total ? (double)done / total : 0)) / (double)p->count;
        uint64_t spent_ns = pg_now_ns() - p->all_start_ns;
        return share > 0 ? (uint64_t)((double)spent_ns * (1 - share) / share) : 0;
}

/* Whole seconds or minutes: an estimate has no more digits. */
static void format_left(uint64_t ns, char out[PG_NUMBER_MAX])
{
        unsigned long long s = ns / PG_NS_PER_S + 1;
        if (s < 100)
                snprintf(out, PG_NUMBER_MAX, "%llu s", s);
        else
                snprintf(out, PG_NUMBER_MAX, "%llu min", (s + 30) / 60);
}

void pg_progress_step(void *user, const char *what, uint32_t done, uint32_t total, uint64_t left_ns)
{
        struct pg_progress *p = user;
        uint64_t now = pg_now_ns();
        if (p->quiet || !p->terminal || (p->shown_ns && now - p->shown_ns < 100 * PG_NS_PER_MS))
                return;
        p->shown_ns = now;
        char left[PG_NUMBER_MAX] = "";
        if (left_ns)
                format_left(left_in_all(p, done, total), left);
        fprintf(stderr, "\r\033[K[%zu/%zu] %.40s  %s, run %u of %u%s%s%s", p->index + 1, p->count, p->name,
                what, done + 1 > total ? total : done + 1, total, left[0] ? ", about " : "", left,
                left[0] ? " left" : "");
        fflush(stderr);
}

void pg_progress_end(struct pg_progress *p, bool measured, const char *failure)
{
        if (p->terminal && !p->quiet)
                fprintf(stderr, "\r\033[K");
        char took[PG_NUMBER_MAX];
        pg_format_duration(pg_now_ns() - p->start_ns, took);
        if (failure)
                fprintf(stderr, "perfgate: %s\n", failure);
        else if (measured && !p->terminal && !p->quiet)
                fprintf(stderr, "perfgate: [%zu/%zu] %s measured in %s\n", p->index + 1, p->count, p->name,
                        took);
        fflush(stderr);
}
