// SPDX-License-Identifier: MIT
/*
 * test_identity.c - names as people read them, and without what a rebuild changes.
 *
 * Mangled names were made by hand from the Itanium C++ ABI and the Rust v0 and D mangling rules; the expected
 * identities follow from the rule that the row names.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/symbolize.h"

static const struct {
        const char *rule, *name, *identity;
} identities[] = {
        { "plain", "main", "main" },
        { "plain C++", "ns::f(int, char const*)", "ns::f(int, char const*)" },
        { "cold part", "parse.cold", "parse" },
        { "numbered cold part", "parse.cold.1", "parse" },
        { "part", "parse.part.0", "parse" },
        { "constprop", "parse.constprop.12", "parse" },
        { "isra", "parse.isra.0", "parse" },
        { "llvm", "parse.llvm.1234567890", "parse" },
        { "lto_priv", "parse.lto_priv.0", "parse" },
        { "local alias", "parse.localalias", "parse" },
        { "several", "parse.isra.0.constprop.1.cold", "parse" },
        { "a number belongs to the word", "parse.part", "parse.part" },
        { "C's numbered local function", "inner.4", "inner" },
        { "OpenMP body stays a function", "main._omp_fn.3", "main._omp_fn" },
        { "libiberty's note", "f(int) [clone .cold]", "f(int)" },
        { "libiberty's notes", "f(int) [clone .constprop.0] [clone .cold]", "f(int)" },
        { "two words in a note", "f(int) [clone .isra.0.cold]", "f(int)" },
        { "another note stays", "f(int) [clone .avx2]", "f(int) [clone .avx2]" },
        { "dispatch target stays", "f.avx2", "f.avx2" },
        { "Go's nested closure stays", "main.main.func1.2", "main.main.func1.2" },
        { "Rust legacy hash", "core::fmt::write::h0123456789abcdef", "core::fmt::write" },
        { "Rust hash with llvm", "a::b::h0123456789abcdef.llvm.77", "a::b" },
        { "not a hash", "a::h0123456789abcdeg", "a::h0123456789abcdeg" },
        { "Rust v0 closure", "app::run::{closure#0}", "app::run::{closure}" },
        { "Rust v0 nested closure", "app::run::{closure#1}::{closure#12}", "app::run::{closure}::{closure}" },
        { "Rust shim", "<T as Tr>::f::{shim:vtable#0}", "<T as Tr>::f::{shim:vtable}" },
        { "Rust crate hash", "app[1234567890abcdef]::run", "app::run" },
        { "an index is no hash", "f[12]::g", "f[12]::g" },
        { "lambda", "f()::{lambda(int)#1}::operator()(int) const",
          "f()::{lambda(int)}::operator()(int) const" },
        { "lambda in lambda", "f()::{lambda(f()::{lambda()#1})#2}::operator()() const",
          "f()::{lambda(f()::{lambda()})}::operator()() const" },
        { "unnamed type", "g(f()::{unnamed type#2})", "g(f()::{unnamed type})" },
        { "clang's lambda", "main::$_0::operator()() const", "main::$_::operator()() const" },
        { "LLVM demangler's lambda", "f()::'lambda1'(int)::operator()", "f()::'lambda'(int)::operator()" },
        { "anonymous namespace", "(anonymous namespace)::f()", "(anonymous namespace)::f()" },
        { "stub", "malloc@plt", "malloc@plt" },
        { "nothing but a suffix", ".cold", ".cold" },
        { "empty", "", "" },
};

static void an_identity_has_no_clone_suffix_hash_or_ordinal(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t i = 0; i < sizeof(identities) / sizeof(*identities); i++) {
                const char *got = pg_function_identity(identities[i].name, a);
                if (strcmp(got, identities[i].identity) != 0)
                        fail_msg("%s: '%s' gave '%s'", identities[i].rule, identities[i].name, got);
        }
}

/* Random names from pieces that the rules look at; the generator is fixed, so a failure comes back. */
static void an_identity_is_its_own_identity(void **state)
{
        static const char *const pieces[] = { "f",
                                              "::",
                                              ".cold",
                                              ".part",
                                              ".0",
                                              ".llvm.",
                                              "12",
                                              "#",
                                              "{",
                                              "}",
                                              "$_",
                                              "'",
                                              "lambda",
                                              " [clone ",
                                              "]",
                                              "[",
                                              "abcdef01",
                                              ".constprop",
                                              "::h0123456789abcdef",
                                              "(",
                                              ")",
                                              ".",
                                              "._omp_fn",
                                              "'unnamed" };
        (void)state;
        uint64_t random = 88172645463325252u; // xorshift64
        for (int round = 0; round < 20000; round++) {
                PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
                char name[256] = "";
                for (size_t n = 0; n < 1 + (unsigned)round % 10; n++) {
                        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                        strcat(name, pieces[random % (sizeof(pieces) / sizeof(*pieces))]);
                }
                const char *once = pg_function_identity(name, a);
                const char *twice = pg_function_identity(once, a);
                if (strcmp(once, twice) != 0)
                        fail_msg("'%s' gave '%s', which gave '%s'", name, once, twice);
                assert_true(strlen(once) <= strlen(name));
                assert_true(*once || !*name);
        }
}

