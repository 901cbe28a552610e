// SPDX-License-Identifier: MIT
/*
 * interpose_lock.c - mutexes, read-write locks and condition variables: who waited, who made others wait.
 *
 * A lock is tried first: when it is free, that call was the lock, and one call more than without us is all it
 * cost. Unlocking looks at one cache line, which is zero unless some thread waits for that lock or for one that
 * shares its bucket. Only a thread that has to wait anyway takes its own stack, before it blocks; after it has the
 * lock, two additions remain. An unlocker's stack is taken after the lock is open again.
 *
 * Results are libc's: whatever trying gave that is neither the lock nor "busy" is thrown away and the real
 * function asked (an error-checking mutex that the caller holds is busy to trylock and a deadlock to lock). A
 * busy lock that then refuses at once has not been waited for and does not count.
 *
 * Waiting for a condition is idling until somebody has work, not contention: it is kept under a root of its
 * own. That the mutex has to be had again at its end is done inside libc and cannot be told from it.
 *
 * A wait that ends by cancellation does not count. Locks that a language makes itself out of futexes never
 * come by here.
 */
#include <linux/futex.h>

#include "runner/agent/count.h"
#include "runner/agent/raw.h"
#include "runner/agent/real_lock.h"
#include "runner/agent/stack.h"
#include "runner/agent/waiters.h"
#include "runner/base/clock.h"

const uint32_t agent_mode = PG_MODE_LOCK;

#define CALLER_FRAME __builtin_frame_address(0)

/* True while the thread takes a stack: a signal handler that locks must not begin another. */
static _Thread_local bool taking_stack __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void prepare(void)
{
        real_lock_resolve();
        waiters_start();
}

/* ---- events ----------------------------------------------------------------------------------------------
 */

/* Where an event of this thread counts: a node of its own cell, or without a cell or stack a root that all
 * share. */
struct account {
        struct pg_cell *cell; // NULL: node is a root
        uint32_t node;
};

static struct account open_account(const void *frame, uint32_t root)
{
        struct account a = { NULL, root };
        struct pg_cell *cell = taking_stack ? NULL : count_cell();
        if (!cell)
                return a;
        taking_stack = true;
        uint32_t node = stack_walk(frame, root);
        taking_stack = false;
        return node < PG_NODE_FIRST ? a : (struct account){ cell, node };
}

static void count_event(const struct account *a, uint64_t waits, uint64_t ns)
{
        if (a->cell)
                stack_count(a->node, waits, ns);
        else
                stack_count_foreign(a->node, waits, ns);
}

/* A wait that may be about to happen. */
struct wait {
        bool counts;
        struct account account;
        uint64_t start_ns;
        uint32_t place; // in the table of waiters
};

static void wait_begin(struct wait *w, const void *lock, uint32_t root, const void *frame)
{
        *w = (struct wait){ .counts = agent.state == AGENT_LOCKS, .place = WAITERS_NONE };
        if (!w->counts)
                return;
        w->account = open_account(frame, root);
        w->start_ns = pg_now_ns(); // from here on it is the target's time again
        if (lock)
                w->place = waiters_enter(lock, w->start_ns);
}

static void wait_end(const struct wait *w, bool waited)
{
        if (!w->counts)
                return;
        waiters_leave(w->place);
        if (waited)
                count_event(&w->account, 1, pg_now_ns() - w->start_ns);
}

/* What a thread's hold of a lock has cost others. */
struct hold {
        const void *lock; // NULL: nothing is measured
        uint64_t now_ns;
        struct waiters_delay delay;
};

/* Before it lets go. */
static struct hold hold_end(const void *lock)
{
        struct hold h = { 0 };
        if (agent.state != AGENT_LOCKS)
                return h;
        h.lock = lock;
        h.now_ns = pg_now_ns();
        waiters_take(lock, h.now_ns, &h.delay);
        return h;
}

/* Afterwards. */
static void hold_count(struct hold *h, uint32_t root, const void *frame)
{
        if (!h->lock)
                return;
        waiters_take_displaced(h->lock, h->now_ns, &h->delay);
        if (!h->delay.ns)
                return;
        struct account a = open_account(frame, root);
        count_event(&a, h->delay.waits, h->delay.ns);
}

/* ---- shapes ----------------------------------------------------------------------------------------------
 */

/* In libc's C11 functions a result is an enumeration of its own, here brought to the numbers of the others. */
static inline int errno_of(int thrd_result)
{
        return thrd_result == thrd_success    ? 0
               : thrd_result == thrd_busy     ? EBUSY
               : thrd_result == thrd_timedout ? ETIMEDOUT
                                              : EINVAL;
}
#define PLAIN(result) (result)

static inline bool is_locked(int r)
{
        return r == 0 || r == EOWNERDEAD;
}

