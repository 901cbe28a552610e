// SPDX-License-Identifier: MIT
/*
 * dwarf.c - source lines and inlined functions of one ELF file's DWARF, by libdw.
 *
 * libdw's own scope search walks a unit from its top for each address, and .debug_aranges is missing where
 * clang compiled. So we keep three small indices, each made when first needed: units by address, functions
 * of a touched unit, inlined calls of the function looked at last. Out of memory shows as "unknown".
 */
#include "runner/symbolize/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/dwarf_padding.h"
#include "runner/symbolize/dwarf_scope.h"

enum { MAX_DEPTH = 128, MAX_OVERLAP = 16 };

struct span {
        Dwarf_Addr low, high;
        size_t owner; // index of a unit, or of a function
};

struct spans {
        struct span *items; // by low once sorted
        size_t n, capacity;
};

struct inlined {
        Dwarf_Addr low, high;
        Dwarf_Die die;
        size_t depth;
};

struct unit {
        Dwarf_Die lines, code; // differ where the code's tree is in a .dwo file
        bool indexed;
        Dwarf_Die *functions;
        size_t n_functions, capacity;
        struct spans spans;
};

struct pg_dwarf {
        Dwarf *dwarf;
        struct pg_dwarf_padding padding;
        const Dwarf *split; // the .dwo file that was met last
        bool split_usable;
        struct unit *units;
        size_t n_units, capacity;
        struct spans spans;
        const void *current; // address of the function tree that inlines was made from
        struct inlined *inlines;
        size_t n_inlines, inlines_capacity;
        struct pg_dwarf_scopes scopes;
};

/* Room for one more of an array that doubles; false when out of memory. */
static bool make_room(void *array, size_t n, size_t *capacity, size_t size)
{
        void **storage = array;
        if (n < *capacity)
                return true;
        size_t wanted = *capacity ? 2 * *capacity : 16;
        void *p = reallocarray(*storage, wanted, size);
        if (!p)
                return false;
        *storage = p;
        *capacity = wanted;
        return true;
}

static int by_low(const void *pa, const void *pb)
{
        const struct span *a = pa, *b = pb;
        if (a->low != b->low)
                return a->low < b->low ? -1 : 1;
        return a->owner < b->owner ? -1 : a->owner > b->owner;
}

/* Adds each address range of die. Zero is where linkers leave code that they threw away. */
static bool add_spans(struct spans *s, Dwarf_Die *die, size_t owner)
{
        Dwarf_Addr base, low, high;
        for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
                if (low == 0 || high <= low)
                        continue;
                if (!make_room(&s->items, s->n, &s->capacity, sizeof(*s->items)))
                        return false;
                s->items[s->n++] = (struct span){ low, high, owner };
        }
        return true;
}

static void sort_spans(struct spans *s)
{
        if (s->n)
                qsort(s->items, s->n, sizeof(*s->items), by_low);
}

/* The span around address that begins last; NULL when there is none. */
static const struct span *find_span(const struct spans *s, Dwarf_Addr address)
{
        size_t low = 0, high = s->n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (s->items[mid].low <= address)
                        low = mid + 1;
                else
                        high = mid;
        }
        for (size_t tries = 0; low > 0 && tries < MAX_OVERLAP; low--, tries++)
                if (address < s->items[low - 1].high)
                        return &s->items[low - 1];
        return NULL;
}

/* ---- units ---- */

static bool index_units(struct pg_dwarf *d)
{
        Dwarf_CU *cu = NULL;
        Dwarf_Half version;
        uint8_t type;
        Dwarf_Die die;
        while (dwarf_get_units(d->dwarf, cu, &cu, &version, &type, &die, NULL) == 0) {
                if (type != DW_UT_compile && type != DW_UT_skeleton)
                        continue;
                if (!make_room(&d->units, d->n_units, &d->capacity, sizeof(*d->units)) ||
                    !add_spans(&d->spans, &die, d->n_units))
                        return false;
                d->units[d->n_units++] = (struct unit){ .lines = die, .code = die };
        }
        sort_spans(&d->spans);
        return true;
}

