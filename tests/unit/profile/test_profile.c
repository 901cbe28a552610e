// SPDX-License-Identifier: MIT
/*
 * test_profile.c - building, checking, writing, reading and summing up, without other tools.
 *
 * Expected sums are those of sample_profiles.h, by hand; damaged files are made from good ones byte by byte.
 */
#include "tests/unit/profile/sample_profiles.h"

#include <zlib.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"
#include "runner/profile/gunzip.h"

static char *format(const struct pg_profile *p, size_t *ret_len)
{
        struct pg_error err = { 0 };
        char *bytes = NULL;
        if (!pg_pprof_format(p, &bytes, ret_len, &err))
                fail_msg("%s", err.text);
        return bytes;
}

static void assert_same_functions(const struct pg_profile *a, const struct pg_profile *b)
{
        assert_int_equal(a->n_functions, b->n_functions);
        for (size_t i = 0; i < a->n_functions; i++) {
                assert_string_equal(a->functions[i].name, b->functions[i].name);
                assert_string_equal(a->functions[i].system_name, b->functions[i].system_name);
                assert_string_equal(a->functions[i].file, b->functions[i].file);
                assert_int_equal(a->functions[i].start_line, b->functions[i].start_line);
        }
}

static void assert_same_mappings(const struct pg_profile *a, const struct pg_profile *b)
{
        assert_int_equal(a->n_mappings, b->n_mappings);
        for (size_t i = 0; i < a->n_mappings; i++) {
                const struct pg_profile_mapping *m = &a->mappings[i], *n = &b->mappings[i];
                assert_string_equal(m->file, n->file);
                assert_string_equal(m->build_id, n->build_id);
                assert_true(m->start == n->start && m->limit == n->limit && m->offset == n->offset);
                assert_true(m->has_functions == n->has_functions && m->has_filenames == n->has_filenames &&
                            m->has_lines == n->has_lines && m->has_inlines == n->has_inlines);
        }
}

static void assert_same_samples(const struct pg_profile *a, const struct pg_profile *b)
{
        assert_int_equal(a->n_locations, b->n_locations);
        for (size_t i = 0; i < a->n_locations; i++) {
                assert_int_equal(a->locations[i].mapping, b->locations[i].mapping);
                assert_int_equal(a->locations[i].address, b->locations[i].address);
                assert_int_equal(a->locations[i].n_lines, b->locations[i].n_lines);
                for (size_t j = 0; j < a->locations[i].n_lines; j++) {
                        assert_int_equal(a->locations[i].lines[j].function,
                                         b->locations[i].lines[j].function);
                        assert_int_equal(a->locations[i].lines[j].line, b->locations[i].lines[j].line);
                }
        }
        assert_int_equal(a->n_samples, b->n_samples);
        for (size_t i = 0; i < a->n_samples; i++) {
                assert_int_equal(a->samples[i].n_locations, b->samples[i].n_locations);
                assert_memory_equal(a->samples[i].locations, b->samples[i].locations,
                                    a->samples[i].n_locations * sizeof(uint32_t));
                assert_memory_equal(a->samples[i].values, b->samples[i].values,
                                    a->n_sample_types * sizeof(int64_t));
        }
}

static void what_was_written_is_read_again(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        size_t len;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_PROFILE struct pg_profile *q = NULL;
        PG_AUTO_FREE char *bytes = format(p, &len);
        if (!pg_pprof_parse(bytes, len, &q, &err))
                fail_msg("%s", err.text);
        assert_same_functions(p, q);
        assert_same_mappings(p, q);
        assert_same_samples(p, q);
        assert_int_equal(q->time_ns, 1700000000000000000);
        assert_int_equal(q->duration_ns, 200 * MS);
        assert_int_equal(q->period, 1 * MS);
        assert_string_equal(q->period_type.type, "cpu");
        assert_string_equal(q->sample_types[1].unit, "nanoseconds");
        assert_int_equal(q->default_type, 1);
        assert_int_equal(q->n_comments, 1);
        assert_string_equal(q->comments[0], "made by a test");
}

