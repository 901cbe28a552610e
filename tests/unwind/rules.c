// SPDX-License-Identifier: MIT
/*
 * rules.c - every row of every FDE of the named files: our rule means what elfutils says, or is a marked stop.
 *
 * usage: unwind_rules [-v] FILE...        [vdso] is the kernel's image in this process; -v lists the stops
 *
 * Files are read as runner/unwind meets them: the loadable segment with .eh_frame_hdr and .eh_frame, at the
 * file's own addresses. The search table (pg_cfi_rule), one known FDE (pg_cfi_rule_of) and the walk over a
 * section (pg_cfi_next) are all held against elfutils' own walk and search; .debug_frame likewise where a file
 * has one. Static programs have no search table: for them only the walk counts. Exit status 1 when anything
 * differs.
 */
#include <dwarf.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "oracle.h"
#include "runner/unwind/cfi.h"
#include "runner/unwind/machine.h"

enum { WORLDS = 3, SHOWN_DIFFERENCES = 5 };

/* Why a rule of ours is a stop where elfutils has a row, told by what elfutils has. */
enum reason { STOP_RA, STOP_CFA, STOP_SIGNAL, STOP_OTHER, STOPS };
static const char *const reason_names[STOPS] = { "return address elsewhere", "CFA", "signal frame", "other" };

struct counts {
        uint64_t fdes, rows, equal, bp_lost, refused, stops[STOPS], differences;
        uint64_t kinds[16]; // of equal rows, by enum pg_rule_cfa
};

/* One section of one file, for both sides. */
struct subject {
        const char *path;
        Elf_Data *section;
        uint64_t section_address;
        bool is_debug_frame, has_table;
        struct pg_cfi cfi;         // the segment with the search table
        struct pg_cfi section_cfi; // the section alone
        Dwarf_CFI *oracle;
        unsigned char ident[EI_NIDENT];
        struct counts n;
        uint64_t *starts; // of the rows, for the timing
        size_t n_starts;
};

static bool verbose;

__attribute__((format(printf, 3, 4))) static void differ(struct subject *s, uint64_t address,
                                                         const char *format, ...)
{
        if (s->n.differences++ >= SHOWN_DIFFERENCES)
                return;
        va_list ap;
        va_start(ap, format);
        printf("  %s, 0x%" PRIx64 ": ", s->path, address);
        vprintf(format, ap);
        putchar('\n');
        va_end(ap);
}

/* ---- our side in numbers ---- */

struct caller {
        uint64_t cfa, pc, bp;
        bool is_root, bp_known;
};

static uint64_t our_cfa(pg_rule r, const struct world *w)
{
        uint64_t offset = (uint64_t)pg_rule_cfa_offset(r);
        switch (pg_rule_cfa(r)) {
        case PG_CFA_SP:
                return w->registers[PG_DWARF_SP] + offset;
        case PG_CFA_BP:
                return w->registers[PG_DWARF_BP] + offset;
        case PG_CFA_REGISTER:
                return w->registers[pg_rule_register(r)] + offset;
        case PG_CFA_AT_SP:
                return world_word(w, w->registers[PG_DWARF_SP] + offset) + pg_rule_add(r);
        case PG_CFA_AT_INDEX:
                return world_word(w, w->registers[PG_DWARF_SP] + 8 * w->registers[pg_rule_register(r)] +
                                             offset) +
                       8;
        case PG_CFA_AT_BP:
                return world_word(w, w->registers[PG_DWARF_BP] + offset) + pg_rule_add(r);
        default:
                return 0;
        }
}

static struct caller our_caller(pg_rule r, const struct world *w)
{
        struct caller c = { .cfa = our_cfa(r, w),
                            .bp_known = true,
                            .is_root = pg_rule_ra(r) == PG_RA_UNDEFINED };
        c.pc = pg_rule_ra(r) == PG_RA_REGISTER ? w->registers[pg_rule_register(r)] : world_word(w, c.cfa - 8);
        switch (pg_rule_bp(r)) {
        case PG_BP_SAME:
                c.bp = w->registers[PG_DWARF_BP];
                break;
        case PG_BP_AT_CFA:
                c.bp = world_word(w, c.cfa + (uint64_t)pg_rule_bp_offset(r));
                break;
        case PG_BP_AT_BP:
                c.bp = world_word(w, w->registers[PG_DWARF_BP] + (uint64_t)pg_rule_bp_offset(r));
                break;
        case PG_BP_LOST:
                c.bp_known = false;
                break;
        }
        return c;
}

/* ---- comparing one address ---- */

