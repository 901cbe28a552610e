// SPDX-License-Identifier: MIT
/*
 * cleanup.h - scope guards: a variable that frees or closes what it holds when it goes out of scope.
 *
 * To hand the value over, copy it out and set the variable to NULL (or -1 for a descriptor).
 */
#ifndef PG_BASE_CLEANUP_H
#define PG_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void pg_freep(void *p)
{
        free(*(void **)p);
}

static inline void pg_closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void pg_fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

#define PG_AUTO_FREE   __attribute__((cleanup(pg_freep)))
#define PG_AUTO_CLOSE  __attribute__((cleanup(pg_closep)))
#define PG_AUTO_FCLOSE __attribute__((cleanup(pg_fclosep)))

/** Defines pg_<name>p for a destructor that takes NULL, to be used as __attribute__((cleanup(pg_<name>p))).
 */
#define PG_DEFINE_CLEANUP(type, destroy)                                                                     \
        static inline void destroy##p(type **p)                                                              \
        {                                                                                                    \
                destroy(*p);                                                                                 \
        }

#endif
