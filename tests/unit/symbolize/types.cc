// SPDX-License-Identifier: MIT
/*
 * types.cc - twenty types; GCC gives each a section of its own where it is told to.
 *
 * Marks as in subject.c. Nothing here is ever run.
 */
#define MARK(n)                                                                                              \
        __asm__ volatile("1: nop\n\t.pushsection marks,\"a\"\n\t.quad 1b - ., %c0, %c1\n\t.popsection"       \
                         :                                                                                   \
                         : "i"(__LINE__), "i"(n))
#define INLINE inline __attribute__((always_inline))

template <int N> struct Sized {
        int all[N];

        INLINE int last() const
        {
                MARK(N);
                return all[N - 1];
        }
};

template <int N> INLINE int sum(const void *p)
{
        return static_cast<const Sized<N> *>(p)->last() + sum<N - 1>(p);
}

template <> INLINE int sum<0>(const void *)
{
        return 0;
}

int types_calls(const void *p);

int types_calls(const void *p)
{
        return sum<20>(p);
}