/* The file, and the one with shared strings that it may name. */
static bool open_padded(struct pg_dwarf *d, Elf *elf)
{
        d->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
        if (!d->dwarf || !pg_dwarf_pad(d->dwarf, &d->padding))
                return false;
        Dwarf *shared = dwarf_getalt(d->dwarf);
        return !shared || pg_dwarf_pad(shared, &d->padding);
}

struct pg_dwarf *pg_dwarf_create(Elf *elf)
{
        struct pg_dwarf *d = calloc(1, sizeof(*d));
        if (!d)
                return NULL;
        if (!open_padded(d, elf) || !index_units(d)) {
                pg_dwarf_destroy(d);
                return NULL;
        }
        return d;
}

void pg_dwarf_destroy(struct pg_dwarf *d)
{
        if (!d)
                return;
        for (size_t i = 0; i < d->n_units; i++) {
                free(d->units[i].functions);
                free(d->units[i].spans.items);
        }
        free(d->units);
        free(d->spans.items);
        free(d->inlines);
        pg_dwarf_scopes_deinit(&d->scopes);
        pg_dwarf_padding_deinit(&d->padding); // first: libdw closes files that it opened itself
        dwarf_end(d->dwarf);
        free(d);
}

/* ---- functions of a unit ---- */

static bool add_function(struct unit *u, Dwarf_Die *die)
{
        if (!make_room(&u->functions, u->n_functions, &u->capacity, sizeof(*u->functions)) ||
            !add_spans(&u->spans, die, u->n_functions))
                return false;
        u->functions[u->n_functions++] = *die;
        return true;
}

/* Functions with code stand in the unit or in namespaces, never only inside a type. */
static bool add_functions(struct unit *u, Dwarf_Die *parent, unsigned depth)
{
        Dwarf_Die die;
        if (depth > MAX_DEPTH || dwarf_child(parent, &die) != 0)
                return true;
        do {
                int tag = dwarf_tag(&die);
                if (tag == DW_TAG_subprogram && !add_function(u, &die))
                        return false;
                if ((tag == DW_TAG_namespace || tag == DW_TAG_module) && !add_functions(u, &die, depth + 1))
                        return false;
        } while (dwarf_siblingof(&die, &die) == 0);
        return true;
}

/* Whether a .dwo file is usable. One with many units comes here with each of them. */
static bool pad_split(struct pg_dwarf *d, Dwarf *split)
{
        if (d->split != split) {
                d->split = split;
                d->split_usable = pg_dwarf_pad_strings(split, &d->padding);
        }
        return d->split_usable;
}

static void index_functions(struct pg_dwarf *d, struct unit *u)
{
        Dwarf_Half version;
        uint8_t type;
        Dwarf_Die die, split;
        u->indexed = true;
        if (dwarf_cu_info(u->lines.cu, &version, &type, &die, &split, NULL, NULL, NULL) == 0 &&
            type == DW_UT_skeleton && split.addr && pad_split(d, dwarf_cu_getdwarf(split.cu)))
                u->code = split;
        if (!add_functions(u, &u->code, 0))
                u->spans.n = 0;
        sort_spans(&u->spans);
}

/* ---- inlined calls of a function ---- */

static bool add_inlined(struct pg_dwarf *d, Dwarf_Die *die, size_t depth)
{
        Dwarf_Addr base, low, high;
        for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
                if (!make_room(&d->inlines, d->n_inlines, &d->inlines_capacity, sizeof(*d->inlines)))
                        return false;
                d->inlines[d->n_inlines++] = (struct inlined){ low, high, *die, depth };
        }
        return true;
}

