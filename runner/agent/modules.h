// SPDX-License-Identifier: MIT
/*
 * modules.h - from an address in this process to (module, address in the module's file).
 */
#ifndef PG_AGENT_MODULES_H
#define PG_AGENT_MODULES_H

#include "runner/capture/layout.h"

/** Place of pc in the slot's module table, which gets a new entry when the module is new. Async-signal-safe,
 * takes no lock; errno is kept. */
pg_place agent_place(uint64_t pc);

#endif