static bool same_caller(pg_rule r, const struct oracle_row *row, const struct world *w)
{
        uint64_t cfa, sp, pc, bp;
        struct caller ours = our_caller(r, w);
        if (ours.is_root)
                return row->registers[PG_DWARF_RA].kind == PLACE_UNDEFINED;
        if (!oracle_cfa(row, w, &cfa) || cfa != ours.cfa || !oracle_register(row, w, PG_DWARF_SP, &sp) ||
            sp != cfa || !oracle_register(row, w, PG_DWARF_RA, &pc) || pc != ours.pc)
                return false;
        return !ours.bp_known || (oracle_register(row, w, PG_DWARF_BP, &bp) && bp == ours.bp);
}

/* All registers, because frames below use any of them after a signal frame. Positions in the kernel's frame:
 * <sys/ucontext.h>, by DWARF number. */
static bool same_signal_frame(const struct oracle_row *row, const struct world *w)
{
        static const uint8_t position[WORLD_REGISTERS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI,
                                                           REG_RDI, REG_RBP, REG_RSP, REG_R8,  REG_R9,
                                                           REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
                                                           REG_R15, REG_RIP };
        uint64_t gregs = w->registers[PG_DWARF_SP] + offsetof(ucontext_t, uc_mcontext.gregs), got;
        for (uint32_t i = 0; i < WORLD_REGISTERS; i++)
                if (!oracle_register(row, w, i, &got) || got != world_word(w, gregs + 8u * position[i]))
                        return false;
        return row->is_signal_frame;
}

static enum reason reason_of(const struct oracle_row *row)
{
        const struct place *ra = &row->registers[PG_DWARF_RA];
        if (row->is_signal_frame)
                return STOP_SIGNAL;
        if (ra->kind != PLACE_OPS || ra->n != 2 || ra->ops[0].atom != DW_OP_call_frame_cfa ||
            ra->ops[1].atom != DW_OP_plus_uconst || ra->ops[1].number != (Dwarf_Word)-8)
                return STOP_RA;
        return row->cfa.n != 1 || row->cfa.ops[0].number % 8 ? STOP_CFA : STOP_OTHER;
}

static void show_stop(const struct subject *s, const struct oracle_row *row, enum reason why)
{
        printf("  %s, 0x%" PRIx64 "-0x%" PRIx64 ": stop (%s); CFA:", s->path, row->start, row->end,
               reason_names[why]);
        for (size_t i = 0; i < row->cfa.n; i++)
                printf(" %02x(%" PRId64 ")", row->cfa.ops[i].atom, (int64_t)row->cfa.ops[i].number);
        putchar('\n');
}

static bool same_in_all_worlds(pg_rule r, const struct oracle_row *row, uint64_t address)
{
        for (uint64_t i = 0; i < WORLDS; i++) {
                struct world w = world_make(i, address);
                if (!(pg_rule_cfa(r) == PG_CFA_SIGNAL ? same_signal_frame(row, &w) : same_caller(r, row, &w)))
                        return false;
        }
        return true;
}

static void compare_rule(struct subject *s, pg_rule r, const struct oracle_row *row, uint64_t address)
{
        s->n.rows++;
        if (pg_rule_cfa(r) == PG_CFA_STOP && pg_rule_why(r) == PG_STOP_UNSUPPORTED) {
                enum reason why = reason_of(row);
                s->n.stops[why]++;
                if (verbose)
                        show_stop(s, row, why);
        } else if (pg_rule_cfa(r) == PG_CFA_STOP) {
                differ(s, address, "stop %u, and elfutils has a row", pg_rule_why(r));
        } else if (!same_in_all_worlds(r, row, address)) {
                differ(s, address, "rule 0x%" PRIx64 " means something else than elfutils' row", r);
        } else {
                s->n.equal++;
                s->n.bp_lost += pg_rule_ra(r) != PG_RA_UNDEFINED && pg_rule_bp(r) == PG_BP_LOST;
                s->n.kinds[pg_rule_cfa(r)]++;
        }
}

/* ---- rows and FDEs ---- */

/* By the search table and by the FDE: these must agree among themselves. */
static pg_rule our_rule(struct subject *s, size_t fde_offset, uint64_t address)
{
        pg_rule r = pg_cfi_rule_of(&s->section_cfi, fde_offset, s->is_debug_frame, address);
        if (s->has_table) {
                pg_rule found = pg_cfi_rule(&s->cfi, address);
                if (found != r)
                        differ(s, address, "by search 0x%" PRIx64 ", by FDE 0x%" PRIx64, found, r);
        }
        return r;
}

