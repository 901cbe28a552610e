// SPDX-License-Identifier: MIT
/*
 * wrappers.h - which frames stand between a program's own code and the allocator. Private to this folder.
 */
#ifndef PG_MEASURE_WRAPPERS_H
#define PG_MEASURE_WRAPPERS_H

#include "runner/symbolize/symbolize.h"

/* How well a frame explains an allocation, from "not at all" upwards. */
enum pg_frame_rank {
        PG_FRAME_NONE,
        PG_FRAME_PSEUDO,  // "[truncated]" and the like: no code
        PG_FRAME_WRAPPER, // its only business is to allocate
        PG_FRAME_LIBRARY, // inside of a language's standard library
        PG_FRAME_OWN,     // anything else: the line that somebody would edit
};

/**
 * The rank of a frame in module (a base name).
 *
 * added  globs (fnmatch(3)) on the identity of wrappers besides the built-in ones; NULL-terminated or NULL
 */
enum pg_frame_rank pg_frame_rank(const struct pg_frame *f, const char *module, const char *const *added);

/** A number that stands for the built-in tables and added, whatever its order: equal for equal rules. */
uint64_t pg_wrappers_fingerprint(const char *const *added);

#endif
