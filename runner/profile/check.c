// SPDX-License-Identifier: MIT
/*
 * check.c - a profile against the rules that its consumers rely on without saying so.
 *
 * Broken ones are not refused by readers but shown wrong: addresses outside of their mapping are symbolized
 * again from another file, text that is not UTF-8 fails in some languages' decoders only.
 */
#include "runner/profile/profile.h"

#include <string.h>

#include "runner/base/units.h"
#include "runner/profile/text.h"

static bool check_text(const char *s, const char *what, size_t i, struct pg_error *err)
{
        if (!s)
                return pg_fail(err, PG_EDATA, "%s %zu: text missing", what, i + 1);
        return pg_text_is_clean(s, strlen(s)) ||
               pg_fail(err, PG_EDATA, "%s %zu: text is not clean UTF-8", what, i + 1);
}

static bool check_types(const struct pg_profile *p, struct pg_error *err)
{
        if (p->n_sample_types == 0 || p->default_type >= p->n_sample_types)
                return pg_fail(err, PG_EDATA, "%zu sample type%s, number %u is the default",
                               p->n_sample_types, pg_plural(p->n_sample_types), p->default_type + 1);
        for (size_t i = 0; i < p->n_sample_types; i++)
                if (!check_text(p->sample_types[i].type, "sample type", i, err) ||
                    !check_text(p->sample_types[i].unit, "sample type", i, err))
                        return false;
        return check_text(p->period_type.type, "period type", 0, err) &&
               check_text(p->period_type.unit, "period type", 0, err);
}

static bool check_mappings(const struct pg_profile *p, struct pg_error *err)
{
        if (p->n_mappings == 0)
                return pg_fail(err, PG_EDATA, "no mapping, expected at least the main program");
        for (size_t i = 0; i < p->n_mappings; i++) {
                const struct pg_profile_mapping *m = &p->mappings[i];
                if (m->start > m->limit)
                        return pg_fail(err, PG_EDATA, "mapping %zu ends before it starts", i + 1);
                if (!check_text(m->file, "mapping", i, err) || !check_text(m->build_id, "mapping", i, err))
                        return false;
        }
        return true;
}

static bool check_functions(const struct pg_profile *p, struct pg_error *err)
{
        for (size_t i = 0; i < p->n_functions; i++) {
                const struct pg_profile_function *f = &p->functions[i];
                if (!check_text(f->name, "function", i, err) ||
                    !check_text(f->system_name, "function", i, err) ||
                    !check_text(f->file, "function", i, err))
                        return false;
        }
        return true;
}

static bool check_locations(const struct pg_profile *p, struct pg_error *err)
{
        for (size_t i = 0; i < p->n_locations; i++) {
                const struct pg_profile_location *l = &p->locations[i];
                if (l->mapping < -1 || l->mapping >= (int64_t)p->n_mappings)
                        return pg_fail(err, PG_EDATA, "location %zu: no mapping %d", i + 1, l->mapping + 1);
                const struct pg_profile_mapping *m = l->mapping >= 0 ? &p->mappings[l->mapping] : NULL;
                if (m && (l->address < m->start || l->address >= m->limit))
                        return pg_fail(err, PG_EDATA, "location %zu: address 0x%llx is outside of mapping %d",
                                       i + 1, (unsigned long long)l->address, l->mapping + 1);
                for (size_t j = 0; j < l->n_lines; j++)
                        if (l->lines[j].function >= p->n_functions)
                                return pg_fail(err, PG_EDATA, "location %zu: no function %u", i + 1,
                                               l->lines[j].function + 1);
        }
        return true;
}

static bool check_samples(const struct pg_profile *p, struct pg_error *err)
{
        for (size_t i = 0; i < p->n_samples; i++) {
                const struct pg_profile_sample *s = &p->samples[i];
                if (s->n_locations == 0)
                        return pg_fail(err, PG_EDATA, "sample %zu has no location", i + 1);
                if (s->process && !check_text(s->process, "label of sample", i, err))
                        return false;
                for (size_t j = 0; j < s->n_locations; j++)
                        if (s->locations[j] >= p->n_locations)
                                return pg_fail(err, PG_EDATA, "sample %zu: no location %u", i + 1,
                                               s->locations[j] + 1);
        }
        return true;
}

bool pg_profile_check(const struct pg_profile *p, struct pg_error *err)
{
        for (size_t i = 0; i < p->n_comments; i++)
                if (!check_text(p->comments[i], "comment", i, err))
                        return false;
        return check_types(p, err) && check_mappings(p, err) && check_functions(p, err) &&
               check_locations(p, err) && check_samples(p, err);
}
