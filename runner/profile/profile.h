// SPDX-License-Identifier: MIT
/*
 * profile.h - a profile as pprof has it: samples with values and call stacks; read, write, sum up.
 *
 * The writer keeps to the rules that consumers depend on: dense ids from 1, string 0 empty, sample types
 * fixed for ever, at least one mapping, equal profiles give equal bytes. The reader takes any producer's file
 * and distrusts it.
 */
#ifndef PG_PROFILE_PROFILE_H
#define PG_PROFILE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/arena.h"
#include "runner/base/buf.h"
#include "runner/base/error.h"

struct pg_value_type {
        const char *type, *unit; // "cpu", "nanoseconds"
};

struct pg_profile_mapping {
        uint64_t start, limit, offset;
        const char *file, *build_id;
        bool has_functions, has_filenames, has_lines, has_inlines;
};

struct pg_profile_function {
        const char *name, *system_name, *file;
        int64_t start_line;
};

struct pg_profile_line {
        uint32_t function; // index
        int64_t line;
};

struct pg_profile_location {
        int32_t mapping; // index; -1: none
        uint64_t address;
        struct pg_profile_line *lines; // innermost inline first; may be empty in foreign files
        size_t n_lines;
};

struct pg_profile_sample {
        uint32_t *locations; // indices, innermost first
        size_t n_locations;
        int64_t *values; // one for each sample type
        const char
                *process; // the sample's label "process" ("jq/1"), which pprof's tag filters take; NULL: none
};

/* All strings non-NULL. Everything lives in arena. */
struct pg_profile {
        struct pg_arena *arena;
        struct pg_value_type *sample_types;
        size_t n_sample_types;
        struct pg_value_type period_type;
        int64_t period;
        uint32_t default_type; // index into sample_types
        struct pg_profile_mapping *mappings;
        size_t n_mappings;
        struct pg_profile_function *functions;
        size_t n_functions;
        struct pg_profile_location *locations;
        size_t n_locations;
        struct pg_profile_sample *samples;
        size_t n_samples;
        int64_t time_ns, duration_ns; // 0 when unknown
        const char **comments;
        size_t n_comments;
};

void pg_profile_destroy(struct pg_profile *p);
PG_DEFINE_CLEANUP(struct pg_profile, pg_profile_destroy)
#define PG_AUTO_PROFILE __attribute__((cleanup(pg_profile_destroyp)))

/* ---- building (in runner/profile/build.c): interns mappings, functions and locations ---- */

enum pg_profile_kind { PG_PROFILE_CPU, PG_PROFILE_HEAP, PG_PROFILE_CONTENTION };

struct pg_profile_builder;

/**
 * An empty profile of a kind, whose sample types never change:
 * CPU: samples/count, cpu/nanoseconds; period type cpu/nanoseconds. HEAP: alloc_objects/count,
 * alloc_space/bytes, inuse_objects/count, inuse_space/bytes; period type space/bytes, period 1.
 * CONTENTION, as Go's block and mutex profiles: contentions/count, delay/nanoseconds; period type
 * contentions/count, period 1.
 */
struct pg_profile_builder *pg_profile_builder_create(enum pg_profile_kind kind, int64_t period);
void pg_profile_builder_destroy(struct pg_profile_builder *b);

struct pg_location; // runner/symbolize/symbolize.h

/** Adds a mapping (same start and file: the same index); the first added is the main program. */
PG_MUST_CHECK bool pg_profile_add_mapping(struct pg_profile_builder *b, uint64_t start, uint64_t limit,
                                          const char *file, const char *build_id, int32_t *ret,
                                          struct pg_error *err);
/** Adds a symbolized address (same mapping and address: the same index). mapping -1: none. */
PG_MUST_CHECK bool pg_profile_add_location(struct pg_profile_builder *b, int32_t mapping, uint64_t address,
                                           const struct pg_location *where, uint32_t *ret,
                                           struct pg_error *err);
/** Adds values to the sample with this stack (innermost first). n_values as the kind has. */
PG_MUST_CHECK bool pg_profile_add_sample(struct pg_profile_builder *b, const uint32_t *locations, size_t n,
                                         const int64_t *values, struct pg_error *err);
/** The same for the sample with this stack and this label; process NULL: none. */
PG_MUST_CHECK bool pg_profile_add_labelled(struct pg_profile_builder *b, const uint32_t *locations, size_t n,
                                           const int64_t *values, const char *process, struct pg_error *err);
PG_MUST_CHECK bool pg_profile_add_comment(struct pg_profile_builder *b, const char *text,
                                          struct pg_error *err);
/** Hands the profile over, samples sorted and equal stacks joined (PG_EDATA when a sum does not fit); the
 * builder is empty afterwards and only to be destroyed. */
PG_MUST_CHECK bool pg_profile_finish(struct pg_profile_builder *b, int64_t time_ns, int64_t duration_ns,
                                     struct pg_profile **ret, struct pg_error *err);

/**
 * What consumers depend on (check.c): sample types there, default one of them; at least one mapping, each
 * with start below limit; every index in range; each address inside its mapping; no sample without location;
 * all text UTF-8. PG_EDATA names the first thing that is wrong. The writer calls it.
 */
PG_MUST_CHECK bool pg_profile_check(const struct pg_profile *p, struct pg_error *err);

/* ---- files (pprof_write.c, pprof_read.c) ---- */

/** The gzip bytes of the pprof file; free them. Equal profiles give equal bytes. */
PG_MUST_CHECK bool pg_pprof_format(const struct pg_profile *p, char **ret, size_t *ret_len,
                                   struct pg_error *err);
PG_MUST_CHECK bool pg_pprof_save(const char *path, const struct pg_profile *p, struct pg_error *err);

/** Reads gzip or plain bytes from any producer. PG_EDATA says what is wrong; unpacked size is bounded (1
 * GiB). */
PG_MUST_CHECK bool pg_pprof_load(const char *path, struct pg_profile **ret, struct pg_error *err);
PG_MUST_CHECK bool pg_pprof_parse(const void *bytes, size_t len, struct pg_profile **ret,
                                  struct pg_error *err);

/**
 * Folded stacks (folded.c): a line "outermost;...;innermost VALUE" for each stack with a value above 0, inlined
 * functions included, as flame graph tools read them. Where a sample has a process that is the outermost frame. A ';'
 * in a name becomes ':'. Lines in the order of the samples, which is the same for equal profiles.
 */
PG_MUST_CHECK bool pg_folded_format(const struct pg_profile *p, size_t sample_type, struct pg_buf *out,
                                    struct pg_error *err);
PG_MUST_CHECK bool pg_folded_save(const char *path, const struct pg_profile *p, size_t sample_type,
                                  struct pg_error *err);

/* ---- sums (top.c) ---- */

struct pg_top_row {
        const char *function, *file;
        int64_t self, total; // of the chosen sample type; recursion counts once in total
};

/** Rows sorted by self, then total, then name; one for each function with a cost (unsymbolized: each
 * address). In arena a. */
PG_MUST_CHECK bool pg_profile_top(const struct pg_profile *p, size_t sample_type, struct pg_arena *a,
                                  struct pg_top_row **ret, size_t *ret_n, int64_t *ret_sum,
                                  struct pg_error *err);

#endif
