// SPDX-License-Identifier: MIT
/*
 * programs.h - whole programs to measure: what to run, on inputs that are the same everywhere.
 */
#ifndef PG_TESTS_PROGRAMS_PROGRAMS_H
#define PG_TESTS_PROGRAMS_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

enum { PROGRAM_ARGUMENTS = 12 };

struct program {
        const char *name;
        const char *image; // path of the program that is looked at; the others of its tree do not matter
        const char *argv[PROGRAM_ARGUMENTS];
};

extern const struct program programs[];
extern const size_t n_programs;

/** Whether a process with this program (/proc/PID/exe) is one to look at: links in image are followed. */
bool program_is(const struct program *p, const char *path);

/** Writes the inputs into a folder of its own and goes there, so that arguments are relative; false with a message on
 * standard error. */
bool programs_set_up(void);
/** Leaves and removes it. */
void programs_tear_down(void);

#endif
