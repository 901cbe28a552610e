// SPDX-License-Identifier: MIT
/*
 * filter.c - a seccomp filter, run over our own system calls.
 *
 * Classic BPF as seccomp takes it: it only jumps forward, so it ends. What depends on the place of a call, or on
 * arguments that differ from call to call here, is taken as a no.
 */
#include "runner/agent/filter.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

_Atomic uint32_t filter_admitted = FILTER_ADMITS_ALL;

/* How a call is used. */
enum use {
        TOGETHER, // with others of the table, or with arguments of many kinds
        ALONE,    // of use by itself, and harmless
};

struct call {
        long number;
        enum use use;
        bool known; // args are the ones of each call
        uint64_t args[6];
};

static const struct call calls[] = {
        { SYS_rt_sigreturn, ALONE, false, { 0 } },
        { SYS_rt_sigprocmask, ALONE, false, { 0 } },
        { SYS_rt_sigaction, ALONE, false, { 0 } },
        { SYS_getpid, ALONE, false, { 0 } },
        { SYS_gettid, ALONE, false, { 0 } },
        { SYS_tgkill, ALONE, false, { 0 } },
        { SYS_sched_yield, ALONE, false, { 0 } },
        { SYS_membarrier, ALONE, false, { 0 } },
        { SYS_mmap,
          ALONE,
          true,
          { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0 } },
        { SYS_munmap, ALONE, false, { 0 } },
        { SYS_madvise, ALONE, false, { 0 } },
        { SYS_openat, TOGETHER, false, { 0 } },
        { SYS_close, TOGETHER, false, { 0 } },
        { SYS_mremap, TOGETHER, false, { 0 } },
        { SYS_prlimit64, TOGETHER, false, { 0 } },
        { SYS_getppid, TOGETHER, false, { 0 } },
        { SYS_readlink, TOGETHER, false, { 0 } },
        { SYS_getcwd, TOGETHER, false, { 0 } },
        { SYS_faccessat, TOGETHER, false, { 0 } },
        { SYS_perf_event_open, TOGETHER, false, { 0 } },
        { SYS_fcntl, TOGETHER, false, { 0 } },
        { SYS_ioctl, TOGETHER, false, { 0 } },
        { SYS_timer_create, TOGETHER, false, { 0 } },
        { SYS_timer_settime, TOGETHER, false, { 0 } },
        { SYS_timer_delete, TOGETHER, false, { 0 } },
        { SYS_clock_getres, TOGETHER, false, { 0 } },
};
enum { N_CALLS = sizeof(calls) / sizeof(*calls) };
_Static_assert(N_CALLS < 32, "a bit each, and one that no filter leaves as it is");

static uint32_t bit_of(long number)
{
        for (uint32_t i = 0; i < N_CALLS; i++)
                if (calls[i].number == number)
                        return 1u << i;
        return 0;
}

bool filter_admits(long number)
{
        uint32_t bit = bit_of(number);
        return bit && calls[__builtin_ctz(bit)].use == ALONE &&
               atomic_load_explicit(&filter_admitted, memory_order_relaxed) & bit;
}

bool filter_lets_signals(uint32_t admitted)
{
        uint32_t needed = bit_of(SYS_rt_sigreturn) | bit_of(SYS_rt_sigprocmask);
        return (admitted & needed) == needed;
}

uint32_t filter_strict_mode(void)
{
        return bit_of(SYS_rt_sigreturn);
}

/* ---- the machine -----------------------------------------------------------------------------------------
 */

struct machine {
        uint32_t a, x, memory[BPF_MEMWORDS];
        const struct call *call;
        bool stuck; // it met what the kernel refuses, or what cannot be known here
};

static uint32_t refuse(struct machine *m)
{
        m->stuck = true;
        return 0;
}

static uint32_t load_data(struct machine *m, uint32_t offset)
{
        struct seccomp_data data = { .nr = (int)m->call->number, .arch = AUDIT_ARCH_X86_64 };
        bool fixed = offset < offsetof(struct seccomp_data, instruction_pointer);
        bool argument = offset >= offsetof(struct seccomp_data, args);
        uint32_t word;
        if (offset % sizeof(word) != 0 || offset >= sizeof(data) || !(fixed || (argument && m->call->known)))
                return refuse(m);
        memcpy(data.args, m->call->args, sizeof(data.args));
        memcpy(&word, (const char *)&data + offset, sizeof(word));
        return word;
}

