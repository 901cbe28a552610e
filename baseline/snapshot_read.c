// SPDX-License-Identifier: MIT
/*
 * snapshot_read.c - baseline and result files as snapshots, by one table of keys for each kind of object.
 *
 * A good file is read in one pass. Of any other a pass of its own checks that the whole text is JSON and
 * finds the schema, so a cut file is reported where it ends, and a newer version by its name, whatever else
 * is new in it. Refused is what no writer would have written: wrong lengths, shares above 100 %, sums that
 * overflow.
 */
#include "baseline/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "baseline/keys.h"
#include "baseline/measurement_json.h"
#include "runner/base/units.h"

/* ---- host and tool ---- */

#define HOST(f) offsetof(struct pg_host, f)

static const struct pg_json_key host_key[] = {
        { "arch", pg_json_string, HOST(arch), true },
        { "cores", pg_json_line, HOST(cores), true },
        { "cpu_model", pg_json_string, HOST(cpu_model), true },
        { "kernel", pg_json_string, HOST(kernel), true },
        { "libc", pg_json_string, HOST(libc), true },
        { "os", pg_json_string, HOST(os), true },
};
static const struct pg_json_keys host_keys = PG_JSON_KEYS(host_key);

static bool read_host(struct pg_json_reader *r, void *into)
{
        return pg_json_object(r, &host_keys, into);
}

struct tool {
        const char *name, *version;
};

static const struct pg_json_key tool_key[] = {
        { "name", pg_json_text, offsetof(struct tool, name), true },
        { "version", pg_json_text, offsetof(struct tool, version), true },
};
static const struct pg_json_keys tool_keys = PG_JSON_KEYS(tool_key);

static bool read_tool(struct pg_json_reader *r, void *into)
{
        return pg_json_object(r, &tool_keys, into);
}

/* "2026-11-23T10:00:00Z" */
static bool read_time(struct pg_json_reader *r, void *into)
{
        static const char shape[] = "0000-00-00T00:00:00Z";
        const char *text;
        if (!pg_json_string(r, &text))
                return false;
        bool good = strlen(text) == sizeof(shape) - 1;
        for (size_t i = 0; good && shape[i]; i++)
                good = shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
        if (!good)
                return pg_json_fail(r, "expected a time in UTC like \"2026-11-23T10:00:00Z\"");
        *(const char **)into = text;
        return true;
}

/* ---- one metric ---- */

struct series {
        struct pg_series series;
        const char *kind, *status, *unit;
};

static bool read_samples(struct pg_json_reader *r, void *into)
{
        struct pg_series *s = into;
        return pg_json_counts(r, &s->samples, &s->n);
}

static const struct pg_json_key series_key[] = {
        { "demoted", pg_json_true, offsetof(struct series, series.demoted), false },
        { "kind", pg_json_string, offsetof(struct series, kind), true },
        { "reason", pg_json_text, offsetof(struct series, series.reason), false },
        { "samples", read_samples, offsetof(struct series, series), false },
        { "status", pg_json_string, offsetof(struct series, status), true },
        { "unit", pg_json_string, offsetof(struct series, unit), true },
};
static const struct pg_json_keys series_keys = PG_JSON_KEYS(series_key);

/* The slot that one metric's object is read into; the table of metrics gives its key. */
struct metric_slot {
        enum pg_metric metric;
        struct pg_series *series;
};

static bool check_word(struct pg_json_reader *r, const char *key, const char *word, const char *expected)
{
        if (strcmp(word, expected) == 0)
                return true;
        return pg_json_fail(r, "\"%s\" is not \"%s\"", key, expected);
}

static bool check_samples(struct pg_json_reader *r, const struct series *s, bool has_samples)
{
        if (s->series.status == PG_SERIES_UNAVAILABLE && !s->series.reason)
                return pg_json_fail(r, "unavailable without a \"reason\"");
        if (has_samples && s->series.n == 0)
                return pg_json_fail(r, "measured without \"samples\"");
        if (!has_samples && s->series.samples)
                return pg_json_fail(r, "has \"samples\", expected none");
        return true;
}

