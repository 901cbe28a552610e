// SPDX-License-Identifier: MIT
/*
 * snapshot_write.c - measurements and baselines as JSON text: sorted keys, one line for each row of a table.
 *
 * Whatever is unknown (a NULL string, line 0, an empty table) has no key, nor have the rarer values of a call
 * site when they are 0.
 */
#include <string.h>

#include "baseline/keys.h"
#include "baseline/measurement_json.h"

void pg_metrics_by_name(enum pg_metric ret[PG_METRIC_COUNT])
{
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                int k = i;
                for (; k > 0 && strcmp(pg_metrics[ret[k - 1]].name, pg_metrics[i].name) > 0; k--)
                        ret[k] = ret[k - 1];
                ret[k] = (enum pg_metric)i;
        }
}

static void write_series(struct pg_json_writer *w, enum pg_metric metric, const struct pg_series *s)
{
        const struct pg_metric_info *info = &pg_metrics[metric];
        pg_json_open(w, '{');
        if (s->demoted) {
                pg_json_put_key(w, "demoted");
                pg_json_put_bool(w, true);
        }
        pg_json_member_string(w, "kind", pg_kind_name(info->kind));
        pg_json_member_string(w, "reason", s->reason);
        if (s->n)
                pg_json_member_counts(w, "samples", s->samples, s->n);
        pg_json_member_string(w, "status", s->status == PG_SERIES_MEASURED ? "measured" : "unavailable");
        pg_json_member_string(w, "unit", pg_unit_name(info->unit));
        pg_json_close(w, '}');
}

static void write_metrics(struct pg_json_writer *w, const struct pg_measurement *m)
{
        enum pg_metric sorted[PG_METRIC_COUNT];
        pg_metrics_by_name(sorted);
        pg_json_put_key(w, "metrics");
        pg_json_open(w, '{');
        for (int i = 0; i < PG_METRIC_COUNT; i++) {
                const struct pg_series *s = &m->series[sorted[i]];
                if (s->status == PG_SERIES_ABSENT)
                        continue;
                pg_json_put_key(w, pg_metrics[sorted[i]].name);
                write_series(w, sorted[i], s);
        }
        pg_json_close(w, '}');
}

static void write_engines(struct pg_json_writer *w, const struct pg_engines *e)
{
        pg_json_put_key(w, "engines");
        pg_json_open(w, '{');
        pg_json_member_string(w, "allocation", e->allocation);
        pg_json_member_string(w, "cpu", e->cpu);
        pg_json_member_string(w, "cpu_clock", e->cpu_clock);
        pg_json_member_string(w, "lock", e->lock);
        pg_json_member_string(w, "timing", e->timing);
        pg_json_close(w, '}');
}

static void write_line(struct pg_json_writer *w, uint32_t line)
{
        if (line)
                pg_json_member_count(w, "line", line);
}

