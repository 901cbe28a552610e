// SPDX-License-Identifier: MIT
/*
 * dwarf_scope.c - names with their namespaces for functions of C++ that have no linkage name.
 *
 * libdw's own search for scopes walks a unit anew each time, so the scopes of a unit are listed once. A name is
 * put together outwards, up to a function with a linkage name, which has all of its own scopes in it.
 */
#include "runner/symbolize/dwarf_scope.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/buf.h"
#include "runner/symbolize/symbolize.h"

enum { MAX_REFERENCES = 8, MAX_DEPTH = 128, MAX_PARTS = 32 };
enum { CPP_17 = 0x2b, CPP_20 = 0x2c }; // languages that older headers lack

/* A namespace, type, function or block of a unit. */
struct scope {
        Dwarf_Die die;
        uint32_t parent;  // index; that of the first scope, the unit itself, is its own
        const char *name; // whole, once it was asked for
};

/* All scopes of a unit in the order of the file, so by address. */
struct pg_scope_unit {
        const Dwarf_CU *cu;
        struct scope *scopes;
        size_t n, capacity;
};

const char *pg_dwarf_linkage_name(Dwarf_Die *die)
{
        Dwarf_Attribute attribute;
        const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
        return name ? name : dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
}

static bool is_cpp(Dwarf_Die *unit)
{
        int language = dwarf_srclang(unit);
        return language == DW_LANG_C_plus_plus || language == DW_LANG_C_plus_plus_03 ||
               language == DW_LANG_C_plus_plus_11 || language == DW_LANG_C_plus_plus_14 ||
               language == CPP_17 || language == CPP_20;
}

/* From an inlined call or a body to where the function is declared. */
static Dwarf_Die declaration_of(const Dwarf_Die *die)
{
        Dwarf_Die at = *die, next;
        for (int i = 0; i < MAX_REFERENCES; i++) {
                Dwarf_Attribute reference;
                if (!dwarf_formref_die(dwarf_attr(&at, DW_AT_abstract_origin, &reference), &next) &&
                    !dwarf_formref_die(dwarf_attr(&at, DW_AT_specification, &reference), &next))
                        break;
                at = next;
        }
        return at;
}

/* ---- the scopes of a unit ---- */

static bool is_scope(int tag)
{
        return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
               tag == DW_TAG_union_type || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block;
}

static bool add_scope(struct pg_scope_unit *u, const Dwarf_Die *die, uint32_t parent)
{
        if (u->n == u->capacity) {
                size_t capacity = u->capacity ? 2 * u->capacity : 256;
                struct scope *scopes = realloc(u->scopes, capacity * sizeof(*scopes));
                if (!scopes)
                        return false;
                u->scopes = scopes;
                u->capacity = capacity;
        }
        u->scopes[u->n++] = (struct scope){ .die = *die, .parent = parent };
        return true;
}

static bool add_scopes(struct pg_scope_unit *u, Dwarf_Die *parent, uint32_t parent_index, unsigned depth)
{
        Dwarf_Die die;
        if (depth > MAX_DEPTH || dwarf_child(parent, &die) != 0)
                return true;
        do {
                if (!is_scope(dwarf_tag(&die)))
                        continue;
                uint32_t index = (uint32_t)u->n;
                if (!add_scope(u, &die, parent_index) || !add_scopes(u, &die, index, depth + 1))
                        return false;
        } while (dwarf_siblingof(&die, &die) == 0);
        return true;
}