static void equal_profiles_give_equal_bytes(void **state)
{
        (void)state;
        size_t n, m;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_PROFILE struct pg_profile *q = make_cpu_profile(1);
        PG_AUTO_FREE char *a = format(p, &n);
        PG_AUTO_FREE char *b = format(q, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        assert_memory_equal(a, "\x1f\x8b\x08\0\0\0\0\0\4\xff",
                            10); // RFC 1952: no name, no time, fastest, no system
}

/* Three places of two modules and their samples, added forwards or backwards. */
static char *format_in_order(bool backwards, size_t *ret_len)
{
        static const char *const files[] = { "/bin/a", "/lib/b.so", "/lib/c.so" };
        struct pg_error err = { 0 };
        int32_t m[3], first;
        uint32_t place[3];
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x2000, "/bin/a", "", &first, &err));
        for (int i = 0; i < 3; i++) {
                int k = backwards ? 2 - i : i;
                uint64_t start = 0x1000 * ((uint64_t)k + 1);
                assert_true(pg_profile_add_mapping(b, start, start + 0x1000, files[k], "", &m[k], &err));
                place[k] =
                        add_place(b, m[k], start + 4, (const char *[]){ "one", "two", "three" }[k], "base");
        }
        for (int i = 0; i < 3; i++) {
                int k = backwards ? 2 - i : i;
                add_stack(b, (uint32_t[]){ place[k], place[0] }, 2, k + 1, 100 * k);
        }
        assert_true(pg_profile_finish(b, 1, 1, &p, &err));
        pg_profile_builder_destroy(b);
        return format(p, ret_len);
}

static void the_order_of_adding_leaves_no_trace(void **state)
{
        (void)state;
        size_t n, m;
        PG_AUTO_FREE char *a = format_in_order(false, &n);
        PG_AUTO_FREE char *b = format_in_order(true, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
}

static void bytes_that_are_not_text_are_written_as_escapes(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                { "caf\xc3\xa9", "caf\xc3\xa9" },
                { "f\xff", "f\\xff" },
                { "\xc0\xaf", "\\xc0\\xaf" },                   // overlong '/'
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          // surrogate
                { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, // above U+10FFFF
                { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
                { "cut\xe2\x82", "cut\\xe2\\x82" },
                { "a\nb\x7f", "a\\x0ab\\x7f" },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_error err = { 0 };
                PG_AUTO_PROFILE struct pg_profile *p = NULL;
                struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
                uint32_t l = add_place(b, -1, 1, cases[i].in, NULL);
                add_stack(b, &l, 1, 1, 1);
                assert_true(pg_profile_finish(b, 1, 1, &p, &err));
                pg_profile_builder_destroy(b);
                assert_string_equal(p->functions[0].name, cases[i].out);
                assert_true(pg_profile_check(p, &err));
        }
}

static void a_mapping_holds_its_addresses(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        int32_t m;
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        assert_true(pg_profile_add_mapping(b, 0x5000, 0x6000, "/bin/a", "", &m, &err));
        add_place(b, m, 0x4123, "below", NULL);
        add_place(b, m, 0x7fff, "above", NULL);
        assert_true(pg_profile_finish(b, 1, 1, &p, &err));
        pg_profile_builder_destroy(b);
        assert_int_equal(p->mappings[0].start, 0x4000);
        assert_int_equal(p->mappings[0].limit, 0x8000);
}

static void sums_that_do_not_fit_are_an_error(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        uint32_t l = add_place(b, -1, 1, "f", NULL);
        struct pg_profile *p = NULL;
        assert_true(pg_profile_add_sample(b, &l, 1, (int64_t[]){ 1, INT64_MAX }, &err));
        assert_false(pg_profile_add_sample(b, &l, 0, (int64_t[]){ 1, 1 }, &err));
        assert_int_equal(err.code, PG_EDATA);
        err = (struct pg_error){ 0 };
        assert_true(pg_profile_add_sample(b, &l, 1, (int64_t[]){ 1, 1 }, &err));
        assert_false(pg_profile_finish(b, 0, 0, &p, &err));
        assert_int_equal(err.code, PG_EDATA);
        pg_profile_builder_destroy(b);
}

/* main -> (parse with skip inlined), in two processes and without one; "a;b" has a sign that folded stacks use. */
static struct pg_profile *make_labelled(void)
{
        struct pg_error err = { 0 };
        int32_t m;
        struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x2000, "/bin/a", "", &m, &err));
        uint32_t stack[2] = { add_place(b, m, 0x1100, "skip", "parse"),
                              add_place(b, m, 0x1200, "main", NULL) };
        uint32_t odd = add_place(b, m, 0x1300, "a;b", NULL);
        static const char *const processes[] = { "sh/2", NULL, "sh/1", "sh/2" };
        for (int i = 0; i < 4; i++) {
                const int64_t values[] = { 1, 10 << i };
                assert_true(pg_profile_add_labelled(b, stack, 2, values, processes[i], &err));
        }
        assert_true(pg_profile_add_sample(b, &odd, 1, (int64_t[]){ 1, 7 }, &err));
        assert_true(pg_profile_add_sample(b, &stack[1], 1, (int64_t[]){ 1, 0 }, &err));
        assert_true(pg_profile_finish(b, 0, 0, &p, &err));
        pg_profile_builder_destroy(b);
        return p;
}

