// SPDX-License-Identifier: MIT
/*
 * launch.h - starts targets through a tiny helper process, waits for their whole tree, says what the kernel
 * counted.
 *
 * The kernel folds the resident set of whoever forks into the child's ru_maxrss, so the runner never forks a
 * target: a small static helper does (one for the life of a launcher, child subreaper, one thread). Not
 * thread-safe.
 */
#ifndef PG_LAUNCH_LAUNCH_H
#define PG_LAUNCH_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/base/error.h"

struct pg_launcher;

/** Starts the helper. helper_path: the executable. PG_EOS when it cannot be started. */
PG_MUST_CHECK bool pg_launcher_create(const char *helper_path, struct pg_launcher **ret,
                                      struct pg_error *err);
/** Ends a target that still runs, the helper, and waits for it; takes NULL. */
void pg_launcher_destroy(struct pg_launcher *l);

enum pg_output {
        PG_OUTPUT_DISCARD, // standard output to /dev/null; standard error read and its end kept
        PG_OUTPUT_INHERIT, // both are the runner's own
        PG_OUTPUT_FILES,   // into output_fds
};

struct pg_launch_request {
        const char *const
                *argv; // NULL-terminated; argv[0] with a slash is used as it is, else looked up in PATH
        const char *const *envp; // the whole environment, NULL-terminated
        const char *cwd;
        const char
                *stdin_path; // NULL: /dev/null; ignored with PG_OUTPUT_INHERIT (standard input is inherited)
        uint64_t timeout_ns; // 0: none
        enum pg_output output;
        int output_fds[2];    // for PG_OUTPUT_FILES: standard output and standard error; borrowed
        bool fixed_addresses; // address-space randomisation off (counting passes)
        /* Called once while the target's process exists and waits, ready for its exec. False: it never execs, and
         * the launch fails with err. NULL: nobody is asked. Time in here is not counted, nor part of a time-out. */
        bool (*before_exec)(void *user, pid_t pid, struct pg_error *err);
        void *user;
};

enum { PG_STDERR_TAIL = 2048 };

/* What the helper weighs, rounded up: a target smaller than this may show as much as this. */
enum { PG_LAUNCH_FLOOR_BYTES = 700 * 1024 };

struct pg_launch_result {
        int pid;
        int exit_status; // 0-255; 128 + n after signal n
        int signal;      // 0 unless it died of one
        bool timed_out;
        bool fixed_addresses;        // randomisation was off; false where a sandbox refuses that
        uint64_t wall_ns;            // start to exit of the target itself
        uint64_t user_ns, system_ns; // of the target and all descendants that ended
        uint64_t peak_rss_bytes;     // largest single process among them
        uint32_t left_running; // descendants that outlived the target by more than a second and were ended
        char stderr_tail
                [PG_STDERR_TAIL]; // end of what it wrote to standard error; "" unless PG_OUTPUT_DISCARD
};

/**
 * Runs one target to the end of its process tree.
 *
 * The target gets descriptors 0, 1, 2 and no other, a process group of its own, default signal handling, the
 * limit of open files that the runner had when the launcher was created, and all else as the runner has it.
 * With PG_OUTPUT_INHERIT and a terminal that is ours, the terminal is the target's while it runs.
 *
 * A stopped target still counts as running. Not counted: children whose parent ignores SIGCHLD, because the
 * kernel drops what they used.
 *
 * err   PG_ETARGET when it could not be started ("'./foo': No such file or directory", with the reason of
 * exec or chdir); PG_ESTOPPED when *stop became non-zero while it ran (its tree is then dead); PG_EOS when
 * the helper failed (the next call starts a new one). A non-zero exit, a signal or a time-out of the target
 * is a result, not an error. stop (may be NULL) set by the caller's signal handler; looked at at least every
 * 50 ms
 */
PG_MUST_CHECK bool pg_launch(struct pg_launcher *l, const struct pg_launch_request *request,
                             const volatile int *stop, struct pg_launch_result *ret, struct pg_error *err);

#endif
