// SPDX-License-Identifier: MIT
/*
 * test_symbolize.c - functions, lines and inlined calls of files whose source the test knows.
 *
 * Expected names and lines come from subject.c: it records the address and line of marked places itself.
 * Tables of real files are compared with what nm and objdump (BFD, not libdw) say about them.
 */
#include "tests/unit/assert_near.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"
#include "runner/base/file.h"
#include "runner/symbolize/elf_file.h"
#include "runner/symbolize/symbolize.h"

struct fixture {
        struct pg_arena *arena;
        struct pg_symbolizer *symbolizer;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        f->arena = pg_arena_create();
        f->symbolizer = pg_symbolizer_create(f->arena);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        pg_symbolizer_destroy(f->symbolizer);
        pg_arena_destroy(f->arena);
        free(f);
        return 0;
}

static struct pg_location look_up(struct fixture *f, const char *path, uint64_t address)
{
        struct pg_location l = { 0 };
        struct pg_error err = { 0 };
        assert_true(pg_symbolize(f->symbolizer, path, &address, 1, &l, &err));
        assert_true(l.n_frames >= 1);
        return l;
}

/* ---- marks ---- */

struct mark {
        uint64_t address;
        uint32_t line;
};

/* The mark with this number, read from the file itself. */
static struct mark find_mark(const char *path, int64_t number)
{
        struct mark found = { 0, 0 };
        struct pg_elf e;
        GElf_Shdr h;
        pg_elf_open(path, &e);
        assert_non_null(e.elf);
        Elf_Data *data = elf_getdata(pg_elf_section(e.elf, "marks", &h), NULL);
        assert_non_null(data);
        for (size_t at = 0; at + 24 <= data->d_size; at += 24) {
                int64_t record[3];
                memcpy(record, (const char *)data->d_buf + at, sizeof(record));
                if (record[2] == number)
                        found = (struct mark){ h.sh_addr + at + (uint64_t)record[0], (uint32_t)record[1] };
        }
        pg_elf_close(&e);
        assert_true(found.line > 0);
        return found;
}

static void assert_frame(const struct pg_frame *f, const char *name, uint32_t line, uint32_t start_line)
{
        assert_string_equal(f->name, name);
        assert_string_equal(f->system_name, name);
        assert_string_equal(f->identity, name);
        assert_non_null(f->file);
        assert_string_equal(pg_module_name(f->file), "subject.c");
        assert_int_equal(f->line, line);
        assert_int_equal(f->start_line, start_line);
}

static void inlined_calls_are_named_innermost_first(void **state)
{
        static const char *const files[] = { "dwarf5.so",     "dwarf4.so", "clang.so",
                                             "compressed.so", "split.so",  "linked.so" };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
                const char *path = pg_arena_printf(f->arena, SUBJECTS "/%s", files[i]);
                struct mark inner = find_mark(path, 3), middle = find_mark(path, 2);
                struct mark outer = find_mark(path, 1), function = find_mark(path, 30);
                struct pg_location l = look_up(f, path, inner.address);
                assert_true(l.has_symbol);
                assert_int_equal(l.n_frames, 4);
                // A function begins where its name stands, two lines above the first mark in it.
                assert_frame(&l.frames[0], "innermost", inner.line, inner.line - 2);
                assert_frame(&l.frames[1], "middle", middle.line, middle.line - 2);
                assert_frame(&l.frames[2], "outer", outer.line, outer.line - 4);
                assert_frame(&l.frames[3], "subject_calls", function.line, function.line - 2);
        }
}

/* GCC gives only give() a linkage name, the other names are put together from scopes; clang gives all one. */
static void functions_without_linkage_names_have_their_scopes(void **state)
{
        static const struct {
                int64_t mark;
                const char *gcc, *clang;
        } wanted[] = {
                { 1, "app::(anonymous namespace)::Pool::take",
                  "app::(anonymous namespace)::Pool::take(int)" },
                { 2, "app::(anonymous namespace)::helper", "app::(anonymous namespace)::helper(int)" },
                { 3, "app::Public::give(int)", "app::Public::give(int)" },
                { 4, "app::scopes_calls(int)::Local::run", "app::scopes_calls(int)::Local::run(int)" },
                { 5, "app::scopes_calls(int)::{lambda}::operator()",
                  "app::scopes_calls(int)::$_::operator()(int) const" },
        };
        static const char *const files[] = { SUBJECTS "/scopes.so", SUBJECTS "/scopes-clang.so" };
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
                        struct mark mark = find_mark(files[i], wanted[k].mark);
                        struct pg_location l = look_up(*state, files[i], mark.address);
                        assert_int_equal(l.n_frames, 2);
                        assert_string_equal(l.frames[0].identity, i ? wanted[k].clang : wanted[k].gcc);
                        assert_int_equal(l.frames[0].line, mark.line);
                        assert_string_equal(l.frames[1].name, "app::scopes_calls(int)");
                }
}

