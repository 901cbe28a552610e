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
        MAX_SECTIONS = 16, // a file has one of a kind; a damaged one could have its bytes copied 65,536 times
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

static bool pad(Elf_Scn *section, Elf_Data *data, struct pg_arena *a)
{
        char *copy = pg_arena_calloc(a, data->d_size + PADDING_BYTES, 1);
        if (!copy)
                return false;
        memcpy(copy, data->d_buf, data->d_size);
        Elf_Data *translated = elf_getdata(section, NULL);
        data->d_buf = copy;
        if (translated)
                translated->d_buf = copy;
        return true;
}

/* entries: what is done with entries that have no end. */
static bool pad_sections(Elf *elf, struct pg_arena *a,
                         bool (*entries)(Elf_Scn *, Elf_Data *, struct pg_arena *))
{
        size_t names, n = 0;
        GElf_Shdr header;
        if (!elf || elf_getshdrstrndx(elf, &names) != 0)
                return true; // libdw found its sections by their names, so there are none
        for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s)) && n <= MAX_SECTIONS;) {
                enum kind kind =
                        gelf_getshdr(s, &header) ? kind_of(elf_strptr(elf, names, header.sh_name)) : OTHER;
                Elf_Data *data = kind == OTHER ? NULL : elf_rawdata(s, NULL);
                if (!data || !data->d_buf)
                        continue;
                n++;
                if (kind == ENTRIES && ends_with_zero(data))
                        continue;
                if (!(kind == STRINGS ? pad(s, data, a) : entries(s, data, a)))
                        return false;
        }
        return n <= MAX_SECTIONS;
}

static bool refuse(Elf_Scn *section, Elf_Data *data, struct pg_arena *a)
{
        (void)section, (void)data, (void)a;
        return false;
}

bool pg_dwarf_pad(Dwarf *dwarf, struct pg_arena *a)
{
        return pad_sections(dwarf_getelf(dwarf), a, pad);
}

bool pg_dwarf_pad_strings(Dwarf *dwarf, struct pg_arena *a)
{
        return pad_sections(dwarf_getelf(dwarf), a, refuse);
}
