// SPDX-License-Identifier: MIT
/*
 * difference.h - what COUNT rounds of a target count more than none: libc's own allocations around main
 * cancel.
 */
#ifndef PG_TESTS_AGENT_DIFFERENCE_H
#define PG_TESTS_AGENT_DIFFERENCE_H

#include "tests/agent/harness.h"

struct difference {
        int64_t allocations, bytes, frees, live;
};

/* argv has "COUNT" where the number goes; both runs must end with exit_status. */
static inline struct difference difference_of(const char *const *argv, const char *count, int exit_status,
                                              prepare_function *prepare)
{
        struct difference d = { 0 };
        for (int with = 0; with <= 1; with++) {
                const char *copy[16];
                size_t n = 0;
                for (; argv[n] && n < 15; n++)
                        copy[n] = strcmp(argv[n], "COUNT") == 0 ? (with ? count : "0") : argv[n];
                copy[n] = NULL;
                struct counted c;
                run_counted(copy, prepare, &c);
                int64_t sign = with ? 1 : -1;
                d.allocations += sign * (int64_t)c.allocations;
                d.bytes += sign * (int64_t)c.bytes;
                d.frees += sign * (int64_t)c.frees;
                d.live += sign * c.live;
                int status = c.exit_status;
                uint64_t damage = c.captured->n_damaged;
                counted_free(&c);
                if (status != exit_status)
                        fail_msg("%s %s: exit status %d, expected %d", argv[0], argv[1], status, exit_status);
                assert_int_equal(damage, 0);
        }
        return d;
}

#endif
