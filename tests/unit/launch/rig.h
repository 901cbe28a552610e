// SPDX-License-Identifier: MIT
/*
 * rig.h - a launcher for a group of tests, short calls to run the fixture act, and a look at who is still
 * alive.
 */
#ifndef PG_TESTS_LAUNCH_RIG_H
#define PG_TESTS_LAUNCH_RIG_H

#include "tests/unit/assert_near.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/launch/launch.h"

enum { MIB = 1 << 20 };

static struct pg_launcher *launcher;
static char scratch[64]; // a folder of this test program's own; targets of rig_run work in it

static inline int rig_start(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        strcpy(scratch, "/tmp/perfgate-launch-XXXXXX");
        if (mkdtemp(scratch) && pg_launcher_create(HELPER, &launcher, &err))
                return 0;
        fprintf(stderr, "%s\n", err.text);
        return -1;
}

static inline int rig_end(void **state)
{
        (void)state;
        char command[128];
        pg_launcher_destroy(launcher);
        snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
        return system(command);
}

static inline uint64_t rig_ms(uint64_t n)
{
        return n * PG_NS_PER_MS;
}

/* The request that most tests want: no environment, a minute's time. */
static inline struct pg_launch_request rig_request(const char *const *argv)
{
        static const char *const no_environment[] = { NULL };
        return (struct pg_launch_request){
                .argv = argv, .envp = no_environment, .cwd = scratch, .timeout_ns = rig_ms(60000)
        };
}

/* Runs what must be startable. */
static inline struct pg_launch_result rig_run(struct pg_launch_request request)
{
        struct pg_launch_result r = { 0 };
        struct pg_error err = { 0 };
        if (!pg_launch(launcher, &request, NULL, &r, &err))
                fail_msg("%s", err.text);
        return r;
}

static inline struct pg_launch_result rig_run_for(struct pg_launch_request request, uint64_t timeout_ns)
{
        request.timeout_ns = timeout_ns;
        return rig_run(request);
}

/* The error of what must not be startable, or must fail. */
static inline struct pg_error rig_fail(struct pg_launch_request request)
{
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        assert_false(pg_launch(launcher, &request, NULL, &r, &err));
        return err;
}

#define ARGV(...)     ((const char *const[]){ __VA_ARGS__, NULL })
#define ACT_ARGS(...) rig_request(ARGV(ACT, __VA_ARGS__))
#define RUN_ACT(...)  rig_run(ACT_ARGS(__VA_ARGS__))

/* Processes that work in the scratch folder: every target of this program and all its descendants. */
static inline int rig_living(void)
{
        int n = 0;
        DIR *proc = opendir("/proc");
        for (struct dirent *d; proc && (d = readdir(proc));) {
                char path[300], cwd[sizeof(scratch) + 1] = "";
                snprintf(path, sizeof(path), "/proc/%s/cwd", d->d_name);
                n += readlink(path, cwd, sizeof(cwd) - 1) > 0 && strcmp(cwd, scratch) == 0;
        }
        closedir(proc);
        return n;
}

/* True once none is left; waits ten seconds for it, for where nobody can wait for the processes themselves.
 */
static inline int rig_all_gone(void)
{
        for (int i = 0; i < 1000; i++) {
                if (rig_living() == 0)
                        return 1;
                nanosleep(&(struct timespec){ .tv_nsec = 10 * PG_NS_PER_MS }, NULL);
        }
        return 0;
}

#endif
