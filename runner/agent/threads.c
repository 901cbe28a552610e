// SPDX-License-Identifier: MIT
/*
 * threads.c - pthread_create(): the new thread arms itself, runs the target's function, disarms itself.
 *
 * What the new thread has to call travels in a small static pool that it empties at once. When the pool is
 * full the thread starts as without us and is counted as not armed. Attributes are passed on untouched.
 */
#include <dlfcn.h>
#include <pthread.h>

#include "runner/agent/attach.h"
#include "runner/agent/glibc.h"
#include "runner/agent/raw.h"
#include "runner/agent/sampler.h"

#pragma weak __pthread_register_cancel // as in glibc.h
#pragma weak __pthread_unregister_cancel

enum { STARTS_MAX = 256 };

struct start {
        _Atomic uint32_t taken;
        void *(*routine)(void *);
        void *argument;
};

static struct start starts[STARTS_MAX];

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static create_function *real_create(void)
{
        static create_function *_Atomic real;
        create_function *f = atomic_load_explicit(&real, memory_order_relaxed);
        if (!f) {
                f = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
                atomic_store_explicit(&real, f, memory_order_relaxed);
        }
        return f;
}

static struct start *take_start(void)
{
        for (size_t i = 0; i < STARTS_MAX; i++) {
                uint32_t free_entry = 0;
                if (atomic_compare_exchange_strong_explicit(&starts[i].taken, &free_entry, 1,
                                                            memory_order_acquire, memory_order_relaxed))
                        return &starts[i];
        }
        return NULL;
}

static void give_back(struct start *s)
{
        atomic_store_explicit(&s->taken, 0, memory_order_release);
}

void threads_after_fork(void)
{
        for (size_t i = 0; i < STARTS_MAX; i++)
                give_back(&starts[i]);
}

static void leave(void *unused)
{
        (void)unused;
        sampler_leave_thread();
}

static void *run_thread(void *argument)
{
        struct start *s = argument;
        void *(*routine)(void *) = s->routine;
        void *routine_argument = s->argument;
        give_back(s);

        void *result;
        sampler_enter_thread();
        pthread_cleanup_push(leave, NULL); // also at pthread_exit() and cancellation
        result = routine(routine_argument);
        pthread_cleanup_pop(1);
        return result;
}

PG_PUBLIC int pthread_create(pthread_t *restrict ret, const pthread_attr_t *restrict attributes,
                             void *(*routine)(void *), void *restrict argument)
{
        create_function *real = real_create();
        if (!real)
                return EAGAIN;
        if (!sampler_is_on())
                return real(ret, attributes, routine, argument);
        agent_reattach_after_fork(); // when this process came from a raw clone
        struct start *s = take_start();
        if (!s) {
                sampler_count_unarmed();
                return real(ret, attributes, routine, argument);
        }
        s->routine = routine;
        s->argument = argument;
        int failed = real(ret, attributes, run_thread, s);
        if (failed)
                give_back(s);
        return failed;
}
