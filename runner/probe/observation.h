// SPDX-License-Identifier: MIT
/*
 * observation.h - what the probe saw in one run of a command, as lines that can be compared.
 *
 * A line is a check, a key and a value, all for people as well: "descriptors", "sh: open", "3 (12 times)".
 */
#ifndef PG_PROBE_OBSERVATION_H
#define PG_PROBE_OBSERVATION_H

#include <stddef.h>
#include <stdint.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"

enum pg_check {
        PG_CHECK_STATUS,      // exit status
        PG_CHECK_OUTPUT,      // standard output
        PG_CHECK_ERRORS,      // standard error
        PG_CHECK_PROGRAMS,    // which ran how often
        PG_CHECK_ENVIRONMENT, // at start and end, without the variables that bring us in
        PG_CHECK_DESCRIPTORS, // the numbers that calls gave out
        PG_CHECK_OPEN,        // what is open at the end
        PG_CHECK_ERRNO,       // changed by an allocator call that succeeded
        PG_CHECK_INTERRUPTED, // calls that failed with EINTR
        PG_CHECK_SIZES,       // malloc_usable_size of every block
        PG_CHECK_THREADS,     // created, and there at start and end
        PG_CHECK_SIGNALS,     // dispositions and masks
        PG_CHECKS
};

/** "exit status", "standard output", ... */
const char *pg_check_name(enum pg_check check);

struct pg_seen {
        enum pg_check check;
        const char *key, *value;
};

struct pg_observation {
        struct pg_seen *seen;
        size_t n;
        size_t programs;   // images that the probe was in; 0: it was kept out
        uint64_t mappings; // at the ends of all processes; told, not compared
        uint64_t ends;     // processes whose end could be seen
};

/** Adds a line; key and value are kept as they are. PG_ENOMEM. */
PG_MUST_CHECK bool pg_observation_add(struct pg_observation *o, struct pg_arena *a, enum pg_check check,
                                      const char *key, const char *value, struct pg_error *err);

struct pg_probe; // the memory file of one run

PG_MUST_CHECK bool pg_probe_create(struct pg_probe **ret, struct pg_error *err);
/** Closes the file; takes NULL. */
void pg_probe_destroy(struct pg_probe *p);
PG_DEFINE_CLEANUP(struct pg_probe, pg_probe_destroy)
#define PG_AUTO_PROBE __attribute__((cleanup(pg_probe_destroyp)))

/** "PERFGATE_PROBE=..." for the target's environment; borrowed until destroy. We must live meanwhile. */
const char *pg_probe_variable(const struct pg_probe *p);

/** Adds what is there now (the tree has ended) to *o; text in a. Nothing from the target is trusted. */
PG_MUST_CHECK bool pg_probe_read(const struct pg_probe *p, struct pg_arena *a, struct pg_observation *o,
                                 struct pg_error *err);

#endif
