// SPDX-License-Identifier: MIT
/*
 * test_call_sites.c - trees of stacks made by hand; what each site must get was added up by hand.
 *
 * Names are spelled as the symbolizer gives them: demangled, with parameters, without the return type.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "runner/measure/call_sites.h"
#include "tests/unit/alloc_failure.h"

static struct pg_arena *arena;
static struct pg_error err;
static struct pg_measurement m;

static int setup(void **state)
{
        (void)state;
        err = (struct pg_error){ 0 };
        m = (struct pg_measurement){ 0 };
        arena = pg_arena_create();
        return arena ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        pg_arena_destroy(arena);
        return 0;
}

// clang-format off
#define FRAME(name_, file_, line_)                                                              \
        { .name = (name_), .system_name = (name_), .identity = (name_), .file = (file_),        \
          .line = (line_) }
// clang-format on
#define POINT(module_, ...)                                                                                  \
        {                                                                                                    \
                .module_name = (module_), .where = {                                                         \
                        .frames = (struct pg_frame[]){ __VA_ARGS__ },                                        \
                        .n_frames = sizeof((struct pg_frame[]){ __VA_ARGS__ }) / sizeof(struct pg_frame)     \
                }                                                                                            \
        }

static void find(const struct pg_site_node *nodes, size_t n, const struct pg_point *points, size_t n_points,
                 const char *const *wrappers)
{
        if (!pg_call_sites_find(nodes, n, points, n_points, wrappers, arena, &m, &err))
                fail_msg("%s", err.text);
}

#define FIND(nodes, points, wrappers)                                                                        \
        find(nodes, sizeof(nodes) / sizeof(*(nodes)), points, sizeof(points) / sizeof(*(points)), wrappers)

static void assert_site(size_t i, const char *function, uint32_t line, uint64_t allocations, uint64_t bytes)
{
        assert_in_range(i, 0, m.n_sites - 1);
        assert_string_equal(m.sites[i].function, function);
        assert_int_equal(m.sites[i].line, line);
        assert_int_equal(m.sites[i].allocations, allocations);
        assert_int_equal(m.sites[i].allocated_bytes, bytes);
}

/* ---- from innermost outwards ---- */

enum { MAIN, PARSE, LOAD, XMALLOC, STRDUP };

static const struct pg_point c_points[] = {
        [MAIN] = POINT("prog", FRAME("main", "main.c", 5)),
        [PARSE] = POINT("prog", FRAME("parse", "parse.c", 20)),
        [LOAD] = POINT("prog", FRAME("load", "load.c", 30)),
        [XMALLOC] = POINT("prog", FRAME("xmalloc", "xmalloc.c", 7)),
        [STRDUP] = POINT("libc.so.6", FRAME("__strdup", NULL, 0)),
};

static void a_wrapper_is_charged_to_each_of_its_callers(void **state)
{
        (void)state;
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = MAIN, .parent = 0, .allocations = 1, .allocated_bytes = 8 },
                { .point = PARSE, .parent = 1 },
                { .point = XMALLOC, .parent = 2, .allocations = 10, .allocated_bytes = 1000 },
                { .point = LOAD, .parent = 1 },
                { .point = XMALLOC, .parent = 4, .allocations = 3, .allocated_bytes = 30 },
                { .point = STRDUP, .parent = 4, .allocations = 2, .allocated_bytes = 20 },
        };
        FIND(nodes, c_points, NULL);
        assert_int_equal(m.n_sites, 3);
        assert_site(0, "load", 30, 5, 50);
        assert_site(1, "main", 5, 1, 8);
        assert_site(2, "parse", 20, 10, 1000);
        assert_string_equal(m.sites[2].file, "parse.c");
        assert_string_equal(m.sites[2].module, "prog");
}

