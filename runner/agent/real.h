// SPDX-License-Identifier: MIT
/*
 * real.h - the functions that ours stand in front of, found by dlsym(RTLD_NEXT).
 *
 * Until they are found each pointer leads to a function that finds them first, so that the fast paths have
 * nothing to check. While dlsym runs it may allocate: those blocks come from a small static arena, are not
 * counted, and are told by their address when they come back.
 */
#ifndef PG_AGENT_REAL_H
#define PG_AGENT_REAL_H

#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "runner/agent/attach.h"

struct agent_real {
        void *(*malloc)(size_t);
        void *(*calloc)(size_t, size_t);
        void *(*realloc)(void *, size_t);
        void (*free)(void *);
        size_t (*usable_size)(void *);
        int (*posix_memalign)(void **, size_t, size_t);
        void *(*aligned_alloc)(size_t, size_t);
        void *(*memalign)(size_t, size_t);
        void *(*valloc)(size_t);
        void *(*pvalloc)(size_t);
        void (*free_sized)(void *, size_t);                 // NULL where libc has none
        void (*free_aligned_sized)(void *, size_t, size_t); // NULL where libc has none

        /* Found with the others, because dlsym is out of the question in a child of a threaded process. */
        pid_t (*fork)(void);
        int (*execve)(const char *, char *const *, char *const *);
        int (*execvpe)(const char *, char *const *, char *const *);
        int (*fexecve)(int, char *const *, char *const *);
        int (*execveat)(int, const char *, char *const *, char *const *, int);
        int (*posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                           const posix_spawnattr_t *, char *const *, char *const *);
        int (*posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                            const posix_spawnattr_t *, char *const *, char *const *);
        int (*system)(const char *);
        FILE *(*popen)(const char *, const char *);
        int (*dlclose)(void *);
};
extern struct agent_real real __attribute__((visibility("hidden")));

/*
 * The allocator is glibc's, and of a version whose blocks are known to carry their size in the word before them: bytes
 * of the whole chunk, flags in the lower three bits. The chunk's header is 16 bytes in a mapping of its own
 * (IS_MMAPPED, flag 2), else 8, because the first word is lent to the block before (glibc, malloc/malloc.c, "Chunk
 * details" and musable).
 */
extern bool real_has_headers __attribute__((visibility("hidden")));

/* Where blocks have such headers: what malloc_usable_size says, which also reads the next chunk's header, and that is
 * often not in the cache. */
static inline size_t real_header_bytes(const void *p)
{
        size_t size = ((const size_t *)p)[-1];
        return (size & ~(size_t)7) - 8 - ((size & 2) << 2);
}

/* What malloc_usable_size says of a block of the allocator. */
static inline size_t real_usable_size(void *p)
{
        return pg_likely(real_has_headers) ? real_header_bytes(p) : real.usable_size(p);
}

/* The allocator behind ours is libc's own. */
bool real_is_libc(void);

/* Finds all that this library needs; done by the constructor or by the first call of any. */
void real_resolve(void);

enum { REAL_EARLY_BYTES = 65536 };
extern unsigned char real_early[REAL_EARLY_BYTES] __attribute__((visibility("hidden")));

/* True for a block that dlsym got from the static arena. */
static inline bool real_is_early(const void *p)
{
        return (uintptr_t)p - (uintptr_t)real_early < REAL_EARLY_BYTES;
}

/* Bytes from p to the end of the static arena: no block is longer. */
static inline size_t real_early_room(const void *p)
{
        return (size_t)((uintptr_t)real_early + REAL_EARLY_BYTES - (uintptr_t)p);
}

#endif
