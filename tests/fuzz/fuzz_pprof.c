// SPDX-License-Identifier: MIT
/*
 * fuzz_pprof.c - any bytes as a pprof file: refused, or a profile that can be summed up and whose indices
 * hold.
 */
#include <assert.h>
#include <stdint.h>

#include "runner/profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct pg_error err = { 0 };
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        if (!a || !pg_pprof_parse(data, size, &p, &err)) {
                assert(!a || err.code != PG_OK);
                return 0;
        }
        for (size_t t = 0; t < p->n_sample_types; t++) {
                struct pg_top_row *rows;
                size_t n;
                int64_t sum;
                bool ok = pg_profile_top(p, t, a, &rows, &n, &sum, &err);
                assert(ok || err.code == PG_ENOMEM);
        }
        char *again = NULL;
        size_t len;
        struct pg_error refused = { 0 };
        if (pg_profile_check(p, &refused)) { // what passes the check can be written
                bool ok = pg_pprof_format(p, &again, &len, &err);
                assert(ok);
                free(again);
        }
        return 0;
}
