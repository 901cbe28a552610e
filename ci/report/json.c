// SPDX-License-Identifier: MIT
/*
 * json.c - result.json: what the gate found beside everything that it judged, schema perfgate.result.v1.
 *
 * Keys are sorted and nothing depends on when or where it is written. A key whose value is unknown is null in
 * rows, so that every row has the same keys, and left out elsewhere. A rise from zero has no finite change:
 * "change" is null and "reason" says "the baseline is 0".
 */
#include "baseline/measurement_json.h"
#include "ci/report/cells.h"

static void put_string(struct pg_json_writer *w, const char *key, const char *s)
{
        pg_json_put_key(w, key);
        pg_json_put_string(w, s);
}

static void put_real(struct pg_json_writer *w, const char *key, bool known, double x)
{
        pg_json_put_key(w, key);
        if (known)
                pg_json_put_real(w, x);
        else
                pg_json_put_string(w, NULL);
}

/* A remark that most culprits do not need. */
static void put_true(struct pg_json_writer *w, const char *key, bool b)
{
        if (!b)
                return;
        pg_json_put_key(w, key);
        pg_json_put_bool(w, true);
}

static void put_culprits(struct pg_json_writer *w, const struct pg_row *row)
{
        pg_json_put_key(w, "culprits");
        pg_json_open(w, '[');
        for (size_t i = 0; i < row->n_culprits; i++) {
                const struct pg_culprit *c = &row->culprits[i];
                pg_json_open_flat(w, '{');
                put_real(w, "baseline", row->has_baseline, c->baseline);
                put_real(w, "change", row->has_baseline, c->change);
                put_real(w, "current", true, c->current);
                put_true(w, "estimated", c->estimated);
                put_string(w, "file", c->file);
                put_true(w, "freed_at_once", c->freed_at_once);
                put_string(w, "function", c->function);
                put_real(w, "line", c->line > 0, c->line);
                put_string(w, "module", c->module);
                pg_json_close(w, '}');
        }
        pg_json_close(w, ']');
}

static void put_interval(struct pg_json_writer *w, const struct pg_row *row)
{
        pg_json_put_key(w, "interval");
        if (!row->has_interval) {
                pg_json_put_string(w, NULL);
                return;
        }
        pg_json_open_flat(w, '[');
        pg_json_put_real(w, row->low);
        pg_json_put_real(w, row->high);
        pg_json_close(w, ']');
}

static void put_row(struct pg_json_writer *w, const struct pg_row *row)
{
        pg_json_open(w, '{');
        put_real(w, "baseline", row->has_baseline, row->baseline);
        put_real(w, "change", row->has_baseline && row->has_current, row->change);
        put_culprits(w, row);
        put_real(w, "current", row->has_current, row->current);
        if (row->metric == PG_CPU_SHARE)
                put_string(w, "function", row->function);
        put_interval(w, row);
        put_string(w, "kind", pg_kind_name(row->kind));
        put_string(w, "limit", row->limit);
        put_string(w, "metric", pg_metrics[row->metric].name);
        put_string(w, "reason", row->reason);
        put_string(w, "status", row->status == PG_ROW_MEASURED ? "measured" : "unavailable");
        put_string(w, "unit", pg_unit_name(pg_metrics[row->metric].unit));
        put_string(w, "verdict", pg_verdict_name(row->verdict));
        pg_json_close(w, '}');
}

static void put_engines(struct pg_json_writer *w, const struct pg_measurement *m)
{
        pg_json_put_key(w, "engines");
        pg_json_open(w, '{');
        if (m) {
                pg_json_member_string(w, "allocation", m->engines.allocation);
                pg_json_member_string(w, "cpu", m->engines.cpu);
                pg_json_member_string(w, "cpu_clock", m->engines.cpu_clock);
                pg_json_member_string(w, "lock", m->engines.lock);
                pg_json_member_string(w, "timing", m->engines.timing);
        }
        pg_json_close(w, '}');
}

static void put_stack_quality(struct pg_json_writer *w, const char *key, const struct pg_stack_quality *q)
{
        uint64_t broken = q->truncated + q->unknown + q->other;
        pg_json_put_key(w, key);
        pg_json_open_flat(w, '{');
        pg_json_member_count(w, "complete", q->events > broken ? q->events - broken : 0);
        pg_json_member_count(w, "different", q->different);
        pg_json_member_count(w, "events", q->events);
        if (q->live_interval_bytes)
                pg_json_member_count(w, "live_interval_bytes", q->live_interval_bytes);
        pg_json_member_count(w, "lost", q->lost);
        pg_json_member_count(w, "other", q->other);
        pg_json_member_count(w, "truncated", q->truncated);
        pg_json_member_count(w, "unknown", q->unknown);
        pg_json_member_count(w, "verified", q->verified);
        pg_json_close(w, '}');
}

