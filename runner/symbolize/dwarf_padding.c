// SPDX-License-Identifier: MIT
/*
 * dwarf_padding.c - zero bytes behind the sections that libdw reads strings from.
 *
 * libdw keeps libelf's descriptions of the sections, not the bytes, so exchanging d_buf there is enough. A section
 * keeps its size: libdw has worked out from it where the last string ends.
 */
#include "runner/symbolize/dwarf_padding.h"

#include <gelf.h>
#include <string.h>

enum kind { OTHER, STRINGS, ENTRIES };

enum {
        PADDING_BYTES = 2, // an offset just behind the section reads the first; one more to be safe
        MAX_COPIES = 16,   // a file has one of a kind; a damaged one could have its bytes copied 65,536 times
};

struct pg_padded {
        struct pg_padded *before;
        Elf_Data *raw, *translated; // the latter may be NULL
        void *raw_bytes, *translated_bytes;
        char copy[];
};

static enum kind kind_of(const char *name)
{
        static const struct {
                const char *name;
                enum kind kind;
        } kinds[] = {
                { "debug_str", STRINGS },       { "debug_str.dwo", STRINGS }, { "debug_line_str", STRINGS },
                { "debug_info", ENTRIES },      { "debug_types", ENTRIES },   { "debug_info.dwo", ENTRIES },
                { "debug_types.dwo", ENTRIES },
        };
        static const char in_objects[] = ".gnu.debuglto_"; // a prefix; read where there is nothing without it
        if (name && strncmp(name, in_objects, sizeof(in_objects) - 1) == 0)
                name += sizeof(in_objects) - 1;
        if (name && *name == '.')
                name += name[1] == 'z' ? 2 : 1; // .zdebug_str: an older form of compression
        for (size_t i = 0; name && i < sizeof(kinds) / sizeof(*kinds); i++)
                if (strcmp(name, kinds[i].name) == 0)
                        return kinds[i].kind;
        return OTHER;
}

static bool ends_with_zero(const Elf_Data *data)
{
        return data->d_size && ((const char *)data->d_buf)[data->d_size - 1] == '\0';
}

static bool pad(Elf_Scn *section, Elf_Data *data, struct pg_dwarf_padding *p)
{
        if (!p->arena && !(p->arena = pg_arena_create()))
                return false;
        struct pg_padded *new = pg_arena_calloc(p->arena, 1, sizeof(*new) + data->d_size + PADDING_BYTES);
        if (!new)
                return false;
        memcpy(new->copy, data->d_buf, data->d_size);
        Elf_Data *translated = elf_getdata(section, NULL);
        new->before = p->last;
        new->raw = data;
        new->raw_bytes = data->d_buf;
        new->translated = translated;
        new->translated_bytes = translated ? translated->d_buf : NULL;
        p->last = new;
        data->d_buf = new->copy;
        if (translated)
                translated->d_buf = new->copy;
        return true;
}

void pg_dwarf_padding_deinit(struct pg_dwarf_padding *p)
{
        for (const struct pg_padded *one = p->last; one; one = one->before) {
                one->raw->d_buf = one->raw_bytes;
                if (one->translated)
                        one->translated->d_buf = one->translated_bytes;
        }
        pg_arena_destroy(p->arena);
        *p = (struct pg_dwarf_padding){ 0 };
}

/* entries: what is done with entries that have no end. */
static bool pad_sections(Elf *elf, struct pg_dwarf_padding *p,
                         bool (*entries)(Elf_Scn *, Elf_Data *, struct pg_dwarf_padding *))
{
        size_t names, n = 0;
        GElf_Shdr header;
        if (!elf || elf_getshdrstrndx(elf, &names) != 0)
                return true; // libdw found its sections by their names, so there are none
        for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
                enum kind kind =
                        gelf_getshdr(s, &header) ? kind_of(elf_strptr(elf, names, header.sh_name)) : OTHER;
                Elf_Data *data = kind == OTHER ? NULL : elf_rawdata(s, NULL);
                // whole entries need none: a .dwo file may have hundreds of sections with a type each
                if (!data || !data->d_buf || (kind == ENTRIES && ends_with_zero(data)))
                        continue;
                if (++n > MAX_COPIES || !(kind == STRINGS ? pad(s, data, p) : entries(s, data, p)))
                        return false;
        }
        return true;
}

static bool refuse(Elf_Scn *section, Elf_Data *data, struct pg_dwarf_padding *p)
{
        (void)section, (void)data, (void)p;
        return false;
}

bool pg_dwarf_pad(Dwarf *dwarf, struct pg_dwarf_padding *p)
{
        return pad_sections(dwarf_getelf(dwarf), p, pad);
}

bool pg_dwarf_pad_strings(Dwarf *dwarf, struct pg_dwarf_padding *p)
{
        return pad_sections(dwarf_getelf(dwarf), p, refuse);
}
