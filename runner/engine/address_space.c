// SPDX-License-Identifier: MIT
/*
 * address_space.c - mappings in order, the modules they belong to, and a rule cache for each address space.
 *
 * Files are kept by path, inode and build-id. The very file that is mapped is asked for first
 * (/proc/PID/map_files, which needs privileges); what is opened by its path has to prove that it is the same.
 */
#include "runner/engine/address_space.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/base/cleanup.h"
#include "runner/capture/layout.h"
#include "runner/engine/code_file.h"

enum { CACHE_BITS = 14, BUILD_ID_MAX = 64 };

/* One file as it was mapped. */
struct known_file {
        char *path;  // as the kernel named it
        char *shown; // path, or with " (deleted)" or " (replaced)" behind it
        uint64_t inode;
        uint8_t build_id[BUILD_ID_MAX];
        size_t build_id_bytes;
        struct pg_code_file *code; // NULL: not to be had
};

struct pg_code_files {
        struct known_file **files;
        size_t n, capacity;
};

struct module {
        struct pg_code_module shown; // path borrowed from its file
        const struct known_file *file;
};

struct place {
        uint64_t start, end;
        uint32_t module; // PG_MODULE_NONE: no file
};

struct pg_address_space {
        uint32_t holders;
        struct pg_code_files *files;
        struct place *places; // executable memory, by start, none overlapping
        size_t n_places, places_capacity;
        struct module *modules;
        uint32_t n_modules, modules_capacity;
        struct pg_unwinder unwinder;
        bool has_rules; // some are in the cache
};

/* ---- files ----------------------------------------------------------------------------------------------- */

struct pg_code_files *pg_code_files_create(void)
{
        return calloc(1, sizeof(struct pg_code_files));
}

static void known_file_destroy(struct known_file *f)
{
        if (!f)
                return;
        pg_code_file_destroy(f->code);
        free(f->path);
        free(f->shown);
        free(f);
}
PG_DEFINE_CLEANUP(struct known_file, known_file_destroy)

void pg_code_files_destroy(struct pg_code_files *f)
{
        if (!f)
                return;
        for (size_t i = 0; i < f->n; i++)
                known_file_destroy(f->files[i]);
        free(f->files);
        free(f);
}

static bool has_file(const char *path)
{
        static const char *const others[] = { "//anon", "/dev/zero",      "/memfd:",
                                              "/SYSV",  "/anon_hugepage", "/[aio]" };
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
                if (strncmp(path, others[i], strlen(others[i])) == 0)
                        return false;
        return path[0] == '/';
}

/* A regular file, without waiting for pipes or touching devices; -1 when it is none. */
static int open_regular(const char *path)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
                close(fd);
                return -1;
        }
        return fd;
}

/* The file at path when it is the one that is mapped: the build-id decides, else the inode. */
static bool read_proved(const char *path, const struct pg_mapping *m, struct pg_code_file **ret,
                        struct pg_error *err)
{
        struct stat st;
        PG_AUTO_CLOSE int fd = open_regular(path);
        *ret = NULL;
        if (fd < 0 || fstat(fd, &st) < 0 || (!m->build_id_bytes && m->inode && st.st_ino != m->inode))
                return true;
        if (!pg_code_file_read(fd, ret, err))
                return false;
        const uint8_t *id;
        size_t n = *ret ? pg_code_file_build_id(*ret, &id) : 0;
        if (*ret && m->build_id_bytes && (n != m->build_id_bytes || memcmp(id, m->build_id, n) != 0)) {
                pg_code_file_destroy(*ret);
                *ret = NULL;
        }
        return true;
}

/* Whether path shows what is open as fd. */
static bool is_at(const char *path, int fd)
{
        struct stat named, opened;
        return stat(path, &named) == 0 && fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
               named.st_ino == opened.st_ino;
}

