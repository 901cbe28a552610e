// SPDX-License-Identifier: MIT
/*
 * code_file.h - what unwinding needs to know of one ELF file: segments, call frame information, and code that is
 * special.
 *
 * Everything is read when the file is opened; nothing of it stays open or mapped, so the file may change or go
 * while the target runs. Read-only afterwards.
 */
#ifndef PG_ENGINE_CODE_FILE_H
#define PG_ENGINE_CODE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "runner/base/error.h"
#include "runner/unwind/rule.h"

struct pg_code_file;

/** From an open file (stays the caller's). *ret is NULL when it is no 64-bit ELF file of this machine. */
PG_MUST_CHECK bool pg_code_file_read(int fd, struct pg_code_file **ret, struct pg_error *err);
/** From an image in memory, copied where needed: the vDSO. */
PG_MUST_CHECK bool pg_code_file_read_memory(const void *image, size_t size, struct pg_code_file **ret,
                                            struct pg_error *err);
/** The vDSO of this process, which is that of every 64-bit process of this kernel. *ret is NULL without one. */
PG_MUST_CHECK bool pg_code_file_read_vdso(struct pg_code_file **ret, struct pg_error *err);
/** Takes NULL. */
void pg_code_file_destroy(struct pg_code_file *f);

/** The GNU build-id; 0 when there is none. Borrowed until destroy. */
size_t pg_code_file_build_id(const struct pg_code_file *f, const uint8_t **ret);

/** What to subtract from an address in a mapping that shows the file from file_offset on at start. By the segment
 * that lies there, for offset and address need not go together; false when no segment does. */
bool pg_code_file_bias(const struct pg_code_file *f, uint64_t start, uint64_t file_offset, uint64_t *ret);

/**
 * The rule for an address in the file's own terms: from .eh_frame, by its search table or an index of our own; from
 * .debug_frame, compressed or not; for signal trampolines without either. PG_CFA_CHAIN when none knows the
 * address; a marked stop when one does and it cannot be used.
 */
pg_rule pg_code_file_rule(const struct pg_code_file *f, uint64_t address);

/** All of its code keeps frame pointers (Go), so that a chain of them is no guess. */
bool pg_code_file_keeps_frame_pointers(const struct pg_code_file *f);

/* Without CFI: the caller's frame pointer is where bp points, the return address behind it. */
static inline pg_rule pg_rule_chain(void)
{
        return pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_CHAIN,
                                                    .ra = PG_RA_AT_CFA,
                                                    .bp = PG_BP_AT_CFA,
                                                    .cfa_offset = 16,
                                                    .bp_offset = -16 });
}

#endif
