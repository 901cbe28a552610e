// SPDX-License-Identifier: MIT
/*
 * subject.c - a library whose functions, inlined calls and lines the tests know.
 *
 * MARK(n) leaves a record in section "marks": the address of a nop, its line, and n. The call in
 * CALL_AT is made from its mark's line. Nothing here is ever run.
 */
#include <stdlib.h>

#define MARK(n)                                                                                              \
        __asm__ volatile("1: nop\n\t.pushsection marks,\"a\"\n\t.quad 1b - ., %c0, %c1\n\t.popsection"       \
                         :                                                                                   \
                         : "i"(__LINE__), "i"(n))
#define CALL_AT(n, call)                                                                                     \
        do {                                                                                                 \
                MARK(n);                                                                                     \
                call;                                                                                        \
        } while (0)
#define INLINE static inline __attribute__((always_inline))

int subject_plain(int x);
int subject_calls(int x);
int subject_imports(int x);
int subject_alias(int x) __attribute__((alias("subject_plain")));

volatile int subject_sink;

INLINE void innermost(int x)
{
        MARK(3);
        subject_sink = x;
}

INLINE void middle(int x)
{
        CALL_AT(2, innermost(x + 1));
}

INLINE void outer(int x)
{
        if (x > 3) {
                int y = x * subject_sink;
                CALL_AT(1, middle(y));
        }
}

int subject_plain(int x)
{
        MARK(10);
        return x + subject_sink;
}

static __attribute__((noinline)) void hidden_function(int x)
{
        MARK(20);
        subject_sink += x;
}

int subject_calls(int x)
{
        CALL_AT(30, outer(x));
        hidden_function(x);
        return subject_sink;
}

int subject_imports(int x)
{
        return abs(x) + atoi("3") + rand();
}
