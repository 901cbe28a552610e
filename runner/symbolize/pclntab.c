// SPDX-License-Identifier: MIT
/*
 * pclntab.c - section .gopclntab of 64-bit little-endian Go programs: a header of offsets, function names, and a
 * sorted list of {start, record}, each start relative to that of the text.
 *
 * The list ends with one more start, the end of the last function. Where entries stop rising, or lead out of the
 * section, the table ends. Layout: the Go source tree, src/debug/gosym/pclntab.go and internal/abi/symtab.go.
 */
#include "runner/symbolize/pclntab.h"

#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/elf_file.h"

enum {
        MAGIC_1_18 = 0xfffffff0,
        MAGIC_1_20 = 0xfffffff1,
        POINTER_BYTES = 8,
        // the header: magic, two zeros, smallest instruction, pointer size; then pointer-sized numbers
        AT_POINTER_BYTES = 7,
        AT_COUNT = 8,
        AT_TEXT = AT_COUNT + 2 * POINTER_BYTES,
        AT_NAMES = AT_COUNT + 3 * POINTER_BYTES,
        AT_LIST = AT_COUNT + 7 * POINTER_BYTES,
        HEADER_BYTES = AT_COUNT + 8 * POINTER_BYTES,
        ENTRY_BYTES = 8, // start and record, 4 bytes each
        RECORD_NAME = 4, // behind its start
};

struct table {
        const unsigned char *bytes;
        size_t size;
        uint64_t text; // address that starts are relative to
        size_t names, list, n;
};

static uint32_t read_4(const struct table *t, size_t at)
{
        uint32_t v;
        memcpy(&v, t->bytes + at, sizeof(v));
        return v;
}

static uint64_t read_8(const struct table *t, size_t at)
{
        uint64_t v;
        memcpy(&v, t->bytes + at, sizeof(v));
        return v;
}

static bool open_table(Elf *elf, struct table *t)
{
        GElf_Shdr h, text;
        Elf_Scn *s = pg_elf_section(elf, ".gopclntab", &h);
        Elf_Data *d = s && h.sh_type == SHT_PROGBITS ? elf_getdata(s, NULL) : NULL;
        if (!d || !d->d_buf || d->d_size < HEADER_BYTES || !pg_elf_section(elf, ".text", &text))
                return false;
        *t = (struct table){ .bytes = d->d_buf, .size = d->d_size };
        uint32_t magic = read_4(t, 0);
        if ((magic != MAGIC_1_18 && magic != MAGIC_1_20) || t->bytes[AT_POINTER_BYTES] != POINTER_BYTES)
                return false;
        uint64_t n = read_8(t, AT_COUNT), names = read_8(t, AT_NAMES), list = read_8(t, AT_LIST);
        t->text = read_8(t, AT_TEXT);
        if (t->text < text.sh_addr || t->text - text.sh_addr >= text.sh_size)
                return false;
        if (names >= t->size || list >= t->size || n >= (t->size - list) / ENTRY_BYTES)
                return false;
        t->names = names;
        t->list = list;
        t->n = n;
        return true;
}

/* The name that function i's record leads to; NULL when it leads out of the section. */
static const char *name_of(const struct table *t, size_t i)
{
        size_t record = t->list + read_4(t, t->list + i * ENTRY_BYTES + 4);
        if (record > t->size - RECORD_NAME - 4)
                return NULL;
        size_t at = t->names + read_4(t, record + RECORD_NAME);
        if (at >= t->size || !memchr(t->bytes + at, 0, t->size - at))
                return NULL;
        return (const char *)t->bytes + at;
}

bool pg_pclntab_load(Elf *elf, struct pg_symtab *ret)
{
        struct table t;
        *ret = (struct pg_symtab){ 0 };
        if (!open_table(elf, &t) || t.n == 0)
                return true;
        struct pg_symbol *symbols = calloc(t.n, sizeof(*symbols));
        if (!symbols)
                return false;
        size_t n = 0;
        for (; n < t.n; n++) {
                size_t at = t.list + n * ENTRY_BYTES;
                uint32_t start = read_4(&t, at), end = read_4(&t, at + ENTRY_BYTES);
                const char *name = name_of(&t, n);
                if (end <= start || !name)
                        break;
                symbols[n] = (struct pg_symbol){ t.text + start, t.text + end, name, -1, 0, true };
        }
        *ret = (struct pg_symtab){ symbols, n };
        if (n == 0)
                pg_symtab_deinit(ret);
        return true;
}
