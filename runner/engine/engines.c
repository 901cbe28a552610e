// SPDX-License-Identifier: MIT
/*
 * engines.c - the table of engines.
 */
#include "runner/engine/engine.h"

#include <string.h>

const struct pg_engine_ops *const pg_engines[] = { &pg_agent_engine, &pg_perf_engine, &pg_ptrace_engine,
                                                   NULL };

const struct pg_engine_ops *pg_engine_by_name(const char *name)
{
        for (size_t i = 0; pg_engines[i]; i++)
                if (strcmp(pg_engines[i]->name, name) == 0)
                        return pg_engines[i];
        return NULL;
}

/* "agent: statically linked; perf: ..." */
static const char *passed_over(struct pg_arena *a, const char *before, const char *name, const char *why)
{
        return before ? pg_arena_printf(a, "%s; %s: %s", before, name, why)
                      : pg_arena_printf(a, "%s: %s", name, why);
}

static bool pick_best(const char *program, const struct pg_engine_request *request, struct pg_arena *a,
                      const struct pg_engine_ops **ret, const char **ret_why, struct pg_error *err)
{
        const char *reasons = NULL;
        size_t i = 0;
        for (; pg_engines[i]; i++) {
                const char *why = pg_engines[i]->obstacle(program, request, a);
                if (!why)
                        break;
                reasons = passed_over(a, reasons, pg_engines[i]->name, why);
                if (!reasons)
                        return pg_fail_nomem(err);
        }
        *ret = pg_engines[i];
        *ret_why = reasons;
        return true;
}

bool pg_engine_pick(const char *name, const char *program, const struct pg_engine_request *request,
                    struct pg_arena *a, const struct pg_engine_ops **ret, const char **ret_why,
                    struct pg_error *err)
{
        if (strcmp(name, "auto") == 0)
                return pick_best(program, request, a, ret, ret_why, err);
        const struct pg_engine_ops *engine = pg_engine_by_name(name);
        if (!engine)
                return pg_fail(err, PG_EUSAGE, "there is no engine '%s'", name);
        *ret_why = engine->obstacle(program, request, a);
        *ret = *ret_why ? NULL : engine;
        return true;
}
