// SPDX-License-Identifier: MIT
/*
 * code_file.c - reads with libelf, which knows about compressed sections and distrusts headers.
 *
 * Where section headers say where .eh_frame is, only that is kept; else the whole segment that PT_GNU_EH_FRAME
 * lies in. Go's functions are described by .debug_frame, and the ones at which its stacks begin are known by name.
 */
#include "runner/engine/code_file.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "runner/base/cleanup.h"
#include "runner/unwind/cfi.h"

enum { BUILD_ID_MAX = 64, RETURNS_MAX = 4, KNOWN_MAX = 16, CODE_SCAN_MAX = 4 << 20 };

struct segment {
        uint64_t offset, file_size, address;
        bool executable;
};

struct range {
        uint64_t start, end;
};

/* A function whose rule is known beforehand. */
struct known {
        uint64_t start, end;
        pg_rule rule;
};

/* One section with CFI. */
struct frames {
        uint8_t *bytes; // NULL: there is none
        struct pg_cfi cfi;
        bool has_table, is_debug_frame;
        struct pg_cfi_entry *index; // by start, when there is no table
        size_t n_index;
};

struct pg_code_file {
        struct segment *segments; // loaded ones
        size_t n_segments;
        uint8_t build_id[BUILD_ID_MAX];
        size_t build_id_bytes;
        struct frames eh_frame, debug_frame;
        uint64_t signal_returns[RETURNS_MAX];
        size_t n_signal_returns;
        struct known known[KNOWN_MAX];
        size_t n_known;
        bool is_go;
};

static void elf_endp(Elf **e)
{
        if (*e)
                elf_end(*e);
}
#define AUTO_ELF __attribute__((cleanup(elf_endp)))

static void frames_deinit(struct frames *f)
{
        free(f->bytes);
        free(f->index);
}

void pg_code_file_destroy(struct pg_code_file *f)
{
        if (!f)
                return;
        frames_deinit(&f->eh_frame);
        frames_deinit(&f->debug_frame);
        free(f->segments);
        free(f);
}
PG_DEFINE_CLEANUP(struct pg_code_file, pg_code_file_destroy)

/* ---- segments -------------------------------------------------------------------------------------------- */

static bool read_segments(Elf *e, struct pg_code_file *f, struct pg_error *err)
{
        size_t n;
        if (elf_getphdrnum(e, &n) != 0 || n > 65536)
                return true;
        f->segments = calloc(n + 1, sizeof(*f->segments));
        if (!f->segments)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                GElf_Phdr h;
                if (gelf_getphdr(e, (int)i, &h) && h.p_type == PT_LOAD)
                        f->segments[f->n_segments++] =
                                (struct segment){ h.p_offset, h.p_filesz, h.p_vaddr, h.p_flags & PF_X };
        }
        return true;
}

/* Two segments may share a page of the file: the one whose mapping begins with it is meant. */
static const struct segment *segment_at(const struct pg_code_file *f, uint64_t file_offset, bool executable)
{
        const uint64_t page_mask = 4095;
        const struct segment *found = NULL;
        for (size_t i = 0; i < f->n_segments; i++) {
                const struct segment *s = &f->segments[i];
                uint64_t first = s->offset & ~page_mask;
                if (s->executable != executable || file_offset < first ||
                    file_offset - first >= s->file_size + (s->offset - first))
                        continue;
                if (file_offset == first)
                        return s;
                found = found ? found : s;
        }
        return found;
}

bool pg_code_file_bias(const struct pg_code_file *f, uint64_t start, uint64_t file_offset, uint64_t *ret)
{
        const struct segment *s = segment_at(f, file_offset, true);
        s = s ? s : segment_at(f, file_offset, false);
        if (!s)
                return false;
        *ret = start - (s->address + (file_offset - s->offset));
        return true;
}

/* ---- bytes ----------------------------------------------------------------------------------------------- */

/* Keeps a copy of n bytes as CFI that stands at address; none when n is 0. */
static bool keep_frames(struct frames *f, const void *bytes, size_t n, uint64_t address, struct pg_error *err)
{
        if (!bytes || n == 0)
                return true;
        f->bytes = malloc(n);
        if (!f->bytes)
                return pg_fail_nomem(err);
        memcpy(f->bytes, bytes, n);
        f->cfi = (struct pg_cfi){ .bytes = f->bytes, .address = address, .size = n };
        return true;
}

static int by_start(const void *a, const void *b)
{
        const struct pg_cfi_entry *x = a, *y = b;
        return (x->start > y->start) - (x->start < y->start);
}

