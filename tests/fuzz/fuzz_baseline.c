// SPDX-License-Identifier: MIT
/*
 * fuzz_baseline.c - any bytes as a baseline or result: refused with a place, or read, and then what is
 * written of it is read again and written with the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A result need not say when it was made, a baseline does. */
static void write_twice(struct pg_snapshot *s)
{
        PG_AUTO_SNAPSHOT struct pg_snapshot *again = NULL;
        PG_AUTO_FREE char *once = NULL, *twice = NULL;
        size_t n_once, n_twice;
        struct pg_error err = { 0 };
        if (!s->created)
                s->created = "2026-11-23T10:00:00Z";
        if (!pg_baseline_format(s, &once, &n_once, &err) ||
            !pg_snapshot_parse("b", once, n_once, &again, &err) ||
            !pg_baseline_format(again, &twice, &n_twice, &err))
                abort();
        if (n_once != n_twice || memcmp(once, twice, n_once) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        struct pg_error err = { 0 };
        if (pg_snapshot_parse("b", (const char *)data, size, &s, &err))
                write_twice(s);
        else if (err.code != PG_EDATA || strncmp(err.text, "b:", 2) != 0 || strchr(err.text, '\n'))
                abort();
        return 0;
}
