// SPDX-License-Identifier: MIT
/*
 * call_sites.c - the nodes of a tree of stacks, charged to the frames that explain them.
 *
 * Each frame of each point is ranked once, and the best of a point is kept. Then one pass from the root
 * outwards in the array: a node's best frame is its own or its parent's, whichever explains more. So every
 * stack is looked at once, however deep it is.
 */
#include "runner/measure/call_sites.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/measure/wrappers.h"

/* The best frame of a point or of a stack: slots number the frames of all points. */
struct choice {
        uint32_t slot;
        uint32_t rank; // enum pg_frame_rank
};

/*
 * Of an inner and an outer frame the better one. Of two equals the inner one is nearer to the allocation;
 * only of two wrappers the outer one is nearer to whoever wanted it.
 */
static struct choice better_of(struct choice inner, struct choice outer)
{
        if (inner.rank == outer.rank)
                return inner.rank == PG_FRAME_WRAPPER ? outer : inner;
        return inner.rank > outer.rank ? inner : outer;
}

/* The symbolizer gives equal names one address each, and few functions make up most frames. */
enum { REMEMBERED = 4096 };
struct remembered {
        const char *identity, *module;
        enum pg_frame_rank rank;
};

struct ranking {
        const char *const *wrappers;
        struct remembered *remembered; // REMEMBERED of them, by the address of the name
};

static enum pg_frame_rank rank_of(struct ranking *r, const struct pg_frame *f, const char *module)
{
        uint64_t h = (uint64_t)(uintptr_t)f->identity * 0x9e3779b97f4a7c15ull;
        struct remembered *known = &r->remembered[h >> 52];
        if (known->identity != f->identity || known->module != module)
                *known = (struct remembered){ f->identity, module, pg_frame_rank(f, module, r->wrappers) };
        return known->rank;
}

static struct choice best_of_point(struct ranking *r, const struct pg_point *p, uint32_t first_slot)
{
        struct choice best = { .rank = PG_FRAME_NONE };
        for (size_t i = 0; i < p->where.n_frames; i++) {
                enum pg_frame_rank rank = rank_of(r, &p->where.frames[i], p->module_name);
                best = better_of(best, (struct choice){ first_slot + (uint32_t)i, rank });
                if (best.rank == PG_FRAME_OWN)
                        break;
        }
        return best;
}

/* ---- sums ---- */

/* In the order of struct pg_site. */
enum { ALLOCATIONS, BYTES, TEMPORARY, PEAK, LEAKED, VALUES };

struct sums {
        uint64_t of[VALUES];
};

/* Adds to one row and to the total over all, which a file can hold. */
static void add(struct sums *row, struct sums *total, const struct pg_site_node *node)
{
        const uint64_t values[VALUES] = { node->allocations, node->allocated_bytes, node->temporary,
                                          node->peak_bytes, node->leaked_bytes };
        for (int i = 0; i < VALUES; i++) {
                uint64_t room = INT64_MAX - total->of[i], value = values[i] < room ? values[i] : room;
                total->of[i] += value;
                row->of[i] += value;
        }
}

static bool is_empty(const struct sums *s)
{
        return !(s->of[ALLOCATIONS] | s->of[BYTES] | s->of[TEMPORARY] | s->of[PEAK] | s->of[LEAKED]);
}

struct work {
        const struct pg_point *points;
        size_t n_points;
        uint32_t *first_slot;  // of each point
        struct choice *best;   // of each point
        struct choice *chosen; // of each node
        struct sums *sums;     // of each slot
};

static void work_deinit(struct work *w)
{
        free(w->first_slot);
        free(w->best);
        free(w->chosen);
        free(w->sums);
}

static bool rank_points(struct work *w, const char *const *wrappers)
{
        PG_AUTO_FREE struct remembered *remembered = calloc(REMEMBERED, sizeof(*remembered));
        struct ranking r = { wrappers, remembered };
        uint32_t slots = 0;
        w->first_slot = calloc(w->n_points + 1, sizeof(*w->first_slot));
        w->best = calloc(w->n_points + 1, sizeof(*w->best));
        if (!remembered || !w->first_slot || !w->best)
                return false;
        for (size_t i = 0; i < w->n_points; i++) {
                w->first_slot[i] = slots;
                w->best[i] = best_of_point(&r, &w->points[i], slots);
                slots += (uint32_t)w->points[i].where.n_frames;
        }
        w->sums = calloc(slots + 1, sizeof(*w->sums));
        return w->sums;
}

