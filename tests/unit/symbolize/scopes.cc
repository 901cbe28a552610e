// SPDX-License-Identifier: MIT
/*
 * scopes.cc - inlined functions that have no linkage name, in the scopes that tell them apart.
 *
 * Marks as in subject.c. Nothing here is ever run.
 */
#define MARK(n)                                                                                              \
        __asm__ volatile("1: nop\n\t.pushsection marks,\"a\"\n\t.quad 1b - ., %c0, %c1\n\t.popsection"       \
                         :                                                                                   \
                         : "i"(__LINE__), "i"(n))
#define INLINE inline __attribute__((always_inline))

volatile int scopes_sink;

namespace app
{
namespace
{

struct Pool {
        INLINE void take(int n)
        {
                MARK(1);
                scopes_sink = n;
        }
};

INLINE void helper(int n)
{
        MARK(2);
        scopes_sink = n + 1;
}

} // namespace

struct Public {
        INLINE void give(int n)
        {
                MARK(3);
                scopes_sink = n + 2;
        }
};

int scopes_calls(int x);

int scopes_calls(int x)
{
        struct Local {
                INLINE void run(int n)
                {
                        MARK(4);
                        scopes_sink = n + 3;
                }
        };
        // clang-format off
        auto lambda = [](int n) __attribute__((always_inline)) {
                MARK(5);
                scopes_sink = n + 4;
        };
        // clang-format on
        Pool().take(x);
        helper(x);
        Public().give(x);
        Local().run(x);
        lambda(x);
        return scopes_sink;
}

} // namespace app
