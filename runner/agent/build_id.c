// SPDX-License-Identifier: MIT
/*
 * build_id.c - from the ELF header in an object's first page to the note that names the build.
 *
 * What is read is the file's own, and may be anything: every offset is checked against the segment that is known to
 * be mapped.
 */
#include "runner/agent/build_id.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

/* Readable bytes at the start of the object. */
struct image {
        const unsigned char *bytes;
        uint64_t size;
};

static const void *part(const struct image *i, uint64_t offset, uint64_t size)
{
        return offset <= i->size && size <= i->size - offset ? i->bytes + offset : NULL;
}

static const ElfW(Phdr) * headers(const struct image *first_page, uint32_t *ret_n)
{
        const ElfW(Ehdr) *e = part(first_page, 0, sizeof(*e));
        if (!e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_phentsize != sizeof(ElfW(Phdr)))
                return NULL;
        *ret_n = e->e_phnum;
        return part(first_page, e->e_phoff, (uint64_t)e->e_phnum * sizeof(ElfW(Phdr)));
}

/* The first segment, when the header is part of it. */
static bool find_image(const struct dl_find_object *o, const ElfW(Phdr) * h, uint32_t n, struct image *ret)
{
        for (uint32_t i = 0; i < n; i++) {
                if (h[i].p_type != PT_LOAD)
                        continue;
                ret->bytes = o->dlfo_map_start;
                ret->size = h[i].p_filesz;
                uint64_t mapped = (uint64_t)((const char *)o->dlfo_map_end - (const char *)o->dlfo_map_start);
                return h[i].p_offset == 0 && h[i].p_flags & PF_R && ret->size <= mapped;
        }
        return false;
}

static uint64_t aligned(uint64_t n)
{
        return (n + 3) & ~(uint64_t)3;
}

static uint32_t find_note(const struct image *image, uint64_t at, uint64_t end, uint8_t out[PG_BUILD_ID_MAX])
{
        const ElfW(Nhdr) * note;
        while (at < end && (note = part(image, at, sizeof(*note)))) {
                uint64_t name = at + sizeof(*note), bytes = name + aligned(note->n_namesz);
                const void *owner = part(image, name, 4), *id = part(image, bytes, note->n_descsz);
                if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && owner && id &&
                    memcmp(owner, "GNU", 4) == 0 && note->n_descsz <= PG_BUILD_ID_MAX) {
                        memcpy(out, id, note->n_descsz);
                        return note->n_descsz;
                }
                at = bytes + aligned(note->n_descsz);
        }
        return 0;
}

uint32_t build_id_of(const struct dl_find_object *o, uint8_t out[PG_BUILD_ID_MAX])
{
        const struct image first_page = { o->dlfo_map_start, PG_CAPTURE_PAGE };
        struct image image;
        uint32_t n, length = 0;
        const ElfW(Phdr) *h = headers(&first_page, &n);
        if (!h || !find_image(o, h, n, &image))
                return 0;
        for (uint32_t i = 0; i < n && !length; i++)
                if (h[i].p_type == PT_NOTE && part(&image, h[i].p_offset, h[i].p_filesz))
                        length = find_note(&image, h[i].p_offset, h[i].p_offset + h[i].p_filesz, out);
        return length;
}
