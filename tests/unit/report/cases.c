// SPDX-License-Identifier: MIT
/*
 * cases.c - reports made by hand. Each says in its comment what a reader must find in it.
 */
#include "tests/unit/report/cases.h"

#include <string.h>

#include "tests/unit/compare/made.h"

static struct pg_measurement *both(struct report_case *c, const char *name, struct pg_measurement **ret_base)
{
        *ret_base = made_benchmark(c->base, name);
        return made_benchmark(c->head, name);
}

/* A benchmark in which nothing moved. */
static void add_quiet(struct report_case *c, const char *name)
{
        struct pg_measurement *b, *h = both(c, name, &b);
        made_series(c->base, b, PG_ALLOCATIONS, 12345, 12345);
        made_series(c->head, h, PG_ALLOCATIONS, 12345, 12345);
        made_series(c->base, b, PG_PEAK_HEAP, 3365929, 3365929);
        made_series(c->head, h, PG_PEAK_HEAP, 3365929, 3365929);
        made_series(c->base, b, PG_WALL_TIME, 512000000, 520000000, 515000000);
        made_series(c->head, h, PG_WALL_TIME, 514000000, 522000000, 511000000);
}

/* Two shares that hold: 60 % and 40 %. */
static void add_steady_profile(struct report_case *c, struct pg_measurement *b, struct pg_measurement *h)
{
        made_profile(c->base, b, 3);
        made_profile(c->head, h, 3);
        made_function(c->base, b, "parse_string", "/src/app/parse.c", 118, 300, 303, 297);
        made_function(c->head, h, "parse_string", "/src/app/parse.c", 120, 301, 302, 298);
        made_function(c->base, b, "tokenize", "/src/app/lex.c", 40, 200, 201, 199);
        made_function(c->head, h, "tokenize", "/src/app/lex.c", 40, 200, 202, 199);
}

/* Green: three benchmarks, all within their limits, all folded. */
static void make_pass(struct report_case *c)
{
        add_quiet(c, "parse-large");
        add_quiet(c, "sqlite-load");
        add_quiet(c, "xz-9");
}

/* Green with one benchmark: its numbers are shown. */
static void make_pass_one(struct report_case *c)
{
        add_quiet(c, "parse-large");
        add_steady_profile(c, &c->base->benchmarks[0], &c->head->benchmarks[0]);
}

/* Red: allocations with two call sites behind them, a function's share, time that only warns, one benchmark
 * that got better, and quiet ones. */
static void make_fail(struct report_case *c)
{
        struct pg_measurement *b, *h;
        add_quiet(c, "xz-9");
        h = both(c, "parse-large", &b);
        made_series(c->base, b, PG_ALLOCATIONS, 12000, 12000);
        made_series(c->head, h, PG_ALLOCATIONS, 18100, 18100);
        made_series(c->base, b, PG_PEAK_HEAP, 3365929, 3365929);
        made_series(c->head, h, PG_PEAK_HEAP, 3365929, 3365929);
        made_series(c->base, b, PG_LEAKED_BYTES, 0, 0);
        made_series(c->head, h, PG_LEAKED_BYTES, 4096, 4096);
        made_series(c->base, b, PG_CPU_TIME, 500000000, 510000000, 505000000);
        made_series(c->head, h, PG_CPU_TIME, 700000000, 712000000, 705000000);
        made_site(c->base, b, "intern", "/src/app/intern.c", 61, 8000, 512000);
        made_site(c->head, h, "intern", "/src/app/intern.c", 64, 12000, 768000);
        made_site(c->base, b, "parse_string", "/src/app/parse.c", 118, 4000, 128000);
        made_site(c->head, h, "parse_string", "/src/app/parse.c", 120, 6100, 195200);
        made_profile(c->base, b, 3);
        made_profile(c->head, h, 3);
        made_function(c->base, b, "parse_string", "/src/app/parse.c", 118, 100, 103, 101);
        made_function(c->head, h, "parse_string", "/src/app/parse.c", 120, 300, 302, 298);
        made_function(c->base, b, "tokenize", "/src/app/lex.c", 40, 400, 402, 399);
        made_function(c->head, h, "tokenize", "/src/app/lex.c", 40, 401, 403, 398);
        h = both(c, "sqlite-load", &b);
        made_series(c->base, b, PG_ALLOCATIONS, 80000, 80000);
        made_series(c->head, h, PG_ALLOCATIONS, 60000, 60000);
        add_quiet(c, "jq-filter");
        add_quiet(c, "jq-keys");
}

