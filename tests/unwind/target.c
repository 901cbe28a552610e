// SPDX-License-Identifier: MIT
/*
 * target.c - ptrace, process_vm_readv and /proc; symbol names by libdwfl, for messages only.
 */
#include "tests/unwind/target.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void target_die(const char *what)
{
        fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
        exit(1);
}

static void check(bool ok, const char *what)
{
        if (!ok)
                target_die(what);
}

bool target_read(const struct target *t, uint64_t address, void *ret, size_t n)
{
        struct iovec to = { ret, n }, from = { (void *)(uintptr_t)address, n };
        return process_vm_readv(t->pid, &to, 1, &from, 1, 0) == (ssize_t)n;
}

uint64_t target_word(const struct target *t, uint64_t address)
{
        uint64_t word;
        check(target_read(t, address, &word, 8), "reading a word of the target");
        return word;
}

void target_registers(const struct target *t, struct user_regs_struct *ret)
{
        check(ptrace(PTRACE_GETREGS, t->pid, NULL, ret) == 0, "PTRACE_GETREGS");
}

static struct target_stop wait_for_stop(struct target *t)
{
        int status;
        pid_t pid;
        do
                pid = waitpid(t->pid, &status, __WALL);
        while (pid < 0 && errno == EINTR);
        check(pid == t->pid, "waitpid");
        if (!WIFSTOPPED(status)) {
                t->pid = 0;
                int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                return (struct target_stop){ .exited = true, .exit_code = code };
        }
        int signal = WSTOPSIG(status);
        return (struct target_stop){ .signal = signal == SIGTRAP ? 0 : signal };
}

struct target_stop target_step(struct target *t, int signal)
{
        check(ptrace(PTRACE_SINGLESTEP, t->pid, NULL, (void *)(intptr_t)signal) == 0, "PTRACE_SINGLESTEP");
        return wait_for_stop(t);
}

/* ---- modules ---- */

/* The third word of the global offset table that DT_PLTGOT tells, which the dynamic linker fills in. */
static uint64_t resolver_of(const struct target *t, const struct target_module *m, uint64_t dynamic,
                            uint64_t bias)
{
        for (ElfW(Dyn) d; target_read(t, dynamic, &d, sizeof(d)) && d.d_tag != DT_NULL;
             dynamic += sizeof(d)) {
                uint64_t table = d.d_un.d_ptr, word;
                if (d.d_tag == DT_PLTGOT)
                        return target_read(t, (table < m->start ? table + bias : table) + 16, &word, 8) ? word
                                                                                                        : 0;
        }
        return 0;
}

static void read_segments(const struct target *t, struct target_module *m, const ElfW(Phdr) * headers,
                          size_t n, uint64_t bias)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t at = headers[i].p_vaddr + bias;
                if (headers[i].p_type == PT_LOAD && !(headers[i].p_flags & PF_W))
                        check(target_read(t, at, m->bytes + (at - m->start), headers[i].p_filesz),
                              "reading a segment");
                if (headers[i].p_type == PT_GNU_EH_FRAME)
                        m->cfi = (struct pg_cfi){ m->bytes, m->start, m->end - m->start, at };
                if (headers[i].p_type == PT_DYNAMIC)
                        m->resolver = resolver_of(t, m, at, bias);
        }
}

static int by_start(const void *a, const void *b)
{
        const struct pg_cfi_entry *x = a, *y = b;
        return (x->start > y->start) - (x->start < y->start);
}

static void make_index(struct target_module *m)
{
        struct pg_cfi_entry entry;
        size_t offset = 0;
        while (pg_cfi_next(&m->cfi, false, &offset, &entry)) {
                m->index = realloc(m->index, (m->n_index + 1) * sizeof(entry));
                check(m->index != NULL, "memory");
                m->index[m->n_index++] = entry;
        }
        check(m->n_index > 0, "an empty .eh_frame");
        qsort(m->index, m->n_index, sizeof(entry), by_start);
}

