// SPDX-License-Identifier: MIT
/*
 * symbolize.h - addresses in ELF files to functions, files and lines; offline, one module at a time.
 *
 * Sources in order: .symtab of the file or of its separate debug file (build-id, then debuglink with CRC),
 * .dynsym, else "module+0xoffset"
 * with the start of the function around it where .eh_frame_hdr tells it. Never asks the network. Files and
 * lines by libdw, but not for the C library.
 */
#ifndef PG_SYMBOLIZE_SYMBOLIZE_H
#define PG_SYMBOLIZE_SYMBOLIZE_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"

struct pg_symbolizer; // opened modules; keeps each until destroy

/** Strings that it returns live in a, which must outlive it. NULL when out of memory. */
struct pg_symbolizer *pg_symbolizer_create(struct pg_arena *a);
void pg_symbolizer_destroy(struct pg_symbolizer *s);
PG_DEFINE_CLEANUP(struct pg_symbolizer, pg_symbolizer_destroy)

/* One function at an address; with inlining several, innermost first. */
struct pg_frame {
        const char *name;        // demangled, as people read it
        const char *system_name; // as in the symbol table
        const char *identity; // name without what a rebuild changes; equal for equal functions of two builds
        const char *file;     // NULL when unknown
        uint32_t line;        // of this address; 0 when unknown
        uint32_t start_line;  // of the function; 0 when unknown
};

struct pg_location {
        struct pg_frame *frames; // at least one; the last is the function that the symbol table names
        size_t n_frames;
        bool has_symbol; // false: frames[0].name is "module+0xoffset"
};

/**
 * Looks up n addresses of one module.
 *
 * path       the ELF file as the process saw it; may be missing, truncated, replaced or not ELF: then
 *            has_symbol is false everywhere. "[vdso]" is known. "" is no module: frames are "0xaddress".
 *            A JIT compiler's map, "/tmp/perf-PID.map", is one as well: its addresses are absolute
 * addresses  in the file's own terms (pc - bias), any order; callers subtract 1 from return addresses before
 * ret        n locations, caller's array
 * err        PG_ENOMEM only
 *
 * O(n log n + size of the module's line tables that are touched).
 */
PG_MUST_CHECK bool pg_symbolize(struct pg_symbolizer *s, const char *path, const uint64_t *addresses,
                                size_t n, struct pg_location *ret, struct pg_error *err);

/** Lower-case hex of the file's GNU build-id, "" when it has none; lives in the arena. */
const char *pg_symbolizer_build_id(struct pg_symbolizer *s, const char *path);

/** Base name of the path as modules are named in profiles and baselines ("libc.so.6", "[vdso]"; "[jit]" for a JIT
 * compiler's map, whose own name is different in each run). */
const char *pg_module_name(const char *path);

/**
 * A function's identity: drops clone suffixes (.cold, .part.0, .constprop.1, .isra.0, .llvm.123), Rust
 * hashes, lambda and anonymous-namespace ordinals. Lives in a; NULL when out of memory. Idempotent.
 */
const char *pg_function_identity(const char *name, struct pg_arena *a);

/** Demangles C++, Rust (legacy and v0) and D; the name itself when it is none of them. Lives in a. */
const char *pg_demangle(const char *system_name, struct pg_arena *a);

#endif