/* A site of "bench" with all of its values; one block each 64 bytes stands for the live ones. */
static void add_live_site(struct pg_snapshot *s, struct pg_measurement *m, const struct pg_site *site)
{
        made_site(s, m, site->function, site->file, site->line, site->allocations, site->allocated_bytes);
        m->sites[m->n_sites - 1] = *site;
        m->sites[m->n_sites - 1].module = "bench";
        m->site_quality =
                (struct pg_site_quality){ .rule = "r", .has_live = true, .live_interval_bytes = 64 };
}

/* Red: more allocations, most of them freed at once; a higher peak by call sites that are estimates; and a
 * benchmark whose baseline is too old to know where live bytes came from. */
static void make_live(struct report_case *c)
{
        struct pg_measurement *b, *h = both(c, "parse-large", &b);
        made_series(c->base, b, PG_ALLOCATIONS, 12000, 12000);
        made_series(c->head, h, PG_ALLOCATIONS, 18000, 18000);
        made_series(c->base, b, PG_PEAK_HEAP, 3145728, 3145728);
        made_series(c->head, h, PG_PEAK_HEAP, 4194304, 4194304);
        add_live_site(c->base, b,
                      &(struct pg_site){ "keep", NULL, "/src/app/keep.c", 20, 4000, 2560000, 0, 3000000, 0 });
        add_live_site(c->head, h,
                      &(struct pg_site){ "keep", NULL, "/src/app/keep.c", 20, 4000, 3560000, 0, 4000000, 0 });
        add_live_site(
                c->base, b,
                &(struct pg_site){ "to_text", NULL, "/src/app/text.c", 61, 8000, 512000, 7900, 9000, 0 });
        add_live_site(
                c->head, h,
                &(struct pg_site){ "to_text", NULL, "/src/app/text.c", 61, 14000, 896000, 13900, 9000, 0 });
        h = both(c, "sqlite-load", &b);
        made_series(c->base, b, PG_PEAK_HEAP, 3145728, 3145728);
        made_series(c->head, h, PG_PEAK_HEAP, 4194304, 4194304);
        made_site(c->base, b, "sqlite3_step", "/src/app/vdbe.c", 20, 4000, 2560000);
        add_live_site(
                c->head, h,
                &(struct pg_site){ "sqlite3_step", NULL, "/src/app/vdbe.c", 20, 4000, 2560000, 0, 9, 0 });
}

/* Yellow: time, a collapsed metric, a benchmark that is new and one that is gone. */
static void make_warn(struct report_case *c)
{
        struct pg_measurement *b, *h = both(c, "parse-large", &b);
        made_series(c->base, b, PG_ALLOCATIONS, 12000, 12000);
        made_series(c->head, h, PG_ALLOCATIONS, 0, 0);
        made_series(c->base, b, PG_WALL_TIME, 500000000, 510000000, 505000000);
        made_series(c->head, h, PG_WALL_TIME, 700000000, 712000000, 705000000);
        made_series(c->head, made_benchmark(c->head, "fresh"), PG_ALLOCATIONS, 77, 77);
        made_series(c->base, made_benchmark(c->base, "old"), PG_ALLOCATIONS, 77, 77);
}

/* Neither: a noisy time that should fail, and a profile that failed its self-check. */
static void make_inconclusive(struct report_case *c)
{
        struct pg_measurement *b, *h = both(c, "parse-large", &b);
        c->options.thresholds.of[PG_CPU_TIME].action = PG_ACTION_FAIL;
        made_series(c->base, b, PG_ALLOCATIONS, 1000, 1000);
        made_series(c->head, h, PG_ALLOCATIONS, 1000, 1000);
        made_series(c->base, b, PG_CPU_TIME, 500000000, 510000000, 505000000);
        made_series(c->head, h, PG_CPU_TIME, 504000000, 712000000, 705000000);
        add_steady_profile(c, b, h);
        h->profile_doubt = "the samples add up to 61 % of the CPU time that the kernel accounted";
}

