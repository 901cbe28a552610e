// SPDX-License-Identifier: MIT
/*
 * oracle.h - what elfutils says of one row of unwind information, worked out with made-up registers and memory.
 *
 * A rule of ours and an expression of elfutils' are two spellings of the same function of registers and memory.
 * They are compared as functions: both are worked out in several worlds whose registers and words are random
 * but repeatable, and must give the same addresses.
 */
#ifndef PG_TESTS_UNWIND_ORACLE_H
#define PG_TESTS_UNWIND_ORACLE_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

enum { WORLD_REGISTERS = 17 };

struct world {
        uint64_t registers[WORLD_REGISTERS]; // by DWARF number
        uint64_t seed;
};

/* Random registers; the program counter is pc. */
struct world world_make(uint64_t seed, uint64_t pc);

/* The word in memory at address. */
uint64_t world_word(const struct world *w, uint64_t address);

/* One register of the caller, or its CFA, as elfutils gives it. */
struct place {
        enum { PLACE_UNDEFINED, PLACE_SAME, PLACE_OPS } kind;
        Dwarf_Op *ops;
        size_t n;
        Dwarf_Op space[3];
};

struct oracle_row {
        uint64_t start, end;
        struct place cfa, registers[WORLD_REGISTERS];
        bool is_signal_frame;
        bool uses_pc; // some expression does: each address has its own meaning
};

/* Reads the row. False: elfutils refuses some part of it. all: every register, else only those that rules hold. */
bool oracle_row_read(Dwarf_Frame *frame, bool all, struct oracle_row *ret);

/* The CFA, and the caller's register, in a world. False: undefined, or an operator that this file lacks. */
bool oracle_cfa(const struct oracle_row *row, const struct world *w, uint64_t *ret);
bool oracle_register(const struct oracle_row *row, const struct world *w, uint32_t number, uint64_t *ret);

#endif
