// SPDX-License-Identifier: MIT
/*
 * pclntab.h - functions of a Go program from the table that its runtime keeps for stack traces.
 *
 * `go build -ldflags="-s -w"` leaves out symbols and DWARF; this table stays, because panics print from it.
 */
#ifndef PG_SYMBOLIZE_PCLNTAB_H
#define PG_SYMBOLIZE_PCLNTAB_H

#include "runner/symbolize/symtab.h"

/**
 * An empty table when elf has none, one of another version than Go 1.18 to 1.19 or 1.20 and later, one that is
 * damaged, or one whose addresses are known only after loading (position independent). elf must outlive the
 * result, which is freed by pg_symtab_deinit. False when out of memory.
 */
bool pg_pclntab_load(Elf *elf, struct pg_symtab *ret);

#endif