static bool read_series(struct pg_json_reader *r, void *into)
{
        struct metric_slot *slot = into;
        const struct pg_metric_info *info = &pg_metrics[slot->metric];
        struct series s = { 0 };
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_object(r, &series_keys, &s))
                return false;
        r->value = where;
        bool measured = strcmp(s.status, "measured") == 0;
        s.series.status = measured ? PG_SERIES_MEASURED : PG_SERIES_UNAVAILABLE;
        if (!measured && strcmp(s.status, "unavailable") != 0)
                return pg_json_fail(r, "\"status\" is neither \"measured\" nor \"unavailable\"");
        if (!check_word(r, "unit", s.unit, pg_unit_name(info->unit)) ||
            !check_word(r, "kind", s.kind, pg_kind_name(info->kind)) ||
            !check_samples(r, &s, measured && slot->metric != PG_CPU_SHARE))
                return false;
        *slot->series = s.series;
        return true;
}

static bool read_metrics(struct pg_json_reader *r, void *into)
{
        struct pg_measurement *m = into;
        struct metric_slot slots[PG_METRIC_COUNT];
        struct pg_json_key keys[PG_METRIC_COUNT];
        enum pg_metric sorted[PG_METRIC_COUNT];
        pg_metrics_by_name(sorted);
        for (size_t i = 0; i < PG_METRIC_COUNT; i++) {
                slots[i] = (struct metric_slot){ sorted[i], &m->series[sorted[i]] };
                keys[i] = (struct pg_json_key){ pg_metrics[sorted[i]].name, read_series, i * sizeof(slots[0]),
                                                false };
        }
        return pg_json_object(r, &(struct pg_json_keys)PG_JSON_KEYS(keys), slots);
}

/* ---- tables ---- */

/* A measurement being read, with what can only be checked when all of it is there. */
struct reading {
        struct pg_measurement m;
        const char *name_at, *functions_at, *profile_at, *sites_at; // in the text
        size_t n_self_ns;                                           // values of each function so far
        uint64_t *self_sums;                                        // their sums, one for each run
        bool functions_mixed;                                       // not in order
        bool sites_mixed;
        struct pg_site site_sums; // of all sites, by value
};

static bool add(struct pg_json_reader *r, uint64_t *sum, uint64_t value)
{
        if (__builtin_add_overflow(*sum, value, sum) || *sum > INT64_MAX)
                return pg_json_fail(r, "the sum of these numbers is above 2^63");
        return true;
}

struct function {
        struct pg_function f;
        size_t n_self_ns;
};

static bool read_self_ns(struct pg_json_reader *r, void *into)
{
        struct function *f = into;
        return pg_json_counts(r, &f->f.self_ns, &f->n_self_ns);
}

#define FUNCTION(field) offsetof(struct function, f.field)

static const struct pg_json_key function_key[] = {
        { "file", pg_json_text, FUNCTION(file), false },
        { "function", pg_json_text, FUNCTION(function), true },
        { "line", pg_json_line, FUNCTION(line), false },
        { "module", pg_json_string, FUNCTION(module), true },
        { "self_ns", read_self_ns, 0, true },
};
static const struct pg_json_keys function_keys = PG_JSON_KEYS(function_key);

static int by_function(const void *a, const void *b)
{
        const struct pg_function *x = a, *y = b;
        int order = strcmp(x->function, y->function);
        return order ? order : strcmp(x->module, y->module);
}

/* All functions have as many values as the first one. */
static bool add_self_ns(struct pg_json_reader *r, struct reading *b, const struct function *f)
{
        if (!b->self_sums) {
                b->n_self_ns = f->n_self_ns;
                b->self_sums = pg_arena_calloc(r->arena, b->n_self_ns, sizeof(*b->self_sums));
                if (!b->self_sums)
                        return pg_fail_nomem(r->err);
        }
        if (f->n_self_ns != b->n_self_ns)
                return pg_json_fail(r, "\"self_ns\" has %zu value%s, the function before has %zu",
                                    f->n_self_ns, pg_plural(f->n_self_ns), b->n_self_ns);
        for (size_t i = 0; i < f->n_self_ns; i++)
                if (!add(r, &b->self_sums[i], f->f.self_ns[i]))
                        return false;
        return true;
}

