// SPDX-License-Identifier: MIT
/*
 * wire.h - whole pieces over the stream socket between runner and launch helper.
 *
 * No heap, no stdio: the helper has it too.
 */
#ifndef PG_LAUNCH_WIRE_H
#define PG_LAUNCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/** Exactly n bytes, through interruptions by signals. False: the other side is gone, or the socket timed out. */
bool pg_wire_receive(int fd, void *to, size_t n);
/** The same for sending; SIGPIPE is never raised. */
bool pg_wire_send(int fd, const void *from, size_t n);

#endif
