// SPDX-License-Identifier: MIT
/*
 * measurement.h - what was measured of one benchmark: every sample of every metric, functions, call sites,
 * processes.
 *
 * Only data. Whoever creates one (a run, a file reader) owns it through the arena that all its pointers live
 * in. Baselines store it, compare judges two of them.
 */
#ifndef PG_MEASURE_MEASUREMENT_H
#define PG_MEASURE_MEASUREMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/measure/metric.h"

enum pg_series_status {
        PG_SERIES_ABSENT,      // nobody asked for it
        PG_SERIES_MEASURED,    // n >= 1 samples (cpu_share: n_profile_runs >= 1)
        PG_SERIES_UNAVAILABLE, // asked for and not to be had; reason says why
};

/* The samples of one metric, one for each process run, in the order they were taken. */
struct pg_series {
        enum pg_series_status status;
        bool demoted;       // an exact metric whose repeats differ: judged statistically
        const char *reason; // why unavailable or demoted, or a remark on a measured value; NULL when there is
                            // none
        uint64_t *samples; // in the metric's unit; at most INT64_MAX each. NULL for cpu_share (see functions)
        size_t n;
};

/*
 * A function of the CPU profile. Identity for comparing is (function, module); both survive a rebuild:
 * function is demangled and free of clone suffixes, hashes and ordinals, module is the file's base name.
 */
struct pg_function {
        const char *function; // "[unknown]" is never used: without a symbol it is "module+0xoffset"
        const char *module;   // "" when unknown
        const char *file;     // NULL when unknown
        uint32_t line;        // of the function's hottest sample; 0 when unknown
        uint64_t *self_ns;    // CPU time with this function innermost; one value for each profile run
};

/* A place that allocates: the program's own code above allocator wrappers (call_sites.h). Values are one
 * run's, summed over the process tree. */
struct pg_site {
        const char *function, *module, *file; // as in struct pg_function
        uint32_t line;
        uint64_t allocations;
        uint64_t allocated_bytes;
        uint64_t temporary;                // of allocations: freed as the thread's next event
        uint64_t peak_bytes, leaked_bytes; // live at the peak and at exit; 0 unless has_live
};

/* How the values of call sites were got. */
struct pg_site_quality {
        const char *rule; // names the set of wrappers that were passed over; NULL: none, sites are the direct
                          // callers of the allocator. Sites by different rules cannot be compared
        bool has_live;    // peak_bytes and leaked_bytes are known
        uint64_t live_interval_bytes;  // 0: they are exact; else estimates from a block each so many bytes
        uint64_t stack_interval_bytes; // 0: the other values are exact; else likewise from an allocation
};

/* A place that made other threads wait: the code that unlocked what they waited for. Means over the runs, summed over
 * the process tree. */
struct pg_lock_site {
        const char *function, *module, *file; // as in struct pg_function
        uint32_t line;
        uint64_t contentions; // waits that had begun under it
        uint64_t delay_ns;    // how long threads had waited for it
};

/* One process image of the tree in the (last) allocation run; an exec starts a new image. */
struct pg_process {
        const char *program; // base name of the executable
        uint64_t allocations, allocated_bytes, peak_heap_bytes, leaked_bytes;
};

/* How complete the call stacks of a pass are; sums over its processes and runs. */
struct pg_stack_quality {
        uint64_t events; // allocations, samples or waits; 0: the pass did not run, or nothing happened
        uint64_t truncated, unknown; // of events: the outermost frames are missing
        uint64_t other;              // of events: nothing is known of the stack
        uint64_t lost; // samples that were not kept, beside events; live blocks that were not attributed
        uint64_t live_interval_bytes; // 0: live bytes are exact, or nobody asked for them
        uint64_t verified, different; // stacks that were checked against a full unwind
};
enum pg_stacks_of { PG_STACKS_ALLOCATION, PG_STACKS_CPU, PG_STACKS_LOCK, PG_STACKS_COUNT };

/* How each number was got, for people and for refusing to compare what cannot be compared. NULL: pass not
 * run. */
struct pg_engines {
        const char *timing;     // "wait4"
        const char *allocation; // "agent"
        const char *cpu;        // "agent"
        const char *cpu_clock;  // "task-clock" or "cpu-timer": what ticked
        const char *lock;       // "agent"
};

struct pg_measurement {
        const char *name;
        const char *const *command; // NULL-terminated
        struct pg_series series[PG_METRIC_COUNT];
        struct pg_engines engines;
        struct pg_stack_quality stacks[PG_STACKS_COUNT];

        /* CPU profile: total over all functions, and number of samples, of each profile run. */
        uint64_t *profile_total_ns;
        uint64_t *profile_samples;
        uint64_t *profile_user_ns,
                *profile_system_ns; // as the kernel counted them, of each run; NULL: not known
        size_t n_profile_runs;
        uint64_t sample_rate_hz;
        const char *profile_doubt; // why this profile must not decide (self-check failed); NULL when it may

        struct pg_function *functions; // sorted by (function, module), unique
        size_t n_functions;
        struct pg_site *sites; // sorted by (function, module, file, line), unique
        size_t n_sites;
        struct pg_site_quality site_quality;
        struct pg_lock_site *lock_sites; // sorted as sites, unique
        size_t n_lock_sites;
        const char *lock_rule;        // as site_quality.rule, for lock_sites; NULL: they are not known
        struct pg_process *processes; // in the order they started
        size_t n_processes;
        const char *const *notes; // remarks for people, NULL-terminated or NULL
};

#endif