static bool read_function(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        struct function f = { 0 };
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_object(r, &function_keys, &f))
                return false;
        r->value = where;
        size_t n = b->m.n_functions;
        struct pg_function *table = pg_arena_grow(r->arena, b->m.functions, n, sizeof(*table));
        if (!table)
                return pg_fail_nomem(r->err);
        table[n] = f.f;
        b->functions_mixed |= n && by_function(&table[n - 1], &table[n]) >= 0;
        b->m.functions = table;
        b->m.n_functions++;
        return add_self_ns(r, b, &f);
}

static bool read_functions(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        struct pg_measurement *m = &b->m;
        (void)pg_json_peek(r);
        b->functions_at = r->at;
        if (!pg_json_array(r, read_function, b))
                return false;
        if (!b->functions_mixed)
                return true;
        qsort(m->functions, m->n_functions, sizeof(*m->functions), by_function);
        r->value = b->functions_at;
        for (size_t i = 1; i < m->n_functions; i++)
                if (by_function(&m->functions[i - 1], &m->functions[i]) == 0)
                        return pg_json_fail(r, "\"%.80s\" of \"%.80s\" is there twice",
                                            m->functions[i].function, m->functions[i].module);
        return true;
}

#define SITE(f) offsetof(struct pg_site, f)

static const struct pg_json_key site_key[] = {
        { "allocated_bytes", pg_json_count, SITE(allocated_bytes), true },
        { "allocations", pg_json_count, SITE(allocations), true },
        { "file", pg_json_text, SITE(file), false },
        { "function", pg_json_text, SITE(function), true },
        { "leaked_bytes", pg_json_count, SITE(leaked_bytes), false },
        { "line", pg_json_line, SITE(line), false },
        { "module", pg_json_string, SITE(module), true },
        { "peak_bytes", pg_json_count, SITE(peak_bytes), false },
        { "temporary", pg_json_count, SITE(temporary), false },
};
static const struct pg_json_keys site_keys = PG_JSON_KEYS(site_key);

static int by_site(const void *a, const void *b)
{
        const struct pg_site *x = a, *y = b;
        int order = strcmp(x->function, y->function);
        if (!order)
                order = strcmp(x->module, y->module);
        if (!order)
                order = strcmp(x->file ? x->file : "", y->file ? y->file : "");
        return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool add_site(struct pg_json_reader *r, struct pg_site *sums, const struct pg_site *s)
{
        return add(r, &sums->allocations, s->allocations) &&
               add(r, &sums->allocated_bytes, s->allocated_bytes) && add(r, &sums->temporary, s->temporary) &&
               add(r, &sums->peak_bytes, s->peak_bytes) && add(r, &sums->leaked_bytes, s->leaked_bytes);
}

static bool read_site(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        size_t n = b->m.n_sites;
        struct pg_site *table = pg_arena_grow(r->arena, b->m.sites, n, sizeof(*table));
        if (!table)
                return pg_fail_nomem(r->err);
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_object(r, &site_keys, &table[n]))
                return false;
        r->value = where;
        b->sites_mixed |= n && by_site(&table[n - 1], &table[n]) >= 0;
        b->m.sites = table;
        b->m.n_sites++;
        return add_site(r, &b->site_sums, &table[n]);
}

static bool read_sites(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        struct pg_measurement *m = &b->m;
        (void)pg_json_peek(r);
        b->sites_at = r->at;
        if (!pg_json_array(r, read_site, b))
                return false;
        if (!b->sites_mixed)
                return true;
        qsort(m->sites, m->n_sites, sizeof(*m->sites), by_site);
        r->value = b->sites_at;
        for (size_t i = 1; i < m->n_sites; i++)
                if (by_site(&m->sites[i - 1], &m->sites[i]) == 0)
                        return pg_json_fail(r, "\"%.80s\" of \"%.80s\" is there twice", m->sites[i].function,
                                            m->sites[i].module);
        return true;
}