static void samples_of_processes_stay_apart(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        size_t len;
        PG_AUTO_PROFILE struct pg_profile *p = make_labelled();
        PG_AUTO_PROFILE struct pg_profile *q = NULL;
        PG_AUTO_FREE char *bytes = format(p, &len);
        if (!pg_pprof_parse(bytes, len, &q, &err))
                fail_msg("%s", err.text);
        static const struct {
                const char *process;
                int64_t value;
        } want[] = {
                { NULL, 0 }, { NULL, 20 }, { "sh/1", 40 }, { "sh/2", 90 }, { NULL, 7 }
        }; // 90 is 10 + 80
        assert_int_equal(q->n_samples, 5);
        for (size_t i = 0; i < 5; i++) {
                if (want[i].process)
                        assert_string_equal(q->samples[i].process, want[i].process);
                else
                        assert_null(q->samples[i].process);
                assert_int_equal(q->samples[i].values[1], want[i].value);
        }
}

static void folded_stacks_are_lines(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_PROFILE struct pg_profile *p = make_labelled();
        PG_AUTO_BUF struct pg_buf out = { 0 };
        assert_true(pg_folded_format(p, 1, &out, &err));
        assert_string_equal(out.data, "main;parse;skip 20\n"
                                      "sh/1;main;parse;skip 40\n"
                                      "sh/2;main;parse;skip 90\n"
                                      "a:b 7\n");
        assert_false(pg_folded_format(p, 2, &out, &err));
        assert_int_equal(err.code, PG_EUSAGE);
}

/* ---- the check, on one damage at a time ---- */

static void break_nothing(struct pg_profile *p)
{
        (void)p;
}
static void break_mappings(struct pg_profile *p)
{
        p->n_mappings = 0;
}
static void break_limit(struct pg_profile *p)
{
        p->mappings[0].limit = 0;
}
static void break_address(struct pg_profile *p)
{
        p->locations[0].address = 0xffffff;
}
static void break_mapping_index(struct pg_profile *p)
{
        p->locations[0].mapping = 2;
}
static void break_function_index(struct pg_profile *p)
{
        p->locations[0].lines[0].function = (uint32_t)p->n_functions;
}
static void break_location_index(struct pg_profile *p)
{
        p->samples[0].locations[0] = (uint32_t)p->n_locations;
}
static void break_stack(struct pg_profile *p)
{
        p->samples[0].n_locations = 0;
}
static void break_text(struct pg_profile *p)
{
        p->functions[0].name = "\xff";
}
static void break_missing_text(struct pg_profile *p)
{
        p->functions[0].file = NULL;
}
static void break_default(struct pg_profile *p)
{
        p->default_type = 2;
}

static void the_check_finds_what_consumers_would_show_wrong(void **state)
{
        static const struct {
                void (*damage)(struct pg_profile *);
                const char *text;
        } cases[] = {
                { break_nothing, NULL },
                { break_mappings, "no mapping" },
                { break_limit, "ends before it starts" },
                { break_address, "outside of mapping 1" },
                { break_mapping_index, "no mapping 3" },
                { break_function_index, "no function" },
                { break_location_index, "no location" },
                { break_stack, "has no location" },
                { break_text, "not clean UTF-8" },
                { break_missing_text, "text missing" },
                { break_default, "is the default" },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
                struct pg_error err = { 0 };
                cases[i].damage(p);
                assert_int_equal(pg_profile_check(p, &err), cases[i].text == NULL);
                if (cases[i].text)
                        assert_non_null(strstr(err.text, cases[i].text));
                assert_int_equal(err.code, cases[i].text ? PG_EDATA : PG_OK);
        }
}

