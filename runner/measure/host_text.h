// SPDX-License-Identifier: MIT
/*
 * host_text.h - what host.c reads out of the system's text files. Private to this folder.
 */
#ifndef PG_MEASURE_HOST_TEXT_H
#define PG_MEASURE_HOST_TEXT_H

#include "runner/base/arena.h"

/** The "model name" of the first processor in text (as /proc/cpuinfo has it), "unknown" when it names none;
 * NULL when out of memory. */
char *pg_host_cpu_model(struct pg_arena *a, const char *text);

/**
 * PRETTY_NAME of text in the form of os-release(5), without its quotes; "Linux" when there is none, as that
 * page says. Later assignments win. NULL when out of memory.
 */
char *pg_host_os_name(struct pg_arena *a, const char *text);

#endif
