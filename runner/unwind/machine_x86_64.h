// SPDX-License-Identifier: MIT
/*
 * machine_x86_64.h - System V x86-64: DWARF register numbers (psABI, figure 3.36) and Linux's signal frame
 * (struct rt_sigframe: the return address is popped, so sp points at the ucontext_t).
 */
#ifndef PG_UNWIND_MACHINE_X86_64_H
#define PG_UNWIND_MACHINE_X86_64_H

#include <stdbool.h>
#include <stdint.h>

enum { PG_DWARF_BP = 6, PG_DWARF_SP = 7, PG_DWARF_RA = 16, PG_DWARF_REGISTERS = 17 };

/* Positions in a register file in ucontext order (enum REG_R8... of <sys/ucontext.h>). */
enum {
        PG_GREG_BP = 10,
        PG_GREG_SP = 15,
        PG_GREG_PC = 16,
        PG_GREGS = 17,
};

/* Below sp, and yet the running function's (psABI, 3.2.2). */
enum { PG_RED_ZONE_BYTES = 128 };

/* From sp in a signal frame to its registers: uc_flags, uc_link, uc_stack come first. */
enum { PG_SIGNAL_GREGS_OFFSET = 40 };

/* all: PG_GREGS words in ucontext order; dwarf: a DWARF number; 0 for one that does not exist. */
static inline uint64_t pg_machine_register(const uint64_t *all, uint32_t dwarf)
{
        static const uint8_t position[PG_DWARF_REGISTERS] = { 13, 12, 14, 11, 9, 8, 10, 15, 0,
                                                              1,  2,  3,  4,  5, 6, 7,  16 };
        return dwarf < PG_DWARF_REGISTERS ? all[position[dwarf]] : 0;
}

/* Not saved by those that are called (psABI, 3.2.1): rax, rdx, rcx, rsi, rdi, r8 to r11. */
static inline bool pg_machine_is_volatile(uint32_t dwarf)
{
        return 0xf37u >> dwarf & 1;
}

#endif