static void every_value_goes_along(void **state)
{
        (void)state;
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = PARSE, .parent = 0, .temporary = 1, .peak_bytes = 10, .leaked_bytes = 100 },
                { .point = XMALLOC, .parent = 1, .temporary = 2, .peak_bytes = 20, .leaked_bytes = 200 },
        };
        FIND(nodes, c_points, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_int_equal(m.sites[0].temporary, 3);
        assert_int_equal(m.sites[0].peak_bytes, 30);
        assert_int_equal(m.sites[0].leaked_bytes, 300);
        assert_int_equal(m.sites[0].allocations, 0);
}

/* xmalloc is inlined into read_all, and read_all into load: the site is read_all's line. */
static void an_inlined_wrapper_is_passed_over(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog", FRAME("xmalloc", "xmalloc.h", 7), FRAME("read_all", "load.c", 12),
                      FRAME("load", "load.c", 30)),
                POINT("prog", FRAME("main", "main.c", 5)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 1, .parent = 0 },
                { .point = 0, .parent = 1, .allocations = 4, .allocated_bytes = 64 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_site(0, "read_all", 12, 4, 64);
}

/* A point that is wrappers through and through is charged to the point outside of it. */
static void a_container_is_charged_to_who_filled_it(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog",
                      FRAME("std::__new_allocator<int>::allocate(unsigned long, void const*)",
                            "new_allocator.h", 137),
                      FRAME("std::_Vector_base<int, std::allocator<int> >::_M_allocate(unsigned long)",
                            "stl_vector.h", 378),
                      FRAME("std::vector<int, std::allocator<int> >::_M_realloc_insert<int "
                            "const&>(__gnu_cxx::__normal_iterator<int*, std::vector<int, "
                            "std::allocator<int> > >, int const&)",
                            "vector.tcc", 445)),
                POINT("prog",
                      FRAME("std::vector<int, std::allocator<int> >::push_back(int const&)", "stl_vector.h",
                            1287),
                      FRAME("(anonymous namespace)::collect(int)", "collect.cc", 41)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 1, .parent = 0 },
                { .point = 0, .parent = 1, .allocations = 7, .allocated_bytes = 508 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_site(0, "(anonymous namespace)::collect(int)", 41, 7, 508);
}

/* The innermost own function counts, whatever library called it back. */
static void a_callback_is_its_own_site(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog", FRAME("main", "main.c", 5)),
                POINT("libc.so.6", FRAME("qsort", NULL, 0)),
                POINT("prog", FRAME("compare", "compare.c", 9)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0 },
                { .point = 1, .parent = 1, .allocations = 1, .allocated_bytes = 4000 },
                { .point = 2, .parent = 2, .allocations = 50, .allocated_bytes = 500 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 2);
        assert_site(0, "compare", 9, 50, 500);
        assert_site(1, "main", 5, 1, 4000);
}

static void added_globs_are_wrappers_too(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog", FRAME("parse", "parse.c", 20)),
                POINT("prog", FRAME("my_pool_new", "pool.c", 3)),
                POINT("prog", FRAME("xmalloc", "xmalloc.c", 7)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0 },
                { .point = 1, .parent = 1 },
                { .point = 2, .parent = 2, .allocations = 1, .allocated_bytes = 1 },
        };
        static const char *const wrappers[] = { "other", "my_pool_*", NULL };
        FIND(nodes, points, NULL);
        assert_site(0, "my_pool_new", 3, 1, 1);
        FIND(nodes, points, wrappers);
        assert_site(0, "parse", 20, 1, 1);
}

/* ---- nobody's own code ---- */

