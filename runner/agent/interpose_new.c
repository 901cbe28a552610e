// SPDX-License-Identifier: MIT
/*
 * interpose_new.c - the C++ allocation functions, under their mangled names (Itanium ABI).
 *
 * The standard library's operators are loops around malloc or aligned_alloc. Where they are in charge
 * ("plain") we do the same and count the block at the caller of the operator, not inside the library; a
 * failure goes to the real operator, which knows about handlers and throws. Where another allocator or the
 * program brings operators of its own, the real one is called and the block counts unless something inside
 * counted it.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "runner/agent/quick.h"
#include "runner/agent/glibc.h"
#include "runner/agent/real.h"

#define FRAME ((const uint64_t *)__builtin_frame_address(0))

/* The operators: X(short name, mangled name). */
#define NEW_OPERATORS(X)                                                                                     \
        X(new, _Znwm)                                                                                        \
        X(new_array, _Znam)                                                                                  \
        X(new_nothrow, _ZnwmRKSt9nothrow_t)                                                                  \
        X(new_array_nothrow, _ZnamRKSt9nothrow_t)                                                            \
        X(new_aligned, _ZnwmSt11align_val_t)                                                                 \
        X(new_array_aligned, _ZnamSt11align_val_t)                                                           \
        X(new_aligned_nothrow, _ZnwmSt11align_val_tRKSt9nothrow_t)                                           \
        X(new_array_aligned_nothrow, _ZnamSt11align_val_tRKSt9nothrow_t)
#define DELETE_OPERATORS(X)                                                                                  \
        X(delete, _ZdlPv)                                                                                    \
        X(delete_array, _ZdaPv)                                                                              \
        X(delete_sized, _ZdlPvm)                                                                             \
        X(delete_array_sized, _ZdaPvm)                                                                       \
        X(delete_nothrow, _ZdlPvRKSt9nothrow_t)                                                              \
        X(delete_array_nothrow, _ZdaPvRKSt9nothrow_t)                                                        \
        X(delete_aligned, _ZdlPvSt11align_val_t)                                                             \
        X(delete_array_aligned, _ZdaPvSt11align_val_t)                                                       \
        X(delete_sized_aligned, _ZdlPvmSt11align_val_t)                                                      \
        X(delete_array_sized_aligned, _ZdaPvmSt11align_val_t)                                                \
        X(delete_aligned_nothrow, _ZdlPvSt11align_val_tRKSt9nothrow_t)                                       \
        X(delete_array_aligned_nothrow, _ZdaPvSt11align_val_tRKSt9nothrow_t)

enum operator_id {
#define ID(name, symbol) ID_##name,
        NEW_OPERATORS(ID) DELETE_OPERATORS(ID)
#undef ID
                N_OPERATORS
};

static const char *const symbols[N_OPERATORS] = {
#define NAME(name, symbol) #symbol,
        NEW_OPERATORS(NAME) DELETE_OPERATORS(NAME)
#undef NAME
};

enum kind { UNKNOWN, PLAIN, FOREIGN };
static _Atomic uint32_t kind;
static void *_Atomic real_operators[N_OPERATORS];

/* ---- who is in charge ------------------------------------------------------------------------------------
 */

static bool is_in_standard_library(void *f)
{
        struct dl_find_object o;
        if (!f || _dl_find_object(f, &o) != 0)
                return false;
        const char *slash = strrchr(o.dlfo_link_map->l_name, '/');
        const char *name = slash ? slash + 1 : o.dlfo_link_map->l_name;
        return strncmp(name, "libstdc++.so", 12) == 0 || strncmp(name, "libc++", 6) == 0;
}

/* The next one in the loader's order, or, when a plugin has brought the library, the library's. */
static void *find_real(const char *symbol)
{
        void *f = dlsym(RTLD_NEXT, symbol);
        static const char *const libraries[] = { "libstdc++.so.6", "libc++.so.1" };
        for (size_t i = 0; !f && i < sizeof(libraries) / sizeof(*libraries); i++) {
                void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
                if (!library)
                        continue;
                f = dlsym(library, symbol);
                dlclose(library);
        }
        return f;
}

static void *real_operator(enum operator_id id)
{
        void *f = atomic_load_explicit(&real_operators[id], memory_order_relaxed);
        if (f)
                return f;
        uint32_t generation = count_pause();
        f = find_real(symbols[id]);
        count_resume(generation);
        atomic_store_explicit(&real_operators[id], f, memory_order_relaxed);
        return f;
}