/* *ret_at_path: the path leads to the file that was read. */
static bool read_mapped(pid_t pid, const struct pg_mapping *m, struct pg_code_file **ret, bool *ret_at_path,
                        struct pg_error *err)
{
        char link[96];
        snprintf(link, sizeof(link), "/proc/%d/map_files/%lx-%lx", (int)pid, (unsigned long)m->start,
                 (unsigned long)m->end);
        PG_AUTO_CLOSE int fd = pid > 0 ? open_regular(link) : -1;
        if (fd >= 0) {
                *ret_at_path = is_at(m->path, fd);
                return pg_code_file_read(fd, ret, err);
        }
        PG_AUTO_FREE char *rooted = NULL;
        if (asprintf(&rooted, "/proc/%d/root%s", (int)pid, m->path) < 0) {
                rooted = NULL;
                return pg_fail_nomem(err);
        }
        if (pid > 0 && !read_proved(rooted, m, ret, err))
                return false;
        if (!*ret && !read_proved(m->path, m, ret, err))
                return false;
        *ret_at_path = *ret;
        return true;
}

static char *shown_path(const struct pg_mapping *m, bool at_path)
{
        static const char deleted[] = " (deleted)";
        size_t n = strlen(m->path), tail = sizeof(deleted) - 1;
        if (at_path || (n >= tail && strcmp(m->path + n - tail, deleted) == 0))
                return strdup(m->path);
        char *shown;
        bool there = access(m->path, F_OK) == 0;
        return asprintf(&shown, "%s%s", m->path, there ? " (replaced)" : deleted) < 0 ? NULL : shown;
}

static bool read_known(pid_t pid, const struct pg_mapping *m, struct known_file *f, struct pg_error *err)
{
        bool at_path = true;
        bool ok = strcmp(m->path, "[vdso]") == 0 ? pg_code_file_read_vdso(&f->code, err)
                                                 : read_mapped(pid, m, &f->code, &at_path, err);
        if (!ok)
                return false;
        f->path = strdup(m->path);
        f->shown = shown_path(m, at_path);
        f->inode = m->inode;
        f->build_id_bytes = m->build_id_bytes <= BUILD_ID_MAX ? m->build_id_bytes : 0;
        if (f->build_id_bytes)
                memcpy(f->build_id, m->build_id, f->build_id_bytes);
        return (f->path && f->shown) || pg_fail_nomem(err);
}

static bool is_known_as(const struct known_file *f, const struct pg_mapping *m)
{
        return f->inode == m->inode && f->build_id_bytes == m->build_id_bytes &&
               (m->build_id_bytes == 0 || memcmp(f->build_id, m->build_id, m->build_id_bytes) == 0) &&
               strcmp(f->path, m->path) == 0;
}

static bool find_file(struct pg_code_files *files, pid_t pid, const struct pg_mapping *m,
                      const struct known_file **ret, struct pg_error *err)
{
        for (size_t i = 0; i < files->n; i++)
                if (is_known_as(files->files[i], m)) {
                        *ret = files->files[i];
                        return true;
                }
        if (files->n == files->capacity) {
                size_t capacity = files->capacity ? files->capacity * 2 : 16;
                struct known_file **larger = reallocarray(files->files, capacity, sizeof(*larger));
                if (!larger)
                        return pg_fail_nomem(err);
                files->files = larger;
                files->capacity = capacity;
        }
        __attribute__((cleanup(known_file_destroyp))) struct known_file *f = calloc(1, sizeof(*f));
        if (!f)
                return pg_fail_nomem(err);
        if (!read_known(pid, m, f, err))
                return false;
        *ret = files->files[files->n++] = f;
        f = NULL;
        return true;
}

/* ---- address spaces -------------------------------------------------------------------------------------- */

static pg_rule find_rule(void *context, uint64_t address)
{
        struct pg_address_space *as = context;
        as->has_rules = true;
        if (!pg_address_space_is_code(as, address))
                return pg_rule_with_owner(pg_rule_stop(PG_STOP_NO_CFI), PG_MODULE_NONE);
        uint64_t in_file;
        uint32_t number = pg_address_space_locate(as, address, &in_file);
        const struct pg_code_file *code = number != PG_MODULE_NONE ? as->modules[number].file->code : NULL;
        return pg_rule_with_owner(code ? pg_code_file_rule(code, in_file) : pg_rule_chain(), number);
}

struct pg_address_space *pg_address_space_create(struct pg_code_files *files)
{
        struct pg_address_space *as = calloc(1, sizeof(*as));
        if (!as)
                return NULL;
        as->unwinder = (struct pg_unwinder){ .find = find_rule, .context = as };
        as->unwinder.cache.bits = CACHE_BITS;
        as->unwinder.cache.entries = calloc(1u << CACHE_BITS, sizeof(struct pg_rule_entry));
        if (!as->unwinder.cache.entries) {
                free(as);
                return NULL;
        }
        as->holders = 1;
        as->files = files;
        return as;
}

