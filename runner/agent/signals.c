// SPDX-License-Identifier: MIT
/*
 * signals.c - interposed sigaction() and its relatives: what they say about our signal is kept here, all else
 * goes to the next definition.
 *
 * One thing cannot be hidden: while a tick is pending in a thread that blocks the signal, another one of the
 * same number sent to that very thread (pthread_kill, raise) is merged with it by the kernel. One sent to the
 * process is not. Blocked masks are the target's own business and stay untouched. sigwait() and signalfd()
 * would hand our ticks to the target, so they do not see them.
 */
#include "runner/agent/signals.h"

#include <dlfcn.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/signalfd.h>
#include <time.h>

#include "runner/agent/attach.h"
#include "runner/agent/raw.h"

enum {
        KERNEL_SET_BYTES = 8,
        ALTSTACK_SPARE =
                4096, // an alternate stack with less than this beyond the kernel's frame is not for us
};

/* Ignored by default, and rarely used: a stray one does no harm anywhere. */
static const int candidates[] = { SIGURG, SIGWINCH };

static struct {
        atomic_flag lock; // held with all signals blocked, so a handler of the same thread cannot wait for it
        _Atomic int sig;  // 0: none taken
        int given_back;   // the one that was taken before
        signals_handler *handler;
        int32_t pid;                // whose dispositions these are
        bool off_altstack;          // some thread has an alternate stack that is too small
        struct sigaction of_target; // what the target believes to be installed
} ours = { .lock = ATOMIC_FLAG_INIT };

/* The definitions behind us. Resolved when first needed, at the latest by signals_take. */
static struct {
        int (*sigaction)(int, const struct sigaction *, struct sigaction *);
        sighandler_t (*signal)(int, sighandler_t);
        sighandler_t (*sysv_signal)(int, sighandler_t);
        sighandler_t (*sigset)(int, sighandler_t);
        int (*sigignore)(int);
        int (*siginterrupt)(int, int);
        int (*sigaltstack)(const stack_t *, stack_t *);
        int (*sigwait)(const sigset_t *, int *);
        int (*sigwaitinfo)(const sigset_t *, siginfo_t *);
        int (*sigtimedwait)(const sigset_t *, siginfo_t *, const struct timespec *);
        int (*signalfd)(int, const sigset_t *, int);
} next;

static void *find_next(void **slot, const char *name)
{
        void *f = __atomic_load_n(slot, __ATOMIC_RELAXED);
        if (!f) {
                f = dlsym(RTLD_NEXT, name);
                __atomic_store_n(slot, f, __ATOMIC_RELAXED);
        }
        return f;
}

#define NEXT(name) ((__typeof__(next.name))find_next((void **)&next.name, #name))

static void resolve_all(void)
{
        (void)NEXT(sigaction), (void)NEXT(signal), (void)NEXT(sysv_signal), (void)NEXT(sigset);
        (void)NEXT(sigignore), (void)NEXT(siginterrupt), (void)NEXT(sigaltstack), (void)NEXT(sigwait);
        (void)NEXT(sigwaitinfo), (void)NEXT(sigtimedwait), (void)NEXT(signalfd);
}

/* ---- lock and masks ---- */

static void set_mask(int how, const void *set, void *old)
{
        raw_call(SYS_rt_sigprocmask, how, (long)set, (long)old, KERNEL_SET_BYTES, 0, 0);
}

static uint64_t lock(void)
{
        uint64_t all = ~0ull, old = 0;
        set_mask(SIG_SETMASK, &all, &old);
        while (atomic_flag_test_and_set_explicit(&ours.lock, memory_order_acquire))
                raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        return old;
}

static void unlock(uint64_t old)
{
        atomic_flag_clear_explicit(&ours.lock, memory_order_release);
        set_mask(SIG_SETMASK, &old, NULL);
}

/* True for our signal in our process. A vfork child shares this memory but has dispositions of its own, and
 * it may reset them all before it execs. */
static bool is_ours(int sig)
{
        return sig != 0 && sig == atomic_load_explicit(&ours.sig, memory_order_acquire) &&
               (!raw_may_call(SYS_getpid) || ours.pid == raw_getpid());
}

/* ---- our handler ---- */

static bool has_handler(const struct sigaction *a)
{
        return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
}

/* Restarting follows the target's handler where there is one: it may count on being interrupted. */
static int install(int sig, struct sigaction *ret_old)
{
        bool restart = !has_handler(&ours.of_target) || ours.of_target.sa_flags & SA_RESTART;
        struct sigaction action = { .sa_sigaction = ours.handler };
        action.sa_flags = SA_SIGINFO | (restart ? SA_RESTART : 0) | (ours.off_altstack ? 0 : SA_ONSTACK);
        sigfillset(&action.sa_mask);
        return NEXT(sigaction)(sig, &action, ret_old);
}

