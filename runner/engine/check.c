// SPDX-License-Identifier: MIT
/*
 * check.c - does a profile account for the CPU time that the kernel saw?
 *
 * Nobody can see from shares alone that half of the samples are missing; the sum of weights shows it. A
 * profile that fails is no evidence, for or against.
 */
#include "runner/engine/engine.h"

#include <math.h>

#include "runner/base/clock.h"

/* Sums over all processes. */
struct totals {
        double weight_ns, lost_ns, call_ns;
        uint64_t samples, frameless, armed, unarmed, by_event, by_stop;
        bool taken_away;
        enum pg_disarm disarm; // the first reason met
};

/* Samples without any frame, not even the innermost: which function they belong to is unknown. */
static uint64_t frameless(const struct pg_captured_process *p)
{
        uint64_t samples = 0;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (i == 0 || pg_place_is_pseudo(p->nodes[i].place))
                        samples += p->nodes[i].count;
        return samples;
}

static struct totals sum_up(const struct pg_captured *c)
{
        struct totals t = { 0 };
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                t.weight_ns += (double)p->sample_weight_ns;
                t.lost_ns += (double)p->lost_weight_ns;
                t.call_ns += (double)p->call_weight_ns;
                t.samples += p->sample_count;
                t.frameless += frameless(p);
                t.armed += p->threads_armed;
                t.unarmed += p->threads_unarmed;
                t.by_event += p->threads_task_clock;
                t.by_stop += p->threads_stopped;
                t.taken_away |= p->signal_taken_away;
                if (t.disarm == PG_DISARM_NONE)
                        t.disarm = p->disarm;
        }
        return t;
}

const char *pg_profile_clock(const struct pg_captured *captured)
{
        struct totals t = sum_up(captured);
        if (t.by_stop > 0)
                return "thread-cpu-time";
        if (t.by_event == 0)
                return t.armed == 0 ? "" : "cpu-timer";
        return t.by_event == t.armed ? "task-clock" : "task-clock and cpu-timer";
}

/* Five standard deviations: n samples of a period each scatter by at most sqrt(n) periods; the kernel divides
 * CPU time into user and system by n ticks, each a draw with probability p. */
static double chance_ns(double expected_ns, double period_ns, double user_ns, double system_ns)
{
        const double tick_ns = 1e7;
        double total_ns = user_ns + system_ns, p = total_ns > 0 ? user_ns / total_ns : 0;
        double ticks = ceil(total_ns / tick_ns) + 1;
        double sampling = period_ns * sqrt(expected_ns / period_ns + 1);
        double split = tick_ns * sqrt(ticks * p * (1 - p));
        return 5 * hypot(sampling, split);
}

/* Where threads are stopped from outside. */
static const char *cause_when_stopped(const struct pg_captured *c, const struct totals *t)
{
        if (t->lost_ns > 0.01 * t->weight_ns)
                return "; threads ended before they could be stopped";
        return c->n_gaps > 0
                       ? "; a set-user-ID program ran without its privileges"
                       : "; a child that cannot be traced, or a machine too busy to stop threads in time";
}

/* The likeliest cause, for the text. */
static const char *cause(const struct pg_captured *c, const struct totals *t)
{
        static const char *const disarmed[] = {
                [PG_DISARM_NONE] = "",
                [PG_DISARM_NO_SYMBOLS] = "; the agent gave up: a libc function was not found",
                [PG_DISARM_NO_SIGNAL] = "; the agent gave up: SIGURG and SIGWINCH are in use",
                [PG_DISARM_NO_TIMER] = "; the agent gave up: neither perf events nor CPU timers are allowed",
                [PG_DISARM_FILTER] = "; the target's seccomp filter keeps some threads from being sampled",
        };
        if (t->by_stop > 0)
                return cause_when_stopped(c, t);
        if (t->disarm > PG_DISARM_NONE && t->disarm < PG_DISARM_COUNT)
                return disarmed[t->disarm];
        if (t->taken_away)
                return "; the target took the sampler's signal";
        if (t->lost_ns > 0.01 * t->weight_ns)
                return c->from_outside ? "; the kernel's buffers were full" : "; the sample log was full";
        if (t->unarmed > 0)
                return "; some threads could not be sampled";
        if (c->from_outside)
                return "; threads or processes too short for the rate, perhaps";
        return c->n_gaps > 0 ? "; a child ran without the agent"
                             : "; perhaps a thread that blocks signals, or a thread or a child that was not "
                               "made by libc's pthread_create or fork";
}

