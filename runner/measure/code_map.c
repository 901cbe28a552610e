// SPDX-License-Identifier: MIT
/*
 * code_map.c - points interned in an open hash table; symbolized one module at a time.
 */
#include "runner/measure/code_map.h"

#include <string.h>

struct module {
        const char *path;          // "" for no module
        uint64_t start, end, bias; // as the first process had it
        bool is_main;
};

struct pg_code_map {
        struct pg_arena *arena;
        struct pg_symbolizer *symbolizer;
        struct module *modules;
        size_t n_modules;
        struct pg_point *points;
        size_t n_points, capacity;
        uint32_t *table; // index + 1 of a point, 0 when empty; table_size is a power of two
        size_t table_size;
};

struct pg_code_map *pg_code_map_create(struct pg_arena *a)
{
        struct pg_code_map *m = calloc(1, sizeof(*m));
        if (!m)
                return NULL;
        m->arena = a;
        m->symbolizer = pg_symbolizer_create(a);
        if (!m->symbolizer) {
                free(m);
                return NULL;
        }
        return m;
}

void pg_code_map_destroy(struct pg_code_map *m)
{
        if (!m)
                return;
        pg_symbolizer_destroy(m->symbolizer);
        free(m->points);
        free(m->table);
        free(m);
}

bool pg_code_map_add_module(struct pg_code_map *m, const struct pg_captured_process *p,
                            uint32_t index_in_process, uint32_t *ret, struct pg_error *err)
{
        static const struct pg_captured_module none = { .path = "" };
        const struct pg_captured_module *c =
                index_in_process < p->n_modules ? &p->modules[index_in_process] : &none;
        for (size_t i = 0; i < m->n_modules; i++)
                if (strcmp(m->modules[i].path, c->path) == 0) {
                        *ret = (uint32_t)i;
                        return true;
                }
        m->modules = pg_arena_grow(m->arena, m->modules, m->n_modules, sizeof(*m->modules));
        const char *path = m->modules ? pg_arena_strdup(m->arena, c->path) : NULL;
        if (!path)
                return pg_fail_nomem(err);
        m->modules[m->n_modules] = (struct module){ path, c->start, c->end, c->bias, c->is_main };
        *ret = (uint32_t)m->n_modules++;
        return true;
}

static size_t hash(uint32_t module, uint64_t address)
{
        uint64_t h = (address ^ (uint64_t)module << 48) * 0x9e3779b97f4a7c15ull;
        return (size_t)(h ^ h >> 29);
}

static uint32_t *find_entry(const struct pg_code_map *m, uint32_t module, uint64_t address)
{
        for (size_t i = hash(module, address);; i++) {
                uint32_t *entry = &m->table[i & (m->table_size - 1)];
                if (!*entry)
                        return entry;
                const struct pg_point *p = &m->points[*entry - 1];
                if (p->module == module && p->address == address)
                        return entry;
        }
}

/* Twice the room in points and table; the table stays at most half full. */
static bool grow(struct pg_code_map *m)
{
        size_t capacity = m->capacity ? 2 * m->capacity : 512;
        struct pg_point *points = realloc(m->points, capacity * sizeof(*points));
        if (!points)
                return false;
        m->points = points;
        uint32_t *table = calloc(2 * capacity, sizeof(*table));
        if (!table)
                return false;
        free(m->table);
        m->table = table;
        m->table_size = 2 * capacity;
        m->capacity = capacity;
        for (size_t i = 0; i < m->n_points; i++)
                *find_entry(m, points[i].module, points[i].address) = (uint32_t)i + 1;
        return true;
}

bool pg_code_map_intern(struct pg_code_map *m, uint32_t module, uint64_t address, uint32_t *ret,
                        struct pg_error *err)
{
        if (m->n_points == m->capacity && !grow(m))
                return pg_fail_nomem(err);
        uint32_t *entry = find_entry(m, module, address);
        if (!*entry) {
                m->points[m->n_points] = (struct pg_point){ .module = module, .address = address };
                *entry = (uint32_t)++m->n_points;
        }
        *ret = *entry - 1;
        return true;
}