struct pg_address_space *pg_address_space_share(struct pg_address_space *as)
{
        as->holders++;
        return as;
}

void pg_address_space_release(struct pg_address_space *as)
{
        if (!as || --as->holders > 0)
                return;
        free(as->unwinder.cache.entries);
        free(as->places);
        free(as->modules);
        free(as);
}

static void *copy_of(const void *array, size_t n, size_t size)
{
        void *p = calloc(n + 1, size);
        if (p && n)
                memcpy(p, array, n * size);
        return p;
}

/* Makes *as one that nobody else holds. */
static bool make_own(struct pg_address_space **as, struct pg_error *err)
{
        struct pg_address_space *old = *as, *own;
        if (old->holders == 1)
                return true;
        own = pg_address_space_create(old->files);
        if (!own)
                return pg_fail_nomem(err);
        own->places = copy_of(old->places, old->n_places, sizeof(*own->places));
        own->modules = copy_of(old->modules, old->n_modules, sizeof(*own->modules));
        if (!own->places || !own->modules) {
                pg_address_space_release(own);
                return pg_fail_nomem(err);
        }
        own->n_places = own->places_capacity = old->n_places;
        own->n_modules = own->modules_capacity = old->n_modules;
        pg_address_space_release(old);
        *as = own;
        return true;
}

/* ---- modules --------------------------------------------------------------------------------------------- */

static uint64_t bias_of(const struct known_file *f, const struct pg_mapping *m)
{
        uint64_t bias;
        return f->code && pg_code_file_bias(f->code, m->start, m->file_offset, &bias)
                       ? bias
                       : m->start - m->file_offset;
}

static bool add_module(struct pg_address_space *as, const struct module *new, uint32_t *ret,
                       struct pg_error *err)
{
        if (as->n_modules == PG_MODULE_NONE) {
                *ret = PG_MODULE_NONE;
                return true;
        }
        if (as->n_modules == as->modules_capacity) {
                uint32_t capacity = as->modules_capacity ? as->modules_capacity * 2 : 8;
                struct module *larger = reallocarray(as->modules, capacity, sizeof(*larger));
                if (!larger)
                        return pg_fail_nomem(err);
                as->modules = larger;
                as->modules_capacity = capacity;
        }
        as->modules[as->n_modules] = *new;
        as->modules[as->n_modules].shown.is_main = as->n_modules == 0;
        *ret = as->n_modules++;
        return true;
}

static bool module_of(struct pg_address_space *as, pid_t pid, const struct pg_mapping *m, uint32_t *ret,
                      struct pg_error *err)
{
        const struct known_file *file = NULL;
        *ret = PG_MODULE_NONE;
        if (!has_file(m->path) && strcmp(m->path, "[vdso]") != 0)
                return true;
        if (!find_file(as->files, pid, m, &file, err))
                return false;
        struct module new = { { file->shown, m->start, m->end, bias_of(file, m), false }, file };
        for (uint32_t i = 0; i < as->n_modules; i++) {
                struct pg_code_module *old = &as->modules[i].shown;
                if (as->modules[i].file != file || old->bias != new.shown.bias)
                        continue;
                old->start = m->start < old->start ? m->start : old->start;
                old->end = m->end > old->end ? m->end : old->end;
                *ret = i;
                return true;
        }
        return add_module(as, &new, ret, err);
}

/* ---- places ---------------------------------------------------------------------------------------------- */

/* Number of the first place that ends behind address. */
static size_t place_behind(const struct pg_address_space *as, uint64_t address)
{
        size_t lo = 0, hi = as->n_places;
        while (lo < hi) {
                size_t middle = lo + (hi - lo) / 2;
                if (as->places[middle].end <= address)
                        lo = middle + 1;
                else
                        hi = middle;
        }
        return lo;
}

static const struct place *place_at(const struct pg_address_space *as, uint64_t address)
{
        size_t i = place_behind(as, address);
        return i < as->n_places && as->places[i].start <= address ? &as->places[i] : NULL;
}

