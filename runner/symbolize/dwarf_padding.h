// SPDX-License-Identifier: MIT
/*
 * dwarf_padding.h - zero bytes behind the sections that libdw reads strings from.
 *
 * libdw, as of 0.188, lets strings of a damaged file run over the end of their section: it does not look for the end
 * of one in .debug_info, and takes an offset just behind the last string of a string section. It does so for names and
 * for the folders and files of lines, which it puts together itself; so what it reads is given an end.
 */
#ifndef PG_SYMBOLIZE_DWARF_PADDING_H
#define PG_SYMBOLIZE_DWARF_PADDING_H

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "runner/base/arena.h"

/* Copies of sections, and what stood there before. { 0 } has none. */
struct pg_dwarf_padding {
        struct pg_arena *arena;
        struct pg_padded *last;
};

/**
 * Gives each string section of dwarf's file, and each section with entries that ends in the middle of one, a copy
 * that has two zero bytes more. To be called before the first entry is read.
 *
 * Complexity: the size of what is copied, which is the strings alone where the file is whole and has children in its
 * last unit. Returns false when out of memory, or when there are so many of them that the file must be damaged.
 */
bool pg_dwarf_pad(Dwarf *dwarf, struct pg_dwarf_padding *p);

/**
 * The same for a file that libdw opened itself and whose entries it has begun to read, a .dwo file: its strings
 * are copied, and it is unusable (false) when its entries end in the middle of one.
 */
bool pg_dwarf_pad_strings(Dwarf *dwarf, struct pg_dwarf_padding *p);

/** Frees the copies; before the files are closed. Strings that libdw has handed out are gone. */
void pg_dwarf_padding_deinit(struct pg_dwarf_padding *p);

#endif