static bool build_index(struct frames *f, struct pg_error *err)
{
        size_t offset = 0, capacity = 0;
        struct pg_cfi_entry entry;
        while (f->bytes && pg_cfi_next(&f->cfi, f->is_debug_frame, &offset, &entry)) {
                if (f->n_index == capacity) {
                        capacity = capacity ? capacity * 2 : 256;
                        struct pg_cfi_entry *larger = reallocarray(f->index, capacity, sizeof(*larger));
                        if (!larger)
                                return pg_fail_nomem(err);
                        f->index = larger;
                }
                if (entry.start < entry.end)
                        f->index[f->n_index++] = entry;
        }
        if (f->n_index)
                qsort(f->index, f->n_index, sizeof(*f->index), by_start);
        return true;
}

static Elf_Scn *find_section(Elf *e, const char *name, GElf_Shdr *ret)
{
        size_t names;
        if (elf_getshdrstrndx(e, &names) != 0)
                return NULL;
        for (Elf_Scn *s = NULL; (s = elf_nextscn(e, s));) {
                const char *found = gelf_getshdr(s, ret) ? elf_strptr(e, names, ret->sh_name) : NULL;
                if (found && strcmp(found, name) == 0)
                        return s;
        }
        return NULL;
}

/* The file's bytes for [start, end) in its own addresses, which must lie in one segment. */
static const void *bytes_at(Elf *e, const struct pg_code_file *f, uint64_t start, uint64_t end)
{
        for (size_t i = 0; i < f->n_segments; i++) {
                const struct segment *s = &f->segments[i];
                if (start < s->address || end < start || end - s->address > s->file_size)
                        continue;
                Elf_Data *d = elf_getdata_rawchunk(e, (int64_t)(s->offset + (start - s->address)),
                                                   end - start, ELF_T_BYTE);
                return d && d->d_size == end - start ? d->d_buf : NULL;
        }
        return NULL;
}

/* Where .eh_frame_hdr is; false when there is none, or it has no table that is sorted by address. */
static bool find_table(Elf *e, const struct pg_code_file *f, struct range *ret)
{
        size_t n;
        for (size_t i = 0; elf_getphdrnum(e, &n) == 0 && i < n; i++) {
                GElf_Phdr h;
                if (!gelf_getphdr(e, (int)i, &h) || h.p_type != PT_GNU_EH_FRAME || h.p_memsz < 12)
                        continue;
                const uint8_t *head = bytes_at(e, f, h.p_vaddr, h.p_vaddr + 4);
                if (!head || head[0] != 1 ||
                    head[3] != 0x3b) // version; table of signed 4 bytes from its start
                        return false;
                *ret = (struct range){ h.p_vaddr, h.p_vaddr + h.p_memsz };
                return true;
        }
        return false;
}

static bool read_eh_frame_by_table(Elf *e, struct pg_code_file *f, struct range table, struct pg_error *err)
{
        GElf_Shdr section;
        struct range r = table;
        if (find_section(e, ".eh_frame", &section)) {
                r.start = section.sh_addr < r.start ? section.sh_addr : r.start;
                r.end = section.sh_addr + section.sh_size > r.end ? section.sh_addr + section.sh_size : r.end;
        } else {
                for (size_t i = 0; i < f->n_segments; i++)
                        if (table.start - f->segments[i].address < f->segments[i].file_size)
                                r = (struct range){ f->segments[i].address,
                                                    f->segments[i].address + f->segments[i].file_size };
        }
        const void *bytes = bytes_at(e, f, r.start, r.end);
        if (!keep_frames(&f->eh_frame, bytes, r.end - r.start, r.start, err))
                return false;
        f->eh_frame.cfi.hdr_address = table.start;
        f->eh_frame.has_table = f->eh_frame.bytes;
        return true;
}

/* A section by name, uncompressed; *ret NULL when there is none. */
static const void *section_bytes(Elf *e, const char *name, GElf_Shdr *header, size_t *ret_size)
{
        Elf_Scn *s = find_section(e, name, header);
        if (!s || header->sh_type == SHT_NOBITS)
                return NULL;
        if (header->sh_flags & SHF_COMPRESSED)
                elf_compress(s, 0, 0);
        else if (strncmp(name, ".zdebug", 7) == 0)
                elf_compress_gnu(s, 0, 0);
        Elf_Data *d = elf_getdata(s, NULL);
        *ret_size = d ? d->d_size : 0;
        return d ? d->d_buf : NULL;
}

static bool read_eh_frame(Elf *e, struct pg_code_file *f, struct pg_error *err)
{
        struct range table;
        if (find_table(e, f, &table) && !read_eh_frame_by_table(e, f, table, err))
                return false;
        if (f->eh_frame.bytes)
                return true;
        GElf_Shdr header;
        size_t size;
        const void *bytes = section_bytes(e, ".eh_frame", &header, &size);
        return !bytes || (keep_frames(&f->eh_frame, bytes, size, header.sh_addr, err) &&
                          build_index(&f->eh_frame, err));
}

