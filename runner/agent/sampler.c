// SPDX-License-Identifier: MIT
/*
 * sampler.c - the tick handler: each sample is counted in the node of its call stack.
 *
 * A thread writes into the stacks of its own cell. A process killed at any instant leaves what was counted.
 * Nothing grows with the number of samples, only with that of different stacks. Periods differ a
 * little from thread to thread, so that neither threads nor a target with a rhythm of its own can lock into
 * step.
 */
#include "runner/agent/sampler.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <time.h>

#include "runner/agent/attach.h"
#include "runner/agent/cells.h"
#include "runner/agent/glibc.h"
#include "runner/agent/raw.h"
#include "runner/agent/signals.h"
#include "runner/agent/stack.h"
#include "runner/agent/tick.h"
#include "runner/base/clock.h"

const uint32_t agent_mode = PG_MODE_SAMPLE;

enum {
        RATE_HZ_MAX = 100000,
        JITTER_PER_MILLE = 30, // a thread's period is within this of the nominal one
};

struct thread_state {
        struct tick tick;
        bool armed;            // tick was started; it may have failed to go on since
        uint64_t fork_blocked; // over fork(): the signal's bit, 0 when it was blocked before
};

static _Thread_local struct thread_state self __attribute__((tls_model("initial-exec")));

static struct {
        _Atomic int sig; // 0: off
        int parked_sig;  // sig before a filter of the target's put it off
        unsigned kinds;
        uint64_t period_ns;
        _Atomic uint64_t random;
        _Atomic uint32_t in_handler; // threads that note a sample
} sampler;

static void count(_Atomic uint32_t *counter)
{
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void disarm(enum pg_disarm reason)
{
        atomic_store_explicit(&agent.slot->disarm, reason, memory_order_relaxed);
}

/* ---- signal context: everything down to on_tick() runs inside it ---------------------------------------
 * May: atomics, stack_of_context(), stack_count(), tick_*, signals_pass_on(), raw system calls.
 * May not: allocate, lock, stdio, dl*, getenv, pthread_*, TLS that is allocated lazily.
 * All signals are blocked meanwhile, so nothing comes in between and no guard against re-entry is needed. */

static void record(const ucontext_t *context, uint64_t weight_ns)
{
        stack_count(stack_of_context((const uint64_t *)context->uc_mcontext.gregs), 1, weight_ns);
}

/* It could not go on after its first hit. */
static void note_end(struct thread_state *t)
{
        t->armed = false;
        count(&agent.slot->threads_unarmed);
        if (filter_restricts())
                disarm(PG_DISARM_FILTER);
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
        int saved_errno = errno;
        struct thread_state *t = &self;
        if (tick_owns(&t->tick, info)) {
                count(&sampler.in_handler);
                uint64_t weight_ns = tick_hit(&t->tick, sampler.kinds, sig, info);
                if (weight_ns != 0)
                        record(context, weight_ns);
                if (t->tick.kind == TICK_NONE && t->armed)
                        note_end(t);
                atomic_fetch_sub_explicit(&sampler.in_handler, 1, memory_order_release);
        } else {
                signals_pass_on(sig, info, context);
        }
        errno = saved_errno;
}

/* ---- end of signal context ---- */

static uint64_t random_u64(void) // splitmix64 (Steele, Lea, Flood 2014)
{
        const uint64_t step = 0x9e3779b97f4a7c15u;
        uint64_t z = atomic_fetch_add_explicit(&sampler.random, step, memory_order_relaxed) + step;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static void seed_random(void)
{
        uint64_t seed = 0;
        const void *from_kernel = (const void *)getauxval(AT_RANDOM);
        if (from_kernel)
                memcpy(&seed, from_kernel, sizeof(seed));
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed ^= (uint64_t)now.tv_nsec << 32 ^ (uint64_t)raw_getpid();
        atomic_store_explicit(&sampler.random, seed, memory_order_relaxed);
}

static uint64_t jittered_period(void)
{
        uint64_t spread = sampler.period_ns * JITTER_PER_MILLE / 1000;
        return sampler.period_ns - spread + random_u64() % (2 * spread + 1);
}

bool sampler_is_on(void)
{
        return sampler.sig != 0;
}

void sampler_count_unarmed(void)
{
        count(&agent.slot->threads_unarmed);
}

/* A thread that a filter of the target's keeps us from arming. */
static void leave_unarmed(void)
{
        tick_forget(&self.tick);
        self.armed = false;
        sampler_count_unarmed();
        disarm(PG_DISARM_FILTER);
}

void sampler_enter_thread(void)
{
        int sig = sampler.sig; // 0: a filter put it off since this thread was started
        if (!sig || filter_restricts())
                return leave_unarmed();
        stack_adopt(cells_claim());
        uint64_t period_ns = jittered_period(), first_ns = 1 + random_u64() % period_ns;
        self.armed = tick_start(&self.tick, sampler.kinds, sig, first_ns, period_ns);
        if (!self.armed) {
                sampler_count_unarmed();
                return;
        }
        count(&agent.slot->threads_armed);
        if (self.tick.kind == TICK_EVENT)
                count(&agent.slot->threads_task_clock);
}

void sampler_leave_thread(void)
{
        self.armed = false;
        tick_stop(&self.tick);
}

/* ---- fork: a large address space takes longer to copy than a period, and a signal would start it anew ----
 */

static void before_fork(void)
{
        int sig = sampler.sig;
        self.fork_blocked = 0;
        if (!sig)
                return;
        uint64_t bit = 1ull << (sig - 1), old = bit;
        raw_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&bit, (long)&old, sizeof(bit), 0, 0);
        self.fork_blocked = bit & ~old;
}

static void after_fork_in_parent(void)
{
        uint64_t bit = self.fork_blocked;
        if (bit)
                raw_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&bit, 0, sizeof(bit), 0, 0);
}

