// SPDX-License-Identifier: MIT
/*
 * fde_ranges.h - where the functions of a stripped file begin and end, from its unwind table.
 *
 * Without symbols the addresses of one function would be as many functions; the search table of .eh_frame_hdr
 * survives stripping and says which belong together.
 */
#ifndef PG_SYMBOLIZE_FDE_RANGES_H
#define PG_SYMBOLIZE_FDE_RANGES_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_fde_ranges {
        Elf_Data *table, *frames; // .eh_frame_hdr and .eh_frame; NULL: no usable table
        uint64_t table_address, frames_address;
        size_t n;
};

/** Looks for the table; ret->n is 0 when there is none that we can read. elf must outlive it. Allocates
 * nothing. */
void pg_fde_ranges_load(Elf *elf, struct pg_fde_ranges *ret);

/** Start of the function around address; false when no entry covers it. O(log n). */
bool pg_fde_ranges_find(const struct pg_fde_ranges *r, uint64_t address, uint64_t *ret_start);

#endif
