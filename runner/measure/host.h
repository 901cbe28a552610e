// SPDX-License-Identifier: MIT
/*
 * host.h - the machine that a measurement was made on, as far as it matters for comparing.
 */
#ifndef PG_MEASURE_HOST_H
#define PG_MEASURE_HOST_H

#include <stdint.h>

#include "runner/base/arena.h"
#include "runner/base/error.h"

struct pg_host {
        const char *cpu_model; // "AMD EPYC 7763 64-Core Processor"; "unknown" when the kernel does not say
        const char *arch;      // "x86_64"
        const char *kernel;    // "6.1.0-18-amd64"
        const char *libc;      // "glibc 2.36"
        const char *os;        // PRETTY_NAME of os-release
        uint32_t cores;        // usable by this process
};

/** Describes this machine; strings live in a. Fails only with PG_ENOMEM. */
PG_MUST_CHECK bool pg_host_describe(struct pg_arena *a, struct pg_host *ret, struct pg_error *err);

#endif