/* Sections .eh_frame and .plt by the file's section headers. */
static void find_sections(struct target_module *m, uint64_t bias)
{
        int fd = open(m->path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0, m->path);
        elf_version(EV_CURRENT);
        Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
        size_t names;
        check(elf && elf_getshdrstrndx(elf, &names) == 0, "libelf");
        for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
                GElf_Shdr h;
                const char *name = gelf_getshdr(section, &h) ? elf_strptr(elf, names, h.sh_name) : NULL;
                uint64_t at = h.sh_addr + bias;
                if (name && strcmp(name, ".eh_frame") == 0)
                        m->cfi = (struct pg_cfi){ m->bytes + (at - m->start), at, h.sh_size, 0 };
                if (name && strcmp(name, ".plt") == 0)
                        m->plt_start = at, m->plt_end = at + h.sh_size;
        }
        elf_end(elf);
        close(fd);
        if (m->cfi.size)
                make_index(m);
}

/* The ELF image whose header is at start; other mappings are none. */
static void add_module(struct target *t, uint64_t start, const char *path)
{
        ElfW(Ehdr) header;
        ElfW(Phdr) headers[32];
        if (!target_read(t, start, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
                return;
        check(header.e_phnum <= 32 && t->n_modules < TARGET_MODULES &&
                      target_read(t, start + header.e_phoff, headers, header.e_phnum * sizeof(headers[0])),
              "program headers");
        uint64_t lo = UINT64_MAX, hi = 0;
        for (size_t i = 0; i < header.e_phnum; i++) {
                if (headers[i].p_type != PT_LOAD)
                        continue;
                lo = headers[i].p_vaddr < lo ? headers[i].p_vaddr : lo;
                uint64_t end = headers[i].p_vaddr + headers[i].p_memsz;
                hi = end > hi ? end : hi;
        }
        check(lo < hi, "a module without segments");
        struct target_module *m = &t->modules[t->n_modules++];
        lo &= ~4095ull;
        *m = (struct target_module){ .start = start, .end = start + (hi - lo), .bytes = calloc(1, hi - lo) };
        check(m->bytes != NULL, "memory");
        snprintf(m->path, sizeof(m->path), "%s", path);
        read_segments(t, m, headers, header.e_phnum, start - lo);
        if (!m->cfi.size && path[0] == '/')
                find_sections(m, start - lo);
}

static void add_modules(struct target *t)
{
        char name[64], line[512], path[256];
        snprintf(name, sizeof(name), "/proc/%d/maps", (int)t->pid);
        FILE *f = fopen(name, "r");
        check(f != NULL, name);
        while (fgets(line, sizeof(line), f)) {
                unsigned long start, offset;
                path[0] = '\0';
                if (sscanf(line, "%lx-%*x %*s %lx %*s %*s %255s", &start, &offset, path) >= 2 &&
                    offset == 0 && (path[0] == '/' || strcmp(path, "[vdso]") == 0))
                        add_module(t, start, path);
        }
        fclose(f);
}

const struct target_module *target_module_at(const struct target *t, uint64_t address)
{
        for (uint32_t i = 0; i < t->n_modules; i++)
                if (address - t->modules[i].start < t->modules[i].end - t->modules[i].start)
                        return &t->modules[i];
        return NULL;
}

static pg_rule indexed_rule(const struct target_module *m, uint64_t address)
{
        size_t lo = 0, hi = m->n_index; // the last entry that starts at or below address
        while (hi - lo > 1) {
                size_t middle = lo + (hi - lo) / 2;
                *(m->index[middle].start <= address ? &lo : &hi) = middle;
        }
        const struct pg_cfi_entry *e = &m->index[lo];
        if (address < e->start || address >= e->end)
                return pg_rule_stop(PG_STOP_NO_CFI);
        return pg_cfi_rule_of(&m->cfi, e->fde_offset, false, address);
}

pg_rule target_rule(const struct target *t, uint64_t address)
{
        const struct target_module *m = target_module_at(t, address);
        if (!m || !m->cfi.size)
                return pg_rule_stop(PG_STOP_NO_CFI);
        return m->index ? indexed_rule(m, address) : pg_cfi_rule(&m->cfi, address);
}

const uint8_t *target_code(const struct target *t, uint64_t address, size_t *ret_n)
{
        const struct target_module *m = target_module_at(t, address);
        *ret_n = !m ? 0 : m->end - address < 15 ? m->end - address : 15;
        return m ? m->bytes + (address - m->start) : NULL;
}

/* ---- names ---- */

static int no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file,
                        const char *link, GElf_Word crc, char **ret)
{
        (void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)ret;
        return -1;
}

static void load_names(struct target *t)
{
        static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_linux_proc_find_elf,
                                                  .find_debuginfo = no_debuginfo };
        t->names = dwfl_begin(&callbacks);
        check(t->names && dwfl_linux_proc_report(t->names, t->pid) == 0 &&
                      dwfl_report_end(t->names, NULL, NULL) == 0,
              "libdwfl");
}

