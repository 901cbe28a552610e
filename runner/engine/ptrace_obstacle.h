// SPDX-License-Identifier: MIT
/*
 * ptrace_obstacle.h - whether processes can be traced here, found out by tracing one.
 */
#ifndef PG_ENGINE_PTRACE_OBSTACLE_H
#define PG_ENGINE_PTRACE_OBSTACLE_H

#include "runner/base/arena.h"

/** Why the program at that path cannot be sampled by stopping it, NULL when nothing speaks against it.
 * program NULL: nothing but the machine is asked. The text lives in a, or is static. */
const char *pg_ptrace_obstacle(const char *program, struct pg_arena *a);

/* What the text is made from, for tests. */
struct pg_ptrace_refusal {
        int error;        // errno of the refused call
        int scope;        // kernel.yama.ptrace_scope; 0 where there is none
        int tracer;       // who traces our child already, 0: nobody
        bool filtered;    // a seccomp filter is at work
        const char *call; // "ptrace" or "process_vm_readv"
};
const char *pg_ptrace_explain(const struct pg_ptrace_refusal *r, struct pg_arena *a);

#endif
