// SPDX-License-Identifier: MIT
/*
 * test_code_map.c - points of processes made by hand; the symbolized one lies in this very program.
 */
#include "tests/unit/assert_near.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/measure/code_map.h"

static struct pg_arena *arena;
static struct pg_code_map *map;
static struct pg_error err;

static int setup(void **state)
{
        (void)state;
        err = (struct pg_error){ 0 };
        arena = pg_arena_create();
        map = arena ? pg_code_map_create(arena) : NULL;
        return map ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        pg_code_map_destroy(map);
        pg_arena_destroy(arena);
        return 0;
}

static struct pg_captured_module modules[] = {
        { .path = "/nowhere/libfirst.so", .start = 0x1000, .end = 0x2000, .bias = 0x1000 },
        { .path = "/nowhere/main", .start = 0x5000, .end = 0x6000, .bias = 0x4000, .is_main = true },
};
static const struct pg_captured_process process = { .modules = modules, .n_modules = 2 };
/* The same files in another order, elsewhere in memory. */
static struct pg_captured_module moved[] = {
        { .path = "/nowhere/main", .start = 0x9000, .end = 0xa000, .bias = 0x8000, .is_main = true },
        { .path = "/nowhere/libfirst.so", .start = 0x3000, .end = 0x4000, .bias = 0x3000 },
};
static const struct pg_captured_process other = { .modules = moved, .n_modules = 2 };

static uint32_t module_of(const struct pg_captured_process *p, uint32_t index)
{
        uint32_t module;
        if (!pg_code_map_add_module(map, p, index, &module, &err))
                fail_msg("%s", err.text);
        return module;
}

static uint32_t intern(uint32_t module, uint64_t address)
{
        uint32_t point;
        if (!pg_code_map_intern(map, module, address, &point, &err))
                fail_msg("%s", err.text);
        return point;
}

static void one_file_is_one_module(void **state)
{
        (void)state;
        uint32_t library = module_of(&process, 0), program = module_of(&process, 1);
        assert_int_not_equal(library, program);
        assert_int_equal(module_of(&other, 1), library);
        assert_int_equal(module_of(&other, 0), program);
        uint32_t none = module_of(&process, PG_MODULE_NONE);
        assert_int_not_equal(none, library);
        assert_int_not_equal(none, program);
        assert_int_equal(module_of(&other, 2), none); // no such module
}

/* 5,000 points in two modules: the table grows four times on the way. */
static void points_are_found_again(void **state)
{
        (void)state;
        enum { EACH = 2500 };
        uint32_t a = module_of(&process, 0), b = module_of(&process, 1);
        for (uint32_t i = 0; i < EACH; i++) {
                assert_int_equal(intern(a, 16 * i), 2 * i);
                assert_int_equal(intern(b, 16 * i), 2 * i + 1);
        }
        assert_int_equal(pg_code_map_count(map), 2 * EACH);
        for (uint32_t i = 0; i < EACH; i++)
                assert_int_equal(intern(b, 16 * i), 2 * i + 1);
        assert_int_equal(pg_code_map_count(map), 2 * EACH);
        assert_int_equal(pg_code_map_point(map, 7)->module, b);
        assert_int_equal(pg_code_map_point(map, 7)->address, 48); // 2 * 3 + 1
}

static int first_bias(struct dl_phdr_info *info, size_t size, void *user)
{
        (void)size;
        *(uint64_t *)user = info->dlpi_addr; // the program comes first
        return 1;
}

__attribute__((noinline, used)) static int a_known_place(int x)
{
        __asm__ volatile("" : "+r"(x));
        return x + 1;
}

static void places_get_names(void **state)
{
        (void)state;
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        assert_true(n > 0);
        path[n] = '\0';
        uint64_t bias = 0;
        dl_iterate_phdr(first_bias, &bias);
        struct pg_captured_module self = {
                .path = path, .start = 1, .end = 2, .bias = bias, .is_main = true
        };
        const struct pg_captured_process p = { .modules = &self, .n_modules = 1 };
        uint32_t known = intern(module_of(&p, 0), (uint64_t)(uintptr_t)a_known_place - bias);
        uint32_t missing = intern(module_of(&process, 0), 0x123);
        uint32_t pseudo = 0;
        assert_true(pg_code_map_add_pseudo(map, &pseudo, &err));
        uint32_t rest = intern(pseudo, PG_NODE_OTHER), cut = intern(pseudo, PG_NODE_TRUNCATED);
        uint32_t compiled = intern(module_of(&p, PG_MODULE_NONE), 0xabc);
        assert_true(pg_code_map_symbolize(map, NULL, &err));
        assert_string_equal(pg_code_map_point(map, known)->function, "a_known_place");
        assert_string_equal(pg_code_map_point(map, known)->module_name, "test_code_map");
        assert_string_equal(pg_code_map_point(map, missing)->function, "libfirst.so+0x123");
        assert_string_equal(pg_code_map_point(map, missing)->module_name, "libfirst.so");
        assert_string_equal(pg_code_map_point(map, rest)->function, "[other]");
        assert_string_equal(pg_code_map_point(map, rest)->module_name, "");
        assert_string_equal(pg_code_map_point(map, cut)->function, "[truncated]");
        assert_string_equal(pg_code_map_point(map, compiled)->function, "[no file]");
}