static uint32_t load(struct machine *m, const struct sock_filter *i)
{
        switch (BPF_MODE(i->code)) {
        case BPF_IMM:
                return i->k;
        case BPF_MEM:
                return i->k < BPF_MEMWORDS ? m->memory[i->k] : refuse(m);
        case BPF_LEN:
                return sizeof(struct seccomp_data);
        case BPF_ABS:
                return BPF_CLASS(i->code) == BPF_LD ? load_data(m, i->k) : refuse(m);
        default:
                return refuse(m);
        }
}

static void store(struct machine *m, const struct sock_filter *i)
{
        if (i->k >= BPF_MEMWORDS)
                refuse(m);
        else
                m->memory[i->k] = BPF_CLASS(i->code) == BPF_ST ? m->a : m->x;
}

static uint32_t calculate(struct machine *m, const struct sock_filter *i)
{
        uint32_t b = BPF_SRC(i->code) == BPF_X ? m->x : i->k;
        switch (BPF_OP(i->code)) {
        case BPF_ADD:
                return m->a + b;
        case BPF_SUB:
                return m->a - b;
        case BPF_MUL:
                return m->a * b;
        case BPF_DIV:
                return b ? m->a / b : refuse(m);
        case BPF_AND:
                return m->a & b;
        case BPF_OR:
                return m->a | b;
        case BPF_XOR:
                return m->a ^ b;
        case BPF_LSH:
                return b < 32 ? m->a << b : refuse(m);
        case BPF_RSH:
                return b < 32 ? m->a >> b : refuse(m);
        case BPF_NEG:
                return -m->a;
        default:
                return refuse(m);
        }
}

/* How many instructions to pass over. */
static uint32_t jump(struct machine *m, const struct sock_filter *i)
{
        uint32_t b = BPF_SRC(i->code) == BPF_X ? m->x : i->k;
        switch (BPF_OP(i->code)) {
        case BPF_JA:
                return i->k;
        case BPF_JEQ:
                return m->a == b ? i->jt : i->jf;
        case BPF_JGT:
                return m->a > b ? i->jt : i->jf;
        case BPF_JGE:
                return m->a >= b ? i->jt : i->jf;
        case BPF_JSET:
                return m->a & b ? i->jt : i->jf;
        default:
                return refuse(m);
        }
}

static uint32_t result(struct machine *m, const struct sock_filter *i)
{
        return BPF_RVAL(i->code) == BPF_A ? m->a : BPF_RVAL(i->code) == BPF_K ? i->k : refuse(m);
}

/* One instruction other than a return; how many to pass over behind it. */
static uint32_t step(struct machine *m, const struct sock_filter *i)
{
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
                m->a = load(m, i);
                return 0;
        case BPF_LDX:
                m->x = load(m, i);
                return 0;
        case BPF_ALU:
                m->a = calculate(m, i);
                return 0;
        case BPF_JMP:
                return jump(m, i);
        case BPF_MISC:
                *(BPF_MISCOP(i->code) == BPF_TAX ? &m->x : &m->a) =
                        BPF_MISCOP(i->code) == BPF_TAX ? m->a : m->x;
                return 0;
        default: // BPF_ST, BPF_STX
                store(m, i);
                return 0;
        }
}

static bool lets_through(const struct sock_filter *code, uint32_t n, const struct call *call)
{
        struct machine m = { .call = call };
        for (uint64_t at = 0; at < n && !m.stuck; at++) {
                if (BPF_CLASS(code[at].code) == BPF_RET)
                        return (result(&m, &code[at]) & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW &&
                               !m.stuck;
                at += step(&m, &code[at]);
        }
        return false;
}

uint32_t filter_lets_through(const struct sock_filter *code, uint32_t n_instructions)
{
        uint32_t admitted = FILTER_ADMITS_ALL;
        for (uint32_t i = 0; i < N_CALLS; i++)
                if (!lets_through(code, n_instructions, &calls[i]))
                        admitted &= ~(1u << i);
        return admitted;
}
