// SPDX-License-Identifier: MIT
/*
 * gaps.c - which parts of the tree did not report: the agents' journals of started programs against the
 * images that claimed a slot.
 *
 * An entry (pid, time) is covered by an exec'd image of that pid that started later. The reasons come from
 * the programs' files, which only the reader of a live capture looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "runner/capture/decode.h"

static const char did_not_load[] = "did not load the agent";

struct image {
        int32_t pid;
        uint64_t start_ns;
        bool used;
};

static int by_pid_and_start(const void *a, const void *b)
{
        const struct image *x = a, *y = b;
        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

static int by_pid_and_time(const void *a, const void *b)
{
        const struct pg_journal_entry *x = a, *y = b;
        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

static bool add_gap(struct pg_captured *c, struct pg_arena *a, struct pg_captured_gap gap)
{
        struct pg_captured_gap *gaps = pg_arena_grow(a, c->gaps, c->n_gaps, sizeof(*gaps));
        if (!gaps)
                return false;
        gaps[c->n_gaps++] = gap;
        c->gaps = gaps;
        return true;
}

/* Images that began by exec, in order of pid and time. */
static struct image *exec_images(const struct pg_captured *c, size_t *ret_n)
{
        struct image *images = calloc(c->n_processes + 1, sizeof(*images));
        size_t n = 0;
        for (size_t i = 0; images && i < c->n_processes; i++)
                if (!c->processes[i].forked)
                        images[n++] = (struct image){ c->processes[i].pid, c->processes[i].start_ns, false };
        if (n)
                qsort(images, n, sizeof(*images), by_pid_and_start);
        *ret_n = n;
        return images;
}

/* The first image of the entry's pid that started after it and answers for no other entry. */
static bool take_image(struct image *images, size_t n, size_t *at, const struct pg_journal_entry *e)
{
        while (*at < n &&
               (images[*at].pid < e->pid || (images[*at].pid == e->pid && images[*at].start_ns < e->time_ns)))
                (*at)++;
        if (*at == n || images[*at].pid != e->pid)
                return false;
        (*at)++;
        return true;
}

/* Two entries before one image: a chain of execs whose first program did not report, and passed the agent on.
 */
static bool find_uncovered(struct pg_captured *c, const struct pg_journal *j, struct pg_arena *a)
{
        size_t n, at = 0;
        PG_AUTO_FREE struct image *images = exec_images(c, &n);
        if (!images)
                return false;
        if (j->n_entries)
                qsort(j->entries, j->n_entries, sizeof(*j->entries), by_pid_and_time);
        for (size_t i = 0; i < j->n_entries; i++) {
                const struct pg_journal_entry *e = &j->entries[i];
                if (e->pid == PG_STARTED_BY_LIBC || (e->pid > 0 && take_image(images, n, &at, e)))
                        continue;
                if (!add_gap(c, a,
                             (struct pg_captured_gap){ e->pid > 0 ? e->pid : 0, e->path, did_not_load }))
                        return false;
        }
        return true;
}

bool pg_gaps_find(struct pg_captured *c, const struct pg_journal *j, struct pg_arena *a)
{
        if (!find_uncovered(c, j, a))
                return false;
        if (j->overflown &&
            !add_gap(c, a,
                     (struct pg_captured_gap){ 0, "",
                                               "a process started too many programs to follow them all" }))
                return false;
        return !j->refused ||
               add_gap(c, a, (struct pg_captured_gap){ 0, "", "the tree has too many processes to measure" });
}

/* The first process of each program stands for all of it. */
static bool is_first_of_program(const struct pg_captured *c, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (strcmp(c->processes[i].program, c->processes[index].program) == 0)
                        return false;
        return true;
}

static void explain_gaps(struct pg_captured *c, enum pg_capture_mode mode)
{
        for (size_t i = 0; i < c->n_gaps; i++) {
                struct pg_captured_gap *g = &c->gaps[i];
                const char *why =
                        g->why == did_not_load && g->path[0] ? pg_capture_obstacle(g->path, mode) : NULL;
                if (why)
                        g->why = why;
        }
}

/* All of them name the shell: one answer serves all. */
static bool check_programs_by_libc(struct pg_captured *c, const struct pg_journal *j,
                                   enum pg_capture_mode mode, struct pg_arena *a)
{
        for (size_t i = 0; i < j->n_entries; i++) {
                const struct pg_journal_entry *e = &j->entries[i];
                if (e->pid != PG_STARTED_BY_LIBC)
                        continue;
                const char *why = pg_capture_obstacle(e->path, mode);
                return !why || add_gap(c, a, (struct pg_captured_gap){ 0, e->path, why });
        }
        return true;
}

static bool find_bundled_allocators(struct pg_captured *c, struct pg_arena *a)
{
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                const char *why = is_first_of_program(c, i) ? pg_bundled_allocator(p->program) : NULL;
                if (why && !add_gap(c, a, (struct pg_captured_gap){ p->pid, p->program, why }))
                        return false;
        }
        return true;
}

bool pg_gaps_explain(struct pg_captured *c, const struct pg_journal *j, enum pg_capture_mode mode,
                     struct pg_arena *a)
{
        explain_gaps(c, mode);
        return check_programs_by_libc(c, j, mode, a) &&
               (mode != PG_MODE_COUNT || find_bundled_allocators(c, a));
}
