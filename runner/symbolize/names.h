// SPDX-License-Identifier: MIT
/*
 * names.h - every symbol name is demangled and reduced to its identity once.
 */
#ifndef PG_SYMBOLIZE_NAMES_H
#define PG_SYMBOLIZE_NAMES_H

#include <stddef.h>

#include "runner/base/arena.h"

struct pg_name {
        const char *system_name, *name, *identity;
};

struct pg_names {
        struct pg_arena *arena; // where the strings live; not owned
        struct pg_name *slots;  // open addressing, a power of two; owned
        size_t n, capacity;
};

/** The three forms of system_name; NULL when out of memory. Valid until the next call. */
const struct pg_name *pg_names_get(struct pg_names *names, const char *system_name);
void pg_names_deinit(struct pg_names *names);

#endif
