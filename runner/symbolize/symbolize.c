// SPDX-License-Identifier: MIT
/*
 * symbolize.c - addresses of one module to functions, in one ascending pass.
 *
 * A module is opened on first use and kept. Its names come from the symbol table (its own, that of the
 * separate debug file, or Go's), then from stubs, then from DWARF; an address that none of them knows is named by
 * module and offset (of its function's start, where the unwind table knows it), never by the nearest symbol.
 */
#include "runner/symbolize/symbolize.h"

#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/symbolize/dwarf.h"
#include "runner/symbolize/elf_file.h"
#include "runner/symbolize/fde_ranges.h"
#include "runner/symbolize/jit_map.h"
#include "runner/symbolize/names.h"
#include "runner/symbolize/pclntab.h"
#include "runner/symbolize/plt.h"
#include "runner/symbolize/symtab.h"

struct module {
        struct module *next;
        char *path;
        struct pg_elf file, debug;
        struct pg_symtab symbols, go; // go: what the Go runtime keeps for itself, where .symtab is gone
        struct pg_plt plt;
        struct pg_fde_ranges ranges;
        struct pg_jit_map *jit; // NULL for files of code
        struct pg_dwarf *dwarf; // of the debug file, else of the file; NULL when neither has any
        const char *build_id;
};

struct pg_symbolizer {
        struct pg_arena *arena;
        struct pg_names names;
        struct module *modules;
};

struct pg_symbolizer *pg_symbolizer_create(struct pg_arena *a)
{
        struct pg_symbolizer *s = calloc(1, sizeof(*s));
        if (s) {
                s->arena = a;
                s->names.arena = a;
        }
        return s;
}

static void close_module(struct module *m)
{
        pg_jit_map_destroy(m->jit);
        pg_dwarf_destroy(m->dwarf);
        pg_symtab_deinit(&m->symbols);
        pg_symtab_deinit(&m->go);
        pg_plt_deinit(&m->plt);
        pg_fde_ranges_deinit(&m->ranges);
        pg_elf_close(&m->debug);
        pg_elf_close(&m->file);
        free(m->path);
        free(m);
}

void pg_symbolizer_destroy(struct pg_symbolizer *s)
{
        if (!s)
                return;
        while (s->modules) {
                struct module *m = s->modules;
                s->modules = m->next;
                close_module(m);
        }
        pg_names_deinit(&s->names);
        free(s);
}

/* ---- modules ---- */

static const char *format_build_id(struct pg_arena *a, Elf *elf)
{
        static const char digits[] = "0123456789abcdef";
        const unsigned char *id = NULL;
        size_t n = elf ? pg_elf_build_id(elf, &id) : 0;
        char *text = pg_arena_calloc(a, 2 * n + 1, 1);
        for (size_t i = 0; text && i < n; i++) {
                text[2 * i] = digits[id[i] >> 4];
                text[2 * i + 1] = digits[id[i] & 15];
        }
        return text;
}

/* Symbols of the separate file when the file itself was stripped of them. Else Go's, and the dynamic ones. */
static bool load_symbols(struct module *m)
{
        GElf_Shdr h;
        bool stripped = !pg_elf_section(m->file.elf, ".symtab", &h);
        if (stripped && m->debug.elf && !pg_symtab_load(m->debug.elf, &m->symbols))
                return false;
        if (stripped && !m->symbols.n && !pg_pclntab_load(m->file.elf, &m->go))
                return false;
        return m->symbols.n || pg_symtab_load(m->file.elf, &m->symbols);
}

/*
 * Lines of the C library are nobody's to edit, and unpacking its DWARF (50 ms where the distribution's debug files are
 * installed) would cost more than all else that a small profile needs. Its names come from the symbol table.
 */
