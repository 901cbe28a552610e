// SPDX-License-Identifier: MIT
/*
 * fuzz_elf.c - any bytes as a module: every address has a name, and nothing crashes.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner/base/cleanup.h"
#include "runner/symbolize/symbolize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        enum { N = 64 };
        char path[64];
        uint64_t addresses[N];
        struct pg_location found[N];
        struct pg_error err = { 0 };
        PG_AUTO_CLOSE int fd = memfd_create("module", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                return 0;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        for (size_t i = 0; i < N; i++)
                addresses[i] = 0x200 + i * 8; // where small libraries have their code
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_symbolizer *s = a ? pg_symbolizer_create(a) : NULL;
        if (s && pg_symbolize(s, path, addresses, N, found, &err))
                for (size_t i = 0; i < N; i++)
                        assert(found[i].n_frames >= 1 && found[i].frames[0].name &&
                               found[i].frames[0].identity);
        pg_symbolizer_destroy(s);
        return 0;
}