static void write_functions(struct pg_json_writer *w, const struct pg_measurement *m)
{
        if (!m->n_functions)
                return;
        pg_json_put_key(w, "functions");
        pg_json_open(w, '[');
        for (size_t i = 0; i < m->n_functions; i++) {
                const struct pg_function *f = &m->functions[i];
                pg_json_open_flat(w, '{');
                pg_json_member_string(w, "file", f->file);
                pg_json_member_string(w, "function", f->function);
                write_line(w, f->line);
                pg_json_member_string(w, "module", f->module);
                pg_json_member_counts(w, "self_ns", f->self_ns, m->n_profile_runs);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

/* A number whose absence means zero. */
static void write_some(struct pg_json_writer *w, const char *key, uint64_t n)
{
        if (n)
                pg_json_member_count(w, key, n);
}

static void write_site_quality(struct pg_json_writer *w, const struct pg_site_quality *q)
{
        if (!q->rule)
                return;
        pg_json_put_key(w, "site_quality");
        pg_json_open(w, '{');
        if (q->has_live)
                pg_json_member_count(w, "live_interval_bytes", q->live_interval_bytes);
        pg_json_member_string(w, "rule", q->rule);
        write_some(w, "stack_interval_bytes", q->stack_interval_bytes);
        pg_json_close(w, '}');
}

static void write_sites(struct pg_json_writer *w, const struct pg_measurement *m)
{
        if (!m->n_sites)
                return;
        pg_json_put_key(w, "sites");
        pg_json_open(w, '[');
        for (size_t i = 0; i < m->n_sites; i++) {
                const struct pg_site *s = &m->sites[i];
                pg_json_open_flat(w, '{');
                pg_json_member_count(w, "allocated_bytes", s->allocated_bytes);
                pg_json_member_count(w, "allocations", s->allocations);
                pg_json_member_string(w, "file", s->file);
                pg_json_member_string(w, "function", s->function);
                write_some(w, "leaked_bytes", s->leaked_bytes);
                write_line(w, s->line);
                pg_json_member_string(w, "module", s->module);
                write_some(w, "peak_bytes", s->peak_bytes);
                write_some(w, "temporary", s->temporary);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

static void write_lock_sites(struct pg_json_writer *w, const struct pg_measurement *m)
{
        pg_json_member_string(w, "lock_rule", m->lock_rule);
        if (!m->n_lock_sites)
                return;
        pg_json_put_key(w, "lock_sites");
        pg_json_open(w, '[');
        for (size_t i = 0; i < m->n_lock_sites; i++) {
                const struct pg_lock_site *s = &m->lock_sites[i];
                pg_json_open_flat(w, '{');
                pg_json_member_count(w, "contentions", s->contentions);
                pg_json_member_count(w, "delay_ns", s->delay_ns);
                pg_json_member_string(w, "file", s->file);
                pg_json_member_string(w, "function", s->function);
                write_line(w, s->line);
                pg_json_member_string(w, "module", s->module);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

static void write_processes(struct pg_json_writer *w, const struct pg_measurement *m)
{
        if (!m->n_processes)
                return;
        pg_json_put_key(w, "processes");
        pg_json_open(w, '[');
        for (size_t i = 0; i < m->n_processes; i++) {
                const struct pg_process *p = &m->processes[i];
                pg_json_open_flat(w, '{');
                pg_json_member_count(w, "allocated_bytes", p->allocated_bytes);
                pg_json_member_count(w, "allocations", p->allocations);
                pg_json_member_count(w, "leaked_bytes", p->leaked_bytes);
                pg_json_member_count(w, "peak_heap", p->peak_heap_bytes);
                pg_json_member_string(w, "program", p->program);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

static void write_profile(struct pg_json_writer *w, const struct pg_measurement *m)
{
        if (!m->n_profile_runs)
                return;
        pg_json_put_key(w, "profile");
        pg_json_open(w, '{');
        pg_json_member_string(w, "doubt", m->profile_doubt);
        pg_json_member_count(w, "rate_hz", m->sample_rate_hz);
        pg_json_member_counts(w, "samples", m->profile_samples, m->n_profile_runs);
        if (m->profile_system_ns)
                pg_json_member_counts(w, "system_ns", m->profile_system_ns, m->n_profile_runs);
        pg_json_member_counts(w, "total_ns", m->profile_total_ns, m->n_profile_runs);
        if (m->profile_user_ns)
                pg_json_member_counts(w, "user_ns", m->profile_user_ns, m->n_profile_runs);
        pg_json_close(w, '}');
}

/* A flat array of strings; nothing when there is none. */
static void write_strings(struct pg_json_writer *w, const char *key, const char *const *strings)
{
        if (!strings || !*strings)
                return;
        pg_json_put_key(w, key);
        pg_json_open_flat(w, '[');
        for (; *strings; strings++)
                pg_json_put_string(w, *strings);
        pg_json_close(w, ']');
}

void pg_measurement_write(struct pg_json_writer *w, const struct pg_measurement *m)
{
        pg_json_open(w, '{');
        write_strings(w, "command", m->command);
        write_engines(w, &m->engines);
        write_functions(w, m);
        write_lock_sites(w, m);
        write_metrics(w, m);
        pg_json_member_string(w, "name", m->name);
        write_strings(w, "notes", m->notes);
        write_processes(w, m);
        write_profile(w, m);
        write_site_quality(w, &m->site_quality);
        write_sites(w, m);
        pg_json_close(w, '}');
}

void pg_host_write(struct pg_json_writer *w, const struct pg_host *h)
{
        pg_json_open(w, '{');
        pg_json_member_string(w, "arch", h->arch);
        pg_json_member_count(w, "cores", h->cores);
        pg_json_member_string(w, "cpu_model", h->cpu_model);
        pg_json_member_string(w, "kernel", h->kernel);
        pg_json_member_string(w, "libc", h->libc);
        pg_json_member_string(w, "os", h->os);
        pg_json_close(w, '}');
}

static void write_accepted(struct pg_json_writer *w, const struct pg_snapshot *s)
{
        if (!s->n_accepted)
                return;
        pg_json_put_key(w, "accepted");
        pg_json_open(w, '[');
        for (size_t i = 0; i < s->n_accepted; i++) {
                pg_json_open(w, '{');
                pg_json_member_string(w, "reason", s->accepted[i].reason);
                pg_json_member_string(w, "summary", s->accepted[i].summary);
                pg_json_member_string(w, "time", s->accepted[i].time);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

static void write_baseline(struct pg_json_writer *w, const struct pg_snapshot *s)
{
        pg_json_open(w, '{');
        write_accepted(w, s);
        pg_json_put_key(w, "benchmarks");
        pg_json_open(w, '[');
        for (size_t i = 0; i < s->n_benchmarks; i++)
                pg_measurement_write(w, &s->benchmarks[i]);
        pg_json_close(w, ']');
        pg_json_member_string(w, "commit", s->commit);
        pg_json_member_string(w, "created", s->created);
        pg_json_put_key(w, "host");
        pg_host_write(w, &s->host);
        pg_json_member_string(w, "schema", PG_BASELINE_SCHEMA);
        pg_json_put_key(w, "tool");
        pg_json_open(w, '{');
        pg_json_member_string(w, "name", "perfgate");
        pg_json_member_string(w, "version", s->tool_version);
        pg_json_close(w, '}');
        pg_json_close(w, '}');
}

bool pg_baseline_format(const struct pg_snapshot *s, char **ret, size_t *ret_len, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf out = { 0 };
        write_baseline(&(struct pg_json_writer){ .out = &out }, s);
        pg_buf_putc(&out, '\n');
        if (!pg_buf_ok(&out, err))
                return false;
        size_t len = out.len;
        char *text = pg_buf_steal(&out);
        if (!text)
                return pg_fail_nomem(err);
        *ret = text;
        *ret_len = len;
        return true;
}
