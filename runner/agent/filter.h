// SPDX-License-Identifier: MIT
/*
 * filter.h - the system calls that the target's own seccomp filters leave to us.
 *
 * A filter that kills for calls which the program itself never makes would kill it for ours. So each filter that the
 * target installs is run here first, over the calls that the libraries make; those that one of them does not let
 * through are made no more by this process and its children (raw_call() fails with EPERM instead).
 *
 * Filters from before the program's start, and those that a target installs without libc's prctl() and syscall(), are
 * not seen.
 */
#ifndef PG_AGENT_FILTER_H
#define PG_AGENT_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

/* Bit i: call i of the table in filter.c may be made. */
extern _Atomic uint32_t filter_admitted __attribute__((visibility("hidden")));
enum { FILTER_ADMITS_ALL = 0xffffffffu };

/** True once a filter does not let all of our calls through. Then those that work together only (open, map and close;
 * what a clock needs) are not made at all, and others each as the filters say. */
static inline bool filter_restricts(void)
{
        return __builtin_expect(
                atomic_load_explicit(&filter_admitted, memory_order_relaxed) != FILTER_ADMITS_ALL, 0);
}

/** Whether the call may be made; asked when filter_restricts() only. Async-signal-safe. */
bool filter_admits(long number);

/** Our calls that this program lets through, as bits. n_instructions of code are readable; anything that the kernel
 * would not accept lets none through. */
uint32_t filter_lets_through(const struct sock_filter *code, uint32_t n_instructions);

/** The same of SECCOMP_MODE_STRICT. */
uint32_t filter_strict_mode(void);

/** Whether the handler of a signal may run and return among the calls of this set. */
bool filter_lets_signals(uint32_t admitted);

/** Finds the definitions of prctl() and syscall() behind ours. In the constructor. */
void filter_start(void);

#endif