/* Place 0 of no module is what the agent had no room to tell apart. Other code in no file, such as what a JIT
 * compiler made, lies elsewhere in each run: one name for all of it, or each run would have functions of its
 * own. */
static bool name_rest(struct pg_code_map *m, struct pg_point *p, struct pg_error *err)
{
        struct pg_frame *f = pg_arena_calloc(m->arena, 1, sizeof(*f));
        if (!f)
                return pg_fail_nomem(err);
        f->name = f->system_name = f->identity = p->address ? "[no file]" : "[other]";
        p->where = (struct pg_location){ f, 1, true };
        return true;
}

static bool symbolize_module(struct pg_code_map *m, uint32_t module, uint64_t *addresses,
                             struct pg_location *found, struct pg_error *err)
{
        size_t n = 0;
        for (size_t i = 0; i < m->n_points; i++)
                if (m->points[i].module == module)
                        addresses[n++] = m->points[i].address;
        const char *path = m->modules[module].path;
        if (!pg_symbolize(m->symbolizer, path, addresses, n, found, err))
                return false;
        const char *name = pg_module_name(path);
        n = 0;
        for (size_t i = 0; i < m->n_points; i++) {
                struct pg_point *p = &m->points[i];
                if (p->module != module)
                        continue;
                p->where = found[n++];
                if (path[0] == '\0' && !name_rest(m, p, err))
                        return false;
                p->function = p->where.frames[p->where.n_frames - 1].identity;
                p->module_name = name;
        }
        return true;
}

/* O(modules * points): modules are few, and each is symbolized in one batch. */
bool pg_code_map_symbolize(struct pg_code_map *m, struct pg_error *err)
{
        PG_AUTO_FREE uint64_t *addresses = calloc(m->n_points + 1, sizeof(*addresses));
        PG_AUTO_FREE struct pg_location *found = calloc(m->n_points + 1, sizeof(*found));
        if (!addresses || !found)
                return pg_fail_nomem(err);
        for (uint32_t i = 0; i < m->n_modules; i++)
                if (!symbolize_module(m, i, addresses, found, err))
                        return false;
        return true;
}

const struct pg_point *pg_code_map_point(const struct pg_code_map *m, uint32_t point)
{
        return &m->points[point];
}

size_t pg_code_map_count(const struct pg_code_map *m)
{
        return m->n_points;
}

static bool export_module(struct pg_code_map *m, const struct module *module, struct pg_profile_builder *b,
                          int32_t *ret, struct pg_error *err)
{
        const char *build_id = pg_symbolizer_build_id(m->symbolizer, module->path);
        return pg_profile_add_mapping(b, module->start, module->end, module->path, build_id, ret, err);
}

bool pg_code_map_add_program(struct pg_code_map *m, const struct pg_captured_process *p, struct pg_error *err)
{
        for (uint32_t i = 0; i < p->n_modules; i++) {
                uint32_t module;
                if (p->modules[i].is_main && !pg_code_map_add_module(m, p, i, &module, err))
                        return false;
        }
        return true;
}

bool pg_code_map_export_program(struct pg_code_map *m, struct pg_profile_builder *b, struct pg_error *err)
{
        int32_t mapping;
        for (size_t i = 0; i < m->n_modules; i++)
                if (m->modules[i].is_main)
                        return export_module(m, &m->modules[i], b, &mapping, err);
        return true;
}

bool pg_code_map_export(struct pg_code_map *m, uint32_t point, struct pg_profile_builder *b,
                        uint32_t *ret_location, struct pg_error *err)
{
        const struct pg_point *p = &m->points[point];
        const struct module *module = &m->modules[p->module];
        int32_t mapping = -1;
        if (module->path[0] != '\0' && !export_module(m, module, b, &mapping, err))
                return false;
        return pg_profile_add_location(b, mapping, p->address + module->bias, &p->where, ret_location, err);
}
