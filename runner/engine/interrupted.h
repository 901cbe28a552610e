// SPDX-License-Identifier: MIT
/*
 * interrupted.h - system calls that a tracer's interrupt woke.
 *
 * The kernel restarts most of them by itself, with the time that was left. Some it ends with EINTR
 * whatever the reason was (signal(7), "Interruption of system calls and library functions by stop
 * signals"): the target would see an error that it never sees without us. Their result is changed into
 * the kernel's own mark for "restart unless a handler runs", before the thread goes on.
 */
#ifndef PG_ENGINE_INTERRUPTED_H
#define PG_ENGINE_INTERRUPTED_H

#include <stdbool.h>
#include <sys/user.h>

/** True when these registers of a stopped thread are those of the end of any system call. */
bool pg_interrupted_in_call(const struct user_regs_struct *r);

/** True when these registers of a stopped thread are those of a system call that was waiting and was
 * woken. */
bool pg_interrupted_waiting(const struct user_regs_struct *r);

/**
 * True when the call would fail with EINTR; r is then changed so that it starts again, with its whole
 * time-out, unless a signal handler is to run first. Calls that must not be repeated (close, for one) are
 * left alone.
 */
bool pg_interrupted_mend(struct user_regs_struct *r);

#endif
