// SPDX-License-Identifier: MIT
/*
 * fuzz_jit_map.c - any bytes as the map of a JIT compiler: what is found covers the address, and has a name.
 */
#include <assert.h>
#include <stdint.h>

#include "runner/symbolize/jit_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_around(const struct pg_jit_map *m, uint64_t address)
{
        for (uint64_t k = 0; k < 3; k++) {
                const struct pg_jit_code *code = pg_jit_map_find_code(m, address + k - 1);
                assert(!code || (code->start <= address + k - 1 && address + k - 1 < code->end));
                assert(!code || (code->name && code->system_name));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct pg_jit_map *m = pg_jit_map_parse((const char *)data, size);
        if (!m)
                return 0;
        for (uint64_t address = 0; address < 0x4000; address += 0x80)
                look_around(m, address);
        look_around(m, UINT64_MAX);
        for (int bit = 0; bit < 64; bit++)
                look_around(m, UINT64_C(1) << bit);
        pg_jit_map_destroy(m);
        return 0;
}