/* ---- sums ---- */

static void assert_row(const struct pg_top_row *row, const char *function, int64_t self_ms, int64_t total_ms)
{
        assert_string_equal(row->function, function);
        assert_int_equal(row->self, self_ms * MS);
        assert_int_equal(row->total, total_ms * MS);
}

static void top_has_self_and_total_of_each_function(void **state)
{
        (void)state;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_error err = { 0 };
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        assert_true(pg_profile_top(p, 1, a, &rows, &n, &sum, &err));
        assert_int_equal(sum, 100 * MS);
        assert_int_equal(n, 4);
        assert_row(&rows[0], "parse", 60, 90);
        assert_row(&rows[1], "skip", 25, 25);
        assert_row(&rows[2], "main", 10, 100);
        assert_row(&rows[3], "memchr", 5, 5);
        assert_string_equal(rows[0].file, "/src/a.c");
        assert_false(pg_profile_top(p, 2, a, &rows, &n, &sum, &err));
        assert_int_equal(err.code, PG_EUSAGE);
}

static void recursion_counts_once_and_addresses_stand_alone(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_top_row *rows;
        size_t n;
        int64_t sum;
        int32_t m;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_CPU, 1);
        assert_true(pg_profile_add_mapping(b, 0x1000, 0x2000, "/lib/x.so", "", &m, &err));
        uint32_t f = add_place(b, m, 0x1010, "f", NULL), g = add_place(b, m, 0x1020, "g", NULL);
        uint32_t bare = add_place(b, m, 0x1030, "soon without a name", NULL);
        add_stack(b, (uint32_t[]){ f, g, f, f }, 4, 1, 7 * MS);
        add_stack(b, (uint32_t[]){ bare, f }, 2, 1, 2 * MS);
        assert_true(pg_profile_finish(b, 1, 1, &p, &err));
        pg_profile_builder_destroy(b);
        p->locations[bare].n_lines = 0; // as other producers leave it
        assert_true(pg_profile_top(p, 1, a, &rows, &n, &sum, &err));
        assert_int_equal(n, 3);
        assert_row(&rows[0], "f", 7, 9);
        assert_row(&rows[1], "x.so+0x30", 2, 2);
        assert_row(&rows[2], "g", 0, 7);
}

/* ---- files that are not what they should be ---- */

static void every_truncation_is_refused(void **state)
{
        (void)state;
        size_t len;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_FREE char *bytes = format(p, &len);
        for (size_t n = 0; n < len; n++) {
                struct pg_error err = { 0 };
                struct pg_profile *q = NULL;
                PG_AUTO_FREE char *cut = malloc(n + 1); // exact, so that a sanitizer sees a read behind it
                memcpy(cut, bytes, n);
                assert_false(pg_pprof_parse(cut, n, &q, &err));
                assert_int_equal(err.code, PG_EDATA);
        }
}

static void changed_bytes_never_crash_the_reader(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        size_t len;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_FREE char *bytes = format(p, &len);
        PG_AUTO_BUF struct pg_buf plain = { 0 };
        assert_true(pg_gunzip(bytes, len, 1 << 20, &plain, &err));
        for (size_t i = 0; i < plain.len; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        struct pg_error e = { 0 };
                        PG_AUTO_PROFILE struct pg_profile *q = NULL;
                        plain.data[i] = (char)(plain.data[i] ^ (1 << bit));
                        bool ok = pg_pprof_parse(plain.data, plain.len, &q, &e);
                        assert_int_equal(e.code, ok ? PG_OK : PG_EDATA);
                        plain.data[i] = (char)(plain.data[i] ^ (1 << bit));
                }
        }
}

