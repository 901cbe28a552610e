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

static void what_dynsym_does_not_know_is_not_named_after_its_neighbour(void **state)
{
        static const char *const files[] = { SUBJECTS "/dynsym.so", SUBJECTS "/wrong/linked.so" };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
                struct mark hidden = find_mark(files[i], 20);
                struct pg_location l = look_up(f, files[i], hidden.address);
                assert_false(l.has_symbol);
                assert_string_equal(l.frames[0].name,
                                    pg_arena_printf(f->arena, "%s+0x%llx", pg_module_name(files[i]),
                                                    (unsigned long long)hidden.address));
                l = look_up(f, files[i], find_mark(files[i], 30).address);
                assert_true(l.has_symbol);
                assert_string_equal(l.frames[0].name, "subject_calls");
        }
}

static void of_two_names_the_same_one_is_taken_in_each_build(void **state)
{
        struct fixture *f = *state;
        struct pg_location l =
                look_up(f, SUBJECTS "/symtab.so", find_mark(SUBJECTS "/symtab.so", 10).address);
        assert_string_equal(l.frames[0].name, "subject_alias"); // both global functions: the lesser name
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(inlined_calls_are_named_innermost_first, setup, teardown),
                cmocka_unit_test_setup_teardown(a_symbol_table_alone_gives_names_without_lines, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(what_dynsym_does_not_know_is_not_named_after_its_neighbour,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(of_two_names_the_same_one_is_taken_in_each_build, setup,
                                                teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