static bool read_debug_frame(Elf *e, struct pg_code_file *f, struct pg_error *err)
{
        GElf_Shdr header;
        size_t size;
        const void *bytes = section_bytes(e, ".debug_frame", &header, &size);
        bytes = bytes ? bytes : section_bytes(e, ".zdebug_frame", &header, &size);
        f->debug_frame.is_debug_frame = true;
        return !bytes ||
               (keep_frames(&f->debug_frame, bytes, size, 0, err) && build_index(&f->debug_frame, err));
}

/* ---- special code ---------------------------------------------------------------------------------------- */

static void keep_build_id(struct pg_code_file *f, const char *notes, size_t n)
{
        for (size_t at = 0; n - at >= 12;) {
                Elf64_Nhdr h;
                memcpy(&h, notes + at, sizeof(h));
                uint64_t name = at + 12, description = name + ((h.n_namesz + 3ull) & ~3ull);
                uint64_t next = description + ((h.n_descsz + 3ull) & ~3ull);
                if (next > n)
                        return;
                if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
                    h.n_descsz <= BUILD_ID_MAX) {
                        memcpy(f->build_id, notes + description, h.n_descsz);
                        f->build_id_bytes = h.n_descsz;
                }
                at = next;
        }
}

static void read_build_id(Elf *e, struct pg_code_file *f)
{
        size_t n;
        for (size_t i = 0; elf_getphdrnum(e, &n) == 0 && i < n; i++) {
                GElf_Phdr h;
                if (!gelf_getphdr(e, (int)i, &h) || h.p_type != PT_NOTE || h.p_filesz > 65536)
                        continue;
                Elf_Data *d = elf_getdata_rawchunk(e, (int64_t)h.p_offset, h.p_filesz, ELF_T_BYTE);
                if (d && d->d_buf)
                        keep_build_id(f, d->d_buf, d->d_size);
        }
}

/* Trampolines that the kernel's signal frames return to, as far as they can be told by their bytes: the system
 * call comes 5 or 7 bytes after their first one. C libraries without CFI for them are small; large files are not
 * searched. */
static void find_signal_returns(Elf *e, struct pg_code_file *f)
{
        for (size_t i = 0; i < f->n_segments; i++) {
                const struct segment *s = &f->segments[i];
                if (!s->executable || s->file_size > CODE_SCAN_MAX)
                        continue;
                const uint8_t *code = bytes_at(e, f, s->address, s->address + s->file_size), *end, *p;
                end = code ? code + s->file_size : NULL;
                for (p = code; p && (p = memmem(p, (size_t)(end - p), "\x0f\x05", 2)); p += 2)
                        for (int before = 5; before <= 7; before += 2)
                                if (p - code >= before && f->n_signal_returns < RETURNS_MAX &&
                                    pg_cfi_is_signal_return(p - before, (size_t)(end - p + before)))
                                        f->signal_returns[f->n_signal_returns++] =
                                                s->address + (uint64_t)(p - before - code);
        }
}

/* Functions of Go whose CFI does not tell what they do. Stacks begin in some: nothing that could be called a caller
 * lies outside of them. Others switch stacks: where they came from only the frame pointer knows. And signal handlers
 * return to one. */
