// SPDX-License-Identifier: MIT
/*
 * modules.c - the slot's table of loaded files, filled as addresses in them turn up.
 *
 * The loader's own lock-free look-up gives the object of an address, in a signal handler too. An entry is
 * reserved by one atomic add and published by its ready word; two threads that meet a new module at once may
 * both add it, which the reader merges by path. Entries are never removed: places recorded before a dlclose
 * keep their meaning.
 */
#include "runner/agent/modules.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "runner/agent/attach.h"
#include "runner/agent/build_id.h"
#include "runner/agent/raw.h"

static bool is_entry(const struct pg_module *m, const struct dl_find_object *o)
{
        return atomic_load_explicit(&m->ready, memory_order_acquire) &&
               m->start == (uintptr_t)o->dlfo_map_start && m->end == (uintptr_t)o->dlfo_map_end;
}

static uint32_t module_count(void)
{
        uint32_t n = atomic_load_explicit(&agent.slot->n_modules, memory_order_acquire);
        return n < PG_MODULES_MAX ? n : PG_MODULES_MAX;
}

/* Another file may have been mapped exactly where an unloaded one was: names decide. */
static bool is_same_file(const struct pg_module *m, const struct link_map *map)
{
        if (m->bias != map->l_addr)
                return false;
        if (m->flags || map->l_name[0] == '\0')
                return true; // the program and the vDSO stay
        const char *name = raw_without_dot(map->l_name);
        size_t wanted = strlen(name), have = strlen(m->path);
        return have >= PG_PATH_MAX_BYTES - 1 ||
               (have >= wanted && strcmp(m->path + have - wanted, name) == 0);
}

static void name_module(struct pg_module *m, const struct link_map *map)
{
        const void *vdso = (const void *)getauxval(AT_SYSINFO_EHDR);
        if (vdso && (uintptr_t)vdso >= m->start && (uintptr_t)vdso < m->end) {
                m->flags = PG_MODULE_VDSO;
                strcpy(m->path, "[vdso]");
        } else if (map->l_name[0] == '\0') {
                m->flags = PG_MODULE_MAIN;
                raw_program_path(m->path);
        } else {
                raw_absolute_path(map->l_name, m->path, sizeof(m->path));
        }
}

static uint32_t add_module(const struct dl_find_object *o)
{
        uint32_t i = atomic_fetch_add_explicit(&agent.slot->n_modules, 1, memory_order_relaxed);
        if (i >= PG_MODULES_MAX) {
                atomic_store_explicit(&agent.slot->n_modules, PG_MODULES_MAX, memory_order_relaxed);
                return PG_MODULE_NONE;
        }
        struct pg_module *m = &agent.modules[i];
        m->start = (uintptr_t)o->dlfo_map_start;
        m->end = (uintptr_t)o->dlfo_map_end;
        m->bias = o->dlfo_link_map->l_addr;
        name_module(m, o->dlfo_link_map);
        m->build_id_bytes = build_id_of(o, m->build_id);
        atomic_store_explicit(&m->ready, 1, memory_order_release);
        return i;
}

uint32_t agent_module(const struct dl_find_object *o)
{
        for (uint32_t i = 0, n = module_count(); i < n; i++)
                if (is_entry(&agent.modules[i], o) && is_same_file(&agent.modules[i], o->dlfo_link_map))
                        return i;
        return add_module(o);
}
