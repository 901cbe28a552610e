// SPDX-License-Identifier: MIT
/*
 * demangle.c - compiler symbol names as people read them, by libiberty.
 *
 * The library refuses names of more than about 1,000 characters because it recurses over them; template-heavy
 * C++ has such names, so up to LONGEST they are tried without that limit, which bounds the stack all the
 * same.
 */
#include "runner/symbolize/symbolize.h"

#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "runner/base/cleanup.h"

enum { LONGEST = 4096, LONGEST_WITH_LIMIT = DEMANGLE_RECURSION_LIMIT / 2 };

static char *demangle(const char *s, int options)
{
        if (s[0] == '_' && s[1] == 'D' && s[2] >= '0' && s[2] <= '9')
                return dlang_demangle(s, options);
        if (s[0] != '_' || (s[1] != 'Z' && s[1] != 'R'))
                return NULL;
        char *rust = rust_demangle(s, options);
        return rust || s[1] == 'R' ? rust : cplus_demangle_v3(s, options);
}

const char *pg_demangle(const char *system_name, struct pg_arena *a)
{
        size_t n = strlen(system_name);
        int options = DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP;
        if (n > LONGEST_WITH_LIMIT)
                options |= DMGL_NO_RECURSE_LIMIT;
        PG_AUTO_FREE char *text = n <= LONGEST ? demangle(system_name, options) : NULL;
        return pg_arena_strdup(a, text && *text ? text : system_name);
}
