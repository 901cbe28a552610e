// SPDX-License-Identifier: MIT
/*
 * bounds.c - ends of stacks, and asking the kernel whether a page can be read.
 *
 * The question is a system call that copies from the page and then fails for another reason: no descriptor, no
 * signal, nothing changes.
 */
#include "runner/agent/bounds.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include "runner/agent/attach.h"
#include "runner/agent/glibc.h"
#include "runner/agent/raw.h"

enum {
        OWN_PAGES_MAX =
                512, // pages between a stack pointer and the known part of its stack, asked one by one
        FOREIGN_PAGES_MAX = 2048 // of a stack that nothing is known of
};
static const uint64_t page = PG_CAPTURE_PAGE, main_stack_max = 1ull << 30;

static bool page_is_readable(uint64_t address)
{
        enum { NO_SUCH_WAY = 0x7fffffff };
        return raw_call(SYS_rt_sigprocmask, NO_SUCH_WAY, (long)(address & -page), 0, 8, 0, 0) == -EINVAL;
}

bool bounds_readable(uint64_t from, uint64_t to)
{
        for (uint64_t at = from & -page; at < to; at += page)
                if (!page_is_readable(at))
                        return false;
        return true;
}

/* The kernel kept other mappings that far away by the limit at the program's start; the program may have raised it
 * since. Asked for the first time in the constructor. */
static uint64_t main_stack_from(uint64_t end)
{
        static uint64_t from;
        struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
        if (from)
                return from;
        raw_call(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&limit, 0, 0);
        return from = end - (limit.rlim_cur < main_stack_max ? limit.rlim_cur : main_stack_max);
}

void bounds_start(struct bounds *b)
{
        uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
        uint64_t end = (getauxval(AT_EXECFN) + page) & -page; // the kernel wrote the program's name on top
        uint64_t from = main_stack_from(end);
        *b = (struct bounds){ .own_end = end, .own_from = from };
        if (here >= end || here < from) // libc's block of a thread lies on top of its stack
                *b = (struct bounds){ .own_end = (uint64_t)pthread_self() };
}

static bool reaches_down_to(uint64_t sp, uint64_t known)
{
        uint64_t from = sp & -page;
        return (known - from) / page <= OWN_PAGES_MAX && bounds_readable(from, known);
}

/* The thread's own stack, from what page on. */
static bool find_own(const struct bounds *b, uint64_t sp, uint64_t *ret_lo)
{
        if (sp >= b->own_end)
                return false;
        if (b->own_from) { // it grows by itself, without holes
                *ret_lo = b->own_from;
                return sp >= b->own_from;
        }
        *ret_lo = sp & -page;
        return reaches_down_to(sp, b->own && sp < b->lo ? b->lo : b->own_end);
}

bool bounds_find(struct bounds *b, uint64_t sp)
{
        bool was_own = b->own;
        b->own = find_own(b, sp, &b->lo);
        if (b->own) {
                b->hi = b->own_end;
                return was_own;
        }
        b->lo = sp & -page;
        b->hi = page_is_readable(b->lo) ? b->lo + page : b->lo;
        return false;
}

static bool more_pages(struct pg_stack *s, uint64_t address)
{
        if (s->hi == s->lo && address - s->lo >= page &&
            !page_is_readable(s->lo)) // the red zone's page may be a guard
                s->lo = s->hi = s->lo + page;
        if (address < s->lo || address - s->lo >= FOREIGN_PAGES_MAX * page)
                return false;
        while (s->hi < address + 8) {
                if (!page_is_readable(s->hi))
                        return false;
                s->hi += page;
        }
        return true;
}

void bounds_foreign(struct pg_stack *ret, uint64_t sp)
{
        uint64_t lo = (sp - PG_RED_ZONE_BYTES) & -page;
        *ret = (struct pg_stack){ .lo = lo, .hi = lo, .more = more_pages };
}
