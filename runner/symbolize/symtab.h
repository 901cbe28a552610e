// SPDX-License-Identifier: MIT
/*
 * symtab.h - the function symbols of one ELF file, found by address.
 *
 * Functions only: data, files and mapping symbols are left out. Where several names fit one address the
 * choice does not depend on the table's order, so two builds of one source agree.
 */
#ifndef PG_SYMBOLIZE_SYMTAB_H
#define PG_SYMBOLIZE_SYMTAB_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_symbol {
        uint64_t start, end; // addresses of the file; end is exclusive
        const char *name;    // inside the ELF file's string table
        int32_t parent;      // the symbol around this one, -1 for none
        uint8_t rank;        // lower is the better name at an equal start
        bool sized;
};

struct pg_symtab {
        struct pg_symbol *symbols; // by start, each start once
        size_t n;
};

/**
 * Loads .symtab, or .dynsym when it has none; an empty table when there is neither or it is damaged.
 * elf must outlive the table. False when out of memory.
 */
bool pg_symtab_load(Elf *elf, struct pg_symtab *ret);
void pg_symtab_deinit(struct pg_symtab *t);

/** The innermost function around address, NULL when there is none. O(log n). */
const struct pg_symbol *pg_symtab_find(const struct pg_symtab *t, uint64_t address);

#endif
