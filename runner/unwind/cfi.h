// SPDX-License-Identifier: MIT
/*
 * cfi.h - from .eh_frame or .debug_frame bytes to the rule for one address.
 *
 * One pass over the one FDE that covers the address; no allocation, no lock, no call of libc. Safe in a
 * signal handler and inside malloc. All lengths are distrusted: nothing outside the given bytes is read.
 */
#ifndef PG_UNWIND_CFI_H
#define PG_UNWIND_CFI_H

#include <stddef.h>

#include "runner/unwind/rule.h"

/* Bytes that hold the unwind information of one module, and where they stand. Addresses are whatever space the
 * caller lives in: the process's own inside a target, a file's own offline; all of one module in one space. */
struct pg_cfi {
        const uint8_t *bytes; // of [address, address + size): the segment with .eh_frame_hdr and .eh_frame
        uint64_t address;
        size_t size;
        uint64_t hdr_address; // of .eh_frame_hdr inside it
};

/**
 * The rule for the instruction at address. Callers of something are looked up at their return address minus
 * one; interrupted code, and what a signal interrupted, at the very address.
 *
 * returns  a rule; a stop: PG_STOP_NO_CFI (no FDE covers address), PG_STOP_UNSUPPORTED, PG_STOP_DAMAGED
 *
 * O(log n) in the FDEs of the module (binary search table), O(length) in the one FDE.
 */
pg_rule pg_cfi_rule(const struct pg_cfi *cfi, uint64_t address);

/**
 * The same from one known FDE: for a file that has no search table (the caller keeps an index of its own).
 *
 * fde_offset      of the FDE's length word in cfi->bytes; hdr_address is not used
 * is_debug_frame  the bytes are .debug_frame (CIE pointers are section offsets) and not .eh_frame
 */
pg_rule pg_cfi_rule_of(const struct pg_cfi *cfi, size_t fde_offset, bool is_debug_frame, uint64_t address);

/* One FDE of a section, for building an index. */
struct pg_cfi_entry {
        uint64_t start, end; // addresses covered
        size_t fde_offset;
};

/**
 * Walks a whole section: *offset is 0 at first and moves to the next entry. Skips CIEs. False at the end or
 * where the bytes make no sense (then *offset < size).
 */
bool pg_cfi_next(const struct pg_cfi *cfi, bool is_debug_frame, size_t *offset, struct pg_cfi_entry *ret);

/** True when the bytes at code (n readable) are the machine's signal return trampoline, which some C libraries
 * have without CFI; the rule is then pg_rule_pack({ .cfa = PG_CFA_SIGNAL }). */
enum { PG_SIGNAL_RETURN_BYTES = 9 }; // more are not looked at
bool pg_cfi_is_signal_return(const uint8_t *code, size_t n);

#endif