static pg_rule go_rule(const char *name)
{
        static const struct {
                const char *name;
                struct pg_rule_parts parts; // all zero: pg_rule_chain
        } functions[] = {
                { "runtime.goexit", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "runtime.mstart", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "runtime.rt0_go", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "runtime.mcall", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "_rt0_amd64_linux", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "_rt0_amd64", { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
                { "runtime.sigreturn", { .cfa = PG_CFA_SIGNAL } },
                { "runtime.sigreturn__sigaction", { .cfa = PG_CFA_SIGNAL } },
                { "runtime.systemstack", { .cfa = PG_CFA_NONE } },
                { "runtime.morestack", { .cfa = PG_CFA_NONE } },
                { "runtime.asmcgocall", { .cfa = PG_CFA_NONE } },
        };
        for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
                size_t n = strlen(functions[i].name);
                if (strncmp(name, functions[i].name, n) == 0 && (!name[n] || strcmp(name + n, ".abi0") == 0))
                        return functions[i].parts.cfa == PG_CFA_NONE ? pg_rule_chain()
                                                                     : pg_rule_pack(functions[i].parts);
        }
        return 0;
}

static void read_go(Elf *e, struct pg_code_file *f)
{
        GElf_Shdr header;
        f->is_go = find_section(e, ".gopclntab", &header) || find_section(e, ".note.go.buildid", &header);
        Elf_Scn *s = f->is_go ? find_section(e, ".symtab", &header) : NULL;
        Elf_Data *d = s ? elf_getdata(s, NULL) : NULL;
        size_t n = d && header.sh_entsize ? d->d_size / header.sh_entsize : 0;
        for (size_t i = 0; i < n && f->n_known < KNOWN_MAX; i++) {
                GElf_Sym symbol;
                const char *name = gelf_getsym(d, (int)i, &symbol)
                                           ? elf_strptr(e, header.sh_link, symbol.st_name)
                                           : NULL;
                pg_rule rule = name ? go_rule(name) : 0;
                if (rule && symbol.st_size)
                        f->known[f->n_known++] =
                                (struct known){ symbol.st_value, symbol.st_value + symbol.st_size, rule };
        }
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static bool is_ours(Elf *e)
{
        GElf_Ehdr h;
        return e && elf_kind(e) == ELF_K_ELF && gelf_getclass(e) == ELFCLASS64 && gelf_getehdr(e, &h) &&
#if defined(__x86_64__)
               h.e_machine == EM_X86_64;
#else
               h.e_machine == EM_AARCH64;
#endif
}

static bool read_elf(Elf *e, struct pg_code_file **ret, struct pg_error *err)
{
        *ret = NULL;
        if (!is_ours(e))
                return true;
        __attribute__((cleanup(pg_code_file_destroyp))) struct pg_code_file *f = calloc(1, sizeof(*f));
        if (!f)
                return pg_fail_nomem(err);
        if (!read_segments(e, f, err) || !read_eh_frame(e, f, err) || !read_debug_frame(e, f, err))
                return false;
        read_build_id(e, f);
        find_signal_returns(e, f);
        read_go(e, f);
        *ret = f;
        f = NULL;
        return true;
}

bool pg_code_file_read(int fd, struct pg_code_file **ret, struct pg_error *err)
{
        elf_version(EV_CURRENT);
        AUTO_ELF Elf *e = elf_begin(fd, ELF_C_READ, NULL);
        return read_elf(e, ret, err);
}

bool pg_code_file_read_memory(const void *image, size_t size, struct pg_code_file **ret, struct pg_error *err)
{
        elf_version(EV_CURRENT);
        AUTO_ELF Elf *e = elf_memory((char *)(uintptr_t)image, size);
        return read_elf(e, ret, err);
}

bool pg_code_file_read_vdso(struct pg_code_file **ret, struct pg_error *err)
{
        const unsigned char *base = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
        *ret = NULL;
        if (!base || memcmp(base, ELFMAG, SELFMAG) != 0 || base[EI_CLASS] != ELFCLASS64)
                return true;
        Elf64_Ehdr h;
        memcpy(&h, base, sizeof(h));
        // its section headers end the image, all of which the kernel maps
        return pg_code_file_read_memory(base, h.e_shoff + (size_t)h.e_shnum * h.e_shentsize, ret, err);
}

size_t pg_code_file_build_id(const struct pg_code_file *f, const uint8_t **ret)
{
        *ret = f->build_id;
        return f->build_id_bytes;
}

bool pg_code_file_keeps_frame_pointers(const struct pg_code_file *f)
{
        return f->is_go;
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

static pg_rule rule_by_index(const struct frames *f, uint64_t address)
{
        size_t lo = 0, hi = f->n_index; // the first entry behind address
        while (lo < hi) {
                size_t middle = lo + (hi - lo) / 2;
                if (f->index[middle].start <= address)
                        lo = middle + 1;
                else
                        hi = middle;
        }
        if (lo == 0 || address >= f->index[lo - 1].end)
                return pg_rule_stop(PG_STOP_NO_CFI);
        return pg_cfi_rule_of(&f->cfi, f->index[lo - 1].fde_offset, f->is_debug_frame, address);
}

static bool is_unknown(pg_rule rule)
{
        return pg_rule_cfa(rule) == PG_CFA_STOP && pg_rule_why(rule) == PG_STOP_NO_CFI;
}

static bool is_signal_return(const struct pg_code_file *f, uint64_t address)
{
        const uint64_t trampoline_bytes = 9;
        for (size_t i = 0; i < f->n_signal_returns; i++)
                if (address - f->signal_returns[i] < trampoline_bytes)
                        return true;
        return false;
}

pg_rule pg_code_file_rule(const struct pg_code_file *f, uint64_t address)
{
        for (size_t i = 0; i < f->n_known; i++)
                if (address >= f->known[i].start && address < f->known[i].end)
                        return f->known[i].rule;
        pg_rule rule = f->eh_frame.has_table ? pg_cfi_rule(&f->eh_frame.cfi, address)
                                             : rule_by_index(&f->eh_frame, address);
        if (is_unknown(rule))
                rule = rule_by_index(&f->debug_frame, address);
        if (!is_unknown(rule))
                return rule;
        return is_signal_return(f, address) ? pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SIGNAL })
                                            : pg_rule_chain();
}
