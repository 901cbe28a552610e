// SPDX-License-Identifier: MIT
/*
 * plt.c - which imported function a procedure linkage stub jumps to.
 *
 * Read from the stub's own code: it jumps through one word of the GOT, and the relocation of that word names
 * the function. So the order of relocations does not matter, and classic, IBT (.plt.sec) and .plt.got stubs
 * of any linker are all understood.
 */
#include "runner/symbolize/plt.h"

#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/elf_file.h"

static bool add_slots(struct pg_plt *p, Elf_Data *rela, Elf_Data *symbols, Elf_Data *strings, Elf *elf)
{
        size_t n = rela->d_size / gelf_fsize(elf, ELF_T_RELA, 1, EV_CURRENT);
        struct pg_plt_slot *slots = realloc(p->slots, (p->n_slots + n + 1) * sizeof(*slots));
        if (!slots)
                return false;
        p->slots = slots;
        for (size_t i = 0; i < n; i++) {
                GElf_Rela r;
                GElf_Sym sym;
                if (!gelf_getrela(rela, (int)i, &r) || (GELF_R_TYPE(r.r_info) != R_X86_64_JUMP_SLOT &&
                                                        GELF_R_TYPE(r.r_info) != R_X86_64_GLOB_DAT))
                        continue;
                if (!gelf_getsym(symbols, (int)GELF_R_SYM(r.r_info), &sym) || sym.st_name >= strings->d_size)
                        continue;
                const char *name = (const char *)strings->d_buf + sym.st_name;
                if (memchr(name, 0, strings->d_size - sym.st_name) && *name)
                        slots[p->n_slots++] = (struct pg_plt_slot){ r.r_offset, name };
        }
        return true;
}

static bool add_relocations(struct pg_plt *p, Elf *elf, const GElf_Shdr *rela_header, Elf_Scn *rela_section)
{
        GElf_Shdr table;
        Elf_Scn *symbols_section = elf_getscn(elf, rela_header->sh_link);
        if (!symbols_section || !gelf_getshdr(symbols_section, &table) || table.sh_type != SHT_DYNSYM)
                return true;
        Elf_Data *rela = elf_getdata(rela_section, NULL);
        Elf_Data *symbols = elf_getdata(symbols_section, NULL);
        Elf_Data *strings = elf_getdata(elf_getscn(elf, table.sh_link), NULL);
        if (!rela || !symbols || !strings || !strings->d_buf || strings->d_size == 0 ||
            ((const char *)strings->d_buf)[strings->d_size - 1] != '\0')
                return true;
        return add_slots(p, rela, symbols, strings, elf);
}

static void add_stubs(struct pg_plt *p, Elf *elf, const char *name)
{
        GElf_Shdr h;
        Elf_Scn *s = pg_elf_section(elf, name, &h);
        Elf_Data *code = s && h.sh_type == SHT_PROGBITS ? elf_getdata(s, NULL) : NULL;
        if (!code || !code->d_buf || code->d_size == 0)
                return;
        unsigned stub_bytes = h.sh_entsize == 8 ? 8 : 16;
        p->sections[p->n_sections++] =
                (struct pg_plt_section){ h.sh_addr, code->d_size, code->d_buf, stub_bytes };
}

static int by_got(const void *pa, const void *pb)
{
        const struct pg_plt_slot *a = pa, *b = pb;
        return a->got != b->got ? (a->got < b->got ? -1 : 1) : strcmp(a->name, b->name);
}

bool pg_plt_load(Elf *elf, struct pg_plt *ret)
{
        static const char *const names[] = { ".plt", ".plt.sec", ".plt.got" };
        GElf_Ehdr header;
        *ret = (struct pg_plt){ 0 };
        if (!gelf_getehdr(elf, &header) || header.e_machine != EM_X86_64)
                return true;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                add_stubs(ret, elf, names[i]);
        if (ret->n_sections == 0)
                return true;
        for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
                GElf_Shdr h;
                if (gelf_getshdr(s, &h) && h.sh_type == SHT_RELA && !add_relocations(ret, elf, &h, s))
                        return false;
        }
        if (ret->n_slots)
                qsort(ret->slots, ret->n_slots, sizeof(*ret->slots), by_got);
        return true;
}

void pg_plt_deinit(struct pg_plt *p)
{
        free(p->slots);
        *p = (struct pg_plt){ 0 };
}

/* The GOT word of "jmp *disp32(%rip)" within the stub that starts at offset; 0 when it has none. */
static uint64_t jump_slot(const struct pg_plt_section *s, uint64_t offset)
{
        enum { JUMP_BYTES = 6 };
        for (uint64_t i = offset; i + JUMP_BYTES <= offset + s->stub_bytes && i + JUMP_BYTES <= s->size;
             i++) {
                int32_t displacement;
                if (s->code[i] != 0xff || s->code[i + 1] != 0x25)
                        continue;
                memcpy(&displacement, s->code + i + 2, sizeof(displacement));
                return s->start + i + JUMP_BYTES + (uint64_t)(int64_t)displacement;
        }
        return 0;
}

const char *pg_plt_find(const struct pg_plt *p, uint64_t address)
{
        for (size_t i = 0; i < p->n_sections && p->n_slots; i++) {
                const struct pg_plt_section *s = &p->sections[i];
                if (address < s->start || address - s->start >= s->size)
                        continue;
                uint64_t offset = address - s->start;
                uint64_t got = jump_slot(s, offset - offset % s->stub_bytes);
                for (size_t low = 0, high = p->n_slots; low < high;) {
                        size_t mid = low + (high - low) / 2;
                        if (p->slots[mid].got == got)
                                return p->slots[mid].name;
                        if (p->slots[mid].got < got)
                                low = mid + 1;
                        else
                                high = mid;
                }
        }
        return NULL;
}
