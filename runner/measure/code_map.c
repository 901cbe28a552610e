// SPDX-License-Identifier: MIT
/*
 * code_map.c - points interned in an open hash table; symbolized one module at a time.
 */
#include "runner/measure/code_map.h"

#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/jit_map.h"

struct module {
        const char *path;          // "" for no module
        const char *build_id;      // of what was loaded, "" when unknown
        uint64_t start, end, bias; // as the first process had it
        bool is_main;
        const struct pg_profile_builder *exported_to; // the last one, where it is `mapping`
        int32_t mapping;
};

/* Holds what is compared, so that a look-up among many points reads one cache line. */
struct entry {
        uint64_t address;
        uint32_t module;
        uint32_t point; // plus 1; 0: empty
};

struct pg_code_map {
        struct pg_arena *arena;
        struct pg_symbolizer *symbolizer;
        struct module *modules;
        size_t n_modules;
        struct pg_point *points;
        size_t n_points, capacity;
        struct entry *table;
        size_t table_size; // a power of two
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

static bool add_module(struct pg_code_map *m, const struct pg_captured_module *c, const char *build_id,
                       uint32_t *ret, struct pg_error *err)
{
        for (size_t i = 0; i < m->n_modules; i++)
                if (strcmp(m->modules[i].path, c->path) == 0 &&
                    strcmp(m->modules[i].build_id, build_id) == 0) {
                        *ret = (uint32_t)i;
                        return true;
                }
        m->modules = pg_arena_grow(m->arena, m->modules, m->n_modules, sizeof(*m->modules));
        const char *path = m->modules ? pg_arena_strdup(m->arena, c->path) : NULL;
        const char *id = path ? pg_arena_strdup(m->arena, build_id) : NULL;
        if (!id)
                return pg_fail_nomem(err);
        m->modules[m->n_modules] =
                (struct module){ path, id, c->start, c->end, c->bias, c->is_main, NULL, -1 };
        *ret = (uint32_t)m->n_modules++;
        return true;
}

bool pg_code_map_add_pseudo(struct pg_code_map *m, uint32_t *ret, struct pg_error *err)
{
        return add_module(m, &(const struct pg_captured_module){ .path = "" }, "", ret, err);
}

bool pg_code_map_add_module(struct pg_code_map *m, const struct pg_captured_process *p,
                            uint32_t index_in_process, uint32_t *ret, struct pg_error *err)
{
        if (index_in_process < p->n_modules)
                return add_module(m, &p->modules[index_in_process],
                                  p->build_ids ? p->build_ids[index_in_process] : "", ret, err);
        char path[PG_JIT_MAP_PATH];
        const struct pg_captured_module made = { .path = path };
        if (pg_jit_map_find(p->pid, p->start_ns, path))
                return add_module(m, &made, "", ret, err);
        return pg_code_map_add_pseudo(m, ret, err);
}

static size_t hash(uint32_t module, uint64_t address)
{
        uint64_t h = (address ^ (uint64_t)module << 48) * 0x9e3779b97f4a7c15ull;
        return (size_t)(h ^ h >> 29);
}

static struct entry *find_entry(const struct pg_code_map *m, uint32_t module, uint64_t address)
{
        for (size_t i = hash(module, address);; i++) {
                struct entry *e = &m->table[i & (m->table_size - 1)];
                if (!e->point || (e->module == module && e->address == address))
                        return e;
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
        struct entry *table = calloc(2 * capacity, sizeof(*table));
        if (!table)
                return false;
        free(m->table);
        m->table = table;
        m->table_size = 2 * capacity;
        m->capacity = capacity;
        for (size_t i = 0; i < m->n_points; i++)
                *find_entry(m, points[i].module, points[i].address) =
                        (struct entry){ points[i].address, points[i].module, (uint32_t)i + 1 };
        return true;
}

bool pg_code_map_intern(struct pg_code_map *m, uint32_t module, uint64_t address, uint32_t *ret,
                        struct pg_error *err)
{
        if (m->n_points == m->capacity && !grow(m))
                return pg_fail_nomem(err);
        struct entry *e = find_entry(m, module, address);
        if (!e->point) {
                m->points[m->n_points] = (struct pg_point){ .module = module, .address = address };
                *e = (struct entry){ address, module, (uint32_t)++m->n_points };
        }
        *ret = e->point - 1;
        return true;
}

/* ---- names ---- */

static const char *pseudo_name(uint64_t address)
{
        static const char *const names[PG_NODE_FIRST] = {
                [PG_NODE_ROOT] = "[unknown]",
                [PG_NODE_OTHER] = "[other]",
                [PG_NODE_TRUNCATED] = "[truncated]",
                [PG_NODE_UNKNOWN] = "[unknown]",
                [PG_NODE_INHERITED] = "[inherited]",
                /* Innermost frames by then (lock_stacks.h). */
                [PG_NODE_WAITER] = "pthread_mutex_lock",
                [PG_NODE_READER] = "pthread_rwlock_rdlock",
                [PG_NODE_WRITER] = "pthread_rwlock_wrlock",
                [PG_NODE_CONDITION] = "pthread_cond_wait",
                [PG_NODE_HOLDER] = "pthread_mutex_unlock",
                [PG_NODE_RWHOLDER] = "pthread_rwlock_unlock",
                [PG_NODE_RELEASER] = "pthread_cond_wait",
        };
        return address < PG_NODE_FIRST && names[address] ? names[address] : NULL;
}

/* Code in no file lies elsewhere in each run: one name for all of it that nobody wrote down, or each run would have
 * functions of its own. */
static bool name_rest(struct pg_code_map *m, struct pg_point *p, struct pg_error *err)
{
        struct pg_frame *f = pg_arena_calloc(m->arena, 1, sizeof(*f));
        if (!f)
                return pg_fail_nomem(err);
        const char *pseudo = m->modules[p->module].path[0] ? NULL : pseudo_name(p->address);
        f->name = f->system_name = f->identity = pseudo ? pseudo : "[no file]";
        p->where = (struct pg_location){ f, 1, true };
        return true;
}

static bool is_made_at_run_time(const struct module *module)
{
        return module->path[0] == '\0' || pg_is_jit_map(module->path);
}

/* Where to look for names: another build that lies there by now has wrong ones. */
static const char *file_of(struct pg_code_map *m, const struct module *module)
{
        const char *there = pg_symbolizer_build_id(m->symbolizer, module->path);
        if (!module->build_id[0] || !there[0] || strcmp(there, module->build_id) == 0)
                return module->path;
        return pg_arena_printf(m->arena, "%s (replaced)", module->path);
}

/* Points of one module: n indices, in any order. */
static bool symbolize_module(struct pg_code_map *m, uint32_t module, const uint32_t *order, size_t n,
                             uint64_t *addresses, struct pg_location *found, struct pg_error *err)
{
        const struct module *of = &m->modules[module];
        for (size_t i = 0; i < n; i++)
                addresses[i] = m->points[order[i]].address;
        const char *file = of->path[0] ? file_of(m, of) : "";
        if (!file)
                return pg_fail_nomem(err);
        if (file[0] == '\0')
                memset(found, 0, n * sizeof(*found));
        else if (!pg_symbolize(m->symbolizer, file, addresses, n, found, err))
                return false;
        for (size_t i = 0; i < n; i++) {
                struct pg_point *p = &m->points[order[i]];
                p->where = found[i];
                if (is_made_at_run_time(of) && !found[i].has_symbol && !name_rest(m, p, err))
                        return false;
                p->function = p->where.frames[p->where.n_frames - 1].identity;
                p->module_name = pg_module_name(of->path);
        }
        return true;
}

/* Sorts the wanted points by module: order gets their indices; those of module i are from starts[i] to
 * starts[i + 1]. */
static void sort_by_module(const struct pg_code_map *m, const uint8_t *marks, uint32_t *order, size_t *starts)
{
        for (size_t i = 0; i < m->n_points; i++)
                if (!marks || marks[i])
                        starts[m->points[i].module]++;
        for (size_t i = 1; i <= m->n_modules; i++)
                starts[i] += starts[i - 1];
        for (size_t i = m->n_points; i-- > 0;)
                if (!marks || marks[i])
                        order[--starts[m->points[i].module]] = (uint32_t)i;
}

bool pg_code_map_symbolize(struct pg_code_map *m, const uint8_t *marks, struct pg_error *err)
{
        PG_AUTO_FREE uint64_t *addresses = calloc(m->n_points + 1, sizeof(*addresses));
        PG_AUTO_FREE struct pg_location *found = calloc(m->n_points + 1, sizeof(*found));
        PG_AUTO_FREE uint32_t *order = calloc(m->n_points + 1, sizeof(*order));
        PG_AUTO_FREE size_t *starts = calloc(m->n_modules + 1, sizeof(*starts));
        if (!addresses || !found || !order || !starts)
                return pg_fail_nomem(err);
        sort_by_module(m, marks, order, starts);
        for (uint32_t i = 0; i < m->n_modules; i++)
                if (starts[i + 1] > starts[i] &&
                    !symbolize_module(m, i, order + starts[i], starts[i + 1] - starts[i], addresses, found,
                                      err))
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

static bool export_module(struct pg_code_map *m, struct module *module, struct pg_profile_builder *b,
                          struct pg_error *err)
{
        if (module->exported_to == b)
                return true;
        const char *build_id =
                module->build_id[0] ? module->build_id : pg_symbolizer_build_id(m->symbolizer, module->path);
        if (!pg_profile_add_mapping(b, module->start, module->end, module->path, build_id, &module->mapping,
                                    err))
                return false;
        module->exported_to = b;
        return true;
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
        for (size_t i = 0; i < m->n_modules; i++)
                m->modules[i].exported_to = NULL; // a new builder may lie where an old one lay
        for (size_t i = 0; i < m->n_modules; i++)
                if (m->modules[i].is_main)
                        return export_module(m, &m->modules[i], b, err);
        return true;
}

bool pg_code_map_export(struct pg_code_map *m, uint32_t point, struct pg_profile_builder *b,
                        uint32_t *ret_location, struct pg_error *err)
{
        const struct pg_point *p = &m->points[point];
        struct module *module = &m->modules[p->module];
        if (!is_made_at_run_time(module) && !export_module(m, module, b, err))
                return false;
        return pg_profile_add_location(b, module->mapping, p->address + module->bias, &p->where, ret_location,
                                       err);
}