static void after_fork_in_child(void)
{
        agent_reattach_after_fork(); // comes back in sampler_after_fork()
        after_fork_in_parent();
}

void sampler_after_fork(void)
{
        if (sampler.parked_sig)
                leave_unarmed();
        if (!sampler_is_on())
                return;
        atomic_store_explicit(&sampler.in_handler, 0, memory_order_relaxed);
        signals_after_fork();
        threads_after_fork();
        seed_random();
        tick_forget(&self.tick);
        sampler_enter_thread();
}

/* ---- filters of the target's ---- */

/* A filter may come over all threads at once, also over one on its way back from the handler, which is a system call.
 * Its last instructions cannot be seen: handlers have to be absent for a while, if this thread is not in one itself. */
static void wait_for_handlers(void)
{
        enum {
                LONGEST_NS = 50 * PG_NS_PER_MS,
                QUIET_NS = 5 * PG_NS_PER_MS,
                LOOKS_MAX = 50,
                TRIES_MAX = 1000000
        };
        const struct timespec pause = { .tv_nsec = PG_NS_PER_MS };
        const uint64_t start = pg_now_ns();
        uint64_t now = start, busy = start;
        // bounds of their own, should an older filter forbid to see the time, or to sleep
        int looks = 0, tries = 0;
        while (now - start < LONGEST_NS && now - busy < QUIET_NS && looks < LOOKS_MAX &&
               tries++ < TRIES_MAX) {
                looks += raw_call(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0) == 0;
                now = pg_now_ns();
                if (atomic_load_explicit(&sampler.in_handler, memory_order_acquire))
                        busy = now;
        }
}

/* The handler would be the death of the target: the signal is the target's again, for all threads at once. */
static void park(void)
{
        signals_give_back();
        sampler.parked_sig = sampler.sig;
        sampler.sig = 0;
        tick_stop(&self.tick);
        if (atomic_load_explicit(&agent.slot->threads_armed, memory_order_relaxed) > 1)
                wait_for_handlers();
        sampler_count_unarmed();
        disarm(PG_DISARM_FILTER);
}

void sampler_before_filter(bool signals)
{
        if (!sampler_is_on())
                return;
        if (!signals)
                park();
        else if (self.armed)
                tick_settle(&self.tick, sampler.kinds, sampler.sig);
}

void sampler_after_refused_filter(void)
{
        if (!sampler.parked_sig)
                return;
        sampler.sig = sampler.parked_sig;
        sampler.parked_sig = 0;
        disarm(PG_DISARM_NONE);
        atomic_fetch_sub_explicit(&agent.slot->threads_unarmed, 1, memory_order_relaxed);
        signals_take_again();
        if (self.armed)
                self.armed = tick_start(&self.tick, sampler.kinds, sampler.sig, sampler.period_ns,
                                        sampler.period_ns);
}

/* ---- start and end ---- */

static unsigned wanted_kinds(void)
{
        if (strstr(agent.value, "clock=event"))
                return 1u << TICK_EVENT;
        if (strstr(agent.value, "clock=timer"))
                return 1u << TICK_TIMER;
        return 1u << TICK_EVENT | 1u << TICK_TIMER;
}

static void give_up(enum pg_disarm reason)
{
        sampler.sig = 0;
        disarm(reason);
}

void sampler_start(void)
{
        uint32_t rate_hz = agent.header->rate_hz;
        if (rate_hz == 0 || rate_hz > RATE_HZ_MAX)
                return give_up(PG_DISARM_NO_TIMER);
        sampler.kinds = wanted_kinds();
        sampler.period_ns = 1000000000u / rate_hz;
        seed_random();
        sampler.sig = signals_take(on_tick);
        if (!sampler.sig)
                return give_up(PG_DISARM_NO_SIGNAL);
        sampler_enter_thread();
        if (!self.armed)
                return give_up(PG_DISARM_NO_TIMER);
        __register_atfork(before_fork, after_fork_in_parent, after_fork_in_child,
                          __dso_handle); // pthread_atfork()
}

__attribute__((destructor)) static void finish(void)
{
        if (sampler_is_on() && !signals_still_ours())
                atomic_store_explicit(&agent.slot->signal_taken_away, 1, memory_order_relaxed);
}