int signals_take(signals_handler *handler)
{
        resolve_all();
        if (!next.sigaction)
                return 0;
        for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
                struct sigaction old;
                if (next.sigaction(candidates[i], NULL, &old) != 0 || has_handler(&old))
                        continue;
                ours.handler = handler;
                ours.of_target = old;
                ours.pid = raw_getpid();
                if (install(candidates[i], NULL) != 0)
                        continue;
                atomic_store_explicit(&ours.sig, candidates[i], memory_order_release);
                return candidates[i];
        }
        return 0;
}

bool signals_still_ours(void)
{
        struct sigaction now;
        if (!raw_may_call(SYS_rt_sigaction))
                return true;
        return next.sigaction && next.sigaction(ours.sig, NULL, &now) == 0 &&
               now.sa_sigaction == ours.handler;
}

void signals_give_back(void)
{
        uint64_t mask = lock();
        ours.given_back = atomic_exchange_explicit(&ours.sig, 0, memory_order_acq_rel);
        next.sigaction(ours.given_back, &ours.of_target, NULL);
        unlock(mask);
}

void signals_take_again(void)
{
        uint64_t mask = lock();
        next.sigaction(ours.given_back, NULL, &ours.of_target);
        install(ours.given_back, NULL);
        atomic_store_explicit(&ours.sig, ours.given_back, memory_order_release);
        unlock(mask);
}

void signals_after_fork(void)
{
        atomic_flag_clear_explicit(&ours.lock, memory_order_release);
        ours.pid = raw_getpid();
}

/* Calls the target's handler under the mask that the kernel would have set for it. */
static void call_target(const struct sigaction *a, int sig, siginfo_t *info, void *context)
{
        sigset_t mask = ((ucontext_t *)context)->uc_sigmask;
        sigorset(&mask, &mask, &a->sa_mask);
        if (!(a->sa_flags & SA_NODEFER))
                sigaddset(&mask, sig);
        set_mask(SIG_SETMASK, &mask, NULL);
        if (a->sa_flags & SA_SIGINFO)
                a->sa_sigaction(sig, info, context);
        else
                a->sa_handler(sig);
}

void signals_pass_on(int sig, siginfo_t *info, void *context)
{
        uint64_t old = lock();
        struct sigaction action = ours.of_target;
        if (has_handler(&action) && action.sa_flags & (int)SA_RESETHAND)
                ours.of_target.sa_handler = SIG_DFL;
        unlock(old);
        if (has_handler(&action))
                call_target(&action, sig, info, context);
}

/* ---- dispositions ---- */

static int virtual_sigaction(int sig, const struct sigaction *action, struct sigaction *ret_old)
{
        uint64_t mask = lock();
        struct sigaction old = ours.of_target;
        if (action) {
                bool had = has_handler(&old), restarted = old.sa_flags & SA_RESTART;
                ours.of_target = *action;
                if (had != has_handler(action) || restarted != !!(action->sa_flags & SA_RESTART))
                        install(sig, NULL);
        }
        unlock(mask);
        if (ret_old)
                *ret_old = old;
        return 0;
}

static sighandler_t virtual_signal(int sig, sighandler_t handler, int flags)
{
        struct sigaction old, action = { .sa_handler = handler, .sa_flags = flags };
        sigemptyset(&action.sa_mask);
        if (!(flags & (int)SA_RESETHAND))
                sigaddset(&action.sa_mask, sig);
        virtual_sigaction(sig, &action, &old);
        return old.sa_handler;
}

PG_PUBLIC int sigaction(int sig, const struct sigaction *restrict action, struct sigaction *restrict old)
{
        return is_ours(sig) ? virtual_sigaction(sig, action, old) : NEXT(sigaction)(sig, action, old);
}

int __sigaction(int sig, const struct sigaction *action, struct sigaction *old);
PG_PUBLIC int __sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
        return sigaction(sig, action, old);
}

PG_PUBLIC sighandler_t signal(int sig, sighandler_t handler)
{
        return is_ours(sig) && handler != SIG_ERR ? virtual_signal(sig, handler, SA_RESTART)
                                                  : NEXT(signal)(sig, handler);
}

sighandler_t bsd_signal(int sig, sighandler_t handler);
PG_PUBLIC sighandler_t bsd_signal(int sig, sighandler_t handler)
{
        return signal(sig, handler);
}

PG_PUBLIC sighandler_t ssignal(int sig, sighandler_t handler)
{
        return signal(sig, handler);
}

