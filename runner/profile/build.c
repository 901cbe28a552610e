// SPDX-License-Identifier: MIT
/*
 * build.c - builds a profile piece by piece; equal pieces are kept once.
 *
 * At the end everything is put into an order of its own (main mapping first, then by name, address and
 * stack), so the order in which threads and processes delivered their samples leaves no trace in the file.
 */
#include "runner/profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/profile/index.h"
#include "runner/profile/text.h"
#include "runner/symbolize/symbolize.h"

enum { MAX_TYPES = 4, PAGE = 4096 };

static const struct {
        size_t n_types, default_type;
        struct pg_value_type types[MAX_TYPES], period;
} kinds[] = {
        [PG_PROFILE_CPU] = { 2,
                             1,
                             { { "samples", "count" }, { "cpu", "nanoseconds" } },
                             { "cpu", "nanoseconds" } },
        [PG_PROFILE_HEAP] = { 4,
                              1,
                              { { "alloc_objects", "count" },
                                { "alloc_space", "bytes" },
                                { "inuse_objects", "count" },
                                { "inuse_space", "bytes" } },
                              { "space", "bytes" } },
        [PG_PROFILE_CONTENTION] = { 2,
                                    1,
                                    { { "contentions", "count" }, { "delay", "nanoseconds" } },
                                    { "contentions", "count" } },
};

struct pg_profile_builder {
        struct pg_profile *profile; // its samples are only set at the end
        struct pg_profile_sample *samples;
        size_t samples_capacity;
        const char **strings;
        size_t n_strings;
        struct pg_index string_index, mapping_index, function_index, location_index;
};

static bool init_profile(struct pg_profile *p, enum pg_profile_kind kind, int64_t period)
{
        p->n_sample_types = kinds[kind].n_types;
        p->sample_types = pg_arena_calloc(p->arena, p->n_sample_types, sizeof(*p->sample_types));
        if (!p->sample_types)
                return false;
        memcpy(p->sample_types, kinds[kind].types, p->n_sample_types * sizeof(*p->sample_types));
        p->default_type = (uint32_t)kinds[kind].default_type;
        p->period_type = kinds[kind].period;
        p->period = period;
        return true;
}

struct pg_profile_builder *pg_profile_builder_create(enum pg_profile_kind kind, int64_t period)
{
        struct pg_profile_builder *b = calloc(1, sizeof(*b));
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        if (!b || !a || !(b->profile = pg_arena_calloc(a, 1, sizeof(*b->profile)))) {
                free(b);
                return NULL;
        }
        b->profile->arena = a;
        a = NULL;
        if (!init_profile(b->profile, kind, period)) {
                pg_profile_builder_destroy(b);
                return NULL;
        }
        return b;
}

void pg_profile_builder_destroy(struct pg_profile_builder *b)
{
        if (!b)
                return;
        pg_index_deinit(&b->string_index);
        pg_index_deinit(&b->mapping_index);
        pg_index_deinit(&b->function_index);
        pg_index_deinit(&b->location_index);
        free(b->samples);
        pg_profile_destroy(b->profile);
        free(b);
}

/* ---- interning ---- */

static bool same_string(const void *owner, uint32_t item, const void *key)
{
        const struct pg_profile_builder *b = owner;
        return strcmp(b->strings[item], key) == 0;
}

/* The one copy of s, cleaned; NULL (also for s) is "". Equal texts are equal pointers. */
static const char *intern(struct pg_profile_builder *b, const char *s)
{
        struct pg_arena *a = b->profile->arena;
        s = s ? s : "";
        if (!pg_text_is_clean(s, strlen(s)) && !(s = pg_text_clean(a, s, strlen(s))))
                return NULL;
        uint32_t hash = pg_hash(0, s, strlen(s));
        struct pg_index_slot *slot = pg_index_place(&b->string_index, hash, same_string, b, s);
        if (slot && slot->item)
                return b->strings[slot->item - 1];
        const char **grown = slot ? pg_arena_grow(a, b->strings, b->n_strings, sizeof(*grown)) : NULL;
        const char *copy = grown ? pg_arena_strdup(a, s) : NULL;
        if (!copy)
                return NULL;
        b->strings = grown;
        pg_index_fill(&b->string_index, slot, hash, (uint32_t)b->n_strings);
        return b->strings[b->n_strings++] = copy;
}

static bool same_mapping(const void *owner, uint32_t item, const void *key)
{
        const struct pg_profile_builder *b = owner;
        const struct pg_profile_mapping *m = &b->profile->mappings[item], *k = key;
        return m->start == k->start && m->file == k->file;
}