static bool charge(struct work *w, const struct pg_site_node *nodes, size_t n_nodes)
{
        struct sums total = { 0 };
        w->chosen = calloc(n_nodes, sizeof(*w->chosen));
        for (size_t i = 1; w->chosen && i < n_nodes; i++) {
                assert(nodes[i].parent < i && nodes[i].point < w->n_points);
                w->chosen[i] = better_of(w->best[nodes[i].point], w->chosen[nodes[i].parent]);
                add(&w->sums[w->chosen[i].slot], &total, &nodes[i]);
        }
        return w->chosen;
}

/* ---- rows ---- */

static int by_place(const void *a, const void *b)
{
        const struct pg_site *x = a, *y = b;
        int c = strcmp(x->function, y->function);
        if (!c)
                c = strcmp(x->module, y->module);
        if (!c)
                c = strcmp(x->file ? x->file : "", y->file ? y->file : "");
        return c ? c : (x->line > y->line) - (x->line < y->line);
}

static struct pg_site make_row(const struct pg_point *p, const struct pg_frame *f, const struct sums *s)
{
        return (struct pg_site){ .function = f->identity,
                                 .module = p->module_name,
                                 .file = f->file,
                                 .line = f->line,
                                 .allocations = s->of[ALLOCATIONS],
                                 .allocated_bytes = s->of[BYTES],
                                 .temporary = s->of[TEMPORARY],
                                 .peak_bytes = s->of[PEAK],
                                 .leaked_bytes = s->of[LEAKED] };
}

static struct pg_site *make_rows(const struct work *w, struct pg_arena *a, size_t *ret_n)
{
        struct pg_site *rows = NULL;
        size_t n = 0;
        for (size_t i = 0; i < w->n_points; i++) {
                const struct pg_point *p = &w->points[i];
                for (size_t k = 0; k < p->where.n_frames; k++) {
                        const struct sums *s = &w->sums[w->first_slot[i] + k];
                        if (is_empty(s))
                                continue;
                        rows = pg_arena_grow(a, rows, n, sizeof(*rows));
                        if (!rows)
                                return NULL;
                        rows[n++] = make_row(p, &p->where.frames[k], s);
                }
        }
        *ret_n = n;
        return rows ? rows : pg_arena_calloc(a, 0, sizeof(*rows));
}

/* Joins neighbours that are the same place for people; returns how many are left. */
static size_t join_equal(struct pg_site *rows, size_t n)
{
        size_t out = 0;
        for (size_t i = 0; i < n; i++) {
                if (!out || by_place(&rows[out - 1], &rows[i]) != 0) {
                        rows[out++] = rows[i];
                        continue;
                }
                struct pg_site *same = &rows[out - 1];
                same->allocations += rows[i].allocations;
                same->allocated_bytes += rows[i].allocated_bytes;
                same->temporary += rows[i].temporary;
                same->peak_bytes += rows[i].peak_bytes;
                same->leaked_bytes += rows[i].leaked_bytes;
        }
        return out;
}

static bool find(struct work *w, const struct pg_site_node *nodes, size_t n_nodes,
                 const char *const *wrappers, struct pg_arena *a, struct pg_measurement *ret)
{
        size_t n;
        const char *rule = pg_arena_printf(a, "%016" PRIx64, pg_wrappers_fingerprint(wrappers));
        if (!rule || !rank_points(w, wrappers) || !charge(w, nodes, n_nodes))
                return false;
        struct pg_site *rows = make_rows(w, a, &n);
        if (!rows)
                return false;
        if (n)
                qsort(rows, n, sizeof(*rows), by_place);
        ret->sites = rows;
        ret->n_sites = join_equal(rows, n);
        ret->site_quality.rule = rule;
        return true;
}

bool pg_call_sites_find(const struct pg_site_node *nodes, size_t n_nodes, const struct pg_point *points,
                        size_t n_points, const char *const *wrappers, struct pg_arena *a,
                        struct pg_measurement *ret, struct pg_error *err)
{
        struct work w = { .points = points, .n_points = n_points };
        bool ok = find(&w, nodes, n_nodes, wrappers, a, ret);
        work_deinit(&w);
        return ok || pg_fail_nomem(err);
}
