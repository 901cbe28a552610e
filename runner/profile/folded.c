// SPDX-License-Identifier: MIT
/*
 * folded.c - a profile as text for flame graph tools, one line for each stack.
 */
#include "runner/profile/profile.h"

#include <inttypes.h>
#include <string.h>

#include "runner/base/file.h"

/* Names are clean UTF-8 without control characters in profiles of ours and in those that the reader made. */
static void put_name(struct pg_buf *out, const char *name)
{
        for (; *name; name++)
                pg_buf_putc(out, *name == ';' ? ':' : *name);
}

static void put_location(struct pg_buf *out, const struct pg_profile *p, const struct pg_profile_location *l)
{
        if (l->n_lines == 0)
                pg_buf_printf(out, "0x%" PRIx64, l->address);
        for (size_t i = l->n_lines; i-- > 0;) { // the function itself, then what is inlined into it
                put_name(out, p->functions[l->lines[i].function].name);
                if (i)
                        pg_buf_putc(out, ';');
        }
}

static void put_sample(struct pg_buf *out, const struct pg_profile *p, const struct pg_profile_sample *s,
                       int64_t value)
{
        if (s->process) {
                put_name(out, s->process);
                pg_buf_putc(out, ';');
        }
        for (size_t i = s->n_locations; i-- > 0;) {
                put_location(out, p, &p->locations[s->locations[i]]);
                if (i)
                        pg_buf_putc(out, ';');
        }
        pg_buf_printf(out, " %" PRId64 "\n", value);
}

bool pg_folded_format(const struct pg_profile *p, size_t sample_type, struct pg_buf *out,
                      struct pg_error *err)
{
        if (sample_type >= p->n_sample_types)
                return pg_fail(err, PG_EUSAGE, "no sample type %zu, the profile has %zu", sample_type + 1,
                               p->n_sample_types);
        for (size_t i = 0; i < p->n_samples; i++)
                if (p->samples[i].values[sample_type] > 0)
                        put_sample(out, p, &p->samples[i], p->samples[i].values[sample_type]);
        return pg_buf_ok(out, err);
}

bool pg_folded_save(const char *path, const struct pg_profile *p, size_t sample_type, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf out = { 0 };
        if (!pg_folded_format(p, sample_type, &out, err))
                return false;
        return pg_file_replace(path, out.data ? out.data : "", out.len, err) || pg_context(err, "%s", path);
}
