// SPDX-License-Identifier: MIT
/*
 * test_counts.c - every entry point, once: a run with 1000 rounds against a run with none.
 *
 * What a round does stands in the target's source; the expected numbers are per round, by hand from there.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "tests/agent/difference.h"

enum { ANY = -1 }; // libc's own business, but allocations and frees must balance

struct row {
        const char *kind;
        int allocations, bytes, frees;
};

static const struct row c_rows[] = {
        { "malloc", 1, 64, 1 },
        { "leak", 1, 64, 0 },
        { "malloc-too-much", 0, 0, 0 },
        { "calloc", 1, 3 * 64, 1 },
        { "calloc-overflow", 0, 0, 0 },
        { "realloc-null", 1, 64, 1 },
        { "realloc-moved", 3, 52 * 64, 3 }, // two blocks, one of them again with 50 * 64
        { "realloc-in-place", 2, 51 * 64, 2 },
        { "realloc-zero", 1, 64, 1 },
        { "realloc-failed", 1, 64, 1 },
        { "reallocarray", 1, 2 * 64, 1 },
        { "reallocarray-overflow", 0, 0, 0 },
        { "posix_memalign", 1, 64, 1 },
        { "posix_memalign-invalid", 0, 0, 0 },
        { "aligned_alloc", 1, 64, 1 },
        { "memalign", 1, 64, 1 },
        { "valloc", 1, 64, 1 },
        { "pvalloc", 1, 64, 1 },
        { "free_sized", 1, 64, 1 },
        { "free_aligned_sized", 1, 64, 1 },
        { "free-null", 0, 0, 0 },
        { "strdup", 2, 2 * 64, 2 }, // strdup and strndup of 63 characters
        { "asprintf", ANY, ANY, ANY },
};

static const struct row cxx_rows[] = {
        { "new", 1, 64, 1 },
        { "new-sized", 1, 64, 1 },
        { "new-nothrow", 1, 64, 1 },
        { "new-array", 1, 64, 1 },
        { "new-array-sized", 1, 64, 1 },
        { "new-array-nothrow", 1, 64, 1 },
        { "new-aligned", 1, 64, 1 },
        { "new-aligned-sized", 1, 64, 1 },
        { "new-aligned-nothrow", 1, 64, 1 },
        { "new-array-aligned", 1, 64, 1 },
        { "new-array-aligned-sized", 1, 64, 1 },
        { "new-array-aligned-nothrow", 1, 64, 1 },
        { "new-failed", 1, ANY, 1 },         // the exception
        { "new-failed-handler", 2, ANY, 2 }, // and the handler's block
        { "new-failed-nothrow", ANY, ANY, ANY },
        { "new-failed-aligned", 1, ANY, 1 },
        { "delete-null", 0, 0, 0 },
};

/* operator new(size_t) of the program asks for 16 bytes more; the array and nothrow forms are defined by it.
 */
static const struct row replaced_rows[] = {
        { "new", 1, 80, 1 },       { "new-sized", 1, 80, 1 },       { "new-nothrow", 1, 80, 1 },
        { "new-array", 1, 80, 1 }, { "new-array-sized", 1, 80, 1 }, { "new-array-nothrow", 1, 80, 1 },
};

static void check_row(const char *program, const struct row *row, int bytes, prepare_function *prepare)
{
        enum { ROUNDS = 1000 };
        const char *const argv[] = { target(program), row->kind, "COUNT", "64", NULL };
        struct difference d = difference_of(argv, "1000", 0, prepare);
        bool right = row->allocations == ANY ? d.allocations == d.frees && d.allocations >= 0
                                             : d.allocations == ROUNDS * row->allocations;
        right = right && (row->frees == ANY || d.frees == ROUNDS * row->frees);
        right = right && (bytes == ANY || d.bytes == ROUNDS * bytes);
        right = right && (d.allocations == d.frees) == (d.live == 0);
        if (!right)
                fail_msg("%s %s: %lld allocations, %lld bytes, %lld frees, %lld live; expected %d, %d, %d "
                         "per round",
                         program, row->kind, (long long)d.allocations, (long long)d.bytes, (long long)d.frees,
                         (long long)d.live, row->allocations, bytes, row->frees);
}

static void every_c_function_counts_once(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(c_rows) / sizeof(*c_rows); i++)
                check_row("alloc_exact", &c_rows[i], c_rows[i].bytes, NULL);
}

static void every_cxx_operator_counts_once(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cxx_rows) / sizeof(*cxx_rows); i++)
                check_row("alloc_new", &cxx_rows[i], cxx_rows[i].bytes, NULL);
}

static void operators_of_the_program_stay_in_charge(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(replaced_rows) / sizeof(*replaced_rows); i++)
                check_row("alloc_new_replaced", &replaced_rows[i], replaced_rows[i].bytes, NULL);
}

static void preload(const char *library)
{
        char list[4096];
        snprintf(list, sizeof(list), "%s:%s", agent_path(), library);
        setenv("LD_PRELOAD", list, 1);
}

static void with_jemalloc(void)
{
        preload("libjemalloc.so.2");
}

static void with_tcmalloc(void)
{
        preload("libtcmalloc_minimal.so.4");
}

/* Other allocators move where glibc's does not and reserve what it refuses; calls that give out one block are
 * the same. */
static void check_plain_rows(prepare_function *prepare)
{
        static const char *const kinds[] = { "malloc",   "calloc",        "realloc-null", "posix_memalign",
                                             "memalign", "aligned_alloc", "leak",         "strdup" };
        for (size_t i = 0; i < sizeof(c_rows) / sizeof(*c_rows); i++)
                for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
                        if (strcmp(kinds[k], c_rows[i].kind) == 0)
                                check_row("alloc_exact", &c_rows[i], c_rows[i].bytes, prepare);
        for (size_t i = 0; i < 12; i++)
                check_row("alloc_new", &cxx_rows[i], cxx_rows[i].bytes, prepare);
}

static void other_allocators_are_counted(void **state)
{
        (void)state;
        check_plain_rows(with_jemalloc);
        check_plain_rows(with_tcmalloc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_c_function_counts_once),
                cmocka_unit_test(every_cxx_operator_counts_once),
                cmocka_unit_test(operators_of_the_program_stay_in_charge),
                cmocka_unit_test(other_allocators_are_counted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