PG_PUBLIC sighandler_t sysv_signal(int sig, sighandler_t handler)
{
        return is_ours(sig) && handler != SIG_ERR
                       ? virtual_signal(sig, handler, (int)(SA_RESETHAND | SA_NODEFER))
                       : NEXT(sysv_signal)(sig, handler);
}

PG_PUBLIC sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
        return sysv_signal(sig, handler);
}

/* Sets the disposition and unblocks the signal, or with SIG_HOLD only blocks it. */
PG_PUBLIC sighandler_t sigset(int sig, sighandler_t disposition)
{
        if (!is_ours(sig) || disposition == SIG_ERR)
                return NEXT(sigset)(sig, disposition);
        uint64_t bit = 1ull << (sig - 1), old = 0;
        set_mask(disposition == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &bit, &old);
        struct sigaction before, action = { .sa_handler = disposition };
        virtual_sigaction(sig, disposition == SIG_HOLD ? NULL : &action, &before);
        return old & bit ? SIG_HOLD : before.sa_handler;
}

PG_PUBLIC int sigignore(int sig)
{
        if (!is_ours(sig))
                return NEXT(sigignore)(sig);
        struct sigaction action = { .sa_handler = SIG_IGN };
        return virtual_sigaction(sig, &action, NULL);
}

PG_PUBLIC int siginterrupt(int sig, int interrupt)
{
        if (!is_ours(sig))
                return NEXT(siginterrupt)(sig, interrupt);
        struct sigaction action;
        virtual_sigaction(sig, NULL, &action);
        action.sa_flags = interrupt ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
        return virtual_sigaction(sig, &action, NULL);
}

/* An alternate stack that just holds the kernel's frame would overflow under our handler; unmeasured, only
 * the target's own handlers would use it. */
PG_PUBLIC int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
        if (stack && !(stack->ss_flags & SS_DISABLE) && atomic_load(&ours.sig) && !ours.off_altstack &&
            stack->ss_size < getauxval(AT_MINSIGSTKSZ) + ALTSTACK_SPARE && raw_may_call(SYS_rt_sigaction)) {
                uint64_t mask = lock();
                ours.off_altstack = true;
                install(ours.sig, NULL);
                unlock(mask);
        }
        return NEXT(sigaltstack)(stack, old);
}

/* ---- waiting: the target is not to receive our ticks ---- */

static bool is_tick(int sig, const siginfo_t *info)
{
        bool sent_by_us = info->si_code == SI_TIMER || info->si_code == POLL_IN || info->si_code == POLL_HUP;
        return sent_by_us && is_ours(sig);
}

PG_PUBLIC int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict ret_info)
{
        siginfo_t info;
        int sig;
        do
                sig = NEXT(sigwaitinfo)(set, &info);
        while (sig > 0 && is_tick(sig, &info));
        if (sig > 0 && ret_info)
                *ret_info = info;
        return sig;
}

PG_PUBLIC int sigwait(const sigset_t *restrict set, int *restrict ret_sig)
{
        if (!sigismember(set, atomic_load(&ours.sig)))
                return NEXT(sigwait)(set, ret_sig);
        int sig;
        do
                sig = sigwaitinfo(set, NULL);
        while (sig < 0 && errno == EINTR);
        if (sig < 0)
                return errno;
        *ret_sig = sig;
        return 0;
}

static int64_t ns_of(const struct timespec *t)
{
        return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int64_t now_ns(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return ns_of(&now);
}

PG_PUBLIC int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict ret_info,
                           const struct timespec *restrict timeout)
{
        if (!timeout)
                return sigwaitinfo(set, ret_info);
        struct timespec left = *timeout;
        int64_t end_ns = now_ns() + ns_of(timeout);
        siginfo_t info;
        for (;;) {
                int sig = NEXT(sigtimedwait)(set, &info, &left);
                if (sig < 0 || !is_tick(sig, &info)) {
                        if (sig > 0 && ret_info)
                                *ret_info = info;
                        return sig;
                }
                int64_t left_ns = end_ns - now_ns();
                if (left_ns < 0)
                        left_ns = 0;
                left = (struct timespec){ left_ns / 1000000000, left_ns % 1000000000 };
        }
}

/* A descriptor cannot be filtered, so our signal is left out of a set that asks for others as well. */
PG_PUBLIC int signalfd(int fd, const sigset_t *set, int flags)
{
        int sig = atomic_load(&ours.sig);
        if (!sig || !sigismember(set, sig))
                return NEXT(signalfd)(fd, set, flags);
        sigset_t others = *set;
        sigdelset(&others, sig);
        return NEXT(signalfd)(fd, sigisemptyset(&others) ? set : &others, flags);
}
