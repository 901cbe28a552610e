// SPDX-License-Identifier: MIT
/*
 * environment.c - what a target sees in its environment: nothing of ours in a timing pass, two variables
 * else.
 */
#include "runner/measure/environment.h"

#include <string.h>
#include <unistd.h>

#include "runner/capture/layout.h"

static bool same_name(const char *a, const char *b)
{
        size_t n = strcspn(a, "=");
        return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* Lays entry over the environment: replaces the one of that name or takes the next free place. */
static void put(const char **environment, size_t *n, const char *entry)
{
        for (size_t i = 0; i < *n; i++)
                if (same_name(entry, environment[i])) {
                        environment[i] = entry;
                        return;
                }
        environment[(*n)++] = entry;
}

const char *pg_environment_get(const char *const *environment, const char *name)
{
        size_t n = strlen(name);
        for (; *environment; environment++)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
                        return *environment + n + 1;
        return NULL;
}

static bool put_preload(struct pg_arena *a, const char **environment, size_t *n, const char *path,
                        struct pg_error *err)
{
        environment[*n] = NULL;
        const char *old = pg_environment_get(environment, "LD_PRELOAD");
        bool alone = !old || !*old;
        const char *entry = pg_arena_printf(a, "LD_PRELOAD=%s%s%s", path, alone ? "" : ":", alone ? "" : old);
        if (!entry)
                return pg_fail_nomem(err);
        put(environment, n, entry);
        return true;
}

static size_t count(const char *const *entries)
{
        size_t n = 0;
        while (entries && entries[n])
                n++;
        return n;
}

static void put_all(const char **environment, size_t *n, const char *const *entries)
{
        for (; entries && *entries; entries++)
                put(environment, n, *entries);
}

bool pg_environment_compose(struct pg_arena *a, const char *const *added, const char *const *agent,
                            const char *preload, const char *const **ret, struct pg_error *err)
{
        const char *const *own = (const char *const *)environ;
        const char **environment =
                pg_arena_calloc(a, count(own) + count(added) + count(agent) + 2, sizeof(*environment));
        if (!environment)
                return pg_fail_nomem(err);
        size_t n = 0;
        for (; own && *own; own++)
                if (strncmp(*own, PG_AGENT_VARIABLE "=", sizeof(PG_AGENT_VARIABLE)) != 0)
                        environment[n++] = *own;
        put_all(environment, &n, added);
        put_all(environment, &n, agent);
        if (preload && !put_preload(a, environment, &n, preload, err))
                return false;
        environment[n] = NULL;
        *ret = environment;
        return true;
}
