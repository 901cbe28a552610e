// SPDX-License-Identifier: MIT
/*
 * protocol.h - what runner and launch helper say to each other over their stream socket.
 *
 * Both ends are built together and run on one machine, so structures travel as they lie in memory; magic and
 * version catch a helper of another build, and each side still checks every number it receives. Private to
 * this folder.
 */
#ifndef PG_LAUNCH_PROTOCOL_H
#define PG_LAUNCH_PROTOCOL_H

#include <stdint.h>

enum {
        PG_HELPER_MAGIC = 0x50474c48, // "PGLH"
        PG_HELPER_VERSION = 2,
        PG_HELPER_SOCKET = 0,          // descriptor of the socket in the helper
        PG_HELPER_SHARED = 3,          // descriptor of the shared page in the helper
        PG_HELPER_MAX_BODY = 32 << 20, // far above what any kernel takes for exec (6 MiB)
};

/* Helper to runner, once, before anything else. */
struct pg_helper_hello {
        uint32_t magic, version;
};

enum pg_helper_kind { PG_HELPER_RUN = 1, PG_HELPER_STOP = 2, PG_HELPER_GO = 3 };

enum { // flags of a request
        PG_HELPER_FIXED_ADDRESSES = 1,
        PG_HELPER_TERMINAL = 2, // standard input is a terminal to be lent to the target
        PG_HELPER_WAIT = 4, // the target's process answers PG_STEP_WAITING and execs when PG_HELPER_GO came
        PG_HELPER_FLAGS = PG_HELPER_FIXED_ADDRESSES | PG_HELPER_TERMINAL | PG_HELPER_WAIT,
};

/* Descriptors that travel with PG_HELPER_RUN: the target's 0, 1, 2, and its working directory. */
enum { PG_HELPER_CWD_FD = 3, PG_HELPER_FDS = 4 };

/*
 * Runner to helper. PG_HELPER_RUN is followed by body_bytes: path of the program, argc arguments, envc
 * environment strings, each with its NUL. PG_HELPER_STOP ends the running target's tree; with no target it
 * means nothing. PG_HELPER_GO and PG_HELPER_STOP are also what a waiting target may hear.
 */
struct pg_helper_request {
        uint32_t magic, kind, flags, argc, envc, unused;
        uint64_t body_bytes;
        uint64_t timeout_ns; // 0: none
        uint64_t nofile_soft, nofile_hard;
};

enum pg_helper_step {
        PG_STEP_NONE, // the target ran
        PG_STEP_FORK,
        PG_STEP_STDIO,
        PG_STEP_CWD,
        PG_STEP_LIMIT,
        PG_STEP_EXEC,
        PG_STEP_WAITING, // no failure: it waits for PG_HELPER_GO
        PG_STEP_REFUSED, // something else came instead
        PG_STEP_COUNT
};

/* Helper to runner, one for each PG_HELPER_RUN; before it, with PG_HELPER_WAIT, one with PG_STEP_WAITING and the
 * pid from the target's process itself, unless it failed earlier. */
struct pg_helper_answer {
        uint32_t magic;
        uint32_t failed_step; // enum pg_helper_step
        int32_t error;        // errno of that step
        int32_t pid;
        int32_t status; // as wait4 gives it
        uint32_t timed_out, fixed_addresses, left_running;
        uint64_t wall_ns, user_ns, system_ns, peak_rss_bytes;
};

/* One page both map: survives the helper, so that the runner can end what a killed helper leaves behind. */
struct pg_helper_shared {
        _Atomic int32_t target; // process group of the running target, 0 when none runs
};

#endif