static bool is_ours(const char *symbol)
{
        struct dl_find_object own, found;
        void *f = dlsym(RTLD_DEFAULT, symbol);
        return f && _dl_find_object((void *)&kind, &own) == 0 && _dl_find_object(f, &found) == 0 &&
               own.dlfo_link_map == found.dlfo_link_map;
}

/* Plain: behind ours is the standard library's, and no operator of the program's own comes before ours, which
 * the others are defined by. */
static enum kind find_kind(void)
{
        static const char *const replaceable[] = {
                "_Znwm", "_ZdlPv", "_ZnwmSt11align_val_t", "_ZdlPvSt11align_val_t", "_Znam", "_ZdaPv"
        };
        uint32_t generation = count_pause();
        bool plain = is_in_standard_library(find_real("_Znwm"));
        for (size_t i = 0; i < sizeof(replaceable) / sizeof(*replaceable); i++)
                plain = plain && is_ours(replaceable[i]);
        count_resume(generation);
        return plain ? PLAIN : FOREIGN;
}

static inline bool is_plain(void)
{
        uint32_t k = atomic_load_explicit(&kind, memory_order_relaxed);
        if (pg_unlikely(k == UNKNOWN)) {
                k = find_kind();
                atomic_store_explicit(&kind, k, memory_order_relaxed);
        }
        return pg_likely(k == PLAIN);
}

/* ---- new -------------------------------------------------------------------------------------------------
 */

/* A plain block, NULL when the real operator has to deal with it. */
static inline __attribute__((always_inline)) void *plain_new(size_t n, const uint64_t *frame)
{
        if (!is_plain())
                return NULL;
        struct quick_ahead ahead = quick_ahead(frame);
        void *p = real.malloc(n ? n : 1);
        return pg_likely(p) ? quick_allocation(ahead, p, n, frame) : NULL;
}

static inline __attribute__((always_inline)) void *plain_new_aligned(size_t n, size_t alignment,
                                                                     const uint64_t *frame)
{
        if (!is_plain() || alignment == 0 || (alignment & (alignment - 1)) != 0 || n > SIZE_MAX - alignment)
                return NULL;
        if (alignment < sizeof(void *))
                alignment = sizeof(void *);
        void *p = real.aligned_alloc(alignment, ((n ? n : 1) + alignment - 1) & ~(alignment - 1));
        if (pg_likely(p))
                count_allocation(p, n, frame);
        return p;
}

/* The real operator may throw through these frames: nothing here needs cleaning up. */
#define REAL_NEW(id, n, frame, parameters, ...)                                                              \
        ({                                                                                                   \
                void *(*real_)parameters = (void *(*)parameters)real_operator(id);                           \
                struct count_mark mark_ = count_mark();                                                      \
                void *p_ = real_ ? real_(__VA_ARGS__) : NULL;                                                \
                if (p_)                                                                                      \
                        count_allocation_once(p_, n, frame, mark_);                                          \
                p_;                                                                                          \
        })

