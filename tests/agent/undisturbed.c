// SPDX-License-Identifier: MIT
/*
 * undisturbed.c - the harness's runs, four times.
 */
#include "tests/unit/assert_near.h"

#include "tests/agent/undisturbed.h"

#include <stdio.h>
#include <string.h>

enum { RATE_HZ = 4999 };

static const struct {
        const char *name, *clock;
        enum pg_capture_mode mode;
        uint32_t rate_hz;
} passes[GUEST_PASSES] = {
        [GUEST_BARE] = { "bare", "", 0, 0 },
        [GUEST_COUNT] = { "counting", "", PG_MODE_COUNT, 0 },
        [GUEST_EVENT] = { "sampling, event clock", ",clock=event", PG_MODE_SAMPLE, RATE_HZ },
        [GUEST_TIMER] = { "sampling, timer clock", ",clock=timer", PG_MODE_SAMPLE, RATE_HZ },
        [GUEST_LOCK] = { "lock waits", "", PG_MODE_LOCK, 0 },
};

const char *guest_pass_name(enum guest_pass pass)
{
        return passes[pass].name;
}

void guest_run(enum guest_pass pass, const char *const *argv, prepare_function *prepare, struct counted *ret)
{
        const struct pg_capture_request request = { .mode = passes[pass].mode,
                                                    .rate_hz = passes[pass].rate_hz };
        if (pass == GUEST_BARE)
                run_plain(argv, prepare, ret);
        else
                run_set_up(&request, passes[pass].clock, argv, prepare, ret);
}

bool was_measured(enum guest_pass pass, const struct counted *run)
{
        const struct pg_captured *c = run->captured;
        bool in = c->n_processes > 0 && c->processes[0].disarm == PG_DISARM_NONE;
        if (in && (pass == GUEST_EVENT || pass == GUEST_TIMER))
                in = c->processes[0].threads_armed > 0;
        if (!in || c->n_damaged)
                fprintf(stderr, "%zu processes, %lu damaged\n", c->n_processes, (unsigned long)c->n_damaged);
        return in && !c->n_damaged;
}

static void compare(enum guest_pass pass, const char *const *argv, const struct counted *bare,
                    const struct counted *run, int status, check_function *check)
{
        const char *kind = argv[1] ? argv[1] : "";
        if (run->exit_status != status)
                fail_msg("%s %s, %s: exit status %d, expected %d; it said: %s", argv[0], kind,
                         passes[pass].name, run->exit_status, status, run->output);
        if (strcmp(run->output, bare->output) != 0)
                fail_msg("%s %s, %s: it said '%s', bare '%s'", argv[0], kind, passes[pass].name, run->output,
                         bare->output);
        if (pass != GUEST_BARE && check && !check(pass, run))
                fail_msg("%s %s, %s: not measured as expected", argv[0], kind, passes[pass].name);
}

void assert_undisturbed(const char *const *argv, prepare_function *prepare, int status, check_function *check)
{
        static struct counted bare, run;
        guest_run(GUEST_BARE, argv, prepare, &bare);
        compare(GUEST_BARE, argv, &bare, &bare, status, NULL);
        for (enum guest_pass pass = GUEST_COUNT; pass < GUEST_PASSES; pass++) {
                guest_run(pass, argv, prepare, &run);
                compare(pass, argv, &bare, &run, status, check);
                counted_free(&run);
        }
}
