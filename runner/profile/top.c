// SPDX-License-Identifier: MIT
/*
 * top.c - a profile summed up by function: what it costs itself, and with all that it calls.
 *
 * Functions are told apart by name alone, as pprof does, so both tools print the same sums. An address
 * without a function is a row of its own.
 */
#include "runner/profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/profile/index.h"
#include "runner/symbolize/symbolize.h"

struct tops {
        const struct pg_profile *p;
        struct pg_arena *arena;
        struct pg_top_row *rows;
        size_t n_rows;
        struct pg_index index;
        uint32_t *row_of_function, *row_of_location; // the latter for locations without a function
        size_t *last_sample; // for each row: 1 + the sample that was counted last in its total
};

/* Values of foreign files may be anything. */
static int64_t add_saturated(int64_t a, int64_t b)
{
        int64_t sum;
        if (__builtin_add_overflow(a, b, &sum))
                return a < 0 ? INT64_MIN : INT64_MAX;
        return sum;
}

static bool same_row(const void *owner, uint32_t item, const void *key)
{
        const struct tops *t = owner;
        return strcmp(t->rows[item].function, key) == 0;
}

/* The row with this name; false when out of memory. */
static bool row_of_name(struct tops *t, const char *name, const char *file, uint32_t *ret)
{
        uint32_t hash = pg_hash(0, name, strlen(name));
        struct pg_index_slot *slot = pg_index_place(&t->index, hash, same_row, t, name);
        if (!slot)
                return false;
        if (!slot->item) {
                struct pg_top_row *grown = pg_arena_grow(t->arena, t->rows, t->n_rows, sizeof(*grown));
                const char *own_name = pg_arena_strdup(t->arena, name),
                           *own_file = pg_arena_strdup(t->arena, file);
                if (!grown || !own_name || !own_file)
                        return false;
                t->rows = grown;
                t->rows[t->n_rows] = (struct pg_top_row){ .function = own_name, .file = own_file };
                pg_index_fill(&t->index, slot, hash, (uint32_t)t->n_rows++);
        }
        *ret = slot->item - 1;
        return true;
}

static bool make_function_rows(struct tops *t)
{
        for (size_t i = 0; i < t->p->n_functions; i++)
                if (!row_of_name(t, t->p->functions[i].name, t->p->functions[i].file, &t->row_of_function[i]))
                        return false;
        return true;
}

static const char *address_name(struct tops *t, const struct pg_profile_location *l)
{
        if (l->mapping < 0 || !*t->p->mappings[l->mapping].file)
                return pg_arena_printf(t->arena, "0x%llx", (unsigned long long)l->address);
        const struct pg_profile_mapping *m = &t->p->mappings[l->mapping];
        return pg_arena_printf(t->arena, "%s+0x%llx", pg_module_name(m->file),
                               (unsigned long long)l->address - m->start + m->offset);
}

static bool make_address_rows(struct tops *t)
{
        for (size_t i = 0; i < t->p->n_locations; i++) {
                if (t->p->locations[i].n_lines)
                        continue;
                const char *name = address_name(t, &t->p->locations[i]);
                if (!name || !row_of_name(t, name, "", &t->row_of_location[i]))
                        return false;
        }
        return true;
}

static void count_once(struct tops *t, uint32_t row, size_t sample, int64_t value)
{
        if (t->last_sample[row] == sample + 1)
                return;
        t->last_sample[row] = sample + 1;
        t->rows[row].total = add_saturated(t->rows[row].total, value);
}

static void count_sample(struct tops *t, size_t sample, int64_t value)
{
        const struct pg_profile_sample *s = &t->p->samples[sample];
        for (size_t i = 0; i < s->n_locations; i++) {
                const struct pg_profile_location *l = &t->p->locations[s->locations[i]];
                uint32_t leaf = l->n_lines ? t->row_of_function[l->lines[0].function]
                                           : t->row_of_location[s->locations[i]];
                if (i == 0)
                        t->rows[leaf].self = add_saturated(t->rows[leaf].self, value);
                count_once(t, leaf, sample, value);
                for (size_t j = 1; j < l->n_lines; j++)
                        count_once(t, t->row_of_function[l->lines[j].function], sample, value);
        }
}

static int by_cost(const void *pa, const void *pb)
{
        const struct pg_top_row *a = pa, *b = pb;
        if (a->self != b->self)
                return a->self > b->self ? -1 : 1;
        if (a->total != b->total)
                return a->total > b->total ? -1 : 1;
        return strcmp(a->function, b->function);
}

static bool sum_up(struct tops *t, size_t sample_type, int64_t *ret_sum)
{
        int64_t sum = 0;
        if (!t->row_of_function || !t->row_of_location || !make_function_rows(t) || !make_address_rows(t))
                return false;
        t->last_sample = calloc(t->n_rows + 1, sizeof(*t->last_sample));
        for (size_t i = 0; t->last_sample && i < t->p->n_samples; i++) {
                int64_t value = t->p->samples[i].values[sample_type];
                sum = add_saturated(sum, value);
                count_sample(t, i, value);
        }
        *ret_sum = sum;
        return t->last_sample;
}

static size_t drop_empty_rows(struct pg_top_row *rows, size_t n)
{
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
                if (rows[i].self || rows[i].total)
                        rows[kept++] = rows[i];
        return kept;
}

bool pg_profile_top(const struct pg_profile *p, size_t sample_type, struct pg_arena *a,
                    struct pg_top_row **ret, size_t *ret_n, int64_t *ret_sum, struct pg_error *err)
{
        struct tops t = { .p = p, .arena = a };
        int64_t sum = 0;
        if (sample_type >= p->n_sample_types)
                return pg_fail(err, PG_EUSAGE, "no sample type %zu, the profile has %zu", sample_type + 1,
                               p->n_sample_types);
        t.row_of_function = calloc(p->n_functions + 1, sizeof(*t.row_of_function));
        t.row_of_location = calloc(p->n_locations + 1, sizeof(*t.row_of_location));
        bool ok = sum_up(&t, sample_type, &sum);
        pg_index_deinit(&t.index);
        free(t.row_of_function);
        free(t.row_of_location);
        free(t.last_sample);
        if (!ok)
                return pg_fail_nomem(err);
        t.n_rows = drop_empty_rows(t.rows, t.n_rows);
        if (t.n_rows)
                qsort(t.rows, t.n_rows, sizeof(*t.rows), by_cost);
        *ret = t.rows;
        *ret_n = t.n_rows;
        *ret_sum = sum;
        return true;
}