#define DEFINE_NEW(name, symbol)                                                                             \
        PG_PUBLIC void *symbol(size_t n);                                                                    \
        PG_PUBLIC void *symbol(size_t n)                                                                     \
        {                                                                                                    \
                void *p = plain_new(n, FRAME);                                                               \
                return pg_likely(p) ? p : REAL_NEW(ID_##name, n, FRAME, (size_t), n);                        \
        }

#define DEFINE_NEW_NOTHROW(name, symbol)                                                                     \
        PG_PUBLIC void *symbol(size_t n, const void *tag);                                                   \
        PG_PUBLIC void *symbol(size_t n, const void *tag)                                                    \
        {                                                                                                    \
                void *p = plain_new(n, FRAME);                                                               \
                return pg_likely(p) ? p : REAL_NEW(ID_##name, n, FRAME, (size_t, const void *), n, tag);     \
        }

#define DEFINE_NEW_ALIGNED(name, symbol)                                                                     \
        PG_PUBLIC void *symbol(size_t n, size_t alignment);                                                  \
        PG_PUBLIC void *symbol(size_t n, size_t alignment)                                                   \
        {                                                                                                    \
                void *p = plain_new_aligned(n, alignment, FRAME);                                            \
                return pg_likely(p) ? p : REAL_NEW(ID_##name, n, FRAME, (size_t, size_t), n, alignment);     \
        }

#define DEFINE_NEW_ALIGNED_NOTHROW(name, symbol)                                                             \
        PG_PUBLIC void *symbol(size_t n, size_t alignment, const void *tag);                                 \
        PG_PUBLIC void *symbol(size_t n, size_t alignment, const void *tag)                                  \
        {                                                                                                    \
                void *p = plain_new_aligned(n, alignment, FRAME);                                            \
                return pg_likely(p) ? p                                                                      \
                                    : REAL_NEW(ID_##name, n, FRAME, (size_t, size_t, const void *), n,       \
                                               alignment, tag);                                              \
        }

DEFINE_NEW(new, _Znwm)
DEFINE_NEW(new_array, _Znam)
DEFINE_NEW_NOTHROW(new_nothrow, _ZnwmRKSt9nothrow_t)
DEFINE_NEW_NOTHROW(new_array_nothrow, _ZnamRKSt9nothrow_t)
DEFINE_NEW_ALIGNED(new_aligned, _ZnwmSt11align_val_t)
DEFINE_NEW_ALIGNED(new_array_aligned, _ZnamSt11align_val_t)
DEFINE_NEW_ALIGNED_NOTHROW(new_aligned_nothrow, _ZnwmSt11align_val_tRKSt9nothrow_t)
DEFINE_NEW_ALIGNED_NOTHROW(new_array_aligned_nothrow, _ZnamSt11align_val_tRKSt9nothrow_t)

/* ---- delete ----------------------------------------------------------------------------------------------
 */

/* True when p is dealt with. */
static inline __attribute__((always_inline)) bool plain_delete(void *p)
{
        if (pg_unlikely(!p || real_is_early(p)))
                return true;
        if (!is_plain())
                return false;
        quick_free(p);
        return true;
}

/* The block is gone after the real operator: what it held is asked before. */
#define REAL_DELETE(id, p, parameters, ...)                                                                  \
        do {                                                                                                 \
                void(*real_) parameters = (void(*) parameters)real_operator(id);                             \
                if (!real_) {                                                                                \
                        free(p);                                                                             \
                        break;                                                                               \
                }                                                                                            \
                int64_t bytes_ = (int64_t)real_usable_size(p);                                               \
                count_leave_table(p, bytes_);                                                                \
                uint64_t frees_ = count_frees();                                                             \
                real_(__VA_ARGS__);                                                                          \
                if (count_frees() == frees_)                                                                 \
                        count_freed(bytes_);                                                                 \
        } while (0)

#define DEFINE_DELETE(name, symbol, parameters, real_parameters, ...)                                        \
        PG_PUBLIC void symbol parameters;                                                                    \
        PG_PUBLIC void symbol parameters                                                                     \
        {                                                                                                    \
                if (pg_likely(plain_delete(p)))                                                              \
                        return;                                                                              \
                REAL_DELETE(ID_##name, p, real_parameters, __VA_ARGS__);                                     \
        }

#define P void *p
#define N size_t n
#define A size_t alignment
#define T const void *tag
DEFINE_DELETE(delete, _ZdlPv, (P), (void *), p)
DEFINE_DELETE(delete_array, _ZdaPv, (P), (void *), p)
DEFINE_DELETE(delete_sized, _ZdlPvm, (P, N), (void *, size_t), p, n)
DEFINE_DELETE(delete_array_sized, _ZdaPvm, (P, N), (void *, size_t), p, n)
DEFINE_DELETE(delete_nothrow, _ZdlPvRKSt9nothrow_t, (P, T), (void *, const void *), p, tag)
DEFINE_DELETE(delete_array_nothrow, _ZdaPvRKSt9nothrow_t, (P, T), (void *, const void *), p, tag)
DEFINE_DELETE(delete_aligned, _ZdlPvSt11align_val_t, (P, A), (void *, size_t), p, alignment)
DEFINE_DELETE(delete_array_aligned, _ZdaPvSt11align_val_t, (P, A), (void *, size_t), p, alignment)
DEFINE_DELETE(delete_sized_aligned, _ZdlPvmSt11align_val_t, (P, N, A), (void *, size_t, size_t), p, n,
              alignment)
DEFINE_DELETE(delete_array_sized_aligned, _ZdaPvmSt11align_val_t, (P, N, A), (void *, size_t, size_t), p, n,
              alignment)
DEFINE_DELETE(delete_aligned_nothrow, _ZdlPvSt11align_val_tRKSt9nothrow_t, (P, A, T),
              (void *, size_t, const void *), p, alignment, tag)
DEFINE_DELETE(delete_array_aligned_nothrow, _ZdaPvSt11align_val_tRKSt9nothrow_t, (P, A, T),
              (void *, size_t, const void *), p, alignment, tag)
