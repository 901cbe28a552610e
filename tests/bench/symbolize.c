// SPDX-License-Identifier: MIT
/*
 * symbolize.c - `bench_symbolize COUNT FILE...`: looks up COUNT addresses in each ELF file, spread evenly
 * over its executable segments.
 *
 * Prints how many addresses had a symbol, so that a fast nothing is seen. One symbolizer for all files, as a
 * profile has.
 */
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/symbolize/symbolize.h"

/* The largest executable segment: *start and its size in bytes; false when there is none. */
static bool code_range(const char *path, uint64_t *start, uint64_t *size)
{
        *size = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
        size_t n = 0;
        if (elf && elf_getphdrnum(elf, &n) != 0)
                n = 0;
        for (size_t i = 0; i < n; i++) {
                GElf_Phdr p;
                if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && (p.p_flags & PF_X) &&
                    p.p_filesz > *size) {
                        *start = p.p_vaddr;
                        *size = p.p_filesz;
                }
        }
        elf_end(elf);
        if (fd >= 0)
                close(fd);
        return *size > 0;
}

/* Looks up n addresses; the number that had a symbol in *ret. */
static bool look_up(struct pg_symbolizer *s, const char *path, size_t n, size_t *ret, struct pg_error *err)
{
        uint64_t start, size;
        if (!code_range(path, &start, &size))
                return pg_fail(err, PG_EUSAGE, "'%s' is not an ELF file with code", path);
        uint64_t *addresses = calloc(n, sizeof(*addresses));
        struct pg_location *found = calloc(n, sizeof(*found));
        for (size_t i = 0; addresses && i < n; i++)
                addresses[i] = start + size / n * i;
        bool ok = addresses && found && pg_symbolize(s, path, addresses, n, found, err);
        for (size_t i = 0; ok && i < n; i++)
                *ret += found[i].has_symbol;
        free(addresses);
        free(found);
        return ok || pg_fail_nomem(err);
}

int main(int argc, char **argv)
{
        size_t n = argc > 2 ? strtoul(argv[1], NULL, 10) : 0, known = 0;
        if (n == 0) {
                fputs("usage: bench_symbolize COUNT FILE...\n", stderr);
                return 1;
        }
        elf_version(EV_CURRENT);
        struct pg_error err = { 0 };
        PG_AUTO_ARENA struct pg_arena *arena = pg_arena_create();
        struct pg_symbolizer *s = arena ? pg_symbolizer_create(arena) : NULL;
        for (int i = 2; s && i < argc && err.code == PG_OK; i++)
                if (!look_up(s, argv[i], n, &known, &err))
                        break;
        pg_symbolizer_destroy(s);
        if (!s || err.code != PG_OK) {
                fprintf(stderr, "bench_symbolize: %s\n", s ? err.text : "out of memory");
                return 1;
        }
        printf("%zu of %zu addresses have a symbol\n", known, n * (size_t)(argc - 2));
        return 0;
}
