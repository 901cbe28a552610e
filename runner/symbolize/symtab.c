// SPDX-License-Identifier: MIT
/*
 * symtab.c - an index of function symbols: sorted by start, each knowing the symbol around it.
 *
 * Equal starts: functions before untyped labels, sized before unsized, global before weak before local, then
 * the lesser name. A symbol without size reaches to the next one or the end of its section.
 */
#include "runner/symbolize/symtab.h"

#include <stdlib.h>
#include <string.h>

/* The table in the file, and what its entries refer to. */
struct source {
        Elf *elf;
        Elf_Data *symbols, *strings;
        size_t n;
        GElf_Shdr *sections; // headers by index
        size_t n_sections;
};

static bool load_sections(struct source *s)
{
        if (elf_getshdrnum(s->elf, &s->n_sections) != 0 || s->n_sections == 0)
                return true;
        s->sections = calloc(s->n_sections, sizeof(*s->sections));
        if (!s->sections)
                return false;
        for (Elf_Scn *scn = NULL; (scn = elf_nextscn(s->elf, scn));) {
                size_t i = elf_ndxscn(scn);
                if (i >= s->n_sections || !gelf_getshdr(scn, &s->sections[i]))
                        break;
        }
        return true;
}

static bool open_table(struct source *s, GElf_Word type)
{
        for (size_t i = 1; i < s->n_sections; i++) {
                const GElf_Shdr *h = &s->sections[i];
                if (h->sh_type != type || h->sh_entsize == 0 || h->sh_link >= s->n_sections)
                        continue;
                s->symbols = elf_getdata(elf_getscn(s->elf, i), NULL);
                s->strings = elf_getdata(elf_getscn(s->elf, h->sh_link), NULL);
                if (!s->symbols || !s->strings || !s->strings->d_buf || s->strings->d_size == 0)
                        continue;
                if (((const char *)s->strings->d_buf)[s->strings->d_size - 1] != '\0')
                        continue;
                s->n = s->symbols->d_size / gelf_fsize(s->elf, ELF_T_SYM, 1, EV_CURRENT);
                return s->n > 1;
        }
        return false;
}

static bool is_label(const char *name)
{
        return name[0] == '\0' || name[0] == '$' || (name[0] == '.' && name[1] == 'L');
}

static uint8_t rank_of(const GElf_Sym *sym, bool is_function)
{
        unsigned bind = GELF_ST_BIND(sym->st_info);
        unsigned by_bind = bind == STB_GLOBAL || bind == STB_GNU_UNIQUE ? 0 : bind == STB_WEAK ? 1 : 2;
        return (uint8_t)((is_function ? 0 : 6) + (sym->st_size ? 0 : 3) + by_bind);
}

/* Turns entry i into a symbol; false when it names no code. */
static bool read_symbol(const struct source *s, size_t i, struct pg_symbol *ret)
{
        GElf_Sym sym;
        if (!gelf_getsym(s->symbols, (int)i, &sym) || sym.st_name >= s->strings->d_size)
                return false;
        unsigned type = GELF_ST_TYPE(sym.st_info);
        bool is_function = type == STT_FUNC || type == STT_GNU_IFUNC;
        if ((!is_function && type != STT_NOTYPE) || sym.st_shndx == SHN_UNDEF)
                return false;
        const GElf_Shdr *section = sym.st_shndx < s->n_sections ? &s->sections[sym.st_shndx] : NULL;
        if (!section || !(section->sh_flags & SHF_EXECINSTR))
                return false;
        const char *name = (const char *)s->strings->d_buf + sym.st_name;
        if (!memchr(name, 0, s->strings->d_size - sym.st_name)) // a damaged table's last name may not end
                return false;
        uint64_t end = sym.st_size ? sym.st_value + sym.st_size : section->sh_addr + section->sh_size;
        if (is_label(name) || end <= sym.st_value)
                return false;
        *ret = (struct pg_symbol){
                sym.st_value, end, name, -1, rank_of(&sym, is_function), sym.st_size != 0
        };
        return true;
}

static int by_start_then_rank(const void *pa, const void *pb)
{
        const struct pg_symbol *a = pa, *b = pb;
        if (a->start != b->start)
                return a->start < b->start ? -1 : 1;
        if (a->rank != b->rank)
                return a->rank - b->rank;
        return strcmp(a->name, b->name);
}

/* Keeps the best of each start; ends unsized symbols at the next; drops labels inside a function. */
static void settle(struct pg_symtab *t)
{
        size_t kept = 0;
        int32_t open = -1;
        for (size_t i = 0; i < t->n; i++) {
                struct pg_symbol s = t->symbols[i];
                if (kept && t->symbols[kept - 1].start == s.start)
                        continue;
                while (open >= 0 && t->symbols[open].end <= s.start)
                        open = t->symbols[open].parent;
                if (open >= 0 && !t->symbols[open].sized) {
                        t->symbols[open].end = s.start;
                        open = t->symbols[open].parent;
                } else if (open >= 0 && !s.sized) {
                        continue;
                }
                s.parent = open;
                open = (int32_t)kept;
                t->symbols[kept++] = s;
        }
        t->n = kept;
}

static bool index_symbols(const struct source *s, struct pg_symtab *ret)
{
        size_t n = 0;
        struct pg_symbol *symbols = malloc(s->n * sizeof(*symbols));
        if (!symbols)
                return false;
        for (size_t i = 1; i < s->n && n < INT32_MAX; i++)
                n += read_symbol(s, i, &symbols[n]);
        qsort(symbols, n, sizeof(*symbols), by_start_then_rank);
        *ret = (struct pg_symtab){ symbols, n };
        settle(ret);
        return true;
}

bool pg_symtab_load(Elf *elf, struct pg_symtab *ret)
{
        struct source s = { .elf = elf };
        *ret = (struct pg_symtab){ 0 };
        bool ok = load_sections(&s);
        if (ok && (open_table(&s, SHT_SYMTAB) || open_table(&s, SHT_DYNSYM)))
                ok = index_symbols(&s, ret);
        free(s.sections);
        return ok;
}

void pg_symtab_deinit(struct pg_symtab *t)
{
        free(t->symbols);
        *t = (struct pg_symtab){ 0 };
}

const struct pg_symbol *pg_symtab_find(const struct pg_symtab *t, uint64_t address)
{
        size_t low = 0, high = t->n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (t->symbols[mid].start <= address)
                        low = mid + 1;
                else
                        high = mid;
        }
        for (int64_t i = (int64_t)low - 1; i >= 0; i = t->symbols[i].parent)
                if (address < t->symbols[i].end)
                        return &t->symbols[i];
        return NULL;
}
