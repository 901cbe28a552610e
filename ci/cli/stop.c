// SPDX-License-Identifier: MIT
/*
 * stop.c - one flag, set by SIGINT, SIGTERM and SIGHUP.
 */
#include "ci/cli/stop.h"

#include <signal.h>
#include <string.h>

volatile int pg_stop;

static void on_stop(int signal_number)
{
        pg_stop = signal_number;
}

void pg_stop_install(void)
{
        static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };
        struct sigaction action = { .sa_handler = on_stop }; // no SA_RESTART: waits return at once
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < sizeof(stopping) / sizeof(*stopping); i++) {
                struct sigaction old;
                if (sigaction(stopping[i], NULL, &old) == 0 &&
                    old.sa_handler != SIG_IGN) // nohup keeps its word
                        sigaction(stopping[i], &action, NULL);
        }
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
}

bool pg_stop_check(struct pg_error *err)
{
        return !pg_stop ||
               pg_fail(err, PG_ESTOPPED, "interrupted by signal %d (%s)", (int)pg_stop, strsignal(pg_stop));
}
