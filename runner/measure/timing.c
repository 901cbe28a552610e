// SPDX-License-Identifier: MIT
/*
 * timing.c - the pass without anything in the target: wall time, CPU time, peak resident set, as the kernel
 * counts.
 */
#include "runner/measure/environment.h"
#include "runner/measure/passes.h"

static bool warm_up(struct pg_session *s, const char *const *environment, struct pg_error *err)
{
        struct pg_launch_result result;
        for (uint32_t i = 0; i < s->workload->warmup; i++)
                if (!pg_session_run(s, "warm-up", environment, false, &result, err))
                        return false;
        return true;
}

static bool note_survivors(struct pg_session *s, uint32_t left_running, struct pg_error *err)
{
        return !left_running ||
               pg_session_note(
                       s, err,
                       "%u process%s outlived the target and %s ended after a second: the numbers hold what "
                       "had happened until then",
                       left_running, left_running == 1 ? "" : "es", left_running == 1 ? "was" : "were");
}

bool pg_pass_timing(struct pg_session *s, struct pg_error *err)
{
        const char *const *environment;
        uint32_t runs = s->workload->runs;
        if (!pg_environment_compose(s->arena, s->workload->env, NULL, NULL, &environment, err) ||
            !pg_session_open_series(s, PG_WALL_TIME, runs, err) ||
            !pg_session_open_series(s, PG_CPU_TIME, runs, err) ||
            !pg_session_open_series(s, PG_PEAK_RSS, runs, err) || !warm_up(s, environment, err))
                return false;
        s->out->measurement.engines.timing = "wait4";
        uint32_t left_running = 0;
        for (uint32_t i = 0; i < runs && (i == 0 || !pg_session_late(s)); i++) {
                struct pg_launch_result r;
                if (!pg_session_run(s, "timing", environment, false, &r, err))
                        return false;
                pg_session_add_sample(s, PG_WALL_TIME, r.wall_ns);
                pg_session_add_sample(s, PG_CPU_TIME, r.user_ns + r.system_ns);
                pg_session_add_sample(s, PG_PEAK_RSS, r.peak_rss_bytes);
                left_running = r.left_running > left_running ? r.left_running : left_running;
        }
        return note_survivors(s, left_running, err);
}
