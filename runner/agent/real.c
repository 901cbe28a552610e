// SPDX-License-Identifier: MIT
/*
 * real.c - finds the real allocator: the next one in the loader's order, whoever provides it.
 *
 * Blocks of the static arena are never given back. It serves one thread: the loader's, before any other can
 * exist.
 */
#include "runner/agent/real.h"

#include <stdalign.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "runner/agent/glibc.h"

alignas(16) unsigned char real_early[REAL_EARLY_BYTES];
static size_t early_used;
static volatile bool resolving; // volatile: dlsym is declared to call nothing of ours, and does

static void *early_take(size_t n)
{
        if (n > REAL_EARLY_BYTES - early_used - 16) {
                errno = ENOMEM;
                return NULL;
        }
        void *p = real_early + early_used;
        early_used += (n + 15) & ~(size_t)15;
        return p;
}

/* ---- what the pointers lead to at first ------------------------------------------------------------------
 */

static void *first_malloc(size_t n)
{
        if (resolving)
                return early_take(n);
        real_resolve();
        return real.malloc(n);
}

static void *first_calloc(size_t n, size_t size)
{
        if (resolving) {
                size_t total;
                return __builtin_mul_overflow(n, size, &total) ? NULL : early_take(total); // zero as it is
        }
        real_resolve();
        return real.calloc(n, size);
}

static void *first_realloc(void *p, size_t n)
{
        if (resolving) {
                void *q = early_take(n);
                if (q && p)
                        memcpy(q, p, n < real_early_room(p) ? n : real_early_room(p));
                return q;
        }
        real_resolve();
        return real.realloc(p, n);
}

static void first_free(void *p)
{
        if (resolving)
                return;
        real_resolve();
        real.free(p);
}

static size_t first_usable_size(void *p)
{
        if (resolving)
                return 0;
        real_resolve();
        return real.usable_size(p);
}

static int first_posix_memalign(void **p, size_t alignment, size_t n)
{
        real_resolve();
        return real.posix_memalign(p, alignment, n);
}

static void *first_aligned_alloc(size_t alignment, size_t n)
{
        real_resolve();
        return real.aligned_alloc(alignment, n);
}

static void *first_memalign(size_t alignment, size_t n)
{
        real_resolve();
        return real.memalign(alignment, n);
}

static void *first_valloc(size_t n)
{
        real_resolve();
        return real.valloc(n);
}

static void *first_pvalloc(size_t n)
{
        real_resolve();
        return real.pvalloc(n);
}

struct agent_real real = {
        .malloc = first_malloc,
        .calloc = first_calloc,
        .realloc = first_realloc,
        .free = first_free,
        .usable_size = first_usable_size,
        .posix_memalign = first_posix_memalign,
        .aligned_alloc = first_aligned_alloc,
        .memalign = first_memalign,
        .valloc = first_valloc,
        .pvalloc = first_pvalloc,
};

/* ---- finding them ----------------------------------------------------------------------------------------
 */

// clang-format off
#define SYMBOL(field, name) { name, offsetof(struct agent_real, field) }
// clang-format on

static const struct {
        const char *name;
        size_t offset;
} symbols[] = {
        SYMBOL(malloc, "malloc"),
        SYMBOL(calloc, "calloc"),
        SYMBOL(realloc, "realloc"),
        SYMBOL(free, "free"),
        SYMBOL(usable_size, "malloc_usable_size"),
        SYMBOL(posix_memalign, "posix_memalign"),
        SYMBOL(aligned_alloc, "aligned_alloc"),
        SYMBOL(memalign, "memalign"),
        SYMBOL(valloc, "valloc"),
        SYMBOL(pvalloc, "pvalloc"),
        SYMBOL(fork, "fork"),
        SYMBOL(execve, "execve"),
        SYMBOL(execvpe, "execvpe"),
        SYMBOL(fexecve, "fexecve"),
        SYMBOL(execveat, "execveat"),
        SYMBOL(posix_spawn, "posix_spawn"),
        SYMBOL(posix_spawnp, "posix_spawnp"),
        SYMBOL(system, "system"),
        SYMBOL(popen, "popen"),
        SYMBOL(dlclose, "dlclose"),
        SYMBOL(free_sized, "free_sized"),
        SYMBOL(free_aligned_sized, "free_aligned_sized"),
#undef SYMBOL
};

enum { N_SYMBOLS = sizeof(symbols) / sizeof(*symbols), N_SIZED_FREES = 2 /* the last ones */ };

/* dlsym tells of a name that is missing, as these are in most C libraries, in a block from the heap: ours where malloc
 * is ours, the target's where it is not. */
static bool wants_sized_frees(void)
{
        return agent_mode == PG_MODE_COUNT;
}

static bool are_in_one_file(void *f, void *g)
{
        struct dl_find_object a, b;
        return f && g && _dl_find_object(f, &a) == 0 && _dl_find_object(g, &b) == 0 &&
               a.dlfo_link_map == b.dlfo_link_map;
}

/* Told by a function that nobody puts himself in front of: ThreadSanitizer's library has a malloc and a fork. */
bool real_is_libc(void)
{
        void *libc = (void *)(uintptr_t)gnu_get_libc_version;
        return is_glibc() && are_in_one_file(libc, (void *)(uintptr_t)real.malloc) &&
               are_in_one_file(libc, (void *)(uintptr_t)real.free) &&
               are_in_one_file(libc, (void *)(uintptr_t)real.usable_size);
}

bool real_has_headers;

/* Up to the last release whose malloc.c was looked at; of later ones each block's size is asked for. */
static bool has_headers(void)
{
        enum { LAST_MINOR = 42 };
        unsigned minor = 0;
        if (!real_is_libc())
                return false;
        for (const char *v = gnu_get_libc_version() + 2; *v >= '0' && *v <= '9'; v++)
                minor = 10 * minor + (unsigned)(*v - '0');
        return minor <= LAST_MINOR;
}

void real_resolve(void)
{
        if (resolving || real.malloc != first_malloc)
                return;
        int saved = errno;
        resolving = true;
        struct agent_real found = real;
        size_t n = wants_sized_frees() ? N_SYMBOLS : N_SYMBOLS - N_SIZED_FREES;
        for (size_t i = 0; i < n; i++) {
                void *f = dlsym(RTLD_NEXT, symbols[i].name);
                if (f)
                        memcpy((char *)&found + symbols[i].offset, &f, sizeof(f));
        }
        real = found;
        real_has_headers = has_headers();
        resolving = false;
        errno = saved;
}
