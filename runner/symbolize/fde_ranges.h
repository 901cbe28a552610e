// SPDX-License-Identifier: MIT
/*
 * fde_ranges.h - where the functions of a stripped file begin and end, from its unwind table.
 *
 * Without symbols the addresses of one function would be as many functions; .eh_frame survives stripping and
 * says which belong together. Its search table, .eh_frame_hdr, is used where there is one: static programs of many
 * compilers have none, and all of .eh_frame is read then.
 */
#ifndef PG_SYMBOLIZE_FDE_RANGES_H
#define PG_SYMBOLIZE_FDE_RANGES_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_fde_range {
        uint64_t start, end;
};

struct pg_fde_ranges {
        Elf_Data *table, *frames; // .eh_frame_hdr and .eh_frame; NULL: no usable table
        uint64_t table_address, frames_address;
        struct pg_fde_range *read; // without a table: what .eh_frame says, by start; NULL with one
        size_t n;                  // entries of the table, or ranges read
};

/** Looks for the table, or reads .eh_frame; ret->n is 0 when there is neither that we can read. elf must outlive
 * it. False when out of memory. */
bool pg_fde_ranges_load(Elf *elf, struct pg_fde_ranges *ret);
void pg_fde_ranges_deinit(struct pg_fde_ranges *r);

/** Start of the function around address; false when no entry covers it. O(log n). */
bool pg_fde_ranges_find(const struct pg_fde_ranges *r, uint64_t address, uint64_t *ret_start);

#endif
