// SPDX-License-Identifier: MIT
/*
 * real_lock.c - dlsym(RTLD_NEXT) for the lock functions.
 *
 * Condition variables have two implementations in one libc (x86-64 has kept that of 2002 for old programs), and
 * before glibc 2.36 dlsym() finds the older one, which takes today's objects for its own and corrupts them:
 * the version that every program of the last twenty years was linked with is asked for by name. Other architectures
 * began later and have one; asking them for another would leave dlsym's complaint in the target's heap. A program
 * that wants the older version cannot be told from inside and is not supported.
 */
#include "runner/agent/real_lock.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "runner/agent/glibc.h"

#ifdef __x86_64__
#define CONDITION_VERSION "GLIBC_2.3.2"
#else
#define CONDITION_VERSION NULL
#endif

struct real_lock real_lock_table;
bool real_lock_found;

// clang-format off
#define SYMBOL(field, name, version) { name, offsetof(struct real_lock, field), version }
// clang-format on

static const struct {
        const char *name;
        size_t offset;
        const char *version; // NULL: whatever the name leads to
} symbols[] = {
        SYMBOL(mutex_trylock, "pthread_mutex_trylock", NULL),
        SYMBOL(mutex_lock, "pthread_mutex_lock", NULL),
        SYMBOL(mutex_unlock, "pthread_mutex_unlock", NULL),
        SYMBOL(mutex_timedlock, "pthread_mutex_timedlock", NULL),
        SYMBOL(mutex_clocklock, "pthread_mutex_clocklock", NULL),
        SYMBOL(rwlock_tryrdlock, "pthread_rwlock_tryrdlock", NULL),
        SYMBOL(rwlock_trywrlock, "pthread_rwlock_trywrlock", NULL),
        SYMBOL(rwlock_rdlock, "pthread_rwlock_rdlock", NULL),
        SYMBOL(rwlock_wrlock, "pthread_rwlock_wrlock", NULL),
        SYMBOL(rwlock_timedrdlock, "pthread_rwlock_timedrdlock", NULL),
        SYMBOL(rwlock_timedwrlock, "pthread_rwlock_timedwrlock", NULL),
        SYMBOL(rwlock_clockrdlock, "pthread_rwlock_clockrdlock", NULL),
        SYMBOL(rwlock_clockwrlock, "pthread_rwlock_clockwrlock", NULL),
        SYMBOL(rwlock_unlock, "pthread_rwlock_unlock", NULL),
        SYMBOL(mtx_trylock, "mtx_trylock", NULL),
        SYMBOL(mtx_lock, "mtx_lock", NULL),
        SYMBOL(mtx_timedlock, "mtx_timedlock", NULL),
        SYMBOL(mtx_unlock, "mtx_unlock", NULL),
        SYMBOL(cnd_wait, "cnd_wait", NULL),
        SYMBOL(cnd_timedwait, "cnd_timedwait", NULL),
        SYMBOL(cond_clockwait, "pthread_cond_clockwait", NULL),
        SYMBOL(cond_wait, "pthread_cond_wait", CONDITION_VERSION),
        SYMBOL(cond_timedwait, "pthread_cond_timedwait", CONDITION_VERSION),
#undef SYMBOL
};

static void *find(const char *name, const char *version)
{
        void *f = version && dlvsym ? dlvsym(RTLD_NEXT, name, version) : NULL;
        return f ? f : dlsym(RTLD_NEXT, name);
}

/* Writes the same values whoever runs it, and each at once: a thread, or the target's allocator called from
 * inside dlsym(), that comes here meanwhile may use what is there already. */
void real_lock_resolve(void)
{
        static bool resolving;
        if (resolving)
                return;
        int saved = errno;
        resolving = true;
        for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
                void *f = find(symbols[i].name, symbols[i].version);
                memcpy((char *)&real_lock_table + symbols[i].offset, &f, sizeof(f));
        }
        real_lock_found = true;
        resolving = false;
        errno = saved;
}
