// SPDX-License-Identifier: MIT
/*
 * test_nomem.c - fails allocation number 0, 1, 2, ... on the way from samples to a file and back.
 *
 * The linker sends the allocations of base, symbolize and profile, and those of protobuf-c, which go through
 * the reader's allocator, to the wrappers below. Each try ends in PG_ENOMEM or success, and whatever was
 * allocated has been freed when it is over.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/base/cleanup.h"
#include "runner/profile/profile.h"
#include "runner/symbolize/symbolize.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void __real_free(void *p);
char *__real_strdup(const char *s);
char *__real_realpath(const char *path, char *resolved);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_realpath(const char *path, char *resolved);

static long fail_at = -1; // the allocation that fails; -1: none
static long count, live;

static bool fails(void)
{
        return fail_at >= 0 && count++ == fail_at;
}

static void *taken(void *p)
{
        live += p != NULL;
        return p;
}

void *__wrap_malloc(size_t n)
{
        return fails() ? NULL : taken(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : taken(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
        if (fails())
                return NULL;
        return p ? __real_realloc(p, n) : taken(__real_realloc(p, n));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
        if (fails())
                return NULL;
        return p ? __real_reallocarray(p, n, size) : taken(__real_reallocarray(p, n, size));
}

void __wrap_free(void *p)
{
        live -= p != NULL;
        __real_free(p);
}

char *__wrap_strdup(const char *s)
{
        return fails() ? NULL : taken(__real_strdup(s));
}

char *__wrap_realpath(const char *path, char *resolved)
{
        return taken(
                __real_realpath(path, resolved)); // no memory looks like no file, which is not what we test
}

static bool build(struct pg_profile **ret, struct pg_error *err)
{
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_HEAP, 1);
        int32_t m;
        bool ok = b ? pg_profile_add_mapping(b, 0x1000, 0x90000, "/bin/program", "ab", &m, err) &&
                                  pg_profile_add_comment(b, "comment", err)
                    : pg_fail_nomem(err);
        for (uint32_t i = 0; ok && i < 100; i++) {
                char name[16] = { 'f', (char)('a' + i % 26), (char)('a' + i / 26),
                                  (char)(i % 5 ? 'x' : '\xff') };
                struct pg_frame frames[2] = { { .name = name, .line = i }, { .name = "base" } };
                uint32_t l;
                ok = pg_profile_add_location(b, m, 0x1000 + i, &(struct pg_location){ frames, 2, true }, &l,
                                             err) &&
                     pg_profile_add_sample(b, (uint32_t[]){ l, 0 }, 2, (int64_t[]){ 1, i, 1, i }, err);
        }
        ok = ok && pg_profile_finish(b, 1, 1, ret, err);
        pg_profile_builder_destroy(b);
        return ok;
}

static char path[] = "/tmp/nomem-test-XXXXXX";

static bool there_and_back(struct pg_error *err)
{
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        PG_AUTO_PROFILE struct pg_profile *q = NULL;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        if (!a)
                return pg_fail_nomem(err);
        return build(&p, err) && pg_pprof_save(path, p, err) && pg_pprof_load(path, &q, err) &&
               pg_profile_top(q, 1, a, &rows, &n, &sum, err) && sum == 99 * 100 / 2;
}

static void saving_and_loading_survive_every_failed_allocation(void **state)
{
        (void)state;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        bool done = false;
        for (long i = 0; !done; i++) {
                struct pg_error err = { 0 };
                long before = live;
                fail_at = i;
                count = 0;
                bool ok = there_and_back(&err);
                done = count <= i; // it needed fewer allocations than i
                fail_at = -1;
                assert_int_equal(live, before);
                assert_int_equal(err.code, ok ? PG_OK : PG_ENOMEM);
                assert_true(ok || !done);
        }
        assert_true(unlink(path) == 0);
}

static bool symbolize(struct pg_error *err)
{
        struct pg_location l[3];
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_symbolizer *s = a ? pg_symbolizer_create(a) : NULL;
        if (!s)
                return pg_fail_nomem(err);
        bool ok = pg_symbolize(s, SUBJECT, (uint64_t[]){ 0x1109, 0x1180, 0x1020 }, 3, l, err);
        pg_symbolizer_destroy(s);
        return ok;
}

static void symbolizing_survives_every_failed_allocation(void **state)
{
        (void)state;
        bool done = false;
        for (long i = 0; !done; i++) {
                struct pg_error err = { 0 };
                long before = live;
                fail_at = i;
                count = 0;
                bool ok = symbolize(&err);
                done = count <= i;
                fail_at = -1;
                assert_int_equal(live, before);
                assert_int_equal(err.code, ok ? PG_OK : PG_ENOMEM);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(saving_and_loading_survive_every_failed_allocation),
                cmocka_unit_test(symbolizing_survives_every_failed_allocation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
