// SPDX-License-Identifier: MIT
/*
 * glibc.h - what other C libraries lack of glibc, as weak references.
 *
 * musl loads what LD_PRELOAD names as well, and ends a program that misses a symbol. There we stay passive: all
 * calls go straight through. To be included by every file that uses one of these.
 */
#ifndef PG_AGENT_GLIBC_H
#define PG_AGENT_GLIBC_H

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdbool.h>

#pragma weak _dl_find_object
#pragma weak dlvsym
#pragma weak __register_atfork
#pragma weak gnu_get_libc_version

extern void *__dso_handle;
int __register_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void), void *library);

/* Another library may pass nothing to constructors, and has no lock-free look-up of objects. */
static inline bool is_glibc(void)
{
        return _dl_find_object;
}

#endif
