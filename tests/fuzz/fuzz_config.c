// SPDX-License-Identifier: MIT
/*
 * fuzz_config.c - any bytes as perfgate.json: read, or refused with a place.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ci/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PG_AUTO_CONFIG struct pg_config *c = NULL;
        struct pg_error err = { 0 };
        if (pg_config_parse("c", (const char *)data, size, &c, &err)) {
                if (!c->n_benchmarks || err.code != PG_OK)
                        abort();
        } else if (err.code != PG_EUSAGE || strncmp(err.text, "c:", 2) != 0 || strchr(err.text, '\n')) {
                abort();
        }
        return 0;
}
