// SPDX-License-Identifier: MIT
/*
 * file.c - whole files in and out: bounded reads, atomic replacement.
 */
#include "runner/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"

static bool read_up_to(int fd, size_t max_bytes, struct pg_buf *b, struct pg_error *err)
{
        char piece[65536];
        for (;;) {
                ssize_t n = read(fd, piece, sizeof(piece));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return pg_fail_os(err, "cannot read");
                if (n == 0)
                        return pg_buf_ok(b, err);
                if ((size_t)n > max_bytes - b->len)
                        return pg_fail(err, PG_EDATA, "larger than %zu MiB", max_bytes >> 20);
                pg_buf_append(b, piece, (size_t)n);
        }
}

bool pg_file_read(const char *path, size_t max_bytes, char **ret, size_t *ret_len, struct pg_error *err)
{
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return pg_fail_os(err, "cannot open");
        struct stat st;
        if (fstat(fd, &st) < 0)
                return pg_fail_os(err, "cannot stat");
        if (S_ISDIR(st.st_mode))
                return pg_fail(err, PG_EDATA, "is a directory, expected a file");
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
                return pg_fail(err, PG_EDATA, "is neither a regular file nor a pipe");
        if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max_bytes)
                return pg_fail(err, PG_EDATA, "%ju MiB large, at most %zu MiB are read",
                               (uintmax_t)st.st_size >> 20, max_bytes >> 20);
        if (S_ISFIFO(st.st_mode) && fcntl(fd, F_SETFL, 0) < 0)
                return pg_fail_os(err, "cannot read");
        PG_AUTO_BUF struct pg_buf b = { 0 };
        if (!read_up_to(fd, max_bytes, &b, err))
                return false;
        size_t len = b.len;
        char *data = pg_buf_steal(&b);
        if (!data)
                return pg_fail_nomem(err);
        *ret = data;
        *ret_len = len;
        return true;
}

static bool write_all(int fd, const char *data, size_t len, struct pg_error *err)
{
        while (len) {
                ssize_t n = write(fd, data, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return pg_fail_os(err, "cannot write");
                data += n;
                len -= (size_t)n;
        }
        return true;
}

/* Where the bytes go in the end: the file that a symbolic link names, so that the link stays one. */
static char *final_path(const char *path)
{
        char *real = realpath(path, NULL);
        return real ? real : strdup(path);
}

static bool write_and_rename(int fd, const char *temp, const char *path, const void *data, size_t len,
                             struct pg_error *err)
{
        struct stat old;
        mode_t mask = umask(0);
        umask(mask);
        mode_t mode = stat(path, &old) == 0 ? (old.st_mode & 0777) : (0644 & ~mask);
        if (!write_all(fd, data, len, err))
                return false;
        if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
                return pg_fail_os(err, "cannot write");
        if (rename(temp, path) < 0)
                return pg_fail_os(err, "cannot replace");
        return true;
}

static void sync_folder_of(const char *path)
{
        PG_AUTO_FREE char *dir = strdup(path);
        if (!dir)
                return;
        char *slash = strrchr(dir, '/');
        if (slash)
                slash[slash == dir ? 1 : 0] = '\0';
        PG_AUTO_CLOSE int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
                fsync(fd); // best effort: some file systems refuse it, and the file itself is synced
}

bool pg_file_replace(const char *path, const void *data, size_t len, struct pg_error *err)
{
        PG_AUTO_FREE char *target = final_path(path);
        if (!target)
                return pg_fail_nomem(err);
        struct stat st;
        if (stat(target, &st) == 0 && S_ISDIR(st.st_mode))
                return pg_fail(err, PG_EDATA, "is a directory, expected a file");
        size_t n = strlen(target);
        PG_AUTO_FREE char *temp = malloc(n + sizeof(".XXXXXX"));
        if (!temp)
                return pg_fail_nomem(err);
        memcpy(temp, target, n);
        memcpy(temp + n, ".XXXXXX", sizeof(".XXXXXX"));
        PG_AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
        if (fd < 0)
                return pg_fail_os(err, "cannot create a file beside it");
        if (!write_and_rename(fd, temp, target, data, len, err)) {
                unlink(temp);
                return false;
        }
        sync_folder_of(target);
        return true;
}

bool pg_mkdirs(const char *path, struct pg_error *err)
{
        PG_AUTO_FREE char *copy = strdup(path);
        if (!copy)
                return pg_fail_nomem(err);
        for (char *p = copy + 1; *copy; p++) {
                if (*p != '/' && *p != '\0')
                        continue;
                char end = *p;
                *p = '\0';
                struct stat st;
                if (mkdir(copy, 0777) < 0 &&
                    (errno != EEXIST || (stat(copy, &st) == 0 && !S_ISDIR(st.st_mode)))) {
                        if (errno == EEXIST)
                                errno = ENOTDIR;
                        return pg_fail_os(err, "cannot create folder '%s'", copy);
                }
                if (end == '\0')
                        break;
                *p = end;
        }
        return true;
}

char *pg_path_join(const char *dir, const char *name)
{
        if (name[0] == '/' || strcmp(dir, ".") == 0 || dir[0] == '\0')
                return strdup(name);
        size_t n = strlen(dir), m = strlen(name);
        while (n > 1 && dir[n - 1] == '/')
                n--;
        char *p = malloc(n + m + 2);
        if (!p)
                return NULL;
        memcpy(p, dir, n);
        p[n] = '/';
        memcpy(p + n + 1, name, m + 1);
        return p;
}
