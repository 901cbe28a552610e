// SPDX-License-Identifier: MIT
/*
 * program.c - PATH search, and a failed exec in words.
 *
 * Both look at the file system from the target's working directory, because that is where execve will look.
 * Explaining happens after the failure, so it never refuses what the kernel would have taken.
 */
#include "runner/launch/program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"

static const char *path_of(const char *const *envp)
{
        for (; *envp; envp++)
                if (strncmp(*envp, "PATH=", 5) == 0)
                        return *envp + 5;
        return "/bin:/usr/bin";
}

static bool is_executable_file(int cwd_fd, const char *path)
{
        struct stat st;
        return fstatat(cwd_fd, path, &st, 0) == 0 && S_ISREG(st.st_mode) &&
               faccessat(cwd_fd, path, X_OK, AT_EACCESS) == 0;
}

bool pg_program_find(int cwd_fd, const char *name, const char *const *envp, char **ret, struct pg_error *err)
{
        if (name[0] == '\0')
                return pg_fail(err, PG_ETARGET, "the command is empty");
        PG_AUTO_BUF struct pg_buf path = { 0 }, unusable = { 0 };
        if (strchr(name, '/'))
                pg_buf_puts(&path, name);
        const char *dir = path_of(envp);
        for (size_t n; !strchr(name, '/'); dir += n + 1) {
                n = strcspn(dir, ":");
                path.len = 0;
                pg_buf_append(&path, n ? dir : ".", n ? n : 1);
                pg_buf_putc(&path, '/');
                pg_buf_puts(&path, name);
                if (!pg_buf_ok(&path, err))
                        return false;
                if (is_executable_file(cwd_fd, path.data))
                        break;
                if (!unusable.data && faccessat(cwd_fd, path.data, F_OK, 0) == 0)
                        pg_buf_puts(&unusable, path.data);
                if (dir[n] != '\0')
                        continue;
                if (unusable.data)
                        return pg_program_explain(cwd_fd, name, unusable.data, EACCES, err);
                return pg_fail(err, PG_ETARGET, "'%s': not found in PATH", name);
        }
        if (!pg_buf_ok(&path, err))
                return false;
        *ret = pg_buf_steal(&path);
        return *ret ? true : pg_fail_nomem(err);
}

/* The interpreter of a script's first line into text; false when it has none. */
static bool interpreter_of(int cwd_fd, const char *path, char *text, size_t size)
{
        PG_AUTO_CLOSE int fd = openat(cwd_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
        if (n < 3 || text[0] != '#' || text[1] != '!')
                return false;
        text[n] = '\0';
        char *start = text + 2 + strspn(text + 2, " \t");
        size_t len = strcspn(start, " \t\n");
        memmove(text, start, len);
        text[len] = '\0';
        return true;
}

static bool explain_missing(int cwd_fd, const char *name, const char *path, struct pg_error *err)
{
        char interpreter[256];
        if (faccessat(cwd_fd, path, F_OK, 0) < 0)
                return pg_fail(err, PG_ETARGET, "'%s': %s", name, strerror(ENOENT));
        if (interpreter_of(cwd_fd, path, interpreter, sizeof(interpreter)))
                return pg_fail(err, PG_ETARGET, "'%s': its interpreter '%s' does not exist", name,
                               interpreter);
        return pg_fail(err, PG_ETARGET, "'%s': the dynamic loader that it was linked for does not exist here",
                       name);
}

static bool explain_denied(int cwd_fd, const char *name, const char *path, struct pg_error *err)
{
        char interpreter[256];
        struct stat st;
        if (fstatat(cwd_fd, path, &st, 0) < 0)
                return pg_fail(err, PG_ETARGET, "'%s': %s", name, strerror(errno));
        if (S_ISDIR(st.st_mode))
                return pg_fail(err, PG_ETARGET, "'%s': is a directory, expected a program", name);
        if (!S_ISREG(st.st_mode))
                return pg_fail(err, PG_ETARGET, "'%s': is not a regular file, expected a program", name);
        if (faccessat(cwd_fd, path, X_OK, AT_EACCESS) < 0)
                return pg_fail(err, PG_ETARGET,
                               "'%s': not executable (%s has no permission for it, see chmod +x)", name,
                               strchr(name, '/') ? "it" : path);
        if (interpreter_of(cwd_fd, path, interpreter, sizeof(interpreter)))
                return pg_fail(err, PG_ETARGET, "'%s': its interpreter '%s' cannot be executed", name,
                               interpreter);
        return pg_fail(err, PG_ETARGET, "'%s': %s", name, strerror(EACCES));
}

bool pg_program_explain(int cwd_fd, const char *name, const char *path, int os_errno, struct pg_error *err)
{
        switch (os_errno) {
        case ENOENT:
                return explain_missing(cwd_fd, name, path, err);
        case EACCES:
                return explain_denied(cwd_fd, name, path, err);
        case ENOEXEC:
                return pg_fail(err, PG_ETARGET,
                               "'%s': neither a program for this machine nor a script that starts with #!",
                               name);
        case E2BIG:
                return pg_fail(err, PG_ETARGET, "'%s': arguments and environment are too large for exec",
                               name);
        default:
                return pg_fail(err, PG_ETARGET, "'%s': %s", name, strerror(os_errno));
        }
}
