// SPDX-License-Identifier: MIT
/*
 * build_id.h - which build of a file is loaded, whatever lies under its name now.
 */
#ifndef PG_AGENT_BUILD_ID_H
#define PG_AGENT_BUILD_ID_H

#include <dlfcn.h>
#include <stdint.h>

#include "runner/capture/layout.h"

/** Copies the GNU build-id of a loaded object; returns its length, 0 when it has none that can be seen. Reads the
 * object's first page and first segment alone, which are mapped as long as it is. Async-signal-safe. */
uint32_t build_id_of(const struct dl_find_object *o, uint8_t out[PG_BUILD_ID_MAX]);

#endif