/* A .dwo file with more sections of types than a damaged file may have of any other kind. */
static void types_may_have_sections_of_their_own(void **state)
{
        static const char path[] = SUBJECTS "/types.so";
        struct mark mark = find_mark(path, 20);
        struct pg_location l = look_up(*state, path, mark.address);
        assert_int_equal(l.n_frames, 3);
        assert_string_equal(l.frames[0].name, "Sized<20>::last() const");
        assert_int_equal(l.frames[0].line, mark.line);
        assert_string_equal(l.frames[2].name, "types_calls(void const*)");
}

static void a_symbol_table_alone_gives_names_without_lines(void **state)
{
        struct fixture *f = *state;
        struct pg_location l =
                look_up(f, SUBJECTS "/symtab.so", find_mark(SUBJECTS "/symtab.so", 20).address);
        assert_true(l.has_symbol);
        assert_int_equal(l.n_frames, 1);
        assert_string_equal(l.frames[0].name, "hidden_function");
        assert_null(l.frames[0].file);
        assert_int_equal(l.frames[0].line, 0);
}

/* st_value of a symbol, read by libelf alone. */
static uint64_t symbol_start(const char *path, const char *name)
{
        struct pg_elf e;
        GElf_Shdr h;
        uint64_t found = 0;
        pg_elf_open(path, &e);
        assert_non_null(e.elf);
        Elf_Scn *table = pg_elf_section(e.elf, ".symtab", &h);
        Elf_Data *data = elf_getdata(table, NULL);
        for (int i = 0; i < (int)(h.sh_size / h.sh_entsize); i++) {
                GElf_Sym sym;
                assert_non_null(gelf_getsym(data, i, &sym));
                if (strcmp(elf_strptr(e.elf, h.sh_link, sym.st_name), name) == 0)
                        found = sym.st_value;
        }
        pg_elf_close(&e);
        assert_true(found > 0);
        return found;
}

static void what_dynsym_does_not_know_is_not_named_after_its_neighbour(void **state)
{
        static const char *const files[] = { SUBJECTS "/dynsym.so", SUBJECTS "/tableless.so",
                                             SUBJECTS "/wrong/linked.so" };
        static const char *const twins[] = { SUBJECTS "/symtab.so", SUBJECTS "/symtab.so",
                                             SUBJECTS "/linked.debug" };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
                struct mark hidden = find_mark(files[i], 20);
                struct pg_location l = look_up(f, files[i], hidden.address);
                assert_false(l.has_symbol);
                // Named by the start of its function, which is the same in the twin that kept its symbols.
                uint64_t start = symbol_start(twins[i], "hidden_function");
                assert_true(start <= hidden.address);
                assert_string_equal(l.frames[0].name,
                                    pg_arena_printf(f->arena, "%s+0x%llx", pg_module_name(files[i]),
                                                    (unsigned long long)start));
                l = look_up(f, files[i], find_mark(files[i], 30).address);
                assert_true(l.has_symbol);
                assert_string_equal(l.frames[0].name, "subject_calls");
        }
}

/* Both are built from one source, so addresses are the same; only one has a symbol table. */
static void a_stripped_go_program_has_the_names_that_it_keeps_for_itself(void **state)
{
        static const char *const names[] = { "main.seventy", "main.thirty", "main.deep", "main.main",
                                             "runtime.main" };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                uint64_t start = symbol_start(FIXTURES "/shares_go", names[i]);
                for (uint64_t into = 0; into < 4; into++) {
                        struct pg_location l = look_up(f, FIXTURES "/shares_go_stripped", start + into);
                        assert_true(l.has_symbol);
                        assert_string_equal(l.frames[0].name, names[i]);
                }
        }
        struct pg_location l = look_up(f, FIXTURES "/shares_go_stripped", 1);
        assert_false(l.has_symbol);
}