/* Replaces the n places from i on by others. */
static bool replace_places(struct pg_address_space *as, size_t i, size_t n, const struct place *others,
                           size_t n_others, struct pg_error *err)
{
        size_t need = as->n_places - n + n_others;
        if (need > as->places_capacity) {
                size_t capacity = need * 2 + 8;
                struct place *larger = reallocarray(as->places, capacity, sizeof(*larger));
                if (!larger)
                        return pg_fail_nomem(err);
                as->places = larger;
                as->places_capacity = capacity;
        }
        memmove(&as->places[i + n_others], &as->places[i + n], (as->n_places - i - n) * sizeof(*as->places));
        memcpy(&as->places[i], others, n_others * sizeof(*others));
        as->n_places = need;
        return true;
}

/* Over whatever was there; what sticks out at either end stays. */
static bool put_place(struct pg_address_space *as, struct place new, struct pg_error *err)
{
        size_t first = place_behind(as, new.start), behind = first, n = 0;
        while (behind < as->n_places && as->places[behind].start < new.end)
                behind++;
        struct place pieces[3];
        if (first < behind && as->places[first].start < new.start)
                pieces[n++] = (struct place){ as->places[first].start, new.start, as->places[first].module };
        pieces[n++] = new;
        if (first < behind && as->places[behind - 1].end > new.end)
                pieces[n++] =
                        (struct place){ new.end, as->places[behind - 1].end, as->places[behind - 1].module };
        return replace_places(as, first, behind - first, pieces, n, err);
}

bool pg_address_space_map(struct pg_address_space **as, pid_t pid, const struct pg_mapping *m,
                          struct pg_error *err)
{
        if (m->start >= m->end)
                return true;
        uint32_t module;
        if (!make_own(as, err) || !module_of(*as, pid, m, &module, err))
                return false;
        const struct place *old = place_at(*as, m->start);
        if (old && old->start == m->start && old->end == m->end && old->module == module &&
            module != PG_MODULE_NONE)
                return true; // nothing new, as after mprotect
        if (!put_place(*as, (struct place){ m->start, m->end, module }, err))
                return false;
        if ((*as)->has_rules)
                pg_rule_cache_clear(&(*as)->unwinder.cache);
        (*as)->has_rules = false;
        return true;
}

/* ---- /proc/PID/maps -------------------------------------------------------------------------------------- */

/* A number, and the one character that must stand behind it. */
static bool take_number(char **at, int base, char behind, uint64_t *ret)
{
        char *end;
        *ret = strtoull(*at, &end, base);
        if (end == *at || *end != behind)
                return false;
        *at = end + 1;
        return true;
}

/* A line of it: "START-END rwxp OFFSET MAJOR:MINOR INODE   PATH"; false when it is no executable memory, or makes no
 * sense. */
static bool parse_line(char *line, struct pg_mapping *ret)
{
        uint64_t device;
        char *at = line;
        *ret = (struct pg_mapping){ 0 };
        line[strcspn(line, "\n")] = '\0';
        if (!take_number(&at, 16, '-', &ret->start) || !take_number(&at, 16, ' ', &ret->end) ||
            strlen(at) < 5 || at[2] != 'x')
                return false;
        at += 5;
        if (!take_number(&at, 16, ' ', &ret->file_offset) || !take_number(&at, 16, ':', &device) ||
            !take_number(&at, 16, ' ', &device) || !(take_number(&at, 10, ' ', &ret->inode)))
                return false;
        ret->path = at + strspn(at, " ");
        return strcmp(ret->path, "[vsyscall]") != 0;
}

bool pg_address_space_read_maps(struct pg_address_space **as, pid_t pid, struct pg_error *err)
{
        char path[32];
        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        PG_AUTO_FCLOSE FILE *f = fopen(path, "re");
        if (!f)
                return pg_fail_os(err, "cannot read '%s'", path);
        PG_AUTO_FREE char *line = NULL;
        size_t room = 0;
        struct pg_mapping m;
        while (getline(&line, &room, f) > 0)
                if (parse_line(line, &m) && !pg_address_space_map(as, pid, &m, err))
                        return false;
        return !ferror(f) || pg_fail_os(err, "cannot read '%s'", path);
}

/* ---- asking ---------------------------------------------------------------------------------------------- */

uint32_t pg_address_space_n_modules(const struct pg_address_space *as)
{
        return as->n_modules;
}