bool pg_profile_add_mapping(struct pg_profile_builder *b, uint64_t start, uint64_t limit, const char *file,
                            const char *build_id, int32_t *ret, struct pg_error *err)
{
        struct pg_profile *p = b->profile;
        struct pg_profile_mapping m = { .start = start, .limit = limit };
        if (!(m.file = intern(b, file)) || !(m.build_id = intern(b, build_id)))
                return pg_fail_nomem(err);
        uint32_t hash = pg_hash((uint32_t)start, &m.file, sizeof(m.file));
        struct pg_index_slot *slot = pg_index_place(&b->mapping_index, hash, same_mapping, b, &m);
        if (!slot)
                return pg_fail_nomem(err);
        if (!slot->item) {
                struct pg_profile_mapping *grown =
                        pg_arena_grow(p->arena, p->mappings, p->n_mappings, sizeof(*grown));
                if (!grown)
                        return pg_fail_nomem(err);
                p->mappings = grown;
                p->mappings[p->n_mappings] = m;
                pg_index_fill(&b->mapping_index, slot, hash, (uint32_t)p->n_mappings++);
        }
        *ret = (int32_t)slot->item - 1;
        if (limit > p->mappings[*ret].limit)
                p->mappings[*ret].limit = limit;
        return true;
}

static bool same_function(const void *owner, uint32_t item, const void *key)
{
        const struct pg_profile_builder *b = owner;
        const struct pg_profile_function *f = &b->profile->functions[item], *k = key;
        return f->name == k->name && f->system_name == k->system_name && f->file == k->file &&
               f->start_line == k->start_line;
}

static bool add_function(struct pg_profile_builder *b, const struct pg_frame *frame, uint32_t *ret)
{
        struct pg_profile *p = b->profile;
        struct pg_profile_function f = { .start_line = frame->start_line };
        if (!(f.name = intern(b, frame->name)) ||
            !(f.system_name = intern(b, frame->system_name ? frame->system_name : frame->name)) ||
            !(f.file = intern(b, frame->file)))
                return false;
        const void *parts[] = { f.name, f.system_name, f.file };
        uint32_t hash = pg_hash(frame->start_line, parts, sizeof(parts));
        struct pg_index_slot *slot = pg_index_place(&b->function_index, hash, same_function, b, &f);
        if (!slot)
                return false;
        if (!slot->item) {
                struct pg_profile_function *grown =
                        pg_arena_grow(p->arena, p->functions, p->n_functions, sizeof(*grown));
                if (!grown)
                        return false;
                p->functions = grown;
                p->functions[p->n_functions] = f;
                pg_index_fill(&b->function_index, slot, hash, (uint32_t)p->n_functions++);
        }
        *ret = slot->item - 1;
        return true;
}

static bool same_location(const void *owner, uint32_t item, const void *key)
{
        const struct pg_profile_builder *b = owner;
        const struct pg_profile_location *l = &b->profile->locations[item], *k = key;
        return l->address == k->address && l->mapping == k->mapping;
}

/* A module and offset is a name as well: readers that think a mapping nameless go and look for its file. */
static void note_achieved(struct pg_profile_mapping *m, const struct pg_location *where)
{
        m->has_functions |= where->n_frames > 0;
        m->has_inlines |= where->n_frames > 1;
        for (size_t i = 0; i < where->n_frames; i++) {
                m->has_filenames |= where->frames[i].file && *where->frames[i].file;
                m->has_lines |= where->frames[i].line > 0;
        }
}

static bool add_lines(struct pg_profile_builder *b, const struct pg_location *where,
                      struct pg_profile_location *l)
{
        l->n_lines = where->n_frames;
        l->lines = pg_arena_calloc(b->profile->arena, l->n_lines, sizeof(*l->lines));
        for (size_t i = 0; l->lines && i < l->n_lines; i++) {
                l->lines[i].line = where->frames[i].line;
                if (!add_function(b, &where->frames[i], &l->lines[i].function))
                        return false;
        }
        return l->lines;
}

bool pg_profile_add_location(struct pg_profile_builder *b, int32_t mapping, uint64_t address,
                             const struct pg_location *where, uint32_t *ret, struct pg_error *err)
{
        struct pg_profile *p = b->profile;
        struct pg_profile_location l = { .mapping = mapping, .address = address };
        uint32_t hash = pg_hash((uint32_t)mapping, &address, sizeof(address));
        struct pg_index_slot *slot = pg_index_place(&b->location_index, hash, same_location, b, &l);
        if (!slot)
                return pg_fail_nomem(err);
        if (!slot->item) {
                struct pg_profile_location *grown =
                        pg_arena_grow(p->arena, p->locations, p->n_locations, sizeof(*grown));
                if (!grown || !add_lines(b, where, &l))
                        return pg_fail_nomem(err);
                p->locations = grown;
                p->locations[p->n_locations] = l;
                pg_index_fill(&b->location_index, slot, hash, (uint32_t)p->n_locations++);
                if (mapping >= 0)
                        note_achieved(&p->mappings[mapping], where);
        }
        *ret = slot->item - 1;
        return true;
}