/* Whatever stands in a byte of the header or of the first entries, nothing is read outside and names end. */
/* With the parts in C that the dynamic symbols tell. */
static void a_stripped_go_program_has_the_names_of_its_parts_in_c(void **state)
{
        static const char path[] = SUBJECTS "/go_and_c_stripped";
        uint64_t go = symbol_start(SUBJECTS "/go_and_c", "go_part");
        uint64_t c = symbol_start(SUBJECTS "/go_and_c", "c_part");
        assert_string_equal(look_up(*state, path, go + 15).frames[0].name, "main.work");
        assert_string_equal(look_up(*state, path, c + 15).frames[0].name, "c_part");
        assert_false(look_up(*state, path, c + 16).has_symbol);
}

static void a_damaged_table_of_a_go_program_does_no_harm(void **state)
{
        enum { HEADER_BYTES = 72, ENTRIES_BYTES = 64 };
        struct fixture *f = *state;
        struct pg_elf e;
        GElf_Shdr h;
        PG_AUTO_FREE char *bytes = NULL;
        size_t len;
        struct pg_error err = { 0 };
        const char *whole = FIXTURES "/shares_go_stripped";
        uint64_t address = symbol_start(FIXTURES "/shares_go", "main.seventy");
        assert_true(pg_file_read(whole, 1 << 24, &bytes, &len, &err));
        pg_elf_open(whole, &e);
        assert_non_null(pg_elf_section(e.elf, ".gopclntab", &h));
        pg_elf_close(&e);
        uint64_t list; // the last number of the header says where the entries are
        memcpy(&list, bytes + h.sh_offset + HEADER_BYTES - sizeof(list), sizeof(list));
        const char *path = pg_arena_printf(f->arena, "/tmp/symbols-go-%d", (int)getpid());
        for (size_t i = 0; i < HEADER_BYTES + ENTRIES_BYTES; i++) {
                size_t at = h.sh_offset + (i < HEADER_BYTES ? i : list + i - HEADER_BYTES);
                char was = bytes[at];
                bytes[at] = (char)~was;
                FILE *file = fopen(path, "we");
                assert_int_equal(fwrite(bytes, 1, len, file), len);
                fclose(file);
                bytes[at] = was;
                PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
                struct pg_symbolizer *s = pg_symbolizer_create(a);
                struct pg_location l;
                assert_true(pg_symbolize(s, path, &address, 1, &l, &err));
                assert_true(strlen(l.frames[0].name) > 0);
                pg_symbolizer_destroy(s);
        }
        unlink(path);
}

static void of_two_names_the_same_one_is_taken_in_each_build(void **state)
{
        struct fixture *f = *state;
        struct pg_location l =
                look_up(f, SUBJECTS "/symtab.so", find_mark(SUBJECTS "/symtab.so", 10).address);
        assert_string_equal(l.frames[0].name, "subject_alias"); // both global functions: the lesser name
}

/* ---- separate debug files ---- */

static void copy_file(const char *from, const char *to)
{
        struct pg_error err = { 0 };
        PG_AUTO_FREE char *bytes = NULL;
        size_t len;
        assert_true(pg_file_read(from, 16 << 20, &bytes, &len, &err));
        assert_true(pg_file_replace(to, bytes, len, &err));
}

/* The tree that packages of debug symbols install: root/.build-id/xx/yyyy.debug. */
static void a_debug_file_is_found_by_build_id_and_must_have_the_same(void **state)
{
        static const char *const from[] = { SUBJECTS "/linked.debug", SUBJECTS "/clang.so" };
        struct fixture *f = *state;
        struct pg_error err = { 0 };
        const char *id = pg_symbolizer_build_id(f->symbolizer, SUBJECTS "/linked.so");
        assert_int_equal(strlen(id), 40);
        char root[] = "/tmp/debug-root-XXXXXX";
        assert_non_null(mkdtemp(root));
        assert_true(pg_mkdirs(pg_arena_printf(f->arena, "%s/.build-id/%.2s", root, id), &err));
        for (size_t i = 0; i < 2; i++) {
                struct pg_elf file, debug;
                copy_file(from[i], pg_arena_printf(f->arena, "%s/.build-id/%.2s/%s.debug", root, id, id + 2));
                pg_elf_open(SUBJECTS "/linked.so", &file);
                pg_elf_find_debug(file.elf, "/nowhere/linked.so", root, &debug);
                assert_int_equal(debug.elf != NULL, i == 0); // the second is another build's
                pg_elf_close(&debug);
                pg_elf_close(&file);
        }
        assert_int_equal(system(pg_arena_printf(f->arena, "rm -r '%s'", root)), 0);
}

/* ---- against other tools ---- */

