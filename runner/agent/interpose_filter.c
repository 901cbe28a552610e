// SPDX-License-Identifier: MIT
/*
 * interpose_filter.c - prctl() and syscall(): a seccomp filter of the target's is looked at before it is in force.
 *
 * Both are passed on without a frame of ours in between, with all registers as they came: whoever calls clone or vfork
 * through syscall() comes back as from libc's. Only what may install a filter takes the way through here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/seccomp.h>

#include "runner/agent/attach.h"
#include "runner/agent/bounds.h"
#include "runner/agent/filter.h"
#include "runner/agent/raw.h"
#include "runner/agent/sampler.h"

typedef long call_function(long number, long a, long b, long c, long d, long e, long f);

static long plain_call(long number, long a, long b, long c, long d, long e, long f)
{
        long r = raw_enter(number, a, b, c, d, e, f);
        if (r < 0 && r > -4096) {
                errno = (int)-r;
                return -1;
        }
        return r;
}

static int plain_prctl(long option, long a, long b, long c, long d)
{
        return (int)plain_call(SYS_prctl, option, a, b, c, d, 0);
}

typedef int prctl_function(long option, long a, long b, long c, long d);

/* For the assembly below. */
#define REFERRED __attribute__((visibility("hidden"), used))
REFERRED call_function filter_syscall;
REFERRED prctl_function filter_prctl;

/* The definitions behind us; before the constructor the calls themselves. */
REFERRED call_function *filter_next_syscall = plain_call;
REFERRED prctl_function *filter_next_prctl = plain_prctl;

void filter_start(void)
{
        call_function *next_syscall = (call_function *)dlsym(RTLD_NEXT, "syscall");
        prctl_function *next_prctl = (prctl_function *)dlsym(RTLD_NEXT, "prctl");
        if (next_syscall)
                filter_next_syscall = next_syscall;
        if (next_prctl)
                filter_next_prctl = next_prctl;
}

/* ---- what a filter leaves --------------------------------------------------------------------------------
 */

static bool is_readable(const void *p, size_t size)
{
        uint64_t at = (uint64_t)(uintptr_t)p;
        return at != 0 && at + size > at && bounds_readable(at, at + size);
}

/* What cannot be read, perhaps because an older filter forbids to ask, is taken to let nothing through. */
static uint32_t admitted_by(const struct sock_fprog *program)
{
        if (!is_readable(program, sizeof(*program)) || program->len > BPF_MAXINSNS ||
            !is_readable(program->filter, program->len * sizeof(*program->filter)))
                return 0;
        return filter_lets_through(program->filter, program->len);
}

/* A vfork child runs on its parent's memory, which its filters do not concern. */
static bool is_own_process(void)
{
        return filter_restricts() || agent.pid == raw_getpid();
}

/* Before a filter is in force. Returns what was admitted so far. */
static uint32_t before_filter(uint32_t admitted)
{
        uint32_t old = atomic_load(&filter_admitted), now = old & admitted;
        agent_reattach_after_fork(); // while it may: this process may come from a raw clone
        if (agent.state < AGENT_COUNTING || now == old || !is_own_process())
                return old;
        if (agent.state == AGENT_SAMPLING)
                sampler_before_filter(filter_lets_signals(now));
        return atomic_fetch_and(&filter_admitted, admitted); // another thread may have been here meanwhile
}

/* Nothing is given back when another thread's filter has taken more since. (One that took the same at the same time
 * cannot be told from ours.) */
static void after_refused_filter(uint32_t old, uint32_t admitted)
{
        uint32_t now = old & admitted;
        if (now != old && atomic_compare_exchange_strong(&filter_admitted, &now, old) &&
            agent.state == AGENT_SAMPLING)
                sampler_after_refused_filter();
}

/* ---- the calls -------------------------------------------------------------------------------------------
 */

/* seccomp() returns the number of a thread that stands in the way, or of a descriptor. */
static bool was_refused(long r, unsigned long flags)
{
        return r < 0 || (r > 0 && !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

static long install(uint32_t admitted, unsigned long flags, long number, const long args[6])
{
        uint32_t old = before_filter(admitted);
        long r = filter_next_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
        if (was_refused(r, flags)) {
                int saved = errno;
                after_refused_filter(old, admitted);
                errno = saved;
        }
        return r;
}

static bool is_prctl(const long args[6], unsigned long mode)
{
        return (int)args[0] == PR_SET_SECCOMP && (unsigned long)args[1] == mode;
}

/* syscall(SYS_seccomp, ...) and syscall(SYS_prctl, ...). A program that is NULL is a question to the kernel. */
long filter_syscall(long number, long a, long b, long c, long d, long e, long f)
{
        const long args[] = { a, b, c, d, e, f };
        bool seccomp = (int)number == SYS_seccomp; // the kernel ignores the upper half
        if (seccomp ? (unsigned)a == SECCOMP_SET_MODE_STRICT : is_prctl(args, SECCOMP_MODE_STRICT))
                return install(filter_strict_mode(), 0, number, args);
        if ((seccomp ? (unsigned)a == SECCOMP_SET_MODE_FILTER : is_prctl(args, SECCOMP_MODE_FILTER)) && c)
                return install(admitted_by((const struct sock_fprog *)c), seccomp ? (unsigned long)b : 0,
                               number, args);
        return filter_next_syscall(number, a, b, c, d, e, f);
}

int filter_prctl(long option, long a, long b, long c, long d)
{
        return (int)filter_syscall(SYS_prctl, (int)option, a, b, c, d, 0);
}

/* A function that goes on at next, or at ours when condition has jumped to 1. */
#define PASS_ON(name, condition, ours, next)                                                                 \
        __asm__(".pushsection .text\n"                                                                       \
                ".globl " name "\n"                                                                          \
                ".type " name ", @function\n"                                                                \
                ".p2align 4\n" name ": .cfi_startproc\n" condition "jmp *" next "(%rip)\n"                   \
                "1: jmp " ours "\n"                                                                          \
                ".cfi_endproc\n"                                                                             \
                ".size " name ", . - " name "\n"                                                             \
                ".popsection\n")

PASS_ON("syscall", "cmp $317, %edi\n je 1f\n cmp $157, %edi\n je 1f\n", "filter_syscall",
        "filter_next_syscall");
_Static_assert(SYS_seccomp == 317 && SYS_prctl == 157, "as the instructions say");

PASS_ON("prctl", "cmp $22, %edi\n je 1f\n", "filter_prctl", "filter_next_prctl");
_Static_assert(PR_SET_SECCOMP == 22, "as the instructions say");
