// SPDX-License-Identifier: MIT
/*
 * fuzz_code.c - any bytes as a file with code: every address has a rule, and nothing crashes.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/engine/code_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct pg_error err = { 0 };
        struct pg_code_file *f = NULL;
        uint64_t bias;
        void *image =
                malloc(size + 1); // libelf wants what malloc aligns, and a sanitizer sees each byte too far
        if (!image)
                return 0;
        memcpy(image, data, size);
        assert(pg_code_file_read_memory(image, size, &f, &err));
        for (uint64_t at = 0; f && at < 0x3000; at += 13) {
                assert(pg_rule_cfa(pg_code_file_rule(f, at)) != PG_CFA_NONE);
                (void)pg_code_file_bias(f, 0x10000, at, &bias);
        }
        pg_code_file_destroy(f);
        free(image);
        return 0;
}
