// SPDX-License-Identifier: MIT
/*
 * sampler.c - the tick handler and the log that it writes.
 *
 * Each thread appends to a chunk of the slot that it alone writes; `used` grows after the record is complete,
 * so a process killed at any instant leaves whole records. A full log counts and drops. Periods differ a
 * little from thread to thread, so that neither threads nor a target with a rhythm of its own can lock into
 * step.
 */
#include "runner/agent/sampler.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <time.h>

#include "runner/agent/attach.h"
#include "runner/agent/modules.h"
#include "runner/agent/raw.h"
#include "runner/agent/signals.h"
#include "runner/agent/tick.h"

enum {
        RATE_HZ_MAX = 100000,
        JITTER_PER_MILLE = 30, // a thread's period is within this of the nominal one
        PARKED_MAX = 64,       // part-filled chunks of ended threads, kept for the next ones
        CHUNK_ROOM = PG_CHUNK_BYTES - (int)sizeof(struct pg_chunk),
};

struct thread_state {
        struct tick tick;
        struct pg_chunk *chunk; // NULL until the first sample
        bool armed;             // tick was started; it may have failed to go on since
        bool had_blocked;       // over fork(): the signal was blocked before
};

static _Thread_local struct thread_state self __attribute__((tls_model("initial-exec")));

static struct {
        int sig; // 0: off
        unsigned kinds;
        uint64_t period_ns;
        _Atomic uint64_t random;
        _Atomic uint32_t parked[PARKED_MAX]; // index of a chunk + 1; 0: empty
} sampler;

static void count(_Atomic uint32_t *counter)
{
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- signal context: everything down to on_tick() runs inside it ---------------------------------------
 * May: atomics, agent_place(), tick_*, signals_pass_on(), raw system calls.
 * May not: allocate, lock, stdio, dl*, getenv, pthread_*, TLS that is allocated lazily.
 * All signals are blocked meanwhile, so nothing comes in between and no guard against re-entry is needed. */

static struct pg_chunk *chunk_at(uint32_t index)
{
        return (struct pg_chunk *)(agent.chunks + (size_t)index * PG_CHUNK_BYTES);
}

static struct pg_chunk *unpark_chunk(void)
{
        for (size_t i = 0; i < PARKED_MAX; i++) {
                if (atomic_load_explicit(&sampler.parked[i], memory_order_relaxed) == 0)
                        continue;
                uint32_t n = atomic_exchange_explicit(&sampler.parked[i], 0, memory_order_acquire);
                if (n != 0)
                        return chunk_at(n - 1);
        }
        return NULL;
}

static struct pg_chunk *claim_chunk(void)
{
        _Atomic uint32_t *n = &agent.slot->n_chunks;
        if (atomic_load_explicit(n, memory_order_relaxed) >= PG_CHUNKS_MAX)
                return NULL;
        uint32_t index = atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
        if (index >= PG_CHUNKS_MAX)
                return NULL;
        struct pg_chunk *chunk = chunk_at(index);
        chunk->tid = raw_gettid();
        atomic_store_explicit(&chunk->ready, 1, memory_order_release);
        return chunk;
}

static bool has_room(const struct pg_chunk *chunk, uint32_t bytes)
{
        return atomic_load_explicit(&chunk->used, memory_order_relaxed) + bytes <= CHUNK_ROOM;
}

static struct pg_chunk *chunk_with_room(struct thread_state *t, uint32_t bytes)
{
        if (t->chunk && has_room(t->chunk, bytes))
                return t->chunk;
        t->chunk = unpark_chunk();
        if (!t->chunk || !has_room(t->chunk, bytes))
                t->chunk = claim_chunk();
        return t->chunk;
}

static void record(struct thread_state *t, uint64_t pc, uint64_t weight_ns)
{
        enum { BYTES = sizeof(struct pg_sample_record) + sizeof(pg_place) };
        struct pg_chunk *chunk = chunk_with_room(t, BYTES);
        if (!chunk) {
                atomic_fetch_add_explicit(&agent.slot->lost_samples, 1, memory_order_relaxed);
                atomic_fetch_add_explicit(&agent.slot->lost_weight_ns, weight_ns, memory_order_relaxed);
                return;
        }
        uint32_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
        unsigned char *at = (unsigned char *)(chunk + 1) + used;
        *(struct pg_sample_record *)at =
                (struct pg_sample_record){ .bytes = BYTES, .n_frames = 1, .weight_ns = weight_ns };
        *(pg_place *)(at + sizeof(struct pg_sample_record)) = agent_place(pc);
        atomic_store_explicit(&chunk->used, used + BYTES, memory_order_release);
}

static uint64_t interrupted_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
        return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        return context->uc_mcontext.pc;
#else
#error "where is the program counter of this machine?"
#endif
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
        int saved_errno = errno;
        struct thread_state *t = &self;
        if (tick_owns(&t->tick, info)) {
                uint64_t weight_ns = tick_hit(&t->tick, sampler.kinds, sig, info);
                if (weight_ns != 0)
                        record(t, interrupted_pc(context), weight_ns);
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

void sampler_enter_thread(void)
{
        uint64_t period_ns = jittered_period(), first_ns = 1 + random_u64() % period_ns;
        self.armed = tick_start(&self.tick, sampler.kinds, sampler.sig, first_ns, period_ns);
        if (!self.armed) {
                sampler_count_unarmed();
                return;
        }
        count(&agent.slot->threads_armed);
        if (self.tick.kind == TICK_EVENT)
                count(&agent.slot->threads_task_clock);
}

static void park_chunk(struct pg_chunk *chunk)
{
        uint32_t n = (uint32_t)(((unsigned char *)chunk - agent.chunks) / PG_CHUNK_BYTES) + 1;
        for (size_t i = 0; i < PARKED_MAX; i++) {
                uint32_t empty = 0;
                if (atomic_compare_exchange_strong_explicit(&sampler.parked[i], &empty, n,
                                                            memory_order_release, memory_order_relaxed))
                        return;
        }
}

void sampler_leave_thread(void)
{
        tick_stop(&self.tick);
        struct pg_chunk *chunk = self.chunk;
        self.chunk = NULL;
        if (chunk)
                park_chunk(chunk);
}

/* ---- fork: a large address space takes longer to copy than a period, and a signal would start it anew ----
 */

static void before_fork(void)
{
        uint64_t bit = 1ull << (sampler.sig - 1), old = 0;
        raw_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&bit, (long)&old, sizeof(bit), 0, 0);
        self.had_blocked = old & bit;
}

static void after_fork_in_parent(void)
{
        uint64_t bit = 1ull << (sampler.sig - 1);
        if (!self.had_blocked)
                raw_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&bit, 0, sizeof(bit), 0, 0);
}

