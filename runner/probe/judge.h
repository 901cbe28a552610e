// SPDX-License-Identifier: MIT
/*
 * judge.h - measured runs against bare runs of the same command. Pure: observations in, verdicts out.
 */
#ifndef PG_PROBE_JUDGE_H
#define PG_PROBE_JUDGE_H

#include "runner/probe/observation.h"

enum pg_likeness {
        PG_LIKE_SAME,   // as in every bare run
        PG_LIKE_VARIES, // what differs also differs between runs of the same kind: nothing can be said
        PG_LIKE_DIFFERS // some line is the same in all bare runs, and another in each measured one
};

struct pg_difference {
        enum pg_check check;
        const char *key, *bare, *measured; // of the first measured run; "nothing" where the line is not there
};

struct pg_likenesses {
        enum pg_likeness of[PG_CHECKS];
        struct pg_difference *differences; // borrowed texts of the observations
        size_t n;
        bool any_differs;
};

/**
 * Compares line by line.
 *
 * bare      n_bare >= 2 observations: what varies between them is not judged
 * measured  n_measured >= 1
 * ret       set on success; its array in a
 * err       PG_ENOMEM
 */
PG_MUST_CHECK bool pg_interference_judge(const struct pg_observation *bare, size_t n_bare,
                                         const struct pg_observation *measured, size_t n_measured,
                                         struct pg_arena *a, struct pg_likenesses *ret, struct pg_error *err);

#endif
