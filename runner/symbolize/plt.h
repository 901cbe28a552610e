// SPDX-License-Identifier: MIT
/*
 * plt.h - which imported function a procedure linkage stub jumps to.
 */
#ifndef PG_SYMBOLIZE_PLT_H
#define PG_SYMBOLIZE_PLT_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_plt_slot {
        uint64_t got;     // address of the word that the stub jumps through
        const char *name; // of the imported function; inside the ELF file
};

struct pg_plt_section {
        uint64_t start, size;
        const unsigned char *code; // inside the ELF file
        unsigned stub_bytes;
};

struct pg_plt {
        struct pg_plt_slot *slots; // by got
        size_t n_slots;
        struct pg_plt_section sections[3];
        size_t n_sections;
};

/** Loads stubs and imports (x86-64; empty elsewhere). elf must outlive it. False when out of memory. */
bool pg_plt_load(Elf *elf, struct pg_plt *ret);
void pg_plt_deinit(struct pg_plt *p);

/** Name of the function that the stub around address jumps to; NULL when there is no such stub. */
const char *pg_plt_find(const struct pg_plt *p, uint64_t address);

#endif
