// SPDX-License-Identifier: MIT
/*
 * code_map.h - places in code, collected over processes and runs, then symbolized all at once.
 *
 * Modules are joined by path, so that the same function of two processes is one point. Not thread-safe.
 */
#ifndef PG_MEASURE_CODE_MAP_H
#define PG_MEASURE_CODE_MAP_H

#include "runner/base/arena.h"
#include "runner/capture/capture.h"
#include "runner/profile/profile.h"
#include "runner/symbolize/symbolize.h"

struct pg_code_map;

/* A point: one address of one module. */
struct pg_point {
        uint32_t module;          // index of the map's module
        uint64_t address;         // in the module's own terms
        struct pg_location where; // after pg_code_map_symbolize
        const char
                *function; // identity of the outermost frame there: the function that the symbol table names
        const char *module_name;
};

/* Pseudo frames are points of the module with path "", whose address is the PG_NODE_* (layout.h): they are named
 * "[other]", "[truncated]" and so on. All other code in no file is "[no file]", unless the image's JIT compiler wrote
 * down what it made (pg_jit_map_path): then it is "[jit]", with a name for each function. */

/** Strings live in a. NULL when out of memory. */
struct pg_code_map *pg_code_map_create(struct pg_arena *a);
void pg_code_map_destroy(struct pg_code_map *m);
PG_DEFINE_CLEANUP(struct pg_code_map, pg_code_map_destroy)

/** The module of an image's place (beyond n_modules: code in no file); indices stay valid for the map's life. */
PG_MUST_CHECK bool pg_code_map_add_module(struct pg_code_map *m, const struct pg_captured_process *p,
                                          uint32_t index_in_process, uint32_t *ret, struct pg_error *err);
/** The module of pseudo frames. */
PG_MUST_CHECK bool pg_code_map_add_pseudo(struct pg_code_map *m, uint32_t *ret, struct pg_error *err);
/** The program of an image, even when no place lies in it. */
PG_MUST_CHECK bool pg_code_map_add_program(struct pg_code_map *m, const struct pg_captured_process *p,
                                           struct pg_error *err);
/** The point (module, address), made when new. Amortised O(1). */
PG_MUST_CHECK bool pg_code_map_intern(struct pg_code_map *m, uint32_t module, uint64_t address, uint32_t *ret,
                                      struct pg_error *err);
/** Fills where, function and module_name of all points; with marks (a byte for each point) only of those whose mark is
 * not 0. Once. */
PG_MUST_CHECK bool pg_code_map_symbolize(struct pg_code_map *m, const uint8_t *marks, struct pg_error *err);
/** Borrowed until the next intern. */
const struct pg_point *pg_code_map_point(const struct pg_code_map *m, uint32_t point);
size_t pg_code_map_count(const struct pg_code_map *m);

/** Adds the main program of the first process to a profile that is being built: consumers take it for the
 * title. Before any point, for each profile. */
PG_MUST_CHECK bool pg_code_map_export_program(struct pg_code_map *m, struct pg_profile_builder *b,
                                              struct pg_error *err);
/** Adds the point to a profile that is being built. After pg_code_map_symbolize. */
PG_MUST_CHECK bool pg_code_map_export(struct pg_code_map *m, uint32_t point, struct pg_profile_builder *b,
                                      uint32_t *ret_location, struct pg_error *err);

#endif
