// SPDX-License-Identifier: MIT
/*
 * heap.c - the allocation functions: what a block can hold, and that errno is left alone.
 *
 * Only the outermost call of a thread counts: which functions reach each other behind it is not the target's
 * business, and differs between libraries. Nor do calls of the loader count, whose tables grow with each
 * library, of libc for a new thread, or of the C++ library: the agent stands in for its operator new, and asks
 * for the same block without coming by here. While dlsym looks for the real ones it may allocate; those blocks
 * come from a small static arena and are never given back.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "runner/probe/record.h"

static struct {
        void *(*malloc)(size_t);
        void *(*calloc)(size_t, size_t);
        void *(*realloc)(void *, size_t);
        void *(*reallocarray)(void *, size_t, size_t);
        void (*free)(void *);
        int (*posix_memalign)(void **, size_t, size_t);
        void *(*aligned_alloc)(size_t, size_t);
        void *(*memalign)(size_t, size_t);
        void *(*valloc)(size_t);
        void *(*pvalloc)(size_t);
        size_t (*malloc_usable_size)(void *);
} next;

_Thread_local int probe_depth;

/* ---- before they are found -------------------------------------------------------------------------------
 */

enum { EARLY_BYTES = 16384 };
static alignas(16) unsigned char early[EARLY_BYTES];
static size_t early_used;
static volatile bool resolving; // dlsym is declared to call nothing of ours, and does

static bool is_early(const void *p)
{
        return (uintptr_t)p - (uintptr_t)early < EARLY_BYTES;
}

static void *early_take(size_t n)
{
        if (n > EARLY_BYTES - early_used - 16) {
                errno = ENOMEM;
                return NULL;
        }
        void *p = early + early_used;
        early_used += (n + 15) & ~(size_t)15;
        return p;
}

/* Neither end of the block is known, so all that may be its own is copied. */
static void *move_early(void *p, size_t n)
{
        size_t room = (size_t)(early + EARLY_BYTES - (unsigned char *)p);
        void *q = malloc(n);
        return q ? memcpy(q, p, n < room ? n : room) : NULL;
}

void probe_resolve_heap(void)
{
        if (resolving || next.malloc)
                return;
        int saved = errno;
        resolving = true;
        __typeof__(next) found;
#define FIND(name) found.name = (__typeof__(found.name))dlsym(RTLD_NEXT, #name)
        FIND(malloc), FIND(calloc), FIND(realloc), FIND(reallocarray), FIND(free), FIND(posix_memalign);
        FIND(aligned_alloc), FIND(memalign), FIND(valloc), FIND(pvalloc), FIND(malloc_usable_size);
#undef FIND
        next = found;
        resolving = false;
        errno = saved;
}

/* True when next can be called; false while dlsym is on its way. */
static inline bool ready(void)
{
        if (__builtin_expect(!next.malloc, 0))
                probe_resolve_heap();
        return next.malloc;
}

/* ---- whose calls count -----------------------------------------------------------------------------------
 */

#pragma weak _dl_find_object // other C libraries load us as well, and lack it

static bool starts_with(const char *s, const char *start)
{
        return strncmp(s, start, strlen(start)) == 0;
}

static bool is_left_out(const struct link_map *map)
{
        static const char *const names[] = { "ld-linux", "ld.so", "libstdc++.so", "libc++" };
        const char *slash = strrchr(map->l_name, '/'), *name = slash ? slash + 1 : map->l_name;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (starts_with(name, names[i]))
                        return true;
        return false;
}

static bool counts(const void *caller)
{
        struct dl_find_object o;
        return !_dl_find_object || _dl_find_object((void *)caller, &o) != 0 || !is_left_out(o.dlfo_link_map);
}

/* ---- noting ----------------------------------------------------------------------------------------------
 */

static void note_block(void *p, size_t n, int errno_before, const void *caller)
{
        struct pg_probe_image *i = probe_image;
        if (!i || !p || probe_depth != 0 || !counts(caller))
                return;
        if (errno != errno_before)
                probe_add(&i->errno_changed, 1);
        size_t usable = next.malloc_usable_size(p);
        probe_add(&i->blocks, 1);
        probe_add(&i->usable_bytes, usable);
        probe_add(&i->sizes_hash, probe_mix(n, usable));
}

/* Evaluates call one level deeper and notes the block that it gives. */
#define NOTED(n, call)                                                                                       \
        ({                                                                                                   \
                int before_ = errno;                                                                         \
                probe_depth++;                                                                               \
                void *p_ = (call);                                                                           \
                probe_depth--;                                                                               \
                note_block(p_, n, before_, __builtin_return_address(0));                                     \
                p_;                                                                                          \
        })

/* ---- the functions ---------------------------------------------------------------------------------------
 */

PROBE_PUBLIC void *malloc(size_t n)
{
        return ready() ? NOTED(n, next.malloc(n)) : early_take(n);
}

PROBE_PUBLIC void *calloc(size_t n, size_t size)
{
        if (ready())
                return NOTED(n * size, next.calloc(n, size)); // no block where the product is too large
        size_t total;
        return __builtin_mul_overflow(n, size, &total) ? NULL : early_take(total); // zero as it is
}

PROBE_PUBLIC void *realloc(void *p, size_t n)
{
        if (!ready())
                return p ? NULL : early_take(n);
        return is_early(p) ? move_early(p, n) : NOTED(n, next.realloc(p, n));
}

PROBE_PUBLIC void *reallocarray(void *p, size_t n, size_t size)
{
        size_t total;
        if (ready() && !is_early(p))
                return NOTED(n * size, next.reallocarray(p, n, size));
        return __builtin_mul_overflow(n, size, &total) ? NULL : realloc(p, total);
}

PROBE_PUBLIC void free(void *p)
{
        if (is_early(p) || !ready())
                return;
        int before = errno;
        probe_depth++;
        next.free(p);
        probe_depth--;
        if (probe_image && probe_depth == 0 && errno != before)
                probe_add(&probe_image->errno_changed, 1);
}

PROBE_PUBLIC int posix_memalign(void **ret, size_t alignment, size_t n)
{
        if (!ready())
                return ENOMEM;
        int before = errno;
        probe_depth++;
        int failed = next.posix_memalign(ret, alignment, n);
        probe_depth--;
        if (!failed)
                note_block(*ret, n, before, __builtin_return_address(0));
        return failed;
}

PROBE_PUBLIC void *aligned_alloc(size_t alignment, size_t n)
{
        return ready() ? NOTED(n, next.aligned_alloc(alignment, n)) : NULL;
}

PROBE_PUBLIC void *memalign(size_t alignment, size_t n)
{
        return ready() ? NOTED(n, next.memalign(alignment, n)) : NULL;
}

PROBE_PUBLIC void *valloc(size_t n)
{
        return ready() ? NOTED(n, next.valloc(n)) : NULL;
}

PROBE_PUBLIC void *pvalloc(size_t n)
{
        return ready() ? NOTED(n, next.pvalloc(n)) : NULL;
}