static bool read_live_interval(struct pg_json_reader *r, void *into)
{
        struct pg_site_quality *q = into;
        q->has_live = true;
        return pg_json_count(r, &q->live_interval_bytes);
}

static const struct pg_json_key site_quality_key[] = {
        { "live_interval_bytes", read_live_interval, 0, false },
        { "rule", pg_json_text, offsetof(struct pg_site_quality, rule), true },
        { "stack_interval_bytes", pg_json_count, offsetof(struct pg_site_quality, stack_interval_bytes),
          false },
};
static const struct pg_json_keys site_quality_keys = PG_JSON_KEYS(site_quality_key);

static bool read_site_quality(struct pg_json_reader *r, void *into)
{
        return pg_json_object(r, &site_quality_keys, into);
}

#define LOCK_SITE(f) offsetof(struct pg_lock_site, f)

static const struct pg_json_key lock_site_key[] = {
        { "contentions", pg_json_count, LOCK_SITE(contentions), true },
        { "delay_ns", pg_json_count, LOCK_SITE(delay_ns), true },
        { "file", pg_json_text, LOCK_SITE(file), false },
        { "function", pg_json_text, LOCK_SITE(function), true },
        { "line", pg_json_line, LOCK_SITE(line), false },
        { "module", pg_json_string, LOCK_SITE(module), true },
};
static const struct pg_json_keys lock_site_keys = PG_JSON_KEYS(lock_site_key);

static int by_lock_site(const void *a, const void *b)
{
        const struct pg_lock_site *x = a, *y = b;
        const struct pg_site s = {
                .function = x->function, .module = x->module, .file = x->file, .line = x->line
        };
        const struct pg_site t = {
                .function = y->function, .module = y->module, .file = y->file, .line = y->line
        };
        return by_site(&s, &t);
}

static bool read_lock_site(struct pg_json_reader *r, void *into)
{
        struct pg_measurement *m = into;
        struct pg_lock_site *table = pg_arena_grow(r->arena, m->lock_sites, m->n_lock_sites, sizeof(*table));
        if (!table)
                return pg_fail_nomem(r->err);
        m->lock_sites = table;
        return pg_json_object(r, &lock_site_keys, &table[m->n_lock_sites++]);
}

static bool read_lock_sites(struct pg_json_reader *r, void *into)
{
        struct pg_measurement *m = into;
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_array(r, read_lock_site, m))
                return false;
        if (m->n_lock_sites)
                qsort(m->lock_sites, m->n_lock_sites, sizeof(*m->lock_sites), by_lock_site);
        r->value = where;
        for (size_t i = 1; i < m->n_lock_sites; i++)
                if (by_lock_site(&m->lock_sites[i - 1], &m->lock_sites[i]) == 0)
                        return pg_json_fail(r, "\"%.80s\" of \"%.80s\" is there twice",
                                            m->lock_sites[i].function, m->lock_sites[i].module);
        return true;
}

#define PROCESS(f) offsetof(struct pg_process, f)

static const struct pg_json_key process_key[] = {
        { "allocated_bytes", pg_json_count, PROCESS(allocated_bytes), true },
        { "allocations", pg_json_count, PROCESS(allocations), true },
        { "leaked_bytes", pg_json_count, PROCESS(leaked_bytes), true },
        { "peak_heap", pg_json_count, PROCESS(peak_heap_bytes), true },
        { "program", pg_json_string, PROCESS(program), true },
};
static const struct pg_json_keys process_keys = PG_JSON_KEYS(process_key);

static bool read_process(struct pg_json_reader *r, void *into)
{
        struct pg_measurement *m = into;
        struct pg_process *table = pg_arena_grow(r->arena, m->processes, m->n_processes, sizeof(*table));
        if (!table)
                return pg_fail_nomem(r->err);
        m->processes = table;
        return pg_json_object(r, &process_keys, &table[m->n_processes++]);
}

