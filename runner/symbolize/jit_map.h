// SPDX-License-Identifier: MIT
/*
 * jit_map.h - the names of code that a JIT compiler made, from the text file /tmp/perf-PID.map that it writes.
 *
 * Lines are "START SIZE NAME" with hexadecimal numbers, appended while the program runs; code is freed and its place
 * used again, so where ranges overlap the later line is right. The file is anybody's: it is taken only from the user
 * himself or root, and damaged lines are passed over.
 */
#ifndef PG_SYMBOLIZE_JIT_MAP_H
#define PG_SYMBOLIZE_JIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PG_JIT_MAP_PATH = 32 };

/**
 * Writes the path of the file that process pid left; false when there is none that can be trusted: a regular file of
 * this user or root, written since the process started.
 *
 * start_ns  CLOCK_MONOTONIC; 0: unknown
 */
bool pg_jit_map_find(int pid, uint64_t start_ns, char ret[PG_JIT_MAP_PATH]);

/** True when the file's name is "perf-PID.map". */
bool pg_is_jit_map(const char *path);

struct pg_jit_map;

/* Code that was made at run time. */
struct pg_jit_code {
        uint64_t start, end; // end is exclusive
        /* As people read it: "fib", "(anonymous app.js)", "get foo"; the whole text where it has no known form. */
        const char *name;
        const char *system_name; // the text of the file
        const char *file;        // NULL when the text names none
        uint32_t line;           // of the function; 0 when the text names none
};

/** NULL when out of memory. A file that cannot be read, or whose lines make no sense, gives an empty map. */
struct pg_jit_map *pg_jit_map_load(const char *path);
/** The same from bytes in memory. */
struct pg_jit_map *pg_jit_map_parse(const char *text, size_t len);
void pg_jit_map_destroy(struct pg_jit_map *m);

/** What lay at address at last; NULL when nothing did. Lives as long as the map. O(log n). */
const struct pg_jit_code *pg_jit_map_find_code(const struct pg_jit_map *m, uint64_t address);

#endif
