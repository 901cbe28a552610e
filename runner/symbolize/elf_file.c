// SPDX-License-Identifier: MIT
/*
 * elf_file.c - opening ELF files and finding the separate debug file that belongs to one.
 *
 * Separate files are looked for on this machine only, and taken only when build-id or CRC prove that they
 * belong together: symbols of another build would name wrong functions.
 */
#include "runner/symbolize/elf_file.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <zlib.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"

static bool is_native(Elf *elf)
{
        GElf_Ehdr header;
        return elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
               header.e_ident[EI_DATA] ==
                       (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB);
}

static int open_regular(const char *path)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
                close(fd);
                return -1;
        }
        return fd;
}

void pg_elf_open(const char *path, struct pg_elf *ret)
{
        *ret = PG_ELF_NONE;
        elf_version(EV_CURRENT);
        ret->fd = open_regular(path);
        if (ret->fd < 0)
                return;
        ret->elf = elf_begin(ret->fd, ELF_C_READ, NULL);
        if (!is_native(ret->elf))
                pg_elf_close(ret);
}

void pg_elf_open_memory(const void *bytes, size_t len, struct pg_elf *ret)
{
        *ret = PG_ELF_NONE;
        elf_version(EV_CURRENT);
        ret->image = malloc(len ? len : 1);
        if (!ret->image)
                return;
        memcpy(ret->image, bytes, len);
        ret->elf = elf_memory(ret->image, len);
        if (!is_native(ret->elf))
                pg_elf_close(ret);
}

void pg_elf_open_vdso(struct pg_elf *ret)
{
        const unsigned char *base = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
        *ret = PG_ELF_NONE;
        if (!base || memcmp(base, ELFMAG, SELFMAG) != 0 || base[EI_CLASS] != ELFCLASS64)
                return;
        Elf64_Ehdr header;
        memcpy(&header, base, sizeof(header));
        // The section headers end the image; the kernel maps all of it.
        pg_elf_open_memory(base, header.e_shoff + (size_t)header.e_shnum * header.e_shentsize, ret);
}

void pg_elf_close(struct pg_elf *e)
{
        if (e->elf)
                elf_end(e->elf);
        if (e->fd >= 0)
                close(e->fd);
        free(e->image);
        *e = PG_ELF_NONE;
}

size_t pg_elf_build_id(Elf *elf, const unsigned char **ret)
{
        const void *bytes;
        ssize_t n = dwelf_elf_gnu_build_id(elf, &bytes);
        if (n <= 0 || n > 64)
                return 0;
        *ret = bytes;
        return (size_t)n;
}

static void find_by_build_id(Elf *elf, const char *root, struct pg_elf *ret)
{
        const unsigned char *id, *found;
        size_t n = pg_elf_build_id(elf, &id);
        if (n < 2)
                return;
        PG_AUTO_BUF struct pg_buf path = { 0 };
        struct pg_error err = { 0 };
        pg_buf_printf(&path, "%s/.build-id/%02x/", root, id[0]);
        for (size_t i = 1; i < n; i++)
                pg_buf_printf(&path, "%02x", id[i]);
        pg_buf_puts(&path, ".debug");
        if (!pg_buf_ok(&path, &err))
                return;
        pg_elf_open(path.data, ret);
        if (ret->elf && (pg_elf_build_id(ret->elf, &found) != n || memcmp(found, id, n) != 0))
                pg_elf_close(ret);
}

static bool has_crc(int fd, uint32_t want)
{
        unsigned char piece[65536];
        uLong crc = crc32(0, NULL, 0);
        off_t at = 0;
        for (ssize_t n; (n = pread(fd, piece, sizeof(piece), at)) > 0; at += n)
                crc = crc32(crc, piece, (uInt)n);
        return crc == want;
}

static bool try_link(const char *root, const char *folder, const char *below, const char *name, uint32_t crc,
                     struct pg_elf *ret)
{
        PG_AUTO_BUF struct pg_buf path = { 0 };
        struct pg_error err = { 0 };
        pg_buf_printf(&path, "%s%s/%s%s", root, folder, below, name);
        if (!pg_buf_ok(&path, &err))
                return false;
        pg_elf_open(path.data, ret);
        if (ret->elf && !has_crc(ret->fd, crc))
                pg_elf_close(ret);
        return ret->elf;
}

static void find_by_link(Elf *elf, const char *path, const char *root, struct pg_elf *ret)
{
        GElf_Word crc;
        const char *name = dwelf_elf_gnu_debuglink(elf, &crc);
        PG_AUTO_FREE char *folder = name ? realpath(path, NULL) : NULL;
        if (!folder || strchr(name, '/'))
                return;
        *strrchr(folder, '/') = '\0';
        (void)(try_link("", folder, "", name, crc, ret) || try_link("", folder, ".debug/", name, crc, ret) ||
               try_link(root, folder, "", name, crc, ret));
}

void pg_elf_find_debug(Elf *elf, const char *path, const char *root, struct pg_elf *ret)
{
        *ret = PG_ELF_NONE;
        find_by_build_id(elf, root, ret);
        if (!ret->elf)
                find_by_link(elf, path, root, ret);
}

Elf_Scn *pg_elf_section(Elf *elf, const char *name, GElf_Shdr *ret_header)
{
        size_t names;
        if (elf_getshdrstrndx(elf, &names) != 0)
                return NULL;
        for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
                const char *found;
                if (gelf_getshdr(s, ret_header) && (found = elf_strptr(elf, names, ret_header->sh_name)) &&
                    strcmp(found, name) == 0)
                        return s;
        }
        return NULL;
}