static bool read_processes(struct pg_json_reader *r, void *into)
{
        return pg_json_array(r, read_process, into);
}

/* ---- profile ---- */

struct profile {
        const char *doubt;
        uint64_t rate_hz;
        struct pg_series samples, system_ns, total_ns, user_ns;
};

static const struct pg_json_key profile_key[] = {
        { "doubt", pg_json_text, offsetof(struct profile, doubt), false },
        { "rate_hz", pg_json_count, offsetof(struct profile, rate_hz), true },
        { "samples", read_samples, offsetof(struct profile, samples), true },
        { "system_ns", read_samples, offsetof(struct profile, system_ns), false },
        { "total_ns", read_samples, offsetof(struct profile, total_ns), true },
        { "user_ns", read_samples, offsetof(struct profile, user_ns), false },
};
static const struct pg_json_keys profile_keys = PG_JSON_KEYS(profile_key);

static bool read_profile(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        struct profile p = { 0 };
        (void)pg_json_peek(r);
        b->profile_at = r->at;
        if (!pg_json_object(r, &profile_keys, &p))
                return false;
        r->value = b->profile_at;
        if (p.samples.n == 0 || p.samples.n != p.total_ns.n)
                return pg_json_fail(r,
                                    "\"samples\" has %zu value%s and \"total_ns\" %zu, expected one of each "
                                    "for each run",
                                    p.samples.n, pg_plural(p.samples.n), p.total_ns.n);
        if (p.user_ns.n != p.system_ns.n || (p.user_ns.n != 0 && p.user_ns.n != p.samples.n))
                return pg_json_fail(
                        r,
                        "\"user_ns\" has %zu value%s and \"system_ns\" %zu, expected %zu of both, "
                        "one for each run",
                        p.user_ns.n, pg_plural(p.user_ns.n), p.system_ns.n, p.samples.n);
        b->m.profile_doubt = p.doubt;
        b->m.profile_user_ns = p.user_ns.samples;
        b->m.profile_system_ns = p.system_ns.samples;
        b->m.sample_rate_hz = p.rate_hz;
        b->m.profile_samples = p.samples.samples;
        b->m.profile_total_ns = p.total_ns.samples;
        b->m.n_profile_runs = p.samples.n;
        return true;
}

/* ---- one benchmark ---- */

#define ENGINES(f) offsetof(struct pg_engines, f)

static const struct pg_json_key engines_key[] = {
        { "allocation", pg_json_text, ENGINES(allocation), false },
        { "cpu", pg_json_text, ENGINES(cpu), false },
        { "cpu_clock", pg_json_text, ENGINES(cpu_clock), false },
        { "lock", pg_json_text, ENGINES(lock), false },
        { "timing", pg_json_text, ENGINES(timing), false },
};
static const struct pg_json_keys engines_keys = PG_JSON_KEYS(engines_key);

static bool read_engines(struct pg_json_reader *r, void *into)
{
        return pg_json_object(r, &engines_keys, into);
}

static bool read_command(struct pg_json_reader *r, void *into)
{
        const char *const *command;
        size_t n;
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_strings(r, &command, &n))
                return false;
        r->value = where;
        if (n == 0 || !*command[0])
                return pg_json_fail(r, "expected a program and its arguments");
        *(const char *const **)into = command;
        return true;
}

static bool read_notes(struct pg_json_reader *r, void *into)
{
        size_t n;
        return pg_json_strings(r, into, &n);
}

bool pg_benchmark_name_read(struct pg_json_reader *r, const char **ret)
{
        if (!pg_json_string(r, ret))
                return false;
        const char *problem = pg_benchmark_name_problem(*ret);
        return !problem || pg_json_fail(r, "the name of a benchmark %s", problem);
}

static bool read_name(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        if (!pg_benchmark_name_read(r, &b->m.name))
                return false;
        b->name_at = r->value;
        return true;
}

#define BENCHMARK(f) offsetof(struct reading, m.f)