/* Calls the real function of a busy lock, root being the kind of wait. */
#define WAIT(lock, root, call, errno_of)                                                                     \
        ({                                                                                                   \
                struct wait w_;                                                                              \
                wait_begin(&w_, lock, root, CALLER_FRAME);                                                   \
                int waited_ = (call);                                                                        \
                wait_end(&w_, is_locked(errno_of(waited_)) || errno_of(waited_) == ETIMEDOUT);               \
                waited_;                                                                                     \
        })

/* The result of locking: trying, then the real function. */
#define LOCK_AS(lock, root, attempt, call, errno_of)                                                         \
        ({                                                                                                   \
                int r_ = (attempt);                                                                          \
                if (pg_unlikely(!is_locked(errno_of(r_))))                                                   \
                        r_ = errno_of(r_) == EBUSY ? WAIT(lock, root, call, errno_of) : (call);              \
                r_;                                                                                          \
        })
#define LOCK(lock, root, attempt, call) LOCK_AS(lock, root, attempt, call, PLAIN)

/* The result of unlocking. */
#define UNLOCK(lock, root, call)                                                                             \
        ({                                                                                                   \
                int r_;                                                                                      \
                if (pg_likely(!waiters_any(lock))) {                                                         \
                        r_ = (call);                                                                         \
                } else {                                                                                     \
                        struct hold h_ = hold_end(lock);                                                     \
                        r_ = (call);                                                                         \
                        hold_count(&h_, root, CALLER_FRAME);                                                 \
                }                                                                                            \
                r_;                                                                                          \
        })

/* The result of waiting for a condition, which lets go of the mutex first. Its holder's stack is taken while
 * the mutex is still held: afterwards it is held again. */
#define WAIT_FOR_CONDITION(mutex, call, errno_of)                                                            \
        ({                                                                                                   \
                if (pg_unlikely(waiters_any(mutex))) {                                                       \
                        struct hold h_ = hold_end(mutex);                                                    \
                        hold_count(&h_, PG_NODE_RELEASER, CALLER_FRAME);                                     \
                }                                                                                            \
                WAIT(NULL, PG_NODE_CONDITION, call, errno_of);                                               \
        })

/* ---- mutexes ---------------------------------------------------------------------------------------------
 */

/*
 * Robust mutexes and those with a priority ceiling must not be tried: glibc's trylock leaves a robust mutex
 * that is not recoverable locked for good (seen in 2.36; its lock does not), and raises and drops the thread's
 * priority once more. Whether they are taken is seen in their words, whose meaning is fixed by the initializers
 * that are compiled into programs; locking without a try is what they get in any case.
 */
enum { KIND_ROBUST = 16, KIND_PROTECT = 64, CEILING_BITS = 0xfff80000 };

static inline bool may_be_tried(const pthread_mutex_t *m)
{
        return !(__atomic_load_n(&m->__data.__kind, __ATOMIC_RELAXED) & (KIND_ROBUST | KIND_PROTECT));
}

/* Held by another thread that lives. */
static bool is_taken(const pthread_mutex_t *m)
{
        uint32_t word = (uint32_t)__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED);
        uint32_t owner = (uint32_t)__atomic_load_n(&m->__data.__owner, __ATOMIC_RELAXED);
        int32_t self = raw_gettid();
        if (self <= 0) // a filter of the target's forbids to ask
                return false;
        if (!(m->__data.__kind & KIND_ROBUST))
                return (word & ~(uint32_t)CEILING_BITS) && owner != (uint32_t)self;
        uint32_t holder = word & FUTEX_TID_MASK;
        return holder && !(word & FUTEX_OWNER_DIED) && holder != (uint32_t)self;
}

/* Stands for trying it: never takes it, EAGAIN where the real function is to be called without waiting. */
static __attribute__((noinline)) int look_at(const pthread_mutex_t *m)
{
        return is_taken(m) ? EBUSY : EAGAIN;
}

static inline int try_mutex(const struct real_lock *libc, pthread_mutex_t *m)
{
        return pg_likely(may_be_tried(m)) ? libc->mutex_trylock(m) : look_at(m);
}

/* libc refuses other clocks before it looks at the lock. */
static inline bool is_lock_clock(clockid_t clock)
{
        return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

PG_PUBLIC int pthread_mutex_lock(pthread_mutex_t *m)
{
        const struct real_lock *libc = real_lock();
        return LOCK(m, PG_NODE_WAITER, try_mutex(libc, m), libc->mutex_lock(m));
}

PG_PUBLIC int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        return LOCK(m, PG_NODE_WAITER, try_mutex(libc, m), libc->mutex_timedlock(m, until));
}