static void after_fork_in_child(void)
{
        agent_reattach_after_fork(); // comes back in sampler_after_fork()
        after_fork_in_parent();
}

void sampler_after_fork(void)
{
        if (!sampler_is_on())
                return;
        signals_after_fork();
        threads_after_fork();
        seed_random();
        for (size_t i = 0; i < PARKED_MAX; i++) // chunks of the parent's slot
                atomic_store_explicit(&sampler.parked[i], 0, memory_order_relaxed);
        self.chunk = NULL;
        tick_forget(&self.tick);
        sampler_enter_thread();
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

static void disarm(enum pg_disarm reason)
{
        sampler.sig = 0;
        atomic_store_explicit(&agent.slot->disarm, reason, memory_order_relaxed);
}

void sampler_start(void)
{
        uint32_t rate_hz = agent.header->rate_hz;
        if (rate_hz == 0 || rate_hz > RATE_HZ_MAX)
                return disarm(PG_DISARM_NO_TIMER);
        sampler.kinds = wanted_kinds();
        sampler.period_ns = 1000000000u / rate_hz;
        seed_random();
        sampler.sig = signals_take(on_tick);
        if (!sampler.sig)
                return disarm(PG_DISARM_NO_SIGNAL);
        sampler_enter_thread();
        if (!self.armed)
                return disarm(PG_DISARM_NO_TIMER);
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

__attribute__((destructor)) static void finish(void)
{
        if (sampler_is_on() && !signals_still_ours())
                atomic_store_explicit(&agent.slot->signal_taken_away, 1, memory_order_relaxed);
}
