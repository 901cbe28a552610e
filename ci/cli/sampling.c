// SPDX-License-Identifier: MIT
/*
 * sampling.c - from options to what the passes are asked for.
 */
#include "ci/cli/sampling.h"

#include <string.h>

#include "runner/base/units.h"
#include "runner/engine/engine.h"

const char *const pg_engine_choices[] = { "auto", "agent", "perf", "ptrace", NULL };
const char *const pg_live_choices[] = {
        [PG_LIVE_SAMPLED] = "sampled", [PG_LIVE_EXACT] = "exact", [PG_LIVE_OFF] = "off", NULL
};

/* Allocation profilers agree on half a mebibyte: enough for a heap of some size, and nobody feels it. */
enum { DEFAULT_INTERVAL = 512 * 1024 };

static bool parse_allocations(const char *text, uint64_t *ret_interval, struct pg_error *err)
{
        static const char sampled[] = "sampled";
        enum { LEN = sizeof(sampled) - 1 };
        *ret_interval = 0;
        if (!text || strcmp(text, "exact") == 0)
                return true;
        *ret_interval = DEFAULT_INTERVAL;
        if (strcmp(text, sampled) == 0)
                return true;
        if (strncmp(text, sampled, LEN) != 0 || text[LEN] != ':')
                return pg_fail(err, PG_EUSAGE,
                               "--allocations: '%.40s' is none of exact, sampled, sampled:SIZE", text);
        if (!pg_parse_size(text + LEN + 1, ret_interval, err))
                return pg_context(err, "--allocations");
        return *ret_interval > 0 ||
               pg_fail(err, PG_EUSAGE, "--allocations: a sample each 0 bytes; write: exact");
}

bool pg_sampling_apply(const struct pg_sampling_args *args, struct pg_measure_options *options,
                       struct pg_error *err)
{
        if (args->rate_hz > PG_ENGINE_RATE_HZ_MAX)
                return pg_fail(err, PG_EUSAGE, "--rate: at most %d", PG_ENGINE_RATE_HZ_MAX);
        if (!parse_allocations(args->allocations, &options->stack_interval_bytes, err))
                return false;
        options->engine = pg_engine_choices[args->engine];
        options->sample_rate_hz = args->rate_hz ? args->rate_hz : PG_DEFAULT_RATE_HZ;
        options->live = (enum pg_live)args->live;
        options->verify_every = args->verify_every;
        options->all_stacks = args->all_stacks;
        return true;
}