static bool grow_samples(struct pg_profile_builder *b)
{
        if (b->profile->n_samples < b->samples_capacity)
                return true;
        size_t capacity = b->samples_capacity ? b->samples_capacity + b->samples_capacity / 2 : 64;
        struct pg_profile_sample *grown = reallocarray(b->samples, capacity, sizeof(*grown));
        if (!grown)
                return false;
        b->samples = grown;
        b->samples_capacity = capacity;
        return true;
}

bool pg_profile_add_sample(struct pg_profile_builder *b, const uint32_t *locations, size_t n,
                           const int64_t *values, struct pg_error *err)
{
        return pg_profile_add_labelled(b, locations, n, values, NULL, err);
}

/* Stacks that are there already are joined at the end, when they are neighbours. */
bool pg_profile_add_labelled(struct pg_profile_builder *b, const uint32_t *locations, size_t n,
                             const int64_t *values, const char *process, struct pg_error *err)
{
        struct pg_profile *p = b->profile;
        size_t values_bytes = p->n_sample_types * sizeof(*values), stack_bytes = n * sizeof(*locations);
        if (n == 0)
                return pg_fail(err, PG_EDATA, "a sample without a location");
        if (process && !(process = intern(b, process)))
                return pg_fail_nomem(err);
        char *block = pg_arena_calloc(p->arena, 1, values_bytes + stack_bytes);
        if (!block || !grow_samples(b))
                return pg_fail_nomem(err);
        memcpy(block, values, values_bytes);
        memcpy(block + values_bytes, locations, stack_bytes);
        b->samples[p->n_samples++] = (struct pg_profile_sample){ (uint32_t *)(void *)(block + values_bytes),
                                                                 n, (int64_t *)(void *)block, process };
        return true;
}

bool pg_profile_add_comment(struct pg_profile_builder *b, const char *text, struct pg_error *err)
{
        struct pg_profile *p = b->profile;
        const char **grown = pg_arena_grow(p->arena, p->comments, p->n_comments, sizeof(*grown));
        const char *copy = intern(b, text);
        if (!grown || !copy)
                return pg_fail_nomem(err);
        p->comments = grown;
        p->comments[p->n_comments++] = copy;
        return true;
}

/* ---- the order at the end ---- */

struct sorting {
        const unsigned char *items;
        size_t size;
        int (*compare)(const void *, const void *);
};

static int by_item(const void *pa, const void *pb, void *context)
{
        const struct sorting *s = context;
        uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
        int order = s->compare(s->items + a * s->size, s->items + b * s->size);
        return order ? order : (a > b) - (a < b);
}

