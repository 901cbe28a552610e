// SPDX-License-Identifier: MIT
/*
 * fuzz_cfi.c - any bytes as unwind information: nothing outside them is read, everything ends, and every address
 * has a rule or a stop that can be told apart.
 *
 * The first byte says where the search table is assumed; the rest are the module, at an address that makes small
 * relative numbers meet it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/unwind/cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        BASE = 0x10000,
        CODE = 0x20000
}; // as in tests/unit/unwind/test_cfi.c, whose modules are the first corpus

static void check(pg_rule r)
{
        assert(r != 0 && pg_rule_owner(r) == 0);
        if (pg_rule_cfa(r) == PG_CFA_STOP)
                assert(pg_rule_why(r) == PG_STOP_NO_CFI || pg_rule_why(r) == PG_STOP_UNSUPPORTED ||
                       pg_rule_why(r) == PG_STOP_DAMAGED);
        else
                assert(pg_rule_cfa(r) != PG_CFA_NONE && pg_rule_cfa(r) != PG_CFA_CHAIN);
}

static void walk(const struct pg_cfi *cfi, bool is_debug_frame)
{
        struct pg_cfi_entry e;
        size_t before = 0;
        for (size_t offset = 0; pg_cfi_next(cfi, is_debug_frame, &offset, &e); before = offset) {
                assert(offset > before && offset <= cfi->size && e.fde_offset < offset);
                uint64_t size = e.end - e.start;
                for (uint64_t i = 0; i < 4; i++)
                        check(pg_cfi_rule_of(cfi, e.fde_offset, is_debug_frame, e.start + size / 4 * i));
                check(pg_cfi_rule_of(cfi, e.fde_offset, is_debug_frame, e.end));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        uint8_t *bytes = malloc(size); // of the exact size, and not aligned
        assert(bytes);
        memcpy(bytes, data, size);
        struct pg_cfi cfi = { bytes + 1, BASE, size - 1, BASE + data[0] };
        for (uint64_t i = 0; i < 0x100; i += 5)
                check(pg_cfi_rule(&cfi, CODE + i));
        walk(&cfi, false);
        walk(&cfi, true);
        (void)pg_cfi_is_signal_return(cfi.bytes, cfi.size);
        free(bytes);
        return 0;
}