static bool add_inlines(struct pg_dwarf *d, Dwarf_Die *parent, size_t depth, unsigned nesting)
{
        Dwarf_Die die;
        if (depth >= PG_MAX_INLINES || nesting > MAX_DEPTH || dwarf_child(parent, &die) != 0)
                return true;
        do {
                int tag = dwarf_tag(&die);
                bool call = tag == DW_TAG_inlined_subroutine;
                if (call && !add_inlined(d, &die, depth))
                        return false;
                bool block =
                        tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
                if ((call || block) && !add_inlines(d, &die, depth + call, nesting + 1))
                        return false;
        } while (dwarf_siblingof(&die, &die) == 0);
        return true;
}

static void index_inlines(struct pg_dwarf *d, Dwarf_Die *function)
{
        if (d->current == function->addr)
                return;
        d->current = function->addr;
        d->n_inlines = 0;
        if (!add_inlines(d, function, 0, 0))
                d->n_inlines = 0;
}

/* The inlined calls around address, outermost first. */
static size_t inlines_at(struct pg_dwarf *d, Dwarf_Addr address, Dwarf_Die *ret[PG_MAX_INLINES])
{
        size_t n = 0;
        for (size_t i = 0; i < d->n_inlines; i++) {
                struct inlined *call = &d->inlines[i];
                if (call->depth == n && address >= call->low && address < call->high)
                        ret[n++] = &call->die;
        }
        return n;
}

/* ---- attributes ---- */

static const char *name_of(struct pg_dwarf *d, Dwarf_Die *die)
{
        const char *name = pg_dwarf_linkage_name(die);
        if (!name)
                name = pg_dwarf_scoped_name(&d->scopes, die);
        return name ? name : dwarf_diename(die);
}

static uint32_t number_of(Dwarf_Die *die, unsigned name)
{
        Dwarf_Attribute attribute;
        Dwarf_Word value;
        if (dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &value) != 0 || value > UINT32_MAX)
                return 0;
        return (uint32_t)value;
}

static const char *call_file(Dwarf_Die *unit, Dwarf_Die *call)
{
        Dwarf_Files *files;
        size_t n;
        uint32_t i = number_of(call, DW_AT_call_file);
        if (dwarf_getsrcfiles(unit, &files, &n) != 0 || i >= n)
                return NULL;
        return dwarf_filesrc(files, i, NULL, NULL);
}

static void find_line(Dwarf_Die *unit, Dwarf_Addr address, struct pg_dwarf_frame *f)
{
        int line;
        Dwarf_Line *found = dwarf_getsrc_die(unit, address);
        if (!found)
                return;
        f->file = dwarf_linesrc(found, NULL, NULL);
        if (f->file && dwarf_lineno(found, &line) == 0 && line > 0)
                f->line = (uint32_t)line;
}

/* Names the function of a frame. */
static void describe(struct pg_dwarf *d, struct pg_dwarf_frame *f, Dwarf_Die *die)
{
        f->system_name = name_of(d, die);
        f->start_line = number_of(die, DW_AT_decl_line);
}

size_t pg_dwarf_find(struct pg_dwarf *d, uint64_t address, struct pg_dwarf_frame ret[PG_MAX_INLINES + 1])
{
        const struct span *in_unit = find_span(&d->spans, address);
        if (!in_unit)
                return 0;
        struct unit *u = &d->units[in_unit->owner];
        if (!u->indexed)
                index_functions(d, u);
        size_t n = 0;
        ret[0] = (struct pg_dwarf_frame){ 0 };
        find_line(&u->lines, address, &ret[0]);
        const struct span *in_function = find_span(&u->spans, address);
        if (!in_function)
                return ret[0].file ? 1 : 0;
        Dwarf_Die *calls[PG_MAX_INLINES], *function = &u->functions[in_function->owner];
        index_inlines(d, function);
        for (size_t i = inlines_at(d, address, calls); i > 0; i--) {
                describe(d, &ret[n++], calls[i - 1]);
                ret[n] = (struct pg_dwarf_frame){ .file = call_file(&u->code, calls[i - 1]) };
                ret[n].line = ret[n].file ? number_of(calls[i - 1], DW_AT_call_line) : 0;
        }
        describe(d, &ret[n], function);
        return n + 1;
}