static char *output_of(const char *command)
{
        PG_AUTO_BUF struct pg_buf out = { 0 };
        char piece[4096];
        FILE *pipe = popen(command, "re");
        assert_non_null(pipe);
        for (size_t n; (n = fread(piece, 1, sizeof(piece), pipe)) > 0;)
                pg_buf_append(&out, piece, n);
        assert_int_equal(pclose(pipe), 0);
        return pg_buf_steal(&out);
}

/* True when nm has a line for this address and name. */
static bool nm_lists(const char *text, unsigned long long start, const char *name)
{
        char key[32];
        snprintf(key, sizeof(key), "\n%016llx ", start);
        for (const char *line = text; (line = strstr(line, key)); line++) {
                const char *end = strchrnul(line + 1, '\n');
                size_t n = strlen(name);
                if (end - line > (ptrdiff_t)n && end[-(ptrdiff_t)n - 1] == ' ' &&
                    memcmp(end - n, name, n) == 0)
                        return true;
        }
        return false;
}

/* Every sized function that nm lists has one of the names that nm lists for it, at its first and last byte.
 */
static void symbol_tables_say_what_nm_says(void **state)
{
        const char *path = SUBJECTS "/../test_symbolize";
        struct fixture *f = *state;
        size_t functions = 0;
        PG_AUTO_FREE char *text = output_of("echo; nm -S --defined-only " SUBJECTS "/../test_symbolize");
        for (const char *line = text; (line = strchr(line, '\n')); line++) {
                unsigned long long start, size;
                char type, name[256];
                if (sscanf(line, "\n%llx %llx %c %255s", &start, &size, &type, name) != 4 ||
                    !strchr("tTwW", type))
                        continue;
                struct pg_location first = look_up(f, path, start), last = look_up(f, path, start + size - 1);
                if (!nm_lists(text, start, first.frames[first.n_frames - 1].system_name) ||
                    !nm_lists(text, start, last.frames[last.n_frames - 1].system_name))
                        fail_msg("%s is called %s", name, first.frames[first.n_frames - 1].system_name);
                functions++;
        }
        assert_true(functions > 20); // this file alone has as many
}

/* Classic stubs and those for indirect branch tracking; objdump names them from the relocations' order. */
static void stubs_are_named_after_what_they_call(void **state)
{
        static const char *const files[] = { "dynsym.so", "ibt.so" };
        struct fixture *f = *state;
        for (size_t i = 0; i < 2; i++) {
                size_t stubs = 0;
                const char *path = pg_arena_printf(f->arena, SUBJECTS "/%s", files[i]);
                PG_AUTO_FREE char *text = output_of(
                        pg_arena_printf(f->arena, "objdump -d '%s' | grep -o '^[0-9a-f]* <.*@plt>'", path));
                for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                        unsigned long long address;
                        char name[64];
                        assert_int_equal(sscanf(line, "%llx <%63[^>]>", &address, name), 2);
                        struct pg_location l = look_up(f, path, address + 4);
                        assert_true(l.has_symbol);
                        assert_string_equal(l.frames[0].name, name);
                        stubs++;
                }
                assert_true(stubs >= 2); // atoi and rand; abs is inlined
        }
}

static void the_vdso_is_known(void **state)
{
        struct fixture *f = *state;
        struct pg_elf vdso;
        GElf_Shdr h;
        pg_elf_open_vdso(&vdso);
        assert_non_null(vdso.elf);
        assert_non_null(pg_elf_section(vdso.elf, ".text", &h));
        pg_elf_close(&vdso);
        bool found = false;
        for (uint64_t at = 0; at < h.sh_size && !found; at += 4) {
                struct pg_location l = look_up(f, "[vdso]", h.sh_addr + at);
                found = l.has_symbol && strstr(l.frames[0].name, "clock_gettime");
        }
        assert_true(found);
        assert_string_equal(pg_module_name("[vdso]"), "[vdso]");
}

/* ---- what is not there or not what it should be ---- */

static void without_a_usable_file_an_address_is_module_and_offset(void **state)
{
        static const struct {
                const char *path, *name;
        } cases[] = {
                { "/nonexistent/libgone.so.1", "libgone.so.1+0x1234" },
                { "/usr/bin/app (deleted)", "app (deleted)+0x1234" },
                { "/", "/+0x1234" },
                { "/dev/null", "null+0x1234" },
                { "/etc/passwd", "passwd+0x1234" },
                { "", "0x1234" },
        };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_location l = look_up(f, cases[i].path, 0x1234);
                assert_false(l.has_symbol);
                assert_int_equal(l.n_frames, 1);
                assert_string_equal(l.frames[0].name, cases[i].name);
                assert_string_equal(l.frames[0].identity, cases[i].name);
                assert_null(l.frames[0].file);
                assert_string_equal(pg_symbolizer_build_id(f->symbolizer, cases[i].path), "");
        }
}

