// SPDX-License-Identifier: MIT
/*
 * snapshot.c - snapshots in memory and as files; what the bytes mean is in snapshot_read.c and
 * snapshot_write.c.
 *
 * A save formats, reads its own bytes back, and only then replaces the file: what cannot be loaded again is
 * never written over something that can.
 */
#include "baseline/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "baseline/utf8.h"
#include "runner/base/file.h"

struct pg_snapshot *pg_snapshot_create(void)
{
        struct pg_arena *arena = pg_arena_create();
        struct pg_snapshot *s = arena ? pg_arena_calloc(arena, 1, sizeof(*s)) : NULL;
        if (!s) {
                pg_arena_destroy(arena);
                return NULL;
        }
        s->arena = arena;
        return s;
}

void pg_snapshot_destroy(struct pg_snapshot *s)
{
        if (s)
                pg_arena_destroy(s->arena);
}

const struct pg_measurement *pg_snapshot_find(const struct pg_snapshot *s, const char *name)
{
        for (size_t i = 0; i < s->n_benchmarks; i++)
                if (strcmp(s->benchmarks[i].name, name) == 0)
                        return &s->benchmarks[i];
        return NULL;
}

const char *pg_benchmark_name_problem(const char *name)
{
        enum { MAX = 100 };
        size_t n = strlen(name);
        if (n == 0)
                return "may not be empty";
        if (n > MAX)
                return "may have at most 100 bytes";
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return "may not be '.' or '..'";
        for (size_t i = 0; i < n;) {
                size_t length = pg_utf8_sequence(name + i, name + n);
                if (length == 0)
                        return "must be UTF-8";
                if (name[i] == '/')
                        return "may not hold a '/'";
                if (length == 1 && ((unsigned char)name[i] < 0x20 || name[i] == 0x7F))
                        return "may not hold a control character";
                i += length;
        }
        return NULL;
}

bool pg_snapshot_load(const char *path, struct pg_snapshot **ret, struct pg_error *err)
{
        PG_AUTO_FREE char *text = NULL;
        size_t len;
        if (!pg_file_read(path, PG_SNAPSHOT_MAX_BYTES, &text, &len, err))
                return pg_context(err, "%s", path);
        return pg_snapshot_parse(path, text, len, ret, err);
}

bool pg_baseline_save(const char *path, const struct pg_snapshot *s, struct pg_error *err)
{
        PG_AUTO_FREE char *text = NULL;
        PG_AUTO_SNAPSHOT struct pg_snapshot *again = NULL;
        size_t len;
        if (!pg_baseline_format(s, &text, &len, err))
                return false;
        if (len > PG_SNAPSHOT_MAX_BYTES)
                return pg_fail(err, PG_EDATA, "%s: a baseline of %zu MiB is too large to be read again", path,
                               len >> 20);
        if (!pg_snapshot_parse(path, text, len, &again, err))
                return pg_context(err, "not written, because it could not be read again");
        if (!pg_file_replace(path, text, len, err))
                return pg_context(err, "%s", path);
        return true;
}
