// SPDX-License-Identifier: MIT
/*
 * dwarf.h - source lines and inlined functions of one ELF file's DWARF, by libdw.
 */
#ifndef PG_SYMBOLIZE_DWARF_H
#define PG_SYMBOLIZE_DWARF_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_dwarf;

enum { PG_MAX_INLINES = 64 };

/* One function at an address. Strings belong to the pg_dwarf. */
struct pg_dwarf_frame {
        const char *system_name; // linkage name, else the name with its scopes; NULL when unknown
        const char *file;        // NULL when unknown
        uint32_t line, start_line;
};

/** NULL when elf has no usable DWARF (or out of memory). elf must outlive it. */
struct pg_dwarf *pg_dwarf_create(Elf *elf);
void pg_dwarf_destroy(struct pg_dwarf *d);

/**
 * What stands at an address, innermost inlined function first and the function itself last.
 * Returns the number of frames written, 0 when no unit covers the address, at most PG_MAX_INLINES + 1.
 * Cheap for addresses that come in ascending order.
 */
size_t pg_dwarf_find(struct pg_dwarf *d, uint64_t address, struct pg_dwarf_frame ret[PG_MAX_INLINES + 1]);

#endif