static void without_own_code_the_innermost_library_frame_is_named(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog", FRAME("_start", NULL, 0)),
                POINT("libc.so.6", FRAME("__libc_start_main_impl", NULL, 0)),
                POINT("libstdc++.so.6", FRAME("_GLOBAL__sub_I_eh_alloc.cc", NULL, 0)),
                POINT("prog", FRAME("operator new(unsigned long)", "new.cc", 3)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0 },
                { .point = 1, .parent = 1 },
                { .point = 2, .parent = 2 },
                { .point = 3, .parent = 3, .allocations = 1, .allocated_bytes = 72704 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_site(0, "_GLOBAL__sub_I_eh_alloc.cc", 0, 1, 72704);
}

static void of_wrappers_alone_the_outermost_is_named(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("", FRAME("[truncated]", NULL, 0)),
                POINT("prog", FRAME("xstrdup", "xmalloc.c", 90)),
                POINT("prog", FRAME("xmalloc", "xmalloc.c", 7)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0 },
                { .point = 1, .parent = 1 },
                { .point = 2, .parent = 2, .allocations = 6, .allocated_bytes = 60 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_site(0, "xstrdup", 90, 6, 60);
}

static void a_pseudo_frame_is_named_when_it_is_alone(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("", FRAME("[other]", NULL, 0)),
                POINT("", FRAME("[unknown]", NULL, 0)),
                POINT("prog", FRAME("parse", "parse.c", 20)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0, .allocations = 2, .allocated_bytes = 16 },
                { .point = 1, .parent = 0 },
                { .point = 2, .parent = 2, .allocations = 3, .allocated_bytes = 24 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 2);
        assert_site(0, "[other]", 0, 2, 16);
        assert_site(1, "parse", 20, 3, 24);
}

/* ---- rows ---- */

/* Two calls on one line, in any order of nodes, are one place for people; another line is another. */
static void equal_places_are_joined(void **state)
{
        (void)state;
        const struct pg_point points[] = {
                POINT("prog", FRAME("parse", "parse.c", 21)),
                POINT("prog", FRAME("parse", "parse.c", 20)),
                POINT("prog", FRAME("parse", "parse.c", 21)),
                POINT("libother.so", FRAME("parse", "parse.c", 21)),
        };
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0, .allocations = 1, .allocated_bytes = 10, .peak_bytes = 5 },
                { .point = 1, .parent = 0, .allocations = 2, .allocated_bytes = 20 },
                { .point = 2, .parent = 0, .allocations = 4, .allocated_bytes = 40, .peak_bytes = 6 },
                { .point = 3, .parent = 0, .allocations = 8, .allocated_bytes = 80 },
        };
        FIND(nodes, points, NULL);
        assert_int_equal(m.n_sites, 3);
        assert_site(0, "parse", 21, 8, 80);
        assert_string_equal(m.sites[0].module, "libother.so");
        assert_site(1, "parse", 20, 2, 20);
        assert_site(2, "parse", 21, 5, 50);
        assert_int_equal(m.sites[2].peak_bytes, 11);
}

static void an_empty_tree_has_no_sites(void **state)
{
        (void)state;
        static const struct pg_site_node root = { 0 };
        find(&root, 1, NULL, 0, NULL);
        assert_int_equal(m.n_sites, 0);
        assert_non_null(m.site_quality.rule);
}

/* A file can hold sums of up to INT64_MAX; a damaged capture may say anything. */
static void sums_are_cut_where_a_file_ends(void **state)
{
        (void)state;
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = MAIN, .parent = 0, .allocations = INT64_MAX - 5, .allocated_bytes = UINT64_MAX },
                { .point = PARSE, .parent = 0, .allocations = 7, .allocated_bytes = 7 },
        };
        FIND(nodes, c_points, NULL);
        assert_int_equal(m.n_sites, 2);
        assert_site(0, "main", 5, INT64_MAX - 5, INT64_MAX);
        assert_site(1, "parse", 20, 5, 0);
}

enum { DEEP = 100000 };

static void a_deep_recursion_is_one_pass(void **state)
{
        (void)state;
        struct pg_site_node *nodes = pg_arena_calloc(arena, DEEP + 2, sizeof(*nodes));
        assert_non_null(nodes);
        nodes[1] = (struct pg_site_node){ .point = PARSE, .parent = 0 };
        for (uint32_t i = 2; i < DEEP + 2; i++)
                nodes[i] = (struct pg_site_node){ .point = XMALLOC, .parent = i - 1, .allocations = 1 };
        find(nodes, DEEP + 2, c_points, 5, NULL);
        assert_int_equal(m.n_sites, 1);
        assert_site(0, "parse", 20, DEEP, 0);
}

/* ---- the rule ---- */

