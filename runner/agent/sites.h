// SPDX-License-Identifier: MIT
/*
 * sites.h - the process's table of call sites, behind the caches of the cells.
 */
#ifndef PG_AGENT_SITES_H
#define PG_AGENT_SITES_H

#include "runner/capture/layout.h"

/* Adds to the site's entry; any thread, no lock. A full table counts in [other]. */
void sites_add(pg_place place, uint64_t allocations, uint64_t bytes);

#endif
