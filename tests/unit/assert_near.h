// SPDX-License-Identifier: MIT
/*
 * assert_near.h - cmocka with what it lacks: a double comparison that does not cast to float.
 */
#ifndef PG_TESTS_ASSERT_NEAR_H
#define PG_TESTS_ASSERT_NEAR_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Fails unless got and want are equal or at most tol apart. */
#define assert_near(got, want, tol)                                                                          \
        do {                                                                                                 \
                double got_ = (got), want_ = (want);                                                         \
                if (!(got_ == want_ || fabs(got_ - want_) <= (tol)))                                         \
                        fail_msg("%s is %.17g, expected %.17g", #got, got_, want_);                          \
        } while (0)

#endif
