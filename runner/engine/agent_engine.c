// SPDX-License-Identifier: MIT
/*
 * agent_engine.c - the target samples itself: a preloaded library with a clock for each thread.
 *
 * The runner only provides the shared memory and reads it afterwards. Nothing of the runner's is needed while
 * the target runs, so nothing of its speed, limits or namespaces has a part in the samples.
 */
#include "runner/engine/engine.h"

#include <string.h>

struct pg_engine_session {
        struct pg_arena *arena;
        struct pg_capture *capture;
        const char *agent_path;
        const char *environment[2];
};

static const char *agent_obstacle(const char *program, const struct pg_engine_request *request,
                                  struct pg_arena *a)
{
        (void)request, (void)a;
        return program ? pg_capture_obstacle(program, PG_MODE_SAMPLE) : NULL;
}

static void agent_stop(struct pg_engine_session *s)
{
        if (!s)
                return;
        pg_capture_destroy(s->capture);
        pg_arena_destroy(s->arena); // holds s as well
}

static struct pg_engine_session *create_session(struct pg_error *err)
{
        struct pg_arena *arena = pg_arena_create();
        struct pg_engine_session *s = arena ? pg_arena_calloc(arena, 1, sizeof(*s)) : NULL;
        if (!s) {
                pg_arena_destroy(arena);
                pg_fail_nomem(err);
                return NULL;
        }
        s->arena = arena;
        return s;
}

static bool fill_session(struct pg_engine_session *s, const struct pg_engine_request *request,
                         struct pg_error *err)
{
        static const char *const clock_keys[] = {
                [PG_CLOCK_BEST] = "", [PG_CLOCK_EVENT] = ",clock=event", [PG_CLOCK_TIMER] = ",clock=timer"
        };
        const struct pg_capture_request capture = { .mode = PG_MODE_SAMPLE, .rate_hz = request->rate_hz };
        if (!pg_capture_create(&capture, &s->capture, err))
                return false;
        s->agent_path = pg_arena_strdup(s->arena, request->agent_path);
        s->environment[0] = pg_arena_printf(s->arena, "%s=%s%s", PG_AGENT_VARIABLE,
                                            pg_capture_agent_value(s->capture), clock_keys[request->clock]);
        return (s->agent_path && s->environment[0]) || pg_fail_nomem(err);
}

static bool agent_start(const struct pg_engine_request *request, struct pg_engine_session **ret,
                        struct pg_error *err)
{
        if (!pg_engine_rate_ok(request, err))
                return false;
        struct pg_engine_session *s = create_session(err);
        if (!s)
                return false;
        if (!fill_session(s, request, err)) {
                agent_stop(s);
                return false;
        }
        *ret = s;
        return true;
}

static const char *const *agent_environment(const struct pg_engine_session *s)
{
        return s->environment;
}

static const char *agent_preload(const struct pg_engine_session *s)
{
        return s->agent_path;
}

static bool agent_collect(struct pg_engine_session *s, struct pg_arena *a, struct pg_captured **ret,
                          struct pg_error *err)
{
        return pg_capture_read(s->capture, a, ret, err);
}

const struct pg_engine_ops pg_agent_engine = {
        .name = "agent",
        .obstacle = agent_obstacle,
        .start = agent_start,
        .environment = agent_environment,
        .preload = agent_preload,
        .collect = agent_collect,
        .stop = agent_stop,
};
