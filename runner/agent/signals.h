// SPDX-License-Identifier: MIT
/*
 * signals.h - the one signal that the sampler uses, hidden from the target.
 *
 * The target sees the disposition that it would see without us and may set its own: signals from others then
 * reach its handler as the kernel would have called it. Ours is a signal that is ignored by default, so that
 * one which arrives after exec, or where handlers were reset, does nothing.
 */
#ifndef PG_AGENT_SIGNALS_H
#define PG_AGENT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef void signals_handler(int sig, siginfo_t *info, void *context);

/**
 * Takes a free signal and installs handler for it; all signals are blocked while it runs.
 * Returns its number, 0 when none is free. Once per process image.
 */
int signals_take(signals_handler *handler);

/** For the handler: a signal that is not the sampler's goes where the target wants it. Async-signal-safe. */
void signals_pass_on(int sig, siginfo_t *info, void *context);

/** In a forked child: frees what another thread of the parent may have held. */
void signals_after_fork(void);

/** What the target wants for the signal is in force from now on, in all threads; signals_take_again() ends that. */
void signals_give_back(void);
void signals_take_again(void);

/** Whether the kernel still has our handler: a raw system call can take it away. True where we may not ask. */
bool signals_still_ours(void);

#endif