static void gzip_members_are_one_stream_and_rubbish_behind_is_not(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        size_t len;
        PG_AUTO_PROFILE struct pg_profile *p = make_cpu_profile(1);
        PG_AUTO_FREE char *bytes = format(p, &len);
        PG_AUTO_BUF struct pg_buf twice = { 0 }, plain = { 0 };
        assert_true(pg_gunzip(bytes, len, 1 << 20, &plain, &err));
        pg_buf_append(&twice, bytes, len);
        pg_buf_append(&twice, bytes, len);
        PG_AUTO_BUF struct pg_buf both = { 0 };
        assert_true(pg_gunzip(twice.data, twice.len, 1 << 20, &both, &err));
        assert_int_equal(both.len, 2 * plain.len);
        struct pg_profile *q = NULL;
        assert_false(pg_pprof_parse(twice.data, twice.len, &q, &err));
        assert_non_null(strstr(err.text, "second"));
        err = (struct pg_error){ 0 };
        twice.data[len] = 'x';
        assert_false(pg_pprof_parse(twice.data, twice.len, &q, &err));
        assert_non_null(strstr(err.text, "expected the end"));
        err = (struct pg_error){ 0 };
        PG_AUTO_BUF struct pg_buf limited = { 0 };
        assert_false(pg_gunzip(bytes, len, plain.len - 1, &limited, &err));
        assert_int_equal(err.code, PG_EDATA);
}

static void what_is_no_profile_is_refused_with_a_reason(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
                const char *text;
        } cases[] = {
                { "", 0, "empty" },
                { "{\"a\": 1}", 8, "not a pprof profile" },
                { "\x7f"
                  "ELF\x02\x01",
                  6, "not a pprof profile" },
                { "\x0a\x00\x32\x00\x12\x02\x0a", 7, "only 1 are left" },
                { "\x0a\x00\x32\x00\x12\x02\x0a\x05", 8, "damaged" },
                { "\x32\x00", 2, "no sample types" },
                { "\x0a\x02\x08\x05\x32\x00", 6, "text number 5" },
                { "\x0a\x00\x32\x01x", 5, "first text" },
                { "\x0a\x00\x32\x00\x12\x04\x0a\x00\x12\x00", 10, "0 values, expected 1" },
                { "\x0a\x00\x32\x00\x12\x05\x0a\x01\x07\x10\x01", 11, "no location has id 7" },
                { "\x0a\x00\x32\x00\x22\x02\x08\x00", 8, "a location has id 0" },
                { "\x0a\x00\x32\x00\x22\x02\x08\x01\x22\x02\x08\x01", 12, "two locations have id 1" },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_error err = { 0 };
                struct pg_profile *p = NULL;
                assert_false(pg_pprof_parse(cases[i].bytes, cases[i].len, &p, &err));
                assert_int_equal(err.code, PG_EDATA);
                if (!strstr(err.text, cases[i].text))
                        fail_msg("case %zu: '%s' lacks '%s'", i, err.text, cases[i].text);
        }
}

static void a_missing_file_is_named(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_profile *p = NULL;
        assert_false(pg_pprof_load("/nonexistent/x.pb.gz", &p, &err));
        assert_int_equal(err.code, PG_EOS);
        assert_non_null(strstr(err.text, "/nonexistent/x.pb.gz"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_written_is_read_again),
                cmocka_unit_test(equal_profiles_give_equal_bytes),
                cmocka_unit_test(the_order_of_adding_leaves_no_trace),
                cmocka_unit_test(bytes_that_are_not_text_are_written_as_escapes),
                cmocka_unit_test(a_mapping_holds_its_addresses),
                cmocka_unit_test(sums_that_do_not_fit_are_an_error),
                cmocka_unit_test(samples_of_processes_stay_apart),
                cmocka_unit_test(folded_stacks_are_lines),
                cmocka_unit_test(the_check_finds_what_consumers_would_show_wrong),
                cmocka_unit_test(top_has_self_and_total_of_each_function),
                cmocka_unit_test(recursion_counts_once_and_addresses_stand_alone),
                cmocka_unit_test(every_truncation_is_refused),
                cmocka_unit_test(changed_bytes_never_crash_the_reader),
                cmocka_unit_test(gzip_members_are_one_stream_and_rubbish_behind_is_not),
                cmocka_unit_test(what_is_no_profile_is_refused_with_a_reason),
                cmocka_unit_test(a_missing_file_is_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
