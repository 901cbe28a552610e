// SPDX-License-Identifier: MIT
/*
 * oracle_run.c - a file for the results, and the environment that tells the library of it.
 */
#include "tests/programs/oracle_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char file[] = "/tmp/perfgate-oracle-XXXXXX";
static unsigned every;

struct verdict_sums *oracle_set_up(void)
{
        int fd = mkstemp(file);
        void *p = MAP_FAILED;
        if (fd >= 0 && ftruncate(fd, sizeof(struct verdict_sums)) == 0)
                p = mmap(NULL, sizeof(struct verdict_sums), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p != MAP_FAILED)
                return p;
        perror(file);
        exit(99);
}

void oracle_tear_down(struct verdict_sums *sums)
{
        munmap(sums, sizeof(*sums));
        unlink(file);
}

static void preload_oracle(void)
{
        char list[4096], number[16];
        snprintf(list, sizeof(list), "%s:%s", ORACLE_LIBRARY, getenv("LD_PRELOAD"));
        snprintf(number, sizeof(number), "%u", every);
        setenv("LD_PRELOAD", list, 1);
        setenv("ORACLE_FILE", file, 1);
        setenv("ORACLE_EVERY", number, 1);
}

void oracle_run(const char *const *argv, unsigned every_nth, unsigned verify_every, struct verdict_sums *sums,
                struct counted *ret)
{
        every = every_nth;
        memset(sums, 0, sizeof(*sums));
        run_requested(&(struct pg_capture_request){ .mode = PG_MODE_COUNT, .verify_every = verify_every },
                      argv, preload_oracle, ret);
}
