// SPDX-License-Identifier: MIT
/*
 * stops.h - stops a program's threads at random points of their CPU time and compares our walk over the registers
 * and memory of that instant with libunwind's.
 */
#ifndef PG_TESTS_PROGRAMS_STOPS_H
#define PG_TESTS_PROGRAMS_STOPS_H

#include "tests/programs/programs.h"
#include "tests/programs/verdict.h"

/* Two ways that we walk: as the engines that look from outside do, and as the agent does in its signal handler. */
enum stops_walk { STOPS_OUTSIDE, STOPS_AGENT, STOPS_WALKS };

/** Runs the program bare but for the stops, one each period_ns of a thread's CPU time, up to so many comparisons,
 * its output to nowhere. Returns its exit status (128 + n after signal n); -1 with a message when it could not be
 * traced. */
int stops_run(const struct program *p, uint64_t period_ns, uint64_t at_most,
              struct verdict_sums ret[STOPS_WALKS]);

#endif
