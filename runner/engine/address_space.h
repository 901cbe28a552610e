// SPDX-License-Identifier: MIT
/*
 * address_space.h - the code of a process seen from outside: what is mapped where, and how to unwind through it.
 *
 * Files are opened once for all address spaces and recognised by build-id or inode: a file that was replaced since
 * it was mapped gives no rules and, by its path, no symbols, rather than wrong ones. A forked child shares its
 * parent's address space until one of the two maps something. Not thread-safe.
 */
#ifndef PG_ENGINE_ADDRESS_SPACE_H
#define PG_ENGINE_ADDRESS_SPACE_H

#include <stddef.h>
#include <sys/types.h>

#include "runner/base/error.h"
#include "runner/capture/layout.h" // PG_MODULE_NONE
#include "runner/unwind/walk.h"

struct pg_code_files;
struct pg_address_space;

/** The files that code comes from; one for all address spaces of a session. NULL when out of memory. */
struct pg_code_files *pg_code_files_create(void);
/** After the last address space is released; takes NULL. */
void pg_code_files_destroy(struct pg_code_files *f);

/** An empty one with one holder; NULL when out of memory. */
struct pg_address_space *pg_address_space_create(struct pg_code_files *files);
/** One more holder: a forked child. */
struct pg_address_space *pg_address_space_share(struct pg_address_space *as);
/** One holder less; takes NULL. */
void pg_address_space_release(struct pg_address_space *as);

/* Memory that became executable. */
struct pg_mapping {
        uint64_t start, end, file_offset;
        const char *path; // as the kernel names it: "/usr/lib/x.so", "[vdso]", "//anon", "" for none
        uint64_t inode;   // 0: unknown
        const uint8_t *build_id;
        size_t build_id_bytes; // 0: unknown
};

/**
 * Code of process pid was mapped, over whatever was there. *as is replaced by a copy when others hold it too.
 * The module numbers that an address space has given out stay valid in its copies.
 */
PG_MUST_CHECK bool pg_address_space_map(struct pg_address_space **as, pid_t pid, const struct pg_mapping *m,
                                        struct pg_error *err);

/** Everything executable of /proc/PID/maps that is not known yet, as by pg_address_space_map. PG_EOS when the
 * process is gone. */
PG_MUST_CHECK bool pg_address_space_read_maps(struct pg_address_space **as, pid_t pid, struct pg_error *err);

/* A file loaded at one place; fragments of it (several executable segments) are one module. */
struct pg_code_module {
        const char *
                path; // "[vdso]"; " (deleted)" or " (replaced)" at its end when the path is not that file any more
        uint64_t start, end, bias; // start, end: around all of its mappings seen
        bool is_main;              // the first module that was mapped
};
uint32_t pg_address_space_n_modules(const struct pg_address_space *as);
/** number < n_modules; borrowed until the next change. */
const struct pg_code_module *pg_address_space_module(const struct pg_address_space *as, uint32_t number);

/** Whether code may stand at that address. */
bool pg_address_space_is_code(const struct pg_address_space *as, uint64_t address);

/** The module of an address, and *ret_address in its file's own terms. PG_MODULE_NONE: generated code, or none at
 * all; *ret_address is then the address itself. */
uint32_t pg_address_space_locate(const struct pg_address_space *as, uint64_t address, uint64_t *ret_address);

/** Whether a chain of frame pointers through code at that address is no guess: Go, and generated code. */
bool pg_address_space_keeps_frame_pointers(const struct pg_address_space *as, uint64_t address);

/** The rule for an address, by the cache; its owner is the module's number. A stop with PG_STOP_NO_CFI: no code. */
pg_rule pg_address_space_rule(struct pg_address_space *as, uint64_t address);

/**
 * Walks a stack: pg_walk with the rules and the rule cache of this address space. Code without CFI goes by
 * frame pointers, to their end at zero (PG_STOP_ROOT); a frame outside of all code is dropped unless it is
 * the first. Arguments as pg_walk has them. The owner of a rule is the module's number, or PG_MODULE_NONE.
 */
uint32_t pg_address_space_walk(struct pg_address_space *as, struct pg_regs *r, struct pg_stack *s,
                               struct pg_walked *ret, uint32_t max, enum pg_stop *ret_end);

#endif
