// SPDX-License-Identifier: MIT
/*
 * machine.h - what of unwinding depends on the machine: register numbers and the layout of a signal frame.
 *
 * Each machine has one file; this one picks it.
 */
#ifndef PG_UNWIND_MACHINE_H
#define PG_UNWIND_MACHINE_H

#if defined(__x86_64__)
#include "runner/unwind/machine_x86_64.h"
#else
#error "runner/unwind knows x86-64 only"
#endif

#endif