static void compare_row(struct subject *s, size_t fde_offset, Dwarf_Frame *frame, struct oracle_row *row,
                        uint64_t from)
{
        pg_rule first = our_rule(s, fde_offset, from), last = our_rule(s, fde_offset, row->end - 1);
        if (pg_rule_cfa(first) == PG_CFA_SIGNAL && !oracle_row_read(frame, true, row)) {
                differ(s, from, "elfutils refuses a register of the signal frame");
                return;
        }
        s->starts[s->n_starts++] = from;
        if (!row->uses_pc) {
                if (first != last)
                        differ(s, from, "begins with rule 0x%" PRIx64 " and ends with 0x%" PRIx64, first,
                               last);
                compare_rule(s, first, row, from);
                return;
        }
        for (uint64_t a = from; a < row->end; a++)
                compare_rule(s, our_rule(s, fde_offset, a), row, a);
}

/* Where elfutils has no row there is no rule. */
static void compare_refusal(struct subject *s, size_t fde_offset, uint64_t address)
{
        pg_rule r = our_rule(s, fde_offset, address);
        s->n.refused++;
        if (pg_rule_cfa(r) != PG_CFA_STOP)
                differ(s, address, "rule 0x%" PRIx64 ", and elfutils: %s", r, dwarf_errmsg(-1));
}

static void compare_fde(struct subject *s, size_t fde_offset, uint64_t start, uint64_t end)
{
        s->n.fdes++;
        for (uint64_t address = start; address < end;) {
                Dwarf_Frame *frame = NULL;
                struct oracle_row row;
                s->starts = s->n_starts % 4096 ? s->starts
                                               : realloc(s->starts, (s->n_starts + 4096) * sizeof(uint64_t));
                if (!s->starts)
                        abort();
                if (dwarf_cfi_addrframe(s->oracle, address, &frame) != 0 ||
                    !oracle_row_read(frame, false, &row)) {
                        compare_refusal(s, fde_offset, address);
                        free(frame);
                        return;
                }
                if (row.start > address || row.end <= address || row.end > end)
                        differ(s, address, "elfutils' row is 0x%" PRIx64 "-0x%" PRIx64, row.start, row.end);
                else
                        compare_row(s, fde_offset, frame, &row, address);
                address = row.end > address ? row.end : end;
                free(frame);
        }
}

/* Behind an FDE there is another one, or there is none, for both. */
static void compare_end(struct subject *s, uint64_t end)
{
        Dwarf_Frame *frame = NULL;
        bool theirs = dwarf_cfi_addrframe(s->oracle, end, &frame) == 0;
        pg_rule r = s->has_table ? pg_cfi_rule(&s->cfi, end) : 0;
        bool ours = pg_rule_cfa(r) != PG_CFA_STOP || pg_rule_why(r) != PG_STOP_NO_CFI;
        if (s->has_table && theirs != ours)
                differ(s, end, "elfutils has %s row, we have %s", theirs ? "a" : "no", ours ? "one" : "none");
        free(frame);
}

/* ---- FDEs by elfutils ---- */

/* The encoding of pointers in a CIE's FDEs: the byte of its letter R, without indirection. */
static uint8_t encoding_of(const Dwarf_CIE *cie)
{
        const uint8_t *data = cie->augmentation_data;
        for (const char *a = cie->augmentation; *a; a++) {
                if (*a == 'R')
                        return *data;
                if (*a == 'P')
                        data += (*data & 0xf) == DW_EH_PE_absptr || (*data & 0xf) == DW_EH_PE_sdata8 ? 9 : 5;
                if (*a == 'L')
                        data++;
        }
        return DW_EH_PE_absptr;
}

/* The addresses of an FDE in the encodings that compilers use. False: another one. */
static bool range_of(const struct subject *s, const Dwarf_CIE *cie, const Dwarf_FDE *fde, uint64_t *ret_start,
                     uint64_t *ret_end)
{
        uint8_t encoding = encoding_of(cie), format = encoding & 0xf;
        uint64_t at = s->section_address + (uint64_t)(fde->start - (const uint8_t *)s->section->d_buf);
        if (format == DW_EH_PE_sdata4 || format == DW_EH_PE_udata4) {
                int32_t start, size;
                memcpy(&start, fde->start, sizeof(start));
                memcpy(&size, fde->start + sizeof(start), sizeof(size));
                *ret_start = format == DW_EH_PE_sdata4 ? (uint64_t)start : (uint32_t)start;
                *ret_end = (uint32_t)size;
        } else if (format == DW_EH_PE_absptr || format == DW_EH_PE_sdata8 || format == DW_EH_PE_udata8) {
                memcpy(ret_start, fde->start, sizeof(*ret_start));
                memcpy(ret_end, fde->start + sizeof(*ret_start), sizeof(*ret_end));
        } else {
                return false;
        }
        *ret_start += (encoding & 0x70) == DW_EH_PE_pcrel ? at : 0;
        *ret_end += *ret_start;
        return (encoding & 0xe0) == 0;
}