static const struct pg_json_key benchmark_key[] = {
        { "command", read_command, BENCHMARK(command), true },
        { "engines", read_engines, BENCHMARK(engines), false },
        { "functions", read_functions, 0, false },
        { "lock_rule", pg_json_text, BENCHMARK(lock_rule), false },
        { "lock_sites", read_lock_sites, offsetof(struct reading, m), false },
        { "metrics", read_metrics, offsetof(struct reading, m), true },
        { "name", read_name, 0, true },
        { "notes", read_notes, BENCHMARK(notes), false },
        { "processes", read_processes, offsetof(struct reading, m), false },
        { "profile", read_profile, 0, false },
        { "site_quality", read_site_quality, BENCHMARK(site_quality), false },
        { "sites", read_sites, 0, false },
};
static const struct pg_json_keys benchmark_keys = PG_JSON_KEYS(benchmark_key);

/* Functions and profile belong together: as many runs, and no run's functions took longer than the run. */
static bool check_profile(struct pg_json_reader *r, const struct reading *b)
{
        const struct pg_measurement *m = &b->m;
        if (m->n_functions) {
                r->value = b->functions_at;
                if (b->n_self_ns != m->n_profile_runs || !b->n_self_ns)
                        return pg_json_fail(r,
                                            "each \"self_ns\" has %zu value%s, but \"profile\" has %zu run%s",
                                            b->n_self_ns, pg_plural(b->n_self_ns), m->n_profile_runs,
                                            pg_plural(m->n_profile_runs));
                for (size_t i = 0; i < m->n_profile_runs; i++)
                        if (b->self_sums[i] > m->profile_total_ns[i])
                                return pg_json_fail(r,
                                                    "in run %zu they sum up to %ju ns, more than its "
                                                    "\"total_ns\" of %ju",
                                                    i + 1, (uintmax_t)b->self_sums[i],
                                                    (uintmax_t)m->profile_total_ns[i]);
        }
        if (m->series[PG_CPU_SHARE].status == PG_SERIES_MEASURED && !m->n_profile_runs)
                return pg_json_fail(r, "cpu_share is measured, but there is no \"profile\"");
        return true;
}

/* Live bytes come with what says how they were got. */
static bool check_sites(struct pg_json_reader *r, const struct reading *b)
{
        if (b->m.site_quality.has_live || !(b->site_sums.peak_bytes | b->site_sums.leaked_bytes))
                return true;
        r->value = b->sites_at;
        return pg_json_fail(r, "live bytes, but \"site_quality\" has no \"live_interval_bytes\"");
}

/* ---- the file ---- */

struct file {
        const char *schema;
        struct tool tool;
        struct pg_snapshot *s;
        struct pg_json_word *names; // one for each benchmark
};

static bool read_measurement(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_object(r, &benchmark_keys, b))
                return false;
        r->value = where;
        return check_profile(r, b) && check_sites(r, b);
}

/* In a result an element may have no measurement: a benchmark that only the baseline has. */
static const struct pg_json_key verdict_key[] = { { "measured", read_measurement, 0, false } };
static const struct pg_json_keys verdict_keys = { verdict_key, 1, true };

static bool append_benchmark(struct pg_json_reader *r, struct file *f, const struct reading *b)
{
        struct pg_snapshot *s = f->s;
        size_t n = s->n_benchmarks;
        struct pg_measurement *all = pg_arena_grow(r->arena, s->benchmarks, n, sizeof(*all));
        struct pg_json_word *names = pg_arena_grow(r->arena, f->names, n, sizeof(*names));
        if (!all || !names)
                return pg_fail_nomem(r->err);
        all[n] = b->m;
        names[n] = (struct pg_json_word){ b->m.name, b->name_at };
        s->benchmarks = all;
        f->names = names;
        s->n_benchmarks++;
        return true;
}

static bool read_benchmark(struct pg_json_reader *r, void *into)
{
        struct reading b = { 0 };
        return read_measurement(r, &b) && append_benchmark(r, into, &b);
}

