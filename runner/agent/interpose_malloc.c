// SPDX-License-Identifier: MIT
/*
 * interpose_malloc.c - the C allocation functions.
 *
 * Each call that gives out a block counts once, with the bytes asked for; a failed one does not count. A
 * block stops to be live when its free is called, and is so from the return of the real function on. Where
 * one real function may reach another interposed one (foreign allocators), the block counts only if nothing
 * inside counted.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "runner/agent/count.h"
#include "runner/agent/real.h"

#define CALLER ((uint64_t)(uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)))

/* Not declared by the libc that this may be built with. */
PG_PUBLIC void cfree(void *p);
PG_PUBLIC void free_sized(void *p, size_t n);
PG_PUBLIC void free_aligned_sized(void *p, size_t alignment, size_t n);

PG_PUBLIC void *malloc(size_t n)
{
        void *p = real.malloc(n);
        if (pg_likely(p))
                count_allocation(p, n, CALLER);
        return p;
}

PG_PUBLIC void *calloc(size_t n, size_t size)
{
        void *p = real.calloc(n, size);
        if (pg_likely(p))
                count_allocation(p, n * size, CALLER);
        return p;
}

PG_PUBLIC void free(void *p)
{
        if (pg_unlikely(!p || real_is_early(p)))
                return;
        count_free(p);
        real.free(p);
}

/* ---- realloc ---------------------------------------------------------------------------------------------
 */

/* A block of the static arena moves to the allocator and counts there. */
static void *realloc_early(void *p, size_t n, uint64_t pc)
{
        void *q = real.malloc(n);
        if (!q || real_is_early(q))
                return q;
        memcpy(q, p, n < real_early_room(p) ? n : real_early_room(p));
        count_allocation(q, n, pc);
        return q;
}

static inline void count_reallocation(void *q, size_t n, int64_t old_bytes, uint64_t pc)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_reallocation_without_cell(q, n, old_bytes, pc);
                return;
        }
        c->frees++;
        if (q) {
                c->allocations++;
                c->allocated_bytes += n;
                count_site(c, n, pc);
        }
        count_net(c, (q ? (int64_t)real.usable_size(q) : 0) - old_bytes);
}

static inline void *reallocate(void *p, size_t n, uint64_t pc)
{
        if (pg_unlikely(p && real_is_early(p)))
                return realloc_early(p, n, pc);
        if (!p) {
                void *q = real.realloc(NULL, n);
                if (q)
                        count_allocation(q, n, pc);
                return q;
        }
        int64_t old_bytes = (int64_t)real.usable_size(p);
        void *q = real.realloc(p, n);
        if (pg_likely(q || n == 0)) // realloc(p, 0) that returns NULL has freed p
                count_reallocation(q, n, old_bytes, pc);
        return q;
}

PG_PUBLIC void *realloc(void *p, size_t n)
{
        return reallocate(p, n, CALLER);
}

PG_PUBLIC void *reallocarray(void *p, size_t n, size_t size)
{
        size_t total;
        if (__builtin_mul_overflow(n, size, &total)) {
                errno = ENOMEM;
                return NULL;
        }
        return reallocate(p, total, CALLER);
}

/* ---- aligned blocks --------------------------------------------------------------------------------------
 */

PG_PUBLIC int posix_memalign(void **p, size_t alignment, size_t n)
{
        struct count_mark mark = count_mark();
        int r = real.posix_memalign(p, alignment, n);
        if (r == 0 && *p)
                count_allocation_once(*p, n, CALLER, mark);
        return r;
}

/* The rest of this section has one shape; p is the real function's result. */
#define COUNTED(call, bytes)                                                                                 \
        ({                                                                                                   \
                struct count_mark mark_ = count_mark();                                                      \
                void *p_ = (call);                                                                           \
                if (pg_likely(p_))                                                                           \
                        count_allocation_once(p_, (bytes), CALLER, mark_);                                   \
                p_;                                                                                          \
        })

PG_PUBLIC void *aligned_alloc(size_t alignment, size_t n)
{
        return COUNTED(real.aligned_alloc(alignment, n), n);
}

PG_PUBLIC void *memalign(size_t alignment, size_t n)
{
        return COUNTED(real.memalign(alignment, n), n);
}

PG_PUBLIC void *valloc(size_t n)
{
        return COUNTED(real.valloc(n), n);
}

PG_PUBLIC void *pvalloc(size_t n)
{
        return COUNTED(real.pvalloc(n), n);
}

/* ---- other ways to free ----------------------------------------------------------------------------------
 */

PG_PUBLIC void cfree(void *p)
{
        free(p);
}

PG_PUBLIC void free_sized(void *p, size_t n)
{
        if (!p || real_is_early(p))
                return;
        count_free(p);
        if (real.free_sized)
                real.free_sized(p, n);
        else
                real.free(p);
}

PG_PUBLIC void free_aligned_sized(void *p, size_t alignment, size_t n)
{
        if (!p || real_is_early(p))
                return;
        count_free(p);
        if (real.free_aligned_sized)
                real.free_aligned_sized(p, alignment, n);
        else
                real.free(p);
}