/* A static binary: one metric is required and cannot be had, others cannot be had and nobody named them. */
static void make_unavailable(struct report_case *c)
{
        static const char why[] = "the target is statically linked, the agent cannot be loaded into it";
        struct pg_measurement *b, *h = both(c, "static-tool", &b);
        made_series(c->base, b, PG_WALL_TIME, 500000000, 510000000, 505000000);
        made_series(c->head, h, PG_WALL_TIME, 500000000, 510000000, 505000000);
        made_unavailable(h, PG_ALLOCATIONS, why);
        made_unavailable(h, PG_ALLOCATED_BYTES, why);
        made_unavailable(h, PG_PEAK_HEAP, why);
        made_unavailable(b, PG_ALLOCATIONS, why);
        add_quiet(c, "parse-large");
        c->known[0] =
                (struct pg_gate_benchmark){ .name = "static-tool", .thresholds = pg_default_thresholds };
        c->known[0].required[PG_ALLOCATIONS] = true;
        c->options.benchmarks = c->known;
        c->options.n_benchmarks = 1;
}

/* Names that try to leave their place: escape sequences, HTML, table cells, workflow commands, mentions, text
 * that runs backwards, bytes that are no UTF-8; and very long C++ names. */
static void make_hostile(struct report_case *c)
{
        static const char long_name[] =
                "std::_Hashtable<std::string, std::pair<std::string const, nlohmann::basic_json<std::map> >, "
                "std::allocator<std::pair<std::string const, nlohmann::basic_json<std::map> > > >::_M_insert";
        struct pg_measurement *b, *h = both(c, "::error::owned | <b>x `id` @team", &b);
        made_series(c->base, b, PG_ALLOCATIONS, 1000, 1000);
        made_series(c->head, h, PG_ALLOCATIONS, 9000, 9000);
        made_site(c->head, h, "\033[31ma|b`c`\r\n::warning::@everyone <script>\xff",
                  "/src/app/we,ird:na%me\n.c", 7, 3000, 1);
        made_site(c->head, h, long_name, "/src/app/third_party/nlohmann/include/json.hpp", 20123, 3000, 1);
        made_site(c->head, h, "\xe2\x80\xaegnp.exe ##[error]x ::error::y", NULL, 0, 2000, 1);
        made_site(c->base, b, "zero", NULL, 0, 1, 1);
}

/* Nothing to compare with. */
static void make_no_baseline(struct report_case *c)
{
        add_quiet(c, "parse-large");
        add_steady_profile(c, &c->base->benchmarks[0], &c->head->benchmarks[0]);
        add_quiet(c, "xz-9");
        c->report.baseline_path = NULL;
        made_destroy(c->base);
        c->base = NULL;
}

/* A target that failed: nothing was judged. */
static void make_error(struct report_case *c)
{
        c->report.error =
                "parse-large: ./build/parse exited with status 3, expected 0; it said: no such file";
        c->report.exit_code = 5;
        c->report.gate = NULL;
}

struct report_case report_cases[] = {
        { .name = "pass", .make = make_pass },
        { .name = "pass_one", .make = make_pass_one },
        { .name = "fail", .make = make_fail },
        { .name = "live", .make = make_live },
        { .name = "warn", .make = make_warn },
        { .name = "inconclusive", .make = make_inconclusive },
        { .name = "unavailable", .make = make_unavailable },
        { .name = "hostile", .make = make_hostile },
        { .name = "no_baseline", .make = make_no_baseline },
        { .name = "error", .make = make_error },
};
const size_t n_report_cases = sizeof(report_cases) / sizeof(*report_cases);

void case_open(struct report_case *c)
{
        static const struct pg_report_profiles profiles[8] = { { .cpu = "parse-large/cpu.pb.gz" } };
        c->base = made_snapshot();
        c->head = made_snapshot();
        c->options = made_options();
        c->report =
                (struct pg_report){ .baseline_path = "main.json",
                                    .profiles = profiles,
                                    .reproduce = "perfgate run --config perfgate.json --baseline main.json" };
        c->make(c);
        struct pg_gate *g = made_gate(c->base, c->head, &c->options);
        c->report.base = c->base;
        c->report.head = c->head;
        c->report.gate = g;
        if (!c->report.exit_code)
                c->report.exit_code = g->exit_code;
}

void case_close(struct report_case *c)
{
        pg_gate_destroy((struct pg_gate *)c->report.gate);
        if (c->base)
                made_destroy(c->base);
        made_destroy(c->head);
}
