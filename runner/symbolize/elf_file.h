// SPDX-License-Identifier: MIT
/*
 * elf_file.h - opening ELF files and finding the separate debug file that belongs to one.
 *
 * Files are read, never mapped: a build that truncates a file in place while we look at it gives short data,
 * not SIGBUS. Nothing here is an error: what cannot be opened or is no ELF file has elf == NULL.
 */
#ifndef PG_SYMBOLIZE_ELF_FILE_H
#define PG_SYMBOLIZE_ELF_FILE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>

struct pg_elf {
        Elf *elf;    // NULL: none
        int fd;      // -1: from memory, or none
        char *image; // of a file from memory; owned
};

#define PG_ELF_NONE ((struct pg_elf){ .elf = NULL, .fd = -1, .image = NULL })

/** Opens a regular file; ret->elf is NULL when it is not a native-endian ELF file or cannot be read. */
void pg_elf_open(const char *path, struct pg_elf *ret);
/** The same for bytes in memory, which are copied. */
void pg_elf_open_memory(const void *bytes, size_t len, struct pg_elf *ret);
/** The kernel's vDSO image of this very process. */
void pg_elf_open_vdso(struct pg_elf *ret);
void pg_elf_close(struct pg_elf *e);

/** The GNU build-id's bytes inside e; 0 when there is none. */
size_t pg_elf_build_id(Elf *elf, const unsigned char **ret);

/**
 * The file with the symbols and DWARF that were stripped from path: root/.build-id (its build-id must be the
 * same), else the name in .gnu_debuglink (its CRC must be the one recorded there) beside path, in .debug
 * beside it, or under root. ret->elf is NULL when there is none. root is "/usr/lib/debug" but in tests.
 */
void pg_elf_find_debug(Elf *elf, const char *path, const char *root, struct pg_elf *ret);

/** The section with this name, NULL when there is none; ret_header is set when found. */
Elf_Scn *pg_elf_section(Elf *elf, const char *name, GElf_Shdr *ret_header);

#endif