static bool read_verdict(struct pg_json_reader *r, void *into)
{
        struct reading b = { 0 };
        return pg_json_object(r, &verdict_keys, &b) && (!b.m.name || append_benchmark(r, into, &b));
}

static bool read_benchmarks(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return pg_json_array(r, read_benchmark, f) &&
               pg_json_unique(r, f->names, f->s->n_benchmarks, "benchmark");
}

static bool read_verdicts(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return pg_json_array(r, read_verdict, f) &&
               pg_json_unique(r, f->names, f->s->n_benchmarks, "benchmark");
}

#define ACCEPTANCE(f) offsetof(struct pg_acceptance, f)

static const struct pg_json_key acceptance_key[] = {
        { "reason", pg_json_text, ACCEPTANCE(reason), true },
        { "summary", pg_json_string, ACCEPTANCE(summary), true },
        { "time", read_time, ACCEPTANCE(time), true },
};
static const struct pg_json_keys acceptance_keys = PG_JSON_KEYS(acceptance_key);

static bool read_acceptance(struct pg_json_reader *r, void *into)
{
        struct pg_snapshot *s = into;
        struct pg_acceptance *table = pg_arena_grow(r->arena, s->accepted, s->n_accepted, sizeof(*table));
        if (!table)
                return pg_fail_nomem(r->err);
        s->accepted = table;
        return pg_json_object(r, &acceptance_keys, &table[s->n_accepted++]);
}

static bool read_accepted(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return pg_json_array(r, read_acceptance, f->s);
}

static bool read_commit(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return pg_json_text(r, &f->s->commit);
}

static bool read_created(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return read_time(r, &f->s->created);
}

static bool read_file_host(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return read_host(r, &f->s->host);
}

static const struct pg_json_key baseline_key[] = {
        { "accepted", read_accepted, 0, false },
        { "benchmarks", read_benchmarks, 0, true },
        { "commit", read_commit, 0, false },
        { "created", read_created, 0, true },
        { "host", read_file_host, 0, true },
        { "schema", pg_json_string, offsetof(struct file, schema), true },
        { "tool", read_tool, offsetof(struct file, tool), true },
};
static const struct pg_json_keys baseline_keys = PG_JSON_KEYS(baseline_key);

static const struct pg_json_key result_key[] = {
        { "benchmarks", read_verdicts, 0, true },
        { "commit", read_commit, 0, false },
        { "created", read_created, 0, false },
        { "host", read_file_host, 0, true },
        { "schema", pg_json_string, offsetof(struct file, schema), true },
        { "tool", read_tool, offsetof(struct file, tool), true },
};
static const struct pg_json_keys result_keys = { result_key, sizeof(result_key) / sizeof(result_key[0]),
                                                 true };

/* ---- schema ---- */

struct head {
        const char *schema, *where;
};

static bool read_schema(struct pg_json_reader *r, void *into)
{
        struct head *h = into;
        if (!pg_json_string(r, &h->schema))
                return false;
        h->where = r->value;
        return true;
}

static const struct pg_json_key head_key[] = { { "schema", read_schema, 0, false } };
static const struct pg_json_keys head_keys = { head_key, 1, true };

/* True for "perfgate.baseline.v2" and the like. */
static bool is_newer(const char *schema)
{
        static const char *const families[] = { "perfgate.baseline.v", "perfgate.result.v" };
        for (size_t i = 0; i < 2; i++) {
                size_t n = strlen(families[i]);
                if (strncmp(schema, families[i], n) != 0)
                        continue;
                const char *version = schema + n;
                return strspn(version, "0123456789") == strlen(version) && version[0] >= '1' &&
                       strcmp(version, "1") != 0;
        }
        return false;
}