static const struct {
        const char *what, *mangled, *name;
} mangled[] = {
        { "C", "main", "main" },
        { "C++ function", "_Z3addii", "add(int, int)" },
        { "C++ method", "_ZNK2ns4Type3getEv", "ns::Type::get() const" },
        { "C++ template without its return type", "_Z3maxIiET_S0_S0_", "max<int>(int, int)" },
        { "C++ anonymous namespace", "_ZN12_GLOBAL__N_13runEv", "(anonymous namespace)::run()" },
        { "C++ lambda", "_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()(int) const" },
        { "C++ clone", "_Z3addii.cold", "add(int, int) [clone .cold]" },
        { "Rust legacy without its hash", "_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write" },
        { "Rust v0", "_RNvC3app3run", "app::run" },
        { "Rust v0 closure", "_RNCNvC3app3run0", "app::run::{closure#0}" },
        { "D", "_D3app3runFZv", "app.run()" },
        { "not mangled after all", "_Zebra", "_Zebra" },
        { "damaged", "_ZN4core3fmt", "_ZN4core3fmt" },
        { "empty", "", "" },
};

static void compiler_names_become_readable(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t i = 0; i < sizeof(mangled) / sizeof(*mangled); i++) {
                const char *got = pg_demangle(mangled[i].mangled, a);
                if (strcmp(got, mangled[i].name) != 0)
                        fail_msg("%s: '%s' gave '%s'", mangled[i].what, mangled[i].mangled, got);
        }
}

/* aaa...a(), whose name alone has so many letters; the library itself refuses more than about 1,000. */
static void long_names_are_demangled_or_kept(void **state)
{
        static const size_t letters[] = { 10, 1500, 4000, 100000 };
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
                char *word = pg_arena_calloc(a, letters[i] + 1, 1);
                memset(word, 'a', letters[i]);
                const char *name = pg_arena_printf(a, "_Z%zu%sv", letters[i], word);
                const char *want = letters[i] <= 4000 ? pg_arena_printf(a, "%s()", word) : name;
                assert_string_equal(pg_demangle(name, a), want);
        }
}

/* 4,000 pointers nested in each other: given up or printed, but within the stack. */
static void deeply_nested_names_do_not_exhaust_the_stack(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        char name[4008] = "_Z1f";
        memset(name + 4, 'P', 4000);
        name[4004] = 'i';
        const char *got = pg_demangle(name, a);
        assert_true(strcmp(got, name) == 0 || strlen(got) == strlen("f(int)") + 4000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_identity_has_no_clone_suffix_hash_or_ordinal),
                cmocka_unit_test(an_identity_is_its_own_identity),
                cmocka_unit_test(compiler_names_become_readable),
                cmocka_unit_test(long_names_are_demangled_or_kept),
                cmocka_unit_test(deeply_nested_names_do_not_exhaust_the_stack),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
