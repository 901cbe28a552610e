// SPDX-License-Identifier: MIT
/*
 * sample_profiles.h - profiles that the tests of this folder build, with sums that are known by hand.
 */
#ifndef PG_TEST_SAMPLE_PROFILES_H
#define PG_TEST_SAMPLE_PROFILES_H

#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "runner/profile/profile.h"
#include "runner/symbolize/symbolize.h"

enum { MS = 1000000 };

/* Adds a location with one frame for each name; a NULL ends them. The last is the function itself. */
static uint32_t add_place(struct pg_profile_builder *b, int32_t mapping, uint64_t address,
                          const char *innermost, const char *function)
{
        struct pg_frame frames[2] = {
                { .name = innermost,
                  .system_name = innermost,
                  .file = "/src/a.c",
                  .line = 7,
                  .start_line = 3 },
                { .name = function,
                  .system_name = function,
                  .file = "/src/a.c",
                  .line = 17,
                  .start_line = 11 },
        };
        struct pg_location where = { frames, function ? 2 : 1, true };
        struct pg_error err = { 0 };
        uint32_t i = 0;
        assert_true(pg_profile_add_location(b, mapping, address, &where, &i, &err));
        return i;
}

static void add_stack(struct pg_profile_builder *b, const uint32_t *stack, size_t n, int64_t count,
                      int64_t value)
{
        struct pg_error err = { 0 };
        assert_true(pg_profile_add_sample(b, stack, n, (int64_t[]){ count, value, 0, 0 }, &err));
}

/*
 * main (10 ms self) calls parse (60 ms self), which inlines skip (25 ms self) and calls memchr of another
 * module (5 ms self); an address of that module has no symbol. scale multiplies parse's own time. Sum 100 ms
 * at 1.
 */
static struct pg_profile *make_cpu_profile(int64_t scale)
{
        struct pg_error err = { 0 };
        int32_t program, library;
        struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1 * MS);
        assert_non_null(b);
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x9000, "/opt/app/bin/app", "c0ffee", &program, &err));
        assert_true(pg_profile_add_mapping(b, 0x70000, 0x80000, "/lib/libc.so.6", "", &library, &err));
        uint32_t main_ = add_place(b, program, 0x1100, "main", NULL);
        uint32_t parse = add_place(b, program, 0x1200, "parse", NULL);
        uint32_t skip = add_place(b, program, 0x1210, "skip", "parse");
        uint32_t memchr_ = add_place(b, library, 0x70010, "memchr", NULL);
        uint32_t i;
        struct pg_frame nameless = { .name = "libc.so.6+0x70020" };
        assert_true(pg_profile_add_location(b, library, 0x70020, &(struct pg_location){ &nameless, 1, false },
                                            &i, &err));
        add_stack(b, (uint32_t[]){ main_ }, 1, 10, 10 * MS);
        add_stack(b, (uint32_t[]){ parse, main_ }, 2, 60 * scale, 60 * MS * scale);
        add_stack(b, (uint32_t[]){ skip, main_ }, 2, 25, 25 * MS);
        add_stack(b, (uint32_t[]){ memchr_, parse, main_ }, 3, 4, 4 * MS);
        add_stack(b, (uint32_t[]){ memchr_, parse, main_ }, 3, 1, 1 * MS);
        assert_true(pg_profile_add_comment(b, "made by a test", &err));
        assert_true(pg_profile_finish(b, 1700000000000000000, 200 * MS, &p, &err));
        pg_profile_builder_destroy(b);
        return p;
}

#endif