/* The keys that this file's schema asks for, or NULL after a complaint. */
static const struct pg_json_keys *find_keys(struct pg_json_reader *r)
{
        struct head h = { 0 };
        if (!pg_json_object(r, &head_keys, &h) || !pg_json_end(r))
                return NULL;
        if (!h.schema)
                pg_json_fail_at(r, r->text,
                                "the key \"schema\" is missing, expected \"" PG_BASELINE_SCHEMA
                                "\" or \"" PG_RESULT_SCHEMA "\"");
        else if (strcmp(h.schema, PG_BASELINE_SCHEMA) == 0)
                return &baseline_keys;
        else if (strcmp(h.schema, PG_RESULT_SCHEMA) == 0)
                return &result_keys;
        else if (is_newer(h.schema))
                pg_json_fail_at(r, h.where,
                                "was written by a newer perfgate (schema %.60s, this one reads up to v1); "
                                "update perfgate",
                                h.schema);
        else
                pg_json_fail_at(r, h.where,
                                "schema is \"%.60s\", expected \"" PG_BASELINE_SCHEMA
                                "\" or \"" PG_RESULT_SCHEMA "\"",
                                h.schema);
        return NULL;
}

/* What the end of the text looks like; keys are sorted, so the schema stands there. NULL: cannot tell. */
static const struct pg_json_keys *guess_keys(const char *text, size_t len)
{
        enum { TAIL = 1024 };
        const char *tail = len > TAIL ? text + len - TAIL : text;
        size_t n = (size_t)(text + len - tail);
        if (memmem(tail, n, "\"" PG_BASELINE_SCHEMA "\"", sizeof(PG_BASELINE_SCHEMA) + 1))
                return &baseline_keys;
        return memmem(tail, n, "\"" PG_RESULT_SCHEMA "\"", sizeof(PG_RESULT_SCHEMA) + 1) ? &result_keys
                                                                                         : NULL;
}

/* Reads all of text by keys (NULL: by those that its schema asks for). */
static bool parse(const char *name, const char *text, size_t len, const struct pg_json_keys *keys,
                  struct pg_snapshot **ret, struct pg_error *err)
{
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = pg_snapshot_create();
        if (!s)
                return pg_fail_nomem(err);
        struct pg_json_reader r;
        if (!pg_json_begin(&r, name, text, len, PG_EDATA, s->arena, err))
                return false;
        if (!keys && !(keys = find_keys(&r)))
                return false;
        r.at = r.text;
        struct file f = { .s = s };
        if (!pg_json_object(&r, keys, &f) || !pg_json_end(&r))
                return false;
        if (strcmp(f.schema, keys == &baseline_keys ? PG_BASELINE_SCHEMA : PG_RESULT_SCHEMA) != 0)
                return pg_json_fail(&r, "schema is \"%.60s\"", f.schema); // the guess was wrong
        s->tool_version = f.tool.version;
        *ret = s;
        s = NULL;
        return true;
}

bool pg_snapshot_parse(const char *name, const char *text, size_t len, struct pg_snapshot **ret,
                       struct pg_error *err)
{
        const struct pg_json_keys *guess = guess_keys(text, len);
        struct pg_error quiet = { 0 };
        if (guess && parse(name, text, len, guess, ret, &quiet))
                return true;
        if (quiet.code == PG_ENOMEM)
                return pg_fail_nomem(err);
        return parse(name, text, len, NULL, ret, err);
}

/* ---- for the schema test ---- */

#define B "perfgate-baseline-v1.schema.json"
#define R "perfgate-result-v1.schema.json"
#define D "/$defs/"

const struct pg_described_keys pg_snapshot_keys[] = {
        { B, "", &baseline_keys },
        { B, D "measurement", &benchmark_keys },
        { B, D "series", &series_keys },
        { B, D "function", &function_keys },
        { B, D "lock_site", &lock_site_keys },
        { B, D "site", &site_keys },
        { B, D "site_quality", &site_quality_keys },
        { B, D "process", &process_keys },
        { B, D "profile", &profile_keys },
        { B, D "engines", &engines_keys },
        { B, D "host", &host_keys },
        { B, D "tool", &tool_keys },
        { B, D "acceptance", &acceptance_keys },
        { R, "", &result_keys },
        { R, D "verdict", &verdict_keys },
};
const size_t pg_n_snapshot_keys = sizeof(pg_snapshot_keys) / sizeof(pg_snapshot_keys[0]);
