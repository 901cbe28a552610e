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

#include "runner/agent/quick.h"
#include "runner/agent/real.h"

#define FRAME ((const uint64_t *)__builtin_frame_address(0))

const uint32_t agent_mode = PG_MODE_COUNT;

/* Not declared by the libc that this may be built with. */
PG_PUBLIC void cfree(void *p);
PG_PUBLIC void free_sized(void *p, size_t n);
PG_PUBLIC void free_aligned_sized(void *p, size_t alignment, size_t n);

PG_PUBLIC void *malloc(size_t n)
{
        struct quick_ahead ahead = quick_ahead(FRAME);
        void *p = real.malloc(n);
        return pg_likely(p) ? quick_allocation(ahead, p, n, FRAME) : NULL;
}

PG_PUBLIC void *calloc(size_t n, size_t size)
{
        struct quick_ahead ahead = quick_ahead(FRAME);
        void *p = real.calloc(n, size);
        return pg_likely(p) ? quick_allocation(ahead, p, n * size, FRAME) : NULL;
}

PG_PUBLIC void free(void *p)
{
        if (pg_likely(p))
                quick_free(p);
}

/* ---- realloc ---------------------------------------------------------------------------------------------
 */

/* A block of the static arena moves to the allocator and counts there. */
static inline __attribute__((always_inline)) void *realloc_early(void *p, size_t n, const uint64_t *frame)
{
        void *q = real.malloc(n);
        if (!q || real_is_early(q))
                return q;
        memcpy(q, p, n < real_early_room(p) ? n : real_early_room(p));
        count_allocation(q, n, frame);
        return q;
}

/* A block of old_bytes became q, in one step: the two are never live at once. */
static inline __attribute__((always_inline)) void count_reallocation(void *q, size_t n, int64_t old_bytes,
                                                                     const uint64_t *frame)
{
        struct pg_cell *c = count_cell();
        if (pg_unlikely(!c)) {
                count_reallocation_without_cell(q, n, old_bytes);
                return;
        }
        c->frees++;
        if (!q) {
                count_down(c, old_bytes);
                return;
        }
        c->allocations++;
        c->allocated_bytes += n;
        uint32_t node = count_stack(c, n, frame);
        uint64_t new_bytes = real_usable_size(q);
        uint32_t peak = count_up(c, (int64_t)new_bytes - old_bytes);
        live_born(c, (uint64_t)(uintptr_t)q, new_bytes, node, peak);
}

/* realloc failed and the block lives on; whose it was is not known any more. */
static void return_to_table(void *p, int64_t bytes)
{
        struct pg_cell *c = count_cell();
        if (c)
                live_born(c, (uint64_t)(uintptr_t)p, (uint64_t)bytes, PG_NODE_OTHER, count_up(c, 0));
}

static inline __attribute__((always_inline)) void *reallocate(void *p, size_t n, const uint64_t *frame)
{
        if (pg_unlikely(p && real_is_early(p)))
                return realloc_early(p, n, frame);
        if (!p) {
                void *q = real.realloc(NULL, n);
                if (q)
                        count_allocation(q, n, frame);
                return q;
        }
        int64_t old_bytes = (int64_t)real_usable_size(p);
        count_leave_table(p, old_bytes);
        void *q = real.realloc(p, n);
        if (pg_likely(q || n == 0)) // realloc(p, 0) that returns NULL has freed p
                count_reallocation(q, n, old_bytes, frame);
        else
                return_to_table(p, old_bytes);
        return q;
}

PG_PUBLIC void *realloc(void *p, size_t n)
{
        return reallocate(p, n, FRAME);
}

PG_PUBLIC void *reallocarray(void *p, size_t n, size_t size)
{
        size_t total;
        if (__builtin_mul_overflow(n, size, &total)) {
                errno = ENOMEM;
                return NULL;
        }
        return reallocate(p, total, FRAME);
}

/* ---- aligned blocks --------------------------------------------------------------------------------------
 */

PG_PUBLIC int posix_memalign(void **p, size_t alignment, size_t n)
{
        struct count_mark mark = count_mark();
        int r = real.posix_memalign(p, alignment, n);
        if (r == 0 && *p)
                count_allocation_once(*p, n, FRAME, mark);
        return r;
}

/* The rest of this section has one shape; p is the real function's result. */
#define COUNTED(call, bytes)                                                                                 \
        ({                                                                                                   \
                struct count_mark mark_ = count_mark();                                                      \
                void *p_ = (call);                                                                           \
                if (pg_likely(p_))                                                                           \
                        count_allocation_once(p_, (bytes), FRAME, mark_);                                    \
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
