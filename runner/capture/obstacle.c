// SPDX-License-Identifier: MIT
/*
 * obstacle.c - what in a program's file keeps the preloaded agent out, or its allocations or locks from it.
 *
 * The loader decides: without an interpreter nothing is preloaded; with more rights than the caller the
 * preload is ignored; an allocator that the program defines itself is found before ours. A file that cannot
 * be read or understood has no obstacle that we know of.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "runner/capture/decode.h"

enum { SCRIPT_LINE_MAX = 256, SCRIPTS_MAX = 4 };

static void elf_endp(Elf **e)
{
        elf_end(*e);
}
#define PG_AUTO_ELF __attribute__((cleanup(elf_endp)))

/* ---- allocators inside the program -----------------------------------------------------------------------
 */

/* In order: a name further down is also there when one further up is. */
static const struct {
        const char *symbol, *why;
} allocators[] = {
        { "je_malloc", "its allocator is inside the program (jemalloc)" },
        { "_rjem_malloc", "its allocator is inside the program (jemalloc)" },
        { "mallctlnametomib", "its allocator is inside the program (jemalloc)" },
        { "mi_malloc", "its allocator is inside the program (mimalloc)" },
        { "tc_malloc", "its allocator is inside the program (tcmalloc)" },
        { "TCMallocInternalMalloc", "its allocator is inside the program (tcmalloc)" },
        { "scalable_malloc", "its allocator is inside the program (tbbmalloc)" },
        { "rpmalloc", "its allocator is inside the program (rpmalloc)" },
        { "snmalloc_alloc", "its allocator is inside the program (snmalloc)" },
        { "malloc", "its allocator is inside the program" },
};
enum { JEMALLOC = 0, MIMALLOC = 3, TCMALLOC = 4, N_ALLOCATORS = sizeof(allocators) / sizeof(*allocators) };

/* Texts of allocators, for programs without a symbol table. */
static const struct {
        const char *text;
        size_t allocator;
} traces[] = {
        { "<jemalloc>: ", JEMALLOC },
        { "mimalloc: error: ", MIMALLOC },
        { "tcmalloc: large alloc", TCMALLOC },
};

/* What the tables of symbols say. CPython has mimalloc inside since 3.13, and its objects come from it only in builds
 * without a global lock; each kind is told by a function that it exports. */
struct allocator_use {
        size_t best;
        bool is_python, has_no_gil;
};

