// SPDX-License-Identifier: MIT
/*
 * program.h - which file a command's first word means, and why it cannot be executed.
 */
#ifndef PG_LAUNCH_PROGRAM_H
#define PG_LAUNCH_PROGRAM_H

#include "runner/base/error.h"

/**
 * The path to execute for name, as the shell would find it from the folder cwd_fd.
 *
 * envp   the target's environment; its PATH counts, else /bin:/usr/bin
 * ret    to be freed; relative paths are relative to cwd_fd. A name with a slash is not looked at.
 * err    PG_ETARGET: not in PATH, or only there as something that cannot be executed; PG_ENOMEM
 */
PG_MUST_CHECK bool pg_program_find(int cwd_fd, const char *name, const char *const *envp, char **ret,
                                   struct pg_error *err);

/** Fails with PG_ETARGET and why execve of path (seen from cwd_fd) gave os_errno. name: as the user wrote it.
 */
bool pg_program_explain(int cwd_fd, const char *name, const char *path, int os_errno, struct pg_error *err);

#endif