static bool is_c_library(const char *path)
{
        static const char *const names[] = { "libc.so",       "libc-2",   "libm.so",
                                             "libpthread.so", "ld-linux", "ld-2" };
        const char *name = pg_module_name(path);
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strncmp(name, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

static bool load_module(struct module *m)
{
        GElf_Shdr h;
        if (!m->file.elf)
                return true;
        bool has_dwarf = pg_elf_section(m->file.elf, ".debug_info", &h) ||
                         pg_elf_section(m->file.elf, ".zdebug_info", &h);
        if (!has_dwarf && m->file.fd >= 0)
                pg_elf_find_debug(m->file.elf, m->path, "/usr/lib/debug", &m->debug);
        if (!is_c_library(m->path))
                m->dwarf = pg_dwarf_create(m->debug.elf ? m->debug.elf : m->file.elf);
        return pg_fde_ranges_load(m->file.elf, &m->ranges) && load_symbols(m) &&
               pg_plt_load(m->file.elf, &m->plt);
}

/* False when out of memory. */
static bool open_module(struct module *m, const char *path)
{
        m->file = m->debug = PG_ELF_NONE;
        if (strcmp(path, "[vdso]") == 0)
                pg_elf_open_vdso(&m->file);
        else if (pg_is_jit_map(path))
                return (m->jit = pg_jit_map_load(path));
        else if (*path)
                pg_elf_open(path, &m->file);
        return true;
}

static struct module *get_module(struct pg_symbolizer *s, const char *path)
{
        for (struct module *m = s->modules; m; m = m->next)
                if (strcmp(m->path, path) == 0)
                        return m;
        struct module *m = calloc(1, sizeof(*m));
        if (!m)
                return NULL;
        bool ok = open_module(m, path);
        m->path = strdup(path);
        m->build_id = format_build_id(s->arena, m->file.elf);
        if (!ok || !m->path || !m->build_id || !load_module(m)) {
                close_module(m);
                return NULL;
        }
        m->next = s->modules;
        s->modules = m;
        return m;
}

const char *pg_symbolizer_build_id(struct pg_symbolizer *s, const char *path)
{
        struct module *m = get_module(s, path);
        return m ? m->build_id : "";
}

const char *pg_module_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        if (slash && pg_is_jit_map(path))
                return "[jit]";
        return slash && slash[1] ? slash + 1 : path;
}

/* ---- addresses ---- */

/* The name that symbol table or stubs give; NULL with *ret_ok false when out of memory. */
static const char *table_name(struct pg_symbolizer *s, const struct module *m, uint64_t address, bool *ret_ok)
{
        *ret_ok = true;
        const struct pg_symbol *symbol = pg_symtab_find(&m->go, address);
        if (symbol || (symbol = pg_symtab_find(&m->symbols, address)))
                return symbol->name;
        const char *import = pg_plt_find(&m->plt, address);
        if (!import)
                return NULL;
        const char *name = pg_arena_printf(s->arena, "%s@plt", import);
        *ret_ok = name;
        return name;
}

static bool fill_frame(struct pg_symbolizer *s, const struct pg_dwarf_frame *from, const char *system_name,
                       struct pg_frame *ret)
{
        const struct pg_name *name = pg_names_get(&s->names, system_name);
        if (!name)
                return false;
        *ret = (struct pg_frame){ .name = name->name,
                                  .system_name = name->system_name,
                                  .identity = name->identity,
                                  .line = from->line,
                                  .start_line = from->start_line };
        if (from->file && !(ret->file = pg_arena_strdup(s->arena, from->file)))
                return false;
        return true;
}

/* Addresses of one nameless function get one name where the unwind table tells its start. */
static const char *offset_name(struct pg_symbolizer *s, const struct module *m, uint64_t address)
{
        pg_fde_ranges_find(&m->ranges, address, &address);
        if (!*m->path)
                return pg_arena_printf(s->arena, "0x%llx", (unsigned long long)address);
        return pg_arena_printf(s->arena, "%s+0x%llx", pg_module_name(m->path), (unsigned long long)address);
}

/* The line is that of the function: the map knows no others. */
static bool look_up_jit(struct pg_symbolizer *s, struct module *m, uint64_t address, struct pg_location *ret)
{
        const struct pg_jit_code *code = pg_jit_map_find_code(m->jit, address);
        struct pg_frame *f = pg_arena_calloc(s->arena, 1, sizeof(*f));
        const char *nameless =
                code ? "" : pg_arena_printf(s->arena, "[jit]+0x%llx", (unsigned long long)address);
        if (!f || !nameless)
                return false;
        f->name = f->system_name = f->identity = nameless;
        if (code) {
                f->name = f->identity = pg_arena_strdup(s->arena, code->name);
                f->system_name = pg_arena_strdup(s->arena, code->system_name);
                f->file = pg_arena_strdup(s->arena, code->file);
                f->line = f->start_line = code->line;
                if (!f->name || !f->system_name || (code->file && !f->file))
                        return false;
        }
        *ret = (struct pg_location){ f, 1, code };
        return true;
}

static bool look_up(struct pg_symbolizer *s, struct module *m, uint64_t address, struct pg_location *ret)
{
        if (m->jit)
                return look_up_jit(s, m, address, ret);
        struct pg_dwarf_frame found[PG_MAX_INLINES + 1] = { 0 };
        size_t n = m->dwarf ? pg_dwarf_find(m->dwarf, address, found) : 0;
        if (n == 0)
                n = 1;
        bool ok;
        const char *name = table_name(s, m, address, &ok);
        if (!name)
                name = found[n - 1].system_name;
        ret->has_symbol = name;
        if (!name && ok)
                name = offset_name(s, m, address);
        ret->n_frames = n;
        ret->frames = pg_arena_calloc(s->arena, n, sizeof(*ret->frames));
        if (!name || !ret->frames)
                return false;
        found[n - 1].system_name = name;
        for (size_t i = 0; i < n; i++)
                if (!fill_frame(s, &found[i], found[i].system_name ? found[i].system_name : name,
                                &ret->frames[i]))
                        return false;
        return true;
}

struct order {
        uint64_t address;
        size_t index;
};

static int by_address(const void *pa, const void *pb)
{
        const struct order *a = pa, *b = pb;
        return a->address < b->address ? -1 : a->address > b->address;
}

bool pg_symbolize(struct pg_symbolizer *s, const char *path, const uint64_t *addresses, size_t n,
                  struct pg_location *ret, struct pg_error *err)
{
        struct module *m = get_module(s, path);
        PG_AUTO_FREE struct order *order = calloc(n ? n : 1, sizeof(*order));
        if (!m || !order)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < n; i++)
                order[i] = (struct order){ addresses[i], i };
        qsort(order, n, sizeof(*order), by_address);
        for (size_t i = 0; i < n; i++) {
                if (i && order[i].address == order[i - 1].address)
                        ret[order[i].index] = ret[order[i - 1].index];
                else if (!look_up(s, m, order[i].address, &ret[order[i].index]))
                        return pg_fail_nomem(err);
        }
        return true;
}