/*
 * Samples that are lost, or belong to nobody, were not drawn by lot: a full log loses the end of a run, a full table
 * the rare functions. Two of a hundred may be missing: shares move by less than the limits that people set for them;
 * and five in any case, because a process that is about to end shows no frame. A stack whose outer frames are missing
 * still says which function was running, so truncated stacks cost no trust here.
 */
static const char *doubt_of_missing(const struct pg_captured *c, const struct totals *t, double period_ns,
                                    struct pg_arena *a)
{
        const double share = 0.02, samples = 5;
        double all_ns = t->weight_ns + t->lost_ns;
        const char *text = NULL;
        if (t->lost_ns > share * all_ns + samples * period_ns)
                text = pg_arena_printf(
                        a, "%.1f %% of the CPU time %s", 100 * t->lost_ns / all_ns,
                        t->by_stop > 0    ? "was not sampled: threads ended before they could be stopped"
                        : c->from_outside ? "was sampled but lost: the kernel's buffers were full"
                                          : "was sampled but lost: the sample log was full");
        else if ((double)t->frameless > share * (double)t->samples + samples)
                text = pg_arena_printf(
                        a,
                        "%.1f %% of the samples have no function: the table of stacks was full, or "
                        "registers could not be read",
                        100 * (double)t->frameless / (double)t->samples);
        else
                return NULL;
        return text ? text : "too many samples are missing";
}

/*
 * A thread that is ordered to stop and makes a system call before it does is met at the end of that call. Shares
 * move by as much as is met there beyond what the kernel counted as system time; a tenth of all is too much.
 */
static const char *doubt_of_calls(const struct totals *t, double period_ns, double user_ns, double system_ns,
                                  struct pg_arena *a)
{
        double limit_ns = system_ns + 0.1 * (user_ns + system_ns);
        if (t->call_ns <= limit_ns + chance_ns(limit_ns, period_ns, user_ns, system_ns))
                return NULL;
        const char *text =
                pg_arena_printf(a,
                                "%.1f %% of the samples met the end of a system call, the kernel counted "
                                "%.1f %%: too many calls for a sampler that stops threads",
                                100 * t->call_ns / t->weight_ns, 100 * system_ns / (user_ns + system_ns));
        return text ? text : "samples are misplaced";
}

static const char *doubt_of_samples(const struct pg_captured *c, const struct totals *t, double period_ns,
                                    double user_ns, double system_ns, struct pg_arena *a)
{
        const char *missing = doubt_of_missing(c, t, period_ns, a);
        return missing ? missing : doubt_of_calls(t, period_ns, user_ns, system_ns, a);
}

const char *pg_profile_doubt(const struct pg_captured *captured, uint64_t user_ns, uint64_t system_ns,
                             uint64_t period_ns, struct pg_arena *a)
{
        struct totals t = sum_up(captured);
        double user = (double)user_ns, both = user + (double)system_ns, period = (double)period_ns;
        if (t.by_stop > 0 && t.samples > 0 && t.weight_ns / (double)t.samples > period)
                period = t.weight_ns / (double)t.samples; // an engine that is slower than it was asked to be
        bool timers_only = t.armed > 0 && t.by_event == 0;
        double low = 0.9 * (timers_only ? both : user), high = 1.1 * both;
        low -= chance_ns(low, period, user, (double)system_ns);
        high += chance_ns(high, period, user, (double)system_ns);
        if (t.weight_ns >= low && t.weight_ns <= high && !(t.samples == 0 && both > 20 * period))
                return doubt_of_samples(captured, &t, period, user, (double)system_ns, a);
        const char *text = pg_arena_printf(
                a, "samples stand for %.3f s of CPU time, the kernel counted %.3f s user and %.3f s system%s",
                t.weight_ns / PG_NS_PER_S, user / PG_NS_PER_S, (both - user) / PG_NS_PER_S,
                t.weight_ns < low ? cause(captured, &t) : "");
        return text ? text : "the samples do not add up to the CPU time";
}