static bool read_entry(const struct subject *s, Dwarf_Off offset, Dwarf_Off *ret_next, Dwarf_CFI_Entry *ret)
{
        return dwarf_next_cfi(s->ident, s->section, !s->is_debug_frame, offset, ret_next, ret) == 0;
}

static void compare_index(struct subject *s, size_t *ours, Dwarf_Off offset, uint64_t start, uint64_t end)
{
        struct pg_cfi_entry e;
        if (!pg_cfi_next(&s->section_cfi, s->is_debug_frame, ours, &e))
                differ(s, start, "the walk over the section ended at 0x%zx, before the FDE at 0x%" PRIx64,
                       *ours, offset);
        else if (e.fde_offset != offset || e.start != start || e.end != end)
                differ(s, start, "the walk has 0x%" PRIx64 "-0x%" PRIx64 " at 0x%zx", e.start, e.end,
                       e.fde_offset);
}

static void compare_section(struct subject *s)
{
        Dwarf_Off offset = 0, next, unused;
        size_t ours = 0;
        Dwarf_CFI_Entry e, cie;
        uint64_t start, end;
        for (; read_entry(s, offset, &next, &e); offset = next) {
                if (dwarf_cfi_cie_p(&e))
                        continue;
                if (!read_entry(s, e.fde.CIE_pointer, &unused, &cie) || !dwarf_cfi_cie_p(&cie) ||
                    !range_of(s, &cie.cie, &e.fde, &start, &end)) {
                        differ(s, 0, "the FDE at 0x%" PRIx64 " of the section is not understood by this test",
                               offset);
                        continue;
                }
                compare_index(s, &ours, offset, start, end);
                compare_fde(s, offset, start, end);
                compare_end(s, end);
        }
        struct pg_cfi_entry more;
        if (pg_cfi_next(&s->section_cfi, s->is_debug_frame, &ours, &more) || ours != s->section_cfi.size)
                differ(s, 0, "the walk over the section did not end with it");
        if (s->n.fdes == 0)
                differ(s, 0, "no FDE was found");
}

/* ---- timing, for information ---- */

static double now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Mean of pg_cfi_rule over all rows in a random order, so that caches are as cold as its users' are. */
static double mean_ns(struct subject *s)
{
        struct world w = { .seed = 1 };
        for (size_t i = s->n_starts; i > 1; i--) {
                size_t j = world_word(&w, i) % i;
                uint64_t swap = s->starts[i - 1];
                s->starts[i - 1] = s->starts[j];
                s->starts[j] = swap;
        }
        volatile pg_rule sink;
        double begin = now_ns();
        for (size_t i = 0; i < s->n_starts; i++)
                sink = pg_cfi_rule(&s->cfi, s->starts[i]);
        (void)sink;
        return (now_ns() - begin) / (double)(s->n_starts ? s->n_starts : 1);
}

/* ---- files ---- */

static void report(struct subject *s)
{
        const char *slash = strrchr(s->path, '/');
        uint64_t stops = 0;
        for (uint32_t i = 0; i < STOPS; i++)
                stops += s->n.stops[i];
        printf("%-26s %-6s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %6" PRIu64 " %7" PRIu64 " %7" PRIu64
               " %5" PRIu64,
               slash ? slash + 1 : s->path, s->is_debug_frame ? ".debug" : ".eh", s->n.fdes, s->n.rows,
               s->n.equal, stops, s->n.bp_lost, s->n.refused, s->n.differences);
        if (s->has_table)
                printf(" %6.0f", mean_ns(s));
        else
                printf(" %6s", "-");
        for (uint32_t i = 0; i < STOPS; i++)
                if (s->n.stops[i])
                        printf("; %" PRIu64 " %s", s->n.stops[i], reason_names[i]);
        printf("   [sp %" PRIu64 ", bp %" PRIu64 ", other register %" PRIu64 ", at sp %" PRIu64
               ", at bp %" PRIu64 ", signal %" PRIu64 "]\n",
               s->n.kinds[PG_CFA_SP], s->n.kinds[PG_CFA_BP], s->n.kinds[PG_CFA_REGISTER],
               s->n.kinds[PG_CFA_AT_SP], s->n.kinds[PG_CFA_AT_BP], s->n.kinds[PG_CFA_SIGNAL]);
        fflush(stdout);
}