/* The unit that die is in, with its scopes; NULL when out of memory. */
static struct pg_scope_unit *unit_of(struct pg_dwarf_scopes *s, const Dwarf_Die *die)
{
        for (size_t i = s->n_units; i > 0; i--)
                if (s->units[i - 1].cu == die->cu)
                        return &s->units[i - 1];
        if ((s->n_units & (s->n_units - 1)) == 0) { // a power of two: full
                size_t capacity = s->n_units ? 2 * s->n_units : 1;
                struct pg_scope_unit *units = realloc(s->units, capacity * sizeof(*units));
                if (!units)
                        return NULL;
                s->units = units;
        }
        struct pg_scope_unit *u = &s->units[s->n_units++];
        *u = (struct pg_scope_unit){ .cu = die->cu };
        Dwarf_Die at = *die, top;
        if (!dwarf_diecu(&at, &top, NULL, NULL) || !is_cpp(&top) || !add_scope(u, &top, 0) ||
            !add_scopes(u, &top, 0, 0))
                u->n = 0; // it has no names, then
        return u;
}

static struct scope *find_scope(const struct pg_scope_unit *u, const Dwarf_Die *die)
{
        size_t low = 0, high = u->n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if ((const char *)u->scopes[mid].die.addr < (const char *)die->addr)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < u->n && u->scopes[low].die.addr == die->addr ? &u->scopes[low] : NULL;
}

/* ---- names ---- */

/* What a scope is called; NULL for those that no name shows. inner: the part inside of it. */
static const char *part_of(Dwarf_Die *scope, const char *inner)
{
        const char *name = dwarf_diename(scope);
        switch (dwarf_tag(scope)) {
        case DW_TAG_namespace:
                return name ? name : "(anonymous namespace)";
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
                return name ? name : strncmp(inner, "operator()", 10) == 0 ? "{lambda}" : "{unnamed}";
        case DW_TAG_subprogram:
                return name;
        default:
                return NULL;
        }
}

/* The scopes around a function, innermost first, up to one that names all that are around it. */
static size_t collect_parts(const struct pg_scope_unit *u, struct scope *function, struct pg_arena *a,
                            const char *parts[MAX_PARTS])
{
        const struct scope *at = function;
        size_t n = 0;
        parts[n++] = dwarf_diename(&function->die);
        while (parts[0] && at && at->parent != 0 && n < MAX_PARTS) {
                Dwarf_Die die = u->scopes[at->parent].die;
                bool is_function = dwarf_tag(&die) == DW_TAG_subprogram;
                const char *linkage = is_function ? pg_dwarf_linkage_name(&die) : NULL;
                if (linkage) {
                        parts[n++] = pg_demangle(linkage, a);
                        break;
                }
                die = declaration_of(&die);
                const char *part = part_of(&die, parts[n - 1]);
                if (part)
                        parts[n++] = part;
                at = find_scope(u, &die);
        }
        return parts[0] ? n : 0;
}

static const char *make_name(const struct pg_scope_unit *u, struct scope *function, struct pg_arena *a)
{
        const char *parts[MAX_PARTS];
        size_t n = collect_parts(u, function, a, parts);
        PG_AUTO_BUF struct pg_buf out = { 0 };
        for (size_t i = n; i > 0; i--) {
                if (!parts[i - 1])
                        return NULL;
                pg_buf_printf(&out, "%s%s", parts[i - 1], i > 1 ? "::" : "");
        }
        return n && !out.failed ? pg_arena_strdup(a, out.data) : NULL;
}

const char *pg_dwarf_scoped_name(struct pg_dwarf_scopes *s, Dwarf_Die *die)
{
        Dwarf_Die declaration = declaration_of(die);
        struct pg_scope_unit *u = unit_of(s, &declaration);
        struct scope *function = u ? find_scope(u, &declaration) : NULL;
        if (!function || (!s->arena && !(s->arena = pg_arena_create())))
                return NULL;
        if (!function->name)
                function->name = make_name(u, function, s->arena);
        return function->name;
}

void pg_dwarf_scopes_deinit(struct pg_dwarf_scopes *s)
{
        for (size_t i = 0; i < s->n_units; i++)
                free(s->units[i].scopes);
        free(s->units);
        pg_arena_destroy(s->arena);
        *s = (struct pg_dwarf_scopes){ 0 };
}