static const char *rule_of(const char *const *wrappers)
{
        static const struct pg_site_node root = { 0 };
        find(&root, 1, NULL, 0, wrappers);
        return m.site_quality.rule;
}

static void the_rule_tells_sets_of_wrappers_apart(void **state)
{
        (void)state;
        static const char *const none[] = { NULL }, *const ab[] = { "a", "b", NULL },
                                 *const ba[] = { "b", "a", NULL }, *const a_b[] = { "ab", NULL };
        assert_string_equal(rule_of(NULL), rule_of(none));
        assert_string_equal(rule_of(ab), rule_of(ba));
        assert_string_not_equal(rule_of(ab), rule_of(none));
        assert_string_not_equal(rule_of(ab), rule_of(a_b));
}

/* ---- the built-in table ---- */

static const struct {
        const char *function, *system_name, *module;
        bool passed;
} known[] = {
        { "xmalloc", "xmalloc", "prog", true },
        { "xmalloc_stats", "xmalloc_stats", "prog", false },
        { "g_malloc0_n", "g_malloc0_n", "libglib-2.0.so.0", true },
        { "g_list_append", "g_list_append", "libglib-2.0.so.0", false },
        { "g_strdup_printf", "g_strdup_printf", "libglib-2.0.so.0", true },
        { "g_vasprintf", "g_vasprintf", "libglib-2.0.so.0", true },
        { "operator new(unsigned long)", "_Znwm", "prog", true },
        { "operator new[](unsigned long, std::align_val_t)", "_ZnamSt11align_val_t", "prog", true },
        { "Pool::operator new(unsigned long)", "_ZN4PoolnwEm", "prog", true },
        { "renew(int)", "_Z5renewi", "prog", false },
        { "std::make_unique<Token>()", "_ZSt11make_uniqueI5Token", "prog", true },
        { "standard::make(int)", "_ZN8standard4makeEi", "prog", false },
        { "fopen", "fopen", "libc.so.6", true },
        { "fopen", "fopen", "prog", false },
        { "_dl_init", "_dl_init", "ld-linux-x86-64.so.2", true },
        { "libcurl_init", "libcurl_init", "libcurl.so.4", false },
        { "libc.so.6+0x29f10", "libc.so.6+0x29f10", "libc.so.6", true },
        { "PyObject_Malloc", "PyObject_Malloc", "python3.11", true },
        { "PyObject_Call", "PyObject_Call", "python3.11", false },
        { "malloc_test", "malloc_test", "prog", false },
        { "do_malloc", "do_malloc", "prog", false },
        /* Rust, legacy and v0 mangling. */
        { "alloc::raw_vec::RawVec<T,A>::grow_amortized",
          "_ZN5alloc7raw_vec19RawVec$LT$T$C$A$GT$14grow_amortized17h0123456789abcdefE", "prog", true },
        { "<alloc::vec::Vec<i32> as core::clone::Clone>::clone", "_RNvXs_NtCs1_5alloc3vec", "prog", true },
        { "<demo::Token as core::clone::Clone>::clone", "_RNvXCs1_4demo", "prog", false },
        { "<T as alloc::slice::hack::ConvertVec>::to_vec",
          "_ZN52_$LT$T$u20$as$u20$alloc..slice..hack..ConvertVec$GT$6to_vec17h0123456789abcdefE", "prog",
          true },
        { "__rust_alloc", "__rust_alloc", "prog", true },
        { "<u8 as <[_]>::to_vec_in::ConvertVec>::to_vec::<alloc::alloc::Global>", "_RINvXs_h", "prog", true },
        { "<demo::Token as alloc::slice::hack::ConvertVec>::to_vec", "_RNvXs_hN", "prog", true },
        { "<str>::to_uppercase", "_RNvMs_eNtCs_5alloc3str", "prog", true },
        { "<[demo::Token]>::to_vec::<alloc::alloc::Global>", "_RINvMs_S", "prog", true },
        { "<&str as core::fmt::Display>::fmt", "_RNvXs_ReNt", "prog", true },
        { "<demo::Token>::new", "_RNvMCs_4demoNtB2_5Token3new", "prog", false },
        { "<&demo::Token as core::iter::traits::collect::IntoIterator>::into_iter", "_RNvXs_R", "prog",
          false },
        { "<u8 as demo::Shape>::make", "_RNvXCs_4demohNtB2_5Shape4make", "prog", false },
        { "demo::build", "_ZN4demo5build17h0123456789abcdefE", "prog", false },
        /* C++ namespaces of the same names are somebody's own. */
        { "core::Arena::grow(int)", "_ZN4core5Arena4growEi", "prog", false },
        { "alloc::Table::add(int)", "_ZN5alloc5Table3addEi", "prog", false },
        { "core::h17habc(int)", "_ZN4core8x17habcdefEi", "prog", false },
};