/* The file is another build than the one that was loaded: its names would be wrong ones. */
static void names_of_another_build_are_not_used(void **state)
{
        (void)state;
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        assert_true(n > 0);
        path[n] = '\0';
        struct pg_captured_module self = { .path = path, .start = 1, .end = 2, .is_main = true };
        static const char *const other_id[] = { "0123456789abcdef" }, *const no_id[] = { "" };
        const struct pg_captured_process changed = { .modules = &self,
                                                     .build_ids = other_id,
                                                     .n_modules = 1 };
        const struct pg_captured_process unknown = { .modules = &self, .build_ids = no_id, .n_modules = 1 };
        uint64_t bias = 0;
        dl_iterate_phdr(first_bias, &bias);
        uint64_t address = (uint64_t)(uintptr_t)a_known_place - bias;
        char name[64];
        snprintf(name, sizeof(name), "test_code_map (replaced)+0x%lx", (unsigned long)address);
        uint32_t replaced = intern(module_of(&changed, 0), address),
                 same = intern(module_of(&unknown, 0), address);
        assert_int_not_equal(replaced, same);
        assert_true(pg_code_map_symbolize(map, NULL, &err));
        assert_string_equal(pg_code_map_point(map, replaced)->function, name);
        assert_string_equal(pg_code_map_point(map, same)->function, "a_known_place");
}

/* Code of a process that wrote down what its compiler made; this very process, so that the file is there. */
static void code_of_a_jit_compiler_gets_names(void **state)
{
        (void)state;
        char path[64];
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs("7f0000001000 100 JS:*fib /srv/app.js:3:5\n", f);
        fclose(f);
        const struct pg_captured_process p = { .pid = getpid() };
        const struct pg_captured_process nobody = { .pid = 0 };
        uint32_t jit = module_of(&p, PG_MODULE_NONE), none = module_of(&nobody, PG_MODULE_NONE);
        uint32_t fib = intern(jit, 0x7f0000001080), stub = intern(jit, 0x7f0000009000),
                 nameless = intern(none, 0x1080);
        bool named = pg_code_map_symbolize(map, NULL, &err);
        unlink(path);
        assert_true(named);
        assert_string_equal(pg_code_map_point(map, fib)->function, "fib");
        assert_string_equal(pg_code_map_point(map, fib)->module_name, "[jit]");
        assert_string_equal(pg_code_map_point(map, fib)->where.frames[0].file, "/srv/app.js");
        assert_int_equal(pg_code_map_point(map, fib)->where.frames[0].line, 3);
        assert_string_equal(pg_code_map_point(map, stub)->function, "[no file]");
        assert_string_equal(pg_code_map_point(map, nameless)->function, "[no file]");
        assert_string_equal(pg_code_map_point(map, nameless)->module_name, "");
}

/* What nobody marked is not looked up. */
static void only_marked_points_get_names(void **state)
{
        (void)state;
        uint32_t a = module_of(&process, 0), b = module_of(&process, 1);
        uint32_t points[4] = { intern(a, 1), intern(b, 2), intern(a, 3), intern(b, 4) };
        const uint8_t marks[4] = { 0, 1, 1, 0 };
        assert_true(pg_code_map_symbolize(map, marks, &err));
        assert_null(pg_code_map_point(map, points[0])->function);
        assert_string_equal(pg_code_map_point(map, points[1])->function, "main+0x2");
        assert_string_equal(pg_code_map_point(map, points[2])->function, "libfirst.so+0x3");
        assert_null(pg_code_map_point(map, points[3])->function);
}

/* The program is the first mapping although its points come last; addresses are the first process's. */
static void the_program_is_exported_first(void **state)
{
        (void)state;
        uint32_t library = intern(module_of(&process, 0), 0x10), location;
        assert_true(pg_code_map_add_program(map, &process, &err));
        uint32_t none = intern(module_of(&process, PG_MODULE_NONE), 0x77);
        assert_true(pg_code_map_symbolize(map, NULL, &err));
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1000);
        struct pg_profile *p = NULL;
        const int64_t values[2] = { 1, 1000 };
        assert_non_null(b);
        assert_true(pg_code_map_export_program(map, b, &err));
        assert_true(pg_code_map_export(map, library, b, &location, &err));
        assert_true(pg_profile_add_sample(b, &location, 1, values, &err));
        assert_true(pg_code_map_export(map, none, b, &location, &err));
        assert_true(pg_profile_add_sample(b, &location, 1, values, &err));
        assert_true(pg_profile_finish(b, 0, 0, &p, &err));
        pg_profile_builder_destroy(b);
        assert_int_equal(p->n_mappings, 2);
        assert_string_equal(p->mappings[0].file, "/nowhere/main");
        assert_string_equal(p->mappings[1].file, "/nowhere/libfirst.so");
        assert_int_equal(p->n_locations, 2);
        for (size_t i = 0; i < p->n_locations; i++) {
                const struct pg_profile_location *l = &p->locations[i];
                assert_int_equal(l->address, l->mapping == 1 ? 0x1010 : 0x77); // 0x10 + bias 0x1000
                assert_true(l->mapping == 1 || l->mapping == -1);
        }
        pg_profile_destroy(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one_file_is_one_module, setup, teardown),
                cmocka_unit_test_setup_teardown(points_are_found_again, setup, teardown),
                cmocka_unit_test_setup_teardown(places_get_names, setup, teardown),
                cmocka_unit_test_setup_teardown(names_of_another_build_are_not_used, setup, teardown),
                cmocka_unit_test_setup_teardown(code_of_a_jit_compiler_gets_names, setup, teardown),
                cmocka_unit_test_setup_teardown(only_marked_points_get_names, setup, teardown),
                cmocka_unit_test_setup_teardown(the_program_is_exported_first, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