const struct pg_code_module *pg_address_space_module(const struct pg_address_space *as, uint32_t number)
{
        return &as->modules[number].shown;
}

bool pg_address_space_is_code(const struct pg_address_space *as, uint64_t address)
{
        return place_at(as, address);
}

bool pg_address_space_keeps_frame_pointers(const struct pg_address_space *as, uint64_t address)
{
        const struct place *p = place_at(as, address);
        if (!p || p->module == PG_MODULE_NONE)
                return p; // generated code has nothing else
        const struct pg_code_file *code = as->modules[p->module].file->code;
        return code && pg_code_file_keeps_frame_pointers(code);
}

uint32_t pg_address_space_locate(const struct pg_address_space *as, uint64_t address, uint64_t *ret_address)
{
        const struct place *p = place_at(as, address);
        uint32_t number = p ? p->module : PG_MODULE_NONE;
        *ret_address = number == PG_MODULE_NONE ? address : address - as->modules[number].shown.bias;
        return number;
}

pg_rule pg_address_space_rule(struct pg_address_space *as, uint64_t address)
{
        return pg_unwinder_rule(&as->unwinder, address);
}

static bool is_no_code(pg_rule rule)
{
        return pg_rule_cfa(rule) == PG_CFA_STOP && pg_rule_why(rule) == PG_STOP_NO_CFI;
}

static bool is_in_stack(const struct pg_stack *s, uint64_t address)
{
        return address >= s->lo && address < s->hi;
}

/* The rule for the interrupted instruction, where more is known than its CFI says:
 *
 * - A frame pointer that was saved below sp has been taken back already; compilers do not say so in epilogues. The
 *   register is right, and a copy of the stack does not reach down there.
 * - Code without CFI whose frame pointer is none has just been called, or is about to return (the system call in
 *   glibc's clone3), when a return address lies at sp. */
static pg_rule first_rule(struct pg_address_space *as, const struct pg_regs *r, struct pg_stack *s)
{
        pg_rule rule = pg_unwinder_rule(&as->unwinder, pg_regs_lookup(r));
        struct pg_words words = { .n = 0 };
        enum pg_stop why;
        uint64_t cfa, word;
        if (pg_rule_cfa(rule) == PG_CFA_CHAIN && !is_in_stack(s, r->bp) &&
            pg_stack_word(s, r->sp, &words, &word) && pg_address_space_is_code(as, word - 1))
                return pg_rule_with_owner(
                        pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 8 }),
                        pg_rule_owner(rule));
        if (pg_rule_bp(rule) == PG_BP_AT_CFA && pg_step_cfa(rule, r, s, &words, &cfa, &why) &&
            cfa + (uint64_t)pg_rule_bp_offset(rule) < r->sp)
                return rule & ~(pg_rule)(7 << 6); // PG_BP_SAME
        return rule;
}

/* One frame by first_rule, the others by pg_walk. */
static uint32_t walk(struct pg_address_space *as, struct pg_regs *r, struct pg_stack *s,
                     struct pg_walked *ret, uint32_t max, enum pg_stop *ret_end)
{
        struct pg_words words;
        ret[0] = (struct pg_walked){ pg_regs_lookup(r), first_rule(as, r, s) };
        *ret_end = pg_step(ret[0].rule, r, s, &words);
        if (*ret_end == PG_STOP_NOT && max == 1)
                *ret_end = PG_STOP_DEPTH;
        return *ret_end == PG_STOP_NOT ? 1 + pg_walk(&as->unwinder, r, s, ret + 1, max - 1, ret_end) : 1;
}

uint32_t pg_address_space_walk(struct pg_address_space *as, struct pg_regs *r, struct pg_stack *s,
                               struct pg_walked *ret, uint32_t max, enum pg_stop *ret_end)
{
        uint32_t n = walk(as, r, s, ret, max, ret_end);
        bool by_chain = pg_rule_cfa(ret[n - 1].rule) == PG_CFA_CHAIN;
        // zero is what the ABI wants in the frame pointer of the outermost frame
        if (by_chain && *ret_end != PG_STOP_ROOT && !r->bp_lost && r->bp == 0)
                *ret_end = PG_STOP_ROOT;
        if (n > 1 && is_no_code(ret[n - 1].rule))
                n--;
        return n;
}
