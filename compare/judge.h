// SPDX-License-Identifier: MIT
/*
 * judge.h - what the rules in this folder share while they judge one benchmark; not for other folders.
 */
#ifndef PG_COMPARE_JUDGE_H
#define PG_COMPARE_JUDGE_H

#include "compare/gate.h"
#include "compare/stats.h"

/* From so many runs on each side, disjoint ranges are evidence: by chance all of head's are the largest in 1
 * of 252 cases. With fewer, the whole range of the rise must lie beyond the limit. */
enum { PG_JUDGE_MANY_RUNS = 5 };

struct pg_judge {
        struct pg_arena *arena;
        const struct pg_measurement *base, *head; // base NULL: the benchmark is new
        const struct pg_thresholds *thresholds;
        const bool *required;      // of each metric
        const char *other_machine; // why time says little; NULL on the same machine
        double *scratch;           // room for the samples of any one series
        struct pg_row *rows;
        size_t n_rows;
        size_t n_evaluated;    // rows that were compared with a limit
        bool required_missing; // a metric that the configuration names is unavailable
        bool failed;           // out of memory; sticky
        struct pg_row lost;    // what rules write to after that
};

/** One more row for a metric, all else unset. After a failure it is j->lost, so callers need not care. */
struct pg_row *pg_judge_row(struct pg_judge *j, enum pg_metric metric);
/** printf into the arena; on failure sticky and "". */
const char *pg_judge_say(struct pg_judge *j, const char *fmt, ...) PG_PRINTF(2, 3);
/** Puts another reason behind those that the row has. */
void pg_judge_because(struct pg_judge *j, struct pg_row *row, const char *reason);

/** Sets a verdict that weighs; pass, warn and fail count as evaluated. */
void pg_judge_settle(struct pg_judge *j, struct pg_row *row, enum pg_verdict verdict);
/**
 * Settles a row whose limit is broken: by its action, and no harder than a warning for time on another
 * machine.
 *
 * doubt   why the samples do not show it for sure; NULL when they do. A doubtful break is inconclusive, and a
 *         pass where it could only have warned.
 */
void pg_judge_broken(struct pg_judge *j, struct pg_row *row, const char *doubt);

/** The row of a metric that the head side does not have. */
void pg_judge_unavailable(struct pg_judge *j, enum pg_metric metric, const char *reason);
/** Says why there is nothing to compare with, unless the whole benchmark is new; warns, once for each metric,
 * where the configuration names it. */
void pg_judge_no_baseline(struct pg_judge *j, struct pg_row *row);
/** True when the metric was measured on this side. */
bool pg_judge_has(const struct pg_measurement *m, enum pg_metric metric);

/** The row of a metric with one number for each run (values.c). The head side has it. */
void pg_judge_values(struct pg_judge *j, enum pg_metric metric);
/** All rows of cpu_share (shares.c). The head side has a profile. */
void pg_judge_shares(struct pg_judge *j);
/** Who is behind a row that got worse, as far as it can be known (culprits.c). */
void pg_judge_culprits(struct pg_judge *j, struct pg_row *row);

/* ---- candidates for culprits ---- */

struct pg_suspects {
        struct pg_culprit *all;
        size_t n;
};

/** Adds one whose value rose; others are nobody's. */
void pg_judge_suspect(struct pg_judge *j, struct pg_suspects *s, const struct pg_culprit *c);
/** True for metrics whose rises are charged to call sites (sites.c). */
bool pg_judge_by_site(enum pg_metric metric);
/** Why the call sites of both sides say nothing about a metric, as a reason for the row; "" when there are no
 * call sites at all, NULL when they do. */
const char *pg_judge_sites_useless(const struct pg_judge *j, enum pg_metric metric);
/** Where the values of call sites are estimates from a sample, the longer interval of both sides in bytes; 0: they are
 * exact. Both sides must have sites. */
uint64_t pg_judge_sites_interval(const struct pg_judge *j, enum pg_metric metric);
/** Every function that allocates with what it allocated more than before, at the line that rose most. */
void pg_judge_suspect_sites(struct pg_judge *j, enum pg_metric metric, struct pg_suspects *s);

/** Why what held locks on both sides says nothing about lock_wait, as a reason for the row; "" when nothing is known
 * of it, NULL when it does (holders.c). */
const char *pg_judge_holders_useless(const struct pg_judge *j);
/** Every function that made other threads wait with how much more than before, at the line that rose most. */
void pg_judge_suspect_holders(struct pg_judge *j, struct pg_suspects *s);

/* ---- functions of both sides (match.c) ---- */

/* What one function has on each side; NULL where it does not exist. */
struct pg_matched {
        const struct pg_function *base, *head;
};

/** Every function of either side, matched by (function, module); *ret_n is 0 after a failure. */
struct pg_matched *pg_judge_match(struct pg_judge *j, size_t *ret_n);
/** Spread of a function's CPU time per run; zeros for a function that does not exist. */
struct pg_spread pg_judge_self(struct pg_judge *j, const struct pg_measurement *m,
                               const struct pg_function *f);
/** Why the two sides' profiles cannot be compared; NULL when they can. base must have one. */
const char *pg_judge_profiles_differ(struct pg_judge *j);

#endif
