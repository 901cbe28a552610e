// SPDX-License-Identifier: MIT
/*
 * target.h - a traced program: its registers, its memory, and its modules' code and unwind information.
 *
 * For tests: what cannot go wrong on a working machine ends the program with a message (target_die).
 */
#ifndef PG_TESTS_UNWIND_TARGET_H
#define PG_TESTS_UNWIND_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "runner/unwind/cfi.h"

enum { TARGET_MODULES = 16 };

struct target_module {
        char path[256];
        uint64_t start, end; // addresses in the target
        uint8_t *bytes;      // copy of [start, end): what is not writable; zero elsewhere
        struct pg_cfi cfi;   // in the target's addresses; size 0: there is none
        /* Without a search table (static programs by some linkers) cfi is the section alone, and this its index in
         * the order of addresses; NULL with a search table. */
        struct pg_cfi_entry *index;
        size_t n_index;
        uint64_t plt_start, plt_end; // its section .plt; told with an index only
        uint64_t resolver;           // of first calls, what its procedure linkage table jumps to; 0: none
};

struct target {
        pid_t pid;
        uint64_t entry; // the program's first instruction, after the dynamic linker's work
        struct target_module modules[TARGET_MODULES];
        uint32_t n_modules;
        struct Dwfl *names;
};

_Noreturn void target_die(const char *what) __attribute__((cold));

/** Starts path (no arguments, no environment but what argv and envp here say) and lets it run to its entry. */
void target_start(struct target *t, const char *path);

/** Ends it where it still runs, and frees everything. */
void target_end(struct target *t);

/* How a step ended. */
struct target_stop {
        bool exited;
        int exit_code; // 128 + n for a signal
        int signal;    // 0: the instruction was executed or a handler entered; else waits for delivery
};

/** Executes one instruction, after delivering signal (0: none). */
struct target_stop target_step(struct target *t, int signal);

void target_registers(const struct target *t, struct user_regs_struct *ret);

/** Copies n bytes; false when they cannot be read. */
bool target_read(const struct target *t, uint64_t address, void *ret, size_t n);
uint64_t target_word(const struct target *t, uint64_t address); // dies when it cannot be read

const struct target_module *target_module_at(const struct target *t, uint64_t address);

/** The rule for address from its module. */
pg_rule target_rule(const struct target *t, uint64_t address);

/** Up to 15 bytes of code at address out of the copies; how many in *ret_n, 0 outside of modules. */
const uint8_t *target_code(const struct target *t, uint64_t address, size_t *ret_n);

/** Function at address, NULL without a symbol. The dynamic linker's resolver of first calls and the linkage table of
 * a module with an index have names of their own where the file has none for them. */
const char *target_symbol(const struct target *t, uint64_t address);

/** The same for messages: "module+0xoffset" without a symbol. Lives until the next call. */
const char *target_function(const struct target *t, uint64_t address);

#endif
