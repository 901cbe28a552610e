// SPDX-License-Identifier: MIT
/*
 * modules.h - the slot's table of loaded files.
 */
#ifndef PG_AGENT_MODULES_H
#define PG_AGENT_MODULES_H

#include <dlfcn.h>

#include "runner/capture/layout.h"

/** Index in the slot's module table, which gets a new entry when the module is new; PG_MODULE_NONE when the
 * table is full. Async-signal-safe, takes no lock; errno is kept. */
uint32_t agent_module(const struct dl_find_object *o);

#endif
