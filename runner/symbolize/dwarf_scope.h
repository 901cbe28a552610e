// SPDX-License-Identifier: MIT
/*
 * dwarf_scope.h - names with their namespaces for functions of C++ that have no linkage name: lambdas, and
 * what stands in anonymous namespaces and in functions.
 */
#ifndef PG_SYMBOLIZE_DWARF_SCOPE_H
#define PG_SYMBOLIZE_DWARF_SCOPE_H

#include <elfutils/libdw.h>

#include "runner/base/arena.h"

/* What was found so far. All zero at first. */
struct pg_dwarf_scopes {
        struct pg_arena *arena;
        struct pg_scope_unit *units; // those that were asked about
        size_t n_units;
};

/**
 * "(anonymous namespace)::grow", "parse(int)::{lambda}::operator()": the name of a function, or of an inlined
 * call of one, with the scopes that it is declared in. Its own parameters are not in it.
 *
 * Returns NULL when the unit is not C++, when there is no name, or out of memory; else lives until
 * pg_dwarf_scopes_deinit. The first call for a unit walks all of it, later ones take O(log(unit) * depth).
 */
const char *pg_dwarf_scoped_name(struct pg_dwarf_scopes *s, Dwarf_Die *die);
void pg_dwarf_scopes_deinit(struct pg_dwarf_scopes *s);

/** The linkage name that die, or what it refers to, has; NULL when there is none. */
const char *pg_dwarf_linkage_name(Dwarf_Die *die);

#endif