static void names_are_told_apart(void **state)
{
        (void)state;
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = 0, .parent = 0 },
                { .point = 1, .parent = 1, .allocations = 1 },
        };
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
                struct pg_frame inner = FRAME(known[i].function, NULL, 0), outer = FRAME("caller", NULL, 0);
                inner.system_name = known[i].system_name;
                struct pg_point points[] = {
                        { .module_name = "prog", .where = { .frames = &outer, .n_frames = 1 } },
                        { .module_name = known[i].module, .where = { .frames = &inner, .n_frames = 1 } },
                };
                FIND(nodes, points, NULL);
                assert_int_equal(m.n_sites, 1);
                if ((strcmp(m.sites[0].function, "caller") == 0) != known[i].passed)
                        fail_msg("%s of %s is %s", known[i].function, known[i].module,
                                 known[i].passed ? "not passed over" : "passed over");
        }
}

/* ---- memory ---- */

static void failures_leave_nothing_behind(void **state)
{
        (void)state;
        static const struct pg_site_node nodes[] = {
                { 0 },
                { .point = MAIN, .parent = 0, .allocations = 1 },
                { .point = PARSE, .parent = 1, .allocations = 1 },
        };
        for (long i = 0;; i++) {
                assert_true(i < 100);
                struct pg_arena *a = pg_arena_create();
                assert_non_null(a);
                struct pg_measurement made = { 0 };
                struct pg_error e = { 0 };
                alloc_fail(i);
                bool ok = pg_call_sites_find(nodes, 3, c_points, 5, NULL, a, &made, &e);
                bool failed = alloc_failed();
                assert_int_equal(ok, !failed);
                assert_int_equal(e.code, failed ? PG_ENOMEM : PG_OK);
                assert_int_equal(made.n_sites, failed ? 0 : 2);
                pg_arena_destroy(a);
                if (!failed)
                        break;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_wrapper_is_charged_to_each_of_its_callers, setup, teardown),
                cmocka_unit_test_setup_teardown(every_value_goes_along, setup, teardown),
                cmocka_unit_test_setup_teardown(an_inlined_wrapper_is_passed_over, setup, teardown),
                cmocka_unit_test_setup_teardown(a_container_is_charged_to_who_filled_it, setup, teardown),
                cmocka_unit_test_setup_teardown(a_callback_is_its_own_site, setup, teardown),
                cmocka_unit_test_setup_teardown(added_globs_are_wrappers_too, setup, teardown),
                cmocka_unit_test_setup_teardown(without_own_code_the_innermost_library_frame_is_named, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(of_wrappers_alone_the_outermost_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(a_pseudo_frame_is_named_when_it_is_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(equal_places_are_joined, setup, teardown),
                cmocka_unit_test_setup_teardown(an_empty_tree_has_no_sites, setup, teardown),
                cmocka_unit_test_setup_teardown(sums_are_cut_where_a_file_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(a_deep_recursion_is_one_pass, setup, teardown),
                cmocka_unit_test_setup_teardown(the_rule_tells_sets_of_wrappers_apart, setup, teardown),
                cmocka_unit_test_setup_teardown(names_are_told_apart, setup, teardown),
                cmocka_unit_test_setup_teardown(failures_leave_nothing_behind, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
