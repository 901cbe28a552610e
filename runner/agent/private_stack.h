// SPDX-License-Identifier: MIT
/*
 * private_stack.h - calls a function on a stack of ours, so that a signal handler takes next to nothing of the
 * target's, however small that is.
 *
 * Only where all signals are blocked: another handler would run on that stack, too.
 */
#ifndef PG_AGENT_PRIVATE_STACK_H
#define PG_AGENT_PRIVATE_STACK_H

#include <stdint.h>

enum { PRIVATE_STACK_BYTES = 16384 };

typedef uint32_t private_function(const void *argument);

/* f(argument); end is one past the stack's last byte and a multiple of 16. */
#if defined(__x86_64__)
static inline uint32_t private_stack_call(void *end, private_function *f, const void *argument)
{
        uint64_t result;
        __asm__ volatile("movq %%rsp, %%rbx\n\t"
                         "movq %[end], %%rsp\n\t"
                         "callq *%[f]\n\t"
                         "movq %%rbx, %%rsp"
                         : "=a"(result), "+D"(argument)
                         : [end] "r"(end), [f] "r"(f)
                         : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory");
        return (uint32_t)result;
}
#else
#error "how does one change stacks on this machine?"
#endif

#endif
