// SPDX-License-Identifier: MIT
/*
 * names.c - every symbol name is demangled and reduced to its identity once.
 *
 * What people read has no symbol version: "memcpy@@GLIBC_2.14" is shown as memcpy, "foo@plt" stays.
 */
#include "runner/symbolize/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/symbolize.h"

static uint64_t hash(const char *s)
{
        uint64_t h = 14695981039346656037u; // FNV-1a
        for (; *s; s++)
                h = (h ^ (unsigned char)*s) * 1099511628211u;
        return h ^ (h >> 32);
}

static struct pg_name *slot_of(struct pg_name *slots, size_t capacity, const char *system_name)
{
        size_t i = hash(system_name) & (capacity - 1);
        while (slots[i].system_name && strcmp(slots[i].system_name, system_name) != 0)
                i = (i + 1) & (capacity - 1);
        return &slots[i];
}

static bool make_room(struct pg_names *names)
{
        if (names->capacity && names->n < names->capacity / 2)
                return true;
        size_t capacity = names->capacity ? 2 * names->capacity : 256;
        struct pg_name *slots = calloc(capacity, sizeof(*slots));
        if (!slots)
                return false;
        for (size_t i = 0; i < names->capacity; i++)
                if (names->slots[i].system_name)
                        *slot_of(slots, capacity, names->slots[i].system_name) = names->slots[i];
        free(names->slots);
        names->slots = slots;
        names->capacity = capacity;
        return true;
}

static const char *demangle_base(struct pg_names *names, const char *system_name)
{
        const char *at = strchr(system_name, '@');
        if (!at || at == system_name)
                return pg_demangle(system_name, names->arena);
        const char *base = pg_arena_strndup(names->arena, system_name, (size_t)(at - system_name));
        base = base ? pg_demangle(base, names->arena) : NULL;
        if (base && strcmp(at, "@plt") == 0)
                return pg_arena_printf(names->arena, "%s@plt", base);
        return base;
}

const struct pg_name *pg_names_get(struct pg_names *names, const char *system_name)
{
        if (!make_room(names))
                return NULL;
        struct pg_name *slot = slot_of(names->slots, names->capacity, system_name);
        if (slot->system_name)
                return slot;
        struct pg_name made = { .system_name = pg_arena_strdup(names->arena, system_name) };
        if (!made.system_name || !(made.name = demangle_base(names, made.system_name)) ||
            !(made.identity = pg_function_identity(made.name, names->arena)))
                return NULL;
        *slot = made;
        names->n++;
        return slot;
}

void pg_names_deinit(struct pg_names *names)
{
        free(names->slots);
        names->slots = NULL;
        names->n = names->capacity = 0;
}