static bool defines(const GElf_Sym *s)
{
        unsigned char type = GELF_ST_TYPE(s->st_info);
        return s->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

static size_t allocator_named(const char *name)
{
        for (size_t i = 0; i < N_ALLOCATORS; i++)
                if (strcmp(name, allocators[i].symbol) == 0)
                        return i;
        return N_ALLOCATORS;
}

static void look_at_name(const char *name, struct allocator_use *use)
{
        size_t found = allocator_named(name);
        use->best = found < use->best ? found : use->best;
        use->is_python |= strcmp(name, "PyMem_RawMalloc") == 0;
        use->has_no_gil |= strcmp(name, "_Py_MergeZeroLocalRefcount") == 0;
}

static void look_at_table(Elf *e, Elf_Scn *section, const GElf_Shdr *h, struct allocator_use *use)
{
        Elf_Data *data = elf_getdata(section, NULL);
        size_t n = data && h->sh_entsize ? h->sh_size / h->sh_entsize : 0;
        for (size_t i = 0; i < n; i++) {
                GElf_Sym s;
                if (!gelf_getsym(data, (int)i, &s) || !defines(&s))
                        continue;
                const char *name = elf_strptr(e, h->sh_link, s.st_name);
                if (name)
                        look_at_name(name, use);
        }
}

static size_t best_in_text(Elf_Scn *section)
{
        Elf_Data *data = elf_rawdata(section, NULL);
        if (!data || !data->d_buf)
                return N_ALLOCATORS;
        for (size_t i = 0; i < sizeof(traces) / sizeof(*traces); i++)
                if (memmem(data->d_buf, data->d_size, traces[i].text, strlen(traces[i].text)))
                        return traces[i].allocator;
        return N_ALLOCATORS;
}

static bool is_constant_data(Elf *e, const GElf_Shdr *h)
{
        size_t names;
        if (h->sh_type != SHT_PROGBITS || elf_getshdrstrndx(e, &names) != 0)
                return false;
        const char *name = elf_strptr(e, names, h->sh_name);
        return name && strcmp(name, ".rodata") == 0;
}

static const char *find_allocator(Elf *e)
{
        struct allocator_use use = { .best = N_ALLOCATORS };
        size_t by_text = N_ALLOCATORS;
        bool has_symbols = false;
        Elf_Scn *section = NULL;
        while ((section = elf_nextscn(e, section))) {
                GElf_Shdr h;
                if (!gelf_getshdr(section, &h))
                        continue;
                has_symbols |= h.sh_type == SHT_SYMTAB;
                if (h.sh_type == SHT_SYMTAB || h.sh_type == SHT_DYNSYM)
                        look_at_table(e, section, &h, &use);
                if (is_constant_data(e, &h))
                        by_text = best_in_text(section);
        }
        size_t best = use.best < N_ALLOCATORS || has_symbols ? use.best : by_text;
        if (best == MIMALLOC && use.is_python && !use.has_no_gil)
                return NULL;
        return best < N_ALLOCATORS ? allocators[best].why : NULL;
}

/* ---- locks that never come by ----------------------------------------------------------------------------
 */

/* What a program's tables of symbols say of the function that every user of libc's mutexes calls. */
struct lock_use {
        bool imports, defines, is_rust;
};

static void look_at_symbols(Elf *e, Elf_Scn *section, const GElf_Shdr *h, struct lock_use *use)
{
        Elf_Data *data = elf_getdata(section, NULL);
        size_t n = data && h->sh_entsize ? h->sh_size / h->sh_entsize : 0;
        for (size_t i = 0; i < n; i++) {
                GElf_Sym s;
                const char *name =
                        gelf_getsym(data, (int)i, &s) ? elf_strptr(e, h->sh_link, s.st_name) : NULL;
                if (!name || strcmp(name, "pthread_mutex_lock") != 0)
                        continue;
                use->imports |= s.st_shndx == SHN_UNDEF;
                use->defines |= defines(&s);
        }
}

/* Rust's standard library has the path of its sources in the texts of its panics, and makes its locks itself out of
 * futexes; only a program that calls libc's as well has some that can be seen. */
static bool has_rust(Elf_Scn *section)
{
        static const char trace[] = "/rustc/";
        Elf_Data *data = elf_rawdata(section, NULL);
        return data && data->d_buf && memmem(data->d_buf, data->d_size, trace, strlen(trace));
}

static const char *lock_obstacle(Elf *e)
{
        struct lock_use use = { 0 };
        Elf_Scn *section = NULL;
        while ((section = elf_nextscn(e, section))) {
                GElf_Shdr h;
                if (!gelf_getshdr(section, &h))
                        continue;
                if (h.sh_type == SHT_DYNSYM)
                        look_at_symbols(e, section, &h, &use);
                else if (is_constant_data(e, &h))
                        use.is_rust |= has_rust(section);
        }
        if (use.defines)
                return "its lock functions are inside the program";
        return use.is_rust && !use.imports ? "its locks are its language's own (Rust)" : NULL;
}

/* ---- the way to the loader -------------------------------------------------------------------------------
 */

struct program {
        bool has_interpreter, is_go, is_musl;
};

static void look_at_segments(Elf *e, const char *image, size_t size, struct program *p)
{
        size_t n;
        if (elf_getphdrnum(e, &n) != 0)
                return;
        for (size_t i = 0; i < n; i++) {
                GElf_Phdr h;
                if (!gelf_getphdr(e, (int)i, &h) || h.p_type != PT_INTERP)
                        continue;
                p->has_interpreter = true;
                if (h.p_offset < size && h.p_filesz <= size - h.p_offset)
                        p->is_musl = memmem(image + h.p_offset, h.p_filesz, "/ld-musl-", 9) != NULL;
        }
}

static void look_at_sections(Elf *e, struct program *p)
{
        size_t names;
        if (elf_getshdrstrndx(e, &names) != 0)
                return;
        Elf_Scn *section = NULL;
        while ((section = elf_nextscn(e, section))) {
                GElf_Shdr h;
                const char *name = gelf_getshdr(section, &h) ? elf_strptr(e, names, h.sh_name) : NULL;
                if (name && (strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0))
                        p->is_go = true;
        }
}

static Elf64_Half own_machine(void)
{
#if defined(__x86_64__)
        return EM_X86_64;
#elif defined(__aarch64__)
        return EM_AARCH64;
#else
        return EM_NONE;
#endif
}

static const char *elf_obstacle(Elf *e, enum pg_capture_mode mode)
{
        GElf_Ehdr h;
        if (!gelf_getehdr(e, &h))
                return NULL;
        if (gelf_getclass(e) == ELFCLASS32)
                return "a 32-bit program";
        if (own_machine() != EM_NONE && h.e_machine != own_machine())
                return "a program for another processor";
        struct program p = { 0 };
        size_t size;
        const char *image = elf_rawfile(e, &size);
        look_at_segments(e, image, image ? size : 0, &p);
        look_at_sections(e, &p);
        if (p.is_go)
                return "a Go program";
        if (!p.has_interpreter)
                return "statically linked";
        if (p.is_musl)
                return "linked with another C library (musl)";
        return mode == PG_MODE_COUNT ? find_allocator(e) : mode == PG_MODE_LOCK ? lock_obstacle(e) : NULL;
}

/* The loader ignores a preload where the program gets rights that its caller lacks. */
static const char *rights_obstacle(int fd)
{
        struct stat s;
        if (fstat(fd, &s) != 0)
                return NULL;
        if ((s.st_mode & S_ISUID) && s.st_uid != getuid())
                return "set-user-ID";
        if ((s.st_mode & S_ISGID) && (s.st_mode & S_IXGRP) && s.st_gid != getgid())
                return "set-group-ID";
        if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
                return "it has file capabilities";
        return NULL;
}

/* ---- files -----------------------------------------------------------------------------------------------
 */

/* Into out the interpreter of a script; false when fd is none. */
static bool script_interpreter(int fd, char out[SCRIPT_LINE_MAX])
{
        ssize_t n = pread(fd, out, SCRIPT_LINE_MAX - 1, 0);
        if (n < 3 || out[0] != '#' || out[1] != '!')
                return false;
        out[n] = '\0';
        char *start = out + 2 + strspn(out + 2, " \t");
        size_t length = strcspn(start, " \t\r\n");
        memmove(out, start, length);
        out[length] = '\0';
        return length > 0;
}

/* The program that the kernel would run for path: itself or, through scripts, an interpreter. */
static int open_program(const char *path)
{
        char interpreter[SCRIPT_LINE_MAX];
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        for (int i = 0; fd >= 0 && i < SCRIPTS_MAX && script_interpreter(fd, interpreter); i++) {
                close(fd);
                fd = open(interpreter, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        }
        struct stat s;
        if (fd >= 0 && (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))) {
                close(fd);
                return -1;
        }
        return fd;
}

static Elf *begin(int fd)
{
        elf_version(EV_CURRENT);
        Elf *e = elf_begin(fd, ELF_C_READ_MMAP, NULL);
        if (e && elf_kind(e) != ELF_K_ELF) {
                elf_end(e);
                return NULL;
        }
        return e;
}

const char *pg_capture_obstacle(const char *path, enum pg_capture_mode mode)
{
        PG_AUTO_CLOSE int fd = open_program(path);
        if (fd < 0)
                return NULL;
        const char *why = rights_obstacle(fd);
        if (why)
                return why;
        PG_AUTO_ELF Elf *e = begin(fd);
        return e ? elf_obstacle(e, mode) : NULL;
}

const char *pg_bundled_allocator(const char *path)
{
        PG_AUTO_CLOSE int fd = open_program(path);
        if (fd < 0)
                return NULL;
        PG_AUTO_ELF Elf *e = begin(fd);
        return e ? find_allocator(e) : NULL;
}