PG_PUBLIC int pthread_mutex_clocklock(pthread_mutex_t *restrict m, clockid_t clock,
                                      const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        if (!is_lock_clock(clock))
                return libc->mutex_clocklock(m, clock, until);
        return LOCK(m, PG_NODE_WAITER, try_mutex(libc, m), libc->mutex_clocklock(m, clock, until));
}

PG_PUBLIC int pthread_mutex_unlock(pthread_mutex_t *m)
{
        const struct real_lock *libc = real_lock();
        return UNLOCK(m, PG_NODE_HOLDER, libc->mutex_unlock(m));
}

/* ---- read-write locks ------------------------------------------------------------------------------------
 */

/* libc looks at clock and time before it looks at the lock. */
static inline bool is_valid_time(clockid_t clock, const struct timespec *t)
{
        return is_lock_clock(clock) && t->tv_nsec >= 0 && t->tv_nsec < PG_NS_PER_S;
}

PG_PUBLIC int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
        const struct real_lock *libc = real_lock();
        return LOCK(l, PG_NODE_READER, libc->rwlock_tryrdlock(l), libc->rwlock_rdlock(l));
}

PG_PUBLIC int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
        const struct real_lock *libc = real_lock();
        return LOCK(l, PG_NODE_WRITER, libc->rwlock_trywrlock(l), libc->rwlock_wrlock(l));
}

PG_PUBLIC int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict l, const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        if (!is_valid_time(CLOCK_REALTIME, until))
                return libc->rwlock_timedrdlock(l, until);
        return LOCK(l, PG_NODE_READER, libc->rwlock_tryrdlock(l), libc->rwlock_timedrdlock(l, until));
}

PG_PUBLIC int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict l, const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        if (!is_valid_time(CLOCK_REALTIME, until))
                return libc->rwlock_timedwrlock(l, until);
        return LOCK(l, PG_NODE_WRITER, libc->rwlock_trywrlock(l), libc->rwlock_timedwrlock(l, until));
}

PG_PUBLIC int pthread_rwlock_clockrdlock(pthread_rwlock_t *restrict l, clockid_t clock,
                                         const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        if (!is_valid_time(clock, until))
                return libc->rwlock_clockrdlock(l, clock, until);
        return LOCK(l, PG_NODE_READER, libc->rwlock_tryrdlock(l), libc->rwlock_clockrdlock(l, clock, until));
}

PG_PUBLIC int pthread_rwlock_clockwrlock(pthread_rwlock_t *restrict l, clockid_t clock,
                                         const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        if (!is_valid_time(clock, until))
                return libc->rwlock_clockwrlock(l, clock, until);
        return LOCK(l, PG_NODE_WRITER, libc->rwlock_trywrlock(l), libc->rwlock_clockwrlock(l, clock, until));
}

PG_PUBLIC int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
        const struct real_lock *libc = real_lock();
        return UNLOCK(l, PG_NODE_RWHOLDER, libc->rwlock_unlock(l));
}

/* ---- condition variables ---------------------------------------------------------------------------------
 */

PG_PUBLIC int pthread_cond_wait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m)
{
        const struct real_lock *libc = real_lock();
        return WAIT_FOR_CONDITION(m, libc->cond_wait(c, m), PLAIN);
}

PG_PUBLIC int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                                     const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        return WAIT_FOR_CONDITION(m, libc->cond_timedwait(c, m, until), PLAIN);
}

PG_PUBLIC int pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock,
                                     const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        return WAIT_FOR_CONDITION(m, libc->cond_clockwait(c, m, clock, until), PLAIN);
}

/* ---- C11: libc's own do not go through the functions above ------------------------------------------------
 */

PG_PUBLIC int mtx_lock(mtx_t *m)
{
        const struct real_lock *libc = real_lock();
        return LOCK_AS(m, PG_NODE_WAITER, libc->mtx_trylock(m), libc->mtx_lock(m), errno_of);
}

PG_PUBLIC int mtx_timedlock(mtx_t *restrict m, const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        return LOCK_AS(m, PG_NODE_WAITER, libc->mtx_trylock(m), libc->mtx_timedlock(m, until), errno_of);
}

PG_PUBLIC int mtx_unlock(mtx_t *m)
{
        const struct real_lock *libc = real_lock();
        return UNLOCK(m, PG_NODE_HOLDER, libc->mtx_unlock(m));
}

PG_PUBLIC int cnd_wait(cnd_t *c, mtx_t *m)
{
        const struct real_lock *libc = real_lock();
        return WAIT_FOR_CONDITION(m, libc->cnd_wait(c, m), errno_of);
}

PG_PUBLIC int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
        const struct real_lock *libc = real_lock();
        return WAIT_FOR_CONDITION(m, libc->cnd_timedwait(c, m, until), errno_of);
}