/* Sorts n items in place and gives for each old position the new one; NULL when out of memory. */
static uint32_t *sort_items(void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
        PG_AUTO_FREE uint32_t *order = calloc(n ? n : 1, sizeof(*order));
        PG_AUTO_FREE unsigned char *copy = malloc(n ? n * size : 1);
        uint32_t *moved_to = calloc(n ? n : 1, sizeof(*moved_to));
        if (!order || !copy || !moved_to) {
                free(moved_to);
                return NULL;
        }
        if (n)
                memcpy(copy, items, n * size);
        for (uint32_t i = 0; i < n; i++)
                order[i] = i;
        struct sorting s = { copy, size, compare };
        qsort_r(order, n, sizeof(*order), by_item, &s);
        for (uint32_t i = 0; i < n; i++) {
                memcpy((unsigned char *)items + i * size, copy + order[i] * size, size);
                moved_to[order[i]] = i;
        }
        return moved_to;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_file(const void *pa, const void *pb)
{
        const struct pg_profile_mapping *a = pa, *b = pb;
        int order = strcmp(a->file, b->file);
        return order ? order : COMPARE(a->start, b->start);
}

static int by_name(const void *pa, const void *pb)
{
        const struct pg_profile_function *a = pa, *b = pb;
        int order = strcmp(a->name, b->name);
        if (!order)
                order = strcmp(a->system_name, b->system_name);
        if (!order)
                order = strcmp(a->file, b->file);
        return order ? order : COMPARE(a->start_line, b->start_line);
}

static int by_place(const void *pa, const void *pb)
{
        const struct pg_profile_location *a = pa, *b = pb;
        return a->mapping != b->mapping ? COMPARE(a->mapping, b->mapping) : COMPARE(a->address, b->address);
}

/* From the outermost frame: stacks with callers in common are neighbours, which also packs well. */
static int by_stack(const void *pa, const void *pb)
{
        const struct pg_profile_sample *a = pa, *b = pb;
        size_t n = a->n_locations < b->n_locations ? a->n_locations : b->n_locations;
        const uint32_t *x = a->locations + a->n_locations, *y = b->locations + b->n_locations;
        for (size_t i = 0; i < n; i++)
                if (*--x != *--y)
                        return COMPARE(*x, *y);
        if (a->n_locations != b->n_locations)
                return COMPARE(a->n_locations, b->n_locations);
        return strcmp(a->process ? a->process : "", b->process ? b->process : "");
}

static bool add_values(const struct pg_profile *p, int64_t *sums, const int64_t *values, struct pg_error *err)
{
        for (size_t t = 0; t < p->n_sample_types; t++)
                if (__builtin_add_overflow(sums[t], values[t], &sums[t]))
                        return pg_fail(err, PG_EDATA, "the sum of %s does not fit into 63 bits",
                                       p->sample_types[t].type);
        return true;
}

/* Neighbours with the same stack and label are one sample. */
static bool join_samples(struct pg_profile *p, struct pg_error *err)
{
        size_t kept = 0;
        for (size_t i = 0; i < p->n_samples; i++) {
                if (kept && by_stack(&p->samples[kept - 1], &p->samples[i]) == 0) {
                        if (!add_values(p, p->samples[kept - 1].values, p->samples[i].values, err))
                                return false;
                } else {
                        p->samples[kept++] = p->samples[i];
                }
        }
        p->n_samples = kept;
        return true;
}

static bool sort_mappings(struct pg_profile *p)
{
        size_t others = p->n_mappings ? p->n_mappings - 1 : 0; // the first is the main program
        PG_AUTO_FREE uint32_t *moved_to = sort_items(p->mappings + 1, others, sizeof(*p->mappings), by_file);
        for (size_t i = 0; moved_to && i < p->n_locations; i++)
                if (p->locations[i].mapping > 0)
                        p->locations[i].mapping = (int32_t)moved_to[p->locations[i].mapping - 1] + 1;
        return moved_to;
}

static bool sort_functions(struct pg_profile *p)
{
        PG_AUTO_FREE uint32_t *moved_to =
                sort_items(p->functions, p->n_functions, sizeof(*p->functions), by_name);
        for (size_t i = 0; moved_to && i < p->n_locations; i++)
                for (size_t j = 0; j < p->locations[i].n_lines; j++)
                        p->locations[i].lines[j].function = moved_to[p->locations[i].lines[j].function];
        return moved_to;
}

static bool sort_locations(struct pg_profile *p)
{
        PG_AUTO_FREE uint32_t *moved_to =
                sort_items(p->locations, p->n_locations, sizeof(*p->locations), by_place);
        for (size_t i = 0; moved_to && i < p->n_samples; i++)
                for (size_t j = 0; j < p->samples[i].n_locations; j++)
                        p->samples[i].locations[j] = moved_to[p->samples[i].locations[j]];
        return moved_to;
}

/* Consumers look a location's address up in its mapping; whole pages, as mappings are. */
static void widen_mappings(struct pg_profile *p)
{
        for (size_t i = 0; i < p->n_locations; i++) {
                const struct pg_profile_location *l = &p->locations[i];
                struct pg_profile_mapping *m = l->mapping >= 0 ? &p->mappings[l->mapping] : NULL;
                if (m && l->address < m->start)
                        m->start = l->address - l->address % PAGE;
                if (m && l->address >= m->limit)
                        m->limit =
                                l->address > UINT64_MAX - PAGE ? UINT64_MAX : (l->address / PAGE + 1) * PAGE;
        }
}

static bool take_samples(struct pg_profile_builder *b)
{
        struct pg_profile *p = b->profile;
        p->samples = pg_arena_calloc(p->arena, p->n_samples, sizeof(*p->samples));
        if (p->samples && p->n_samples)
                memcpy(p->samples, b->samples, p->n_samples * sizeof(*p->samples));
        free(b->samples);
        b->samples = NULL;
        return p->samples;
}

bool pg_profile_finish(struct pg_profile_builder *b, int64_t time_ns, int64_t duration_ns,
                       struct pg_profile **ret, struct pg_error *err)
{
        struct pg_profile *p = b->profile;
        int32_t first;
        if (p->n_mappings == 0 && !pg_profile_add_mapping(b, 0, 0, "[unknown]", "", &first, err))
                return false;
        if (!take_samples(b) || !sort_mappings(p) || !sort_functions(p) || !sort_locations(p))
                return pg_fail_nomem(err);
        widen_mappings(p);
        if (p->n_samples)
                qsort(p->samples, p->n_samples, sizeof(*p->samples), by_stack);
        if (!join_samples(p, err))
                return false;
        p->time_ns = time_ns;
        p->duration_ns = duration_ns;
        *ret = p;
        b->profile = NULL;
        return true;
}

void pg_profile_destroy(struct pg_profile *p)
{
        if (p)
                pg_arena_destroy(p->arena); // p itself lives there
}