/* A pipe must not make us wait for a writer. */
static void a_pipe_is_not_opened(void **state)
{
        struct fixture *f = *state;
        const char *path = pg_arena_printf(f->arena, "/tmp/symbols-pipe-%d", (int)getpid());
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_false(look_up(f, path, 1).has_symbol);
        assert_int_equal(unlink(path), 0);
}

static void cut_and_damaged_files_have_names_for_every_address(void **state)
{
        struct fixture *f = *state;
        struct pg_error err = { 0 };
        PG_AUTO_FREE char *bytes = NULL;
        size_t len;
        assert_true(pg_file_read(SUBJECTS "/dwarf5.so", 1 << 20, &bytes, &len, &err));
        uint64_t address = find_mark(SUBJECTS "/dwarf5.so", 3).address;
        for (unsigned i = 0; i < 400; i++) {
                PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
                struct pg_symbolizer *s = pg_symbolizer_create(a);
                const char *path = pg_arena_printf(a, "/tmp/symbols-cut-%d", (int)getpid());
                size_t keep = i < 100 ? len * i / 100 : len;
                char *copy = malloc(len);
                memcpy(copy, bytes, len);
                for (unsigned k = 0; i >= 100 && k < 8; k++) // a fixed sequence of places and values
                        copy[(i * 7919u + k * 104729u) % len] = (char)(i * 31 + k);
                FILE *file = fopen(path, "we");
                assert_int_equal(fwrite(copy, 1, keep, file), keep);
                fclose(file);
                free(copy);
                struct pg_location l;
                assert_true(pg_symbolize(s, path, &address, 1, &l, &err));
                assert_true(l.n_frames >= 1);
                assert_non_null(l.frames[0].name);
                pg_symbolizer_destroy(s);
                unlink(path);
        }
        (void)f;
}

static void any_order_and_repeats_give_the_same(void **state)
{
        enum { N = 200 };
        struct fixture *f = *state;
        struct pg_error err = { 0 };
        uint64_t base = find_mark(SUBJECTS "/dwarf5.so", 10).address, forwards[N], backwards[N];
        struct pg_location a[N], b[N];
        for (size_t i = 0; i < N; i++) {
                forwards[i] = base + i / 2;
                backwards[N - 1 - i] = base + i / 2;
        }
        assert_true(pg_symbolize(f->symbolizer, SUBJECTS "/dwarf5.so", forwards, N, a, &err));
        assert_true(pg_symbolize(f->symbolizer, SUBJECTS "/dwarf5.so", backwards, N, b, &err));
        for (size_t i = 0; i < N; i++) {
                const struct pg_location *x = &a[i], *y = &b[N - 1 - i];
                assert_int_equal(x->n_frames, y->n_frames);
                assert_string_equal(x->frames[0].name, y->frames[0].name);
                assert_int_equal(x->frames[0].line, y->frames[0].line);
        }
        assert_true(pg_symbolize(f->symbolizer, SUBJECTS "/dwarf5.so", NULL, 0, NULL, &err));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(inlined_calls_are_named_innermost_first),
                TEST(functions_without_linkage_names_have_their_scopes),
                TEST(types_may_have_sections_of_their_own),
                TEST(a_symbol_table_alone_gives_names_without_lines),
                TEST(what_dynsym_does_not_know_is_not_named_after_its_neighbour),
                TEST(a_stripped_go_program_has_the_names_that_it_keeps_for_itself),
                TEST(a_stripped_go_program_has_the_names_of_its_parts_in_c),
                TEST(a_damaged_table_of_a_go_program_does_no_harm),
                TEST(of_two_names_the_same_one_is_taken_in_each_build),
                TEST(a_debug_file_is_found_by_build_id_and_must_have_the_same),
                TEST(symbol_tables_say_what_nm_says),
                TEST(stubs_are_named_after_what_they_call),
                TEST(the_vdso_is_known),
                TEST(without_a_usable_file_an_address_is_module_and_offset),
                TEST(a_pipe_is_not_opened),
                TEST(cut_and_damaged_files_have_names_for_every_address),
                TEST(any_order_and_repeats_give_the_same),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