const char *target_symbol(const struct target *t, uint64_t address)
{
        enum { RESOLVER_BYTES = 256 }; // no version of it is longer
        Dwfl_Module *module = dwfl_addrmodule(t->names, address);
        const char *name = module ? dwfl_module_addrname(module, address) : NULL;
        for (const struct target_module *m = t->modules; m < t->modules + t->n_modules && !name; m++) {
                if (m->resolver && address - m->resolver < RESOLVER_BYTES)
                        name = "_dl_runtime_resolve";
                if (address - m->plt_start < m->plt_end - m->plt_start)
                        name = "[static plt]";
        }
        return name;
}

const char *target_function(const struct target *t, uint64_t address)
{
        static char text[128];
        const char *name = target_symbol(t, address), *slash;
        const struct target_module *m = target_module_at(t, address);
        if (name)
                return name;
        if (!m)
                snprintf(text, sizeof(text), "0x%lx", address);
        else
                snprintf(text, sizeof(text), "%.100s+0x%lx",
                         (slash = strrchr(m->path, '/')) ? slash + 1 : m->path, address - m->start);
        return text;
}

/* ---- start and end ---- */

static uint64_t auxiliary_value(const struct target *t, uint64_t type)
{
        char name[64];
        ElfW(auxv_t) v[64];
        snprintf(name, sizeof(name), "/proc/%d/auxv", (int)t->pid);
        FILE *f = fopen(name, "r");
        check(f != NULL, name);
        size_t n = fread(v, sizeof(v[0]), 64, f);
        fclose(f);
        for (size_t i = 0; i < n; i++)
                if (v[i].a_type == type)
                        return v[i].a_un.a_val;
        errno = 0;
        target_die("auxiliary vector");
}

static void run_to(struct target *t, uint64_t address)
{
        struct user_regs_struct regs;
        errno = 0;
        long word = ptrace(PTRACE_PEEKTEXT, t->pid, (void *)(uintptr_t)address, NULL);
        check(errno == 0 && ptrace(PTRACE_POKETEXT, t->pid, (void *)(uintptr_t)address,
                                   (word & ~0xffl) | 0xcc) == 0,
              "setting a breakpoint");
        check(ptrace(PTRACE_CONT, t->pid, NULL, NULL) == 0, "PTRACE_CONT");
        struct target_stop stop = wait_for_stop(t);
        check(!stop.exited && stop.signal == 0, "the target did not reach its entry");
        target_registers(t, &regs);
        check(regs.rip == address + 1, "the target stopped elsewhere");
        regs.rip = address;
        check(ptrace(PTRACE_POKETEXT, t->pid, (void *)(uintptr_t)address, word) == 0 &&
                      ptrace(PTRACE_SETREGS, t->pid, NULL, &regs) == 0,
              "removing a breakpoint");
}

void target_start(struct target *t, const char *path)
{
        *t = (struct target){ .pid = fork() };
        check(t->pid >= 0, "fork");
        if (t->pid == 0) {
                const char *const argv[] = { path, NULL }, *const envp[] = { "LC_ALL=C", NULL };
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
                        execve(path, (char *const *)argv, (char *const *)envp);
                _exit(127);
        }
        struct target_stop stop = wait_for_stop(t);
        check(!stop.exited, path);
        check(ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)(intptr_t)PTRACE_O_EXITKILL) == 0,
              "PTRACE_SETOPTIONS");
        t->entry = auxiliary_value(t, AT_ENTRY);
        run_to(t, t->entry);
        add_modules(t);
        load_names(t);
}

void target_end(struct target *t)
{
        if (t->pid > 0) {
                kill(t->pid, SIGKILL);
                waitpid(t->pid, NULL, __WALL);
        }
        for (uint32_t i = 0; i < t->n_modules; i++)
                free(t->modules[i].bytes), free(t->modules[i].index);
        dwfl_end(t->names);
        *t = (struct target){ 0 };
}
