// SPDX-License-Identifier: MIT
/*
 * real_lock.h - the lock functions that ours stand in front of.
 *
 * They are found by the constructor, or by the first call of any when a library's own start comes first. The
 * mutex functions are found first and without a search that can fail, because looking for the others may
 * allocate, and the target's allocator may lock.
 */
#ifndef PG_AGENT_REAL_LOCK_H
#define PG_AGENT_REAL_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

#include "runner/agent/attach.h"

struct real_lock {
        int (*mutex_trylock)(pthread_mutex_t *);
        int (*mutex_lock)(pthread_mutex_t *);
        int (*mutex_unlock)(pthread_mutex_t *);
        int (*mutex_timedlock)(pthread_mutex_t *, const struct timespec *);
        int (*mutex_clocklock)(pthread_mutex_t *, clockid_t, const struct timespec *);

        int (*rwlock_tryrdlock)(pthread_rwlock_t *);
        int (*rwlock_trywrlock)(pthread_rwlock_t *);
        int (*rwlock_rdlock)(pthread_rwlock_t *);
        int (*rwlock_wrlock)(pthread_rwlock_t *);
        int (*rwlock_timedrdlock)(pthread_rwlock_t *, const struct timespec *);
        int (*rwlock_timedwrlock)(pthread_rwlock_t *, const struct timespec *);
        int (*rwlock_clockrdlock)(pthread_rwlock_t *, clockid_t, const struct timespec *);
        int (*rwlock_clockwrlock)(pthread_rwlock_t *, clockid_t, const struct timespec *);
        int (*rwlock_unlock)(pthread_rwlock_t *);

        int (*cond_wait)(pthread_cond_t *, pthread_mutex_t *);
        int (*cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
        int (*cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

        int (*mtx_trylock)(mtx_t *);
        int (*mtx_lock)(mtx_t *);
        int (*mtx_timedlock)(mtx_t *, const struct timespec *);
        int (*mtx_unlock)(mtx_t *);
        int (*cnd_wait)(cnd_t *, mtx_t *);
        int (*cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);
};
extern struct real_lock real_lock_table __attribute__((visibility("hidden")));
extern bool real_lock_found __attribute__((visibility("hidden")));

/* Finds all of them; again and again is the same. */
void real_lock_resolve(void);

static inline const struct real_lock *real_lock(void)
{
        if (pg_unlikely(!real_lock_found))
                real_lock_resolve();
        return &real_lock_table;
}

#endif