static Elf_Data *section_of(Elf *elf, const char *name, uint64_t *ret_address)
{
        size_t names;
        GElf_Shdr h;
        if (elf_getshdrstrndx(elf, &names) != 0)
                return NULL;
        for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
                if (!gelf_getshdr(scn, &h) || h.sh_type == SHT_NOBITS)
                        continue;
                const char *n = elf_strptr(elf, names, h.sh_name);
                if (!n || strcmp(n, name) != 0 ||
                    (h.sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0))
                        continue;
                *ret_address = h.sh_addr;
                return elf_getdata(scn, NULL);
        }
        return NULL;
}

/* The loadable segment that holds .eh_frame_hdr. */
static bool segment_of(Elf *elf, struct pg_cfi *ret)
{
        size_t n, size;
        GElf_Phdr hdr = { 0 }, p;
        const char *file = elf_rawfile(elf, &size);
        if (!file || elf_getphdrnum(elf, &n) != 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_GNU_EH_FRAME)
                        hdr = p;
        for (size_t i = 0; hdr.p_type && i < n; i++) {
                if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD ||
                    hdr.p_vaddr - p.p_vaddr >= p.p_filesz || p.p_offset > size ||
                    p.p_filesz > size - p.p_offset)
                        continue;
                *ret = (struct pg_cfi){ (const uint8_t *)file + p.p_offset, p.p_vaddr, p.p_filesz,
                                        hdr.p_vaddr };
                return true;
        }
        return false;
}

static bool compare_one(Elf *elf, Dwarf *dwarf, const char *path, bool is_debug_frame)
{
        struct subject s = { .path = path, .is_debug_frame = is_debug_frame };
        s.section = section_of(elf, is_debug_frame ? ".debug_frame" : ".eh_frame", &s.section_address);
        s.oracle = is_debug_frame ? dwarf_getcfi(dwarf) : dwarf_getcfi_elf(elf);
        if (!s.section || !s.section->d_buf || !s.oracle) {
                printf("%s: no unwind information: %s\n", path, dwarf_errmsg(-1));
                return false;
        }
        s.has_table = !is_debug_frame && segment_of(elf, &s.cfi);
        memcpy(s.ident, elf_getident(elf, NULL), sizeof(s.ident));
        s.section_cfi =
                (struct pg_cfi){ s.section->d_buf, s.section_address, s.section->d_size, s.cfi.hdr_address };
        compare_section(&s);
        report(&s);
        free(s.starts);
        if (!is_debug_frame)
                dwarf_cfi_end(s.oracle);
        return s.n.differences == 0;
}

static Elf *open_vdso(void)
{
        char *image =
                (char *)(uintptr_t)getauxval(AT_SYSINFO_EHDR); // NOLINT(performance-no-int-to-ptr): as given
        const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)image;
        return image ? elf_memory(image, h->e_shoff + (size_t)h->e_shnum * h->e_shentsize) : NULL;
}

static bool compare_file(const char *path)
{
        bool is_vdso = strcmp(path, "[vdso]") == 0;
        int fd = is_vdso ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        Elf *elf = is_vdso ? open_vdso() : elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
        uint64_t unused;
        bool good = elf && elf_kind(elf) == ELF_K_ELF;
        if (!good) {
                printf("%s: cannot be read as an ELF file\n", path);
        } else {
                bool has_debug_frame = section_of(elf, ".debug_frame", &unused) != NULL;
                bool has_eh_frame = section_of(elf, ".eh_frame", &unused) != NULL;
                Dwarf *dwarf = has_debug_frame ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
                good = (has_eh_frame || has_debug_frame) &&
                       (!has_eh_frame || compare_one(elf, NULL, path, false));
                good = (!has_debug_frame || compare_one(elf, dwarf, path, true)) && good;
                dwarf_end(dwarf);
        }
        elf_end(elf);
        if (fd >= 0)
                close(fd);
        return good;
}

int main(int argc, char **argv)
{
        int first = 1;
        bool good = true;
        if (argc > 1 && strcmp(argv[1], "-v") == 0) {
                verbose = true;
                first++;
        }
        elf_version(EV_CURRENT);
        printf("%-26s %-6s %8s %9s %9s %6s %7s %7s %5s %6s\n", "file", "frame", "FDEs", "rows", "equal",
               "stops", "bp lost", "refused", "diff", "ns");
        for (int i = first; i < argc; i++)
                good = compare_file(argv[i]) && good;
        return good && first < argc ? 0 : 1;
}
