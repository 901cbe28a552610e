// SPDX-License-Identifier: MIT
/*
 * engines.c - the table of engines.
 */
#include "runner/engine/engine.h"

#include <string.h>

const struct pg_engine_ops *const pg_engines[] = { &pg_agent_engine, NULL };

const struct pg_engine_ops *pg_engine_by_name(const char *name)
{
        for (size_t i = 0; pg_engines[i]; i++)
                if (strcmp(pg_engines[i]->name, name) == 0)
                        return pg_engines[i];
        return NULL;
}