/* Only of passes that saw something. */
static void put_stacks(struct pg_json_writer *w, const struct pg_measurement *m)
{
        static const char *const keys[PG_STACKS_COUNT] = {
                [PG_STACKS_ALLOCATION] = "allocation", [PG_STACKS_CPU] = "cpu", [PG_STACKS_LOCK] = "lock"
        };
        bool any = false;
        for (int i = 0; i < PG_STACKS_COUNT; i++)
                any |= m->stacks[i].events > 0;
        if (!any)
                return;
        pg_json_put_key(w, "stacks");
        pg_json_open(w, '{');
        for (int i = 0; i < PG_STACKS_COUNT; i++)
                if (m->stacks[i].events)
                        put_stack_quality(w, keys[i], &m->stacks[i]);
        pg_json_close(w, '}');
}

static void put_profiles(struct pg_json_writer *w, const struct pg_report_profiles *p)
{
        pg_json_put_key(w, "profiles");
        pg_json_open(w, '{');
        if (p) {
                pg_json_member_string(w, "cpu", p->cpu);
                pg_json_member_string(w, "cpu_base", p->cpu_base);
                pg_json_member_string(w, "heap", p->heap);
                pg_json_member_string(w, "heap_base", p->heap_base);
                pg_json_member_string(w, "lock_holders", p->lock_holders);
                pg_json_member_string(w, "locks", p->locks);
        }
        pg_json_close(w, '}');
}

static void put_benchmark(struct pg_json_writer *w, const struct pg_benchmark_verdict *b,
                          const struct pg_report_profiles *profiles)
{
        pg_json_open(w, '{');
        put_engines(w, b->head);
        if (b->head) {
                pg_json_put_key(w, "measured");
                pg_measurement_write(w, b->head);
        }
        pg_json_put_key(w, "metrics");
        pg_json_open(w, '[');
        for (size_t i = 0; i < b->n_rows; i++)
                put_row(w, &b->rows[i]);
        pg_json_close(w, ']');
        put_string(w, "name", b->name);
        put_profiles(w, profiles);
        pg_json_member_string(w, "reason", b->reason);
        if (b->head)
                put_stacks(w, b->head);
        put_string(w, "verdict", pg_verdict_name(b->verdict));
        pg_json_close(w, '}');
}

static void put_benchmarks(struct pg_json_writer *w, const struct pg_report *r)
{
        pg_json_put_key(w, "benchmarks");
        pg_json_open(w, '[');
        for (size_t i = 0; r->gate && i < r->gate->n_benchmarks; i++)
                put_benchmark(w, &r->gate->benchmarks[i], r->profiles ? &r->profiles[i] : NULL);
        pg_json_close(w, ']');
}

static void put_report(struct pg_json_writer *w, const struct pg_report *r)
{
        pg_json_open(w, '{');
        pg_json_member_string(w, "baseline", r->baseline_path);
        put_benchmarks(w, r);
        if (r->head) {
                pg_json_member_string(w, "commit", r->head->commit);
                pg_json_member_string(w, "created", r->head->created);
        }
        pg_json_member_string(w, "error", r->error);
        pg_json_member_count(w, "exit_code", (uint64_t)r->exit_code);
        if (r->head) {
                pg_json_put_key(w, "host");
                pg_host_write(w, &r->head->host);
        }
        pg_json_member_string(w, "reason", r->gate ? r->gate->reason : NULL);
        pg_json_member_string(w, "schema", PG_RESULT_SCHEMA);
        if (r->head) {
                pg_json_put_key(w, "tool");
                pg_json_open(w, '{');
                pg_json_member_string(w, "name", "perfgate");
                pg_json_member_string(w, "version", r->head->tool_version);
                pg_json_close(w, '}');
        }
        pg_json_member_string(w, "verdict", pg_verdict_name(pg_report_verdict(r)));
        pg_json_close(w, '}');
}

bool pg_report_json(const struct pg_report *r, struct pg_buf *out, struct pg_error *err)
{
        put_report(&(struct pg_json_writer){ .out = out }, r);
        pg_buf_putc(out, '\n');
        return pg_buf_ok(out, err);
}
