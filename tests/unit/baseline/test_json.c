// SPDX-License-Identifier: MIT
/*
 * test_json.c - the JSON reader and writer, with jansson as the judge of what is JSON and what it means.
 *
 * The judge has no upper bound on nesting below ours and refuses numbers that no double can hold; no text
 * here comes near either.
 */
#include "tests/unit/assert_near.h"

#include <float.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/json_reader.h"
#include "baseline/json_writer.h"
#include "runner/base/cleanup.h"

/* Reads all of text as one value of any kind. */
static bool accepts(const char *text, size_t len)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_error err = { 0 };
        struct pg_json_reader r;
        return pg_json_begin(&r, "t", text, len, PG_EDATA, a, &err) && pg_json_skip(&r, NULL) &&
               pg_json_end(&r);
}

static bool jansson_accepts(const char *text, size_t len)
{
        json_t *tree = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_decref(tree);
        return tree != NULL;
}

static void assert_agreed(const char *text, size_t len)
{
        PG_AUTO_FREE char *exact = malloc(len ? len : 1); // so that a sanitizer sees reads behind it
        memcpy(exact, text, len);
        bool ours = accepts(exact, len);
        if (ours != (!memchr(text, '\0', len) && jansson_accepts(exact, len)))
                fail_msg("%s \"%.*s\"", ours ? "accepted" : "refused", (int)len, text);
}

/* Has every construct once. */
static const char sink[] =
        " {\"a\" : [1, -0.5e+3 ,0, true,false , null,[],{}],\r\n\t\"\\u00e9\\\\\\\"\\/\\b\": "
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\\ud83d\\ude00\",\"\":{\"k\":-1.25E-2}} ";

static void texts_that_differ_in_one_byte_are_judged_as_jansson_does(void **state)
{
        (void)state;
        enum { N = sizeof(sink) - 1 };
        char text[N + 2];
        assert_true(accepts(sink, N));
        for (size_t at = 0; at < N; at++) {
                memcpy(text, sink, at); // without this byte, and cut here
                memcpy(text + at, sink + at + 1, N - at - 1);
                assert_agreed(text, N - 1);
                assert_agreed(sink, at);
                for (int c = 0; c < 256; c++) {
                        memcpy(text, sink, N); // another one instead
                        text[at] = (char)c;
                        assert_agreed(text, N);
                        memcpy(text + at + 1, sink + at, N - at); // or in front of it
                        assert_agreed(text, N + 1);
                }
        }
}

/* All two-byte combinations behind each lead byte that matters, inside a string. */
static void utf8_is_judged_as_jansson_does(void **state)
{
        (void)state;
        static const unsigned char leads[] = { 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
                                               0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF };
        for (size_t i = 0; i < sizeof(leads); i++)
                for (int second = 0x7F; second <= 0xC0; second++)
                        for (int tail = 0; tail <= 3; tail++) {
                                char text[8] = { '"', (char)leads[i], (char)second, (char)0x80, (char)0xBF };
                                text[2 + tail] = '"';
                                assert_agreed(text, 3 + (size_t)tail);
                        }
}

struct strings {
        const char *const *values;
        size_t n;
};

static bool read_strings(const char *text, size_t len, struct pg_arena *a, struct strings *ret)
{
        struct pg_error err = { 0 };
        struct pg_json_reader r;
        return pg_json_begin(&r, "t", text, len, PG_EDATA, a, &err) &&
               pg_json_strings(&r, &ret->values, &ret->n) && pg_json_end(&r);
}

/* Where both read an array of strings, they read the same ones; without JSON_ALLOW_NUL jansson refuses NUL.
 */
static void assert_same_strings(const char *text, size_t len)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct strings ours = { 0 };
        json_t *tree = json_loadb(text, len, 0, NULL), *value;
        bool all_strings = json_is_array(tree);
        size_t i;
        json_array_foreach(tree, i, value) all_strings &= json_is_string(value);
        assert_int_equal(read_strings(text, len, a, &ours), all_strings);
        if (all_strings) {
                assert_int_equal(ours.n, json_array_size(tree));
                assert_null(ours.values[ours.n]);
                for (i = 0; i < ours.n; i++)
                        assert_string_equal(ours.values[i], json_string_value(json_array_get(tree, i)));
        }
        json_decref(tree);
}

static void strings_mean_what_jansson_reads(void **state)
{
        (void)state;
        static const char text[] = "[\"a\\u00e9\\ud83d\\ude00\\n\\\\\\\"\\/\",\"\\b\\f\\r\\t\\u0001\\uffff\","
                                   "\"\\u07ff\\u0800\\uD7FF\\ue000\\udbff\\udfff\"]";
        enum { N = sizeof(text) - 1 };
        char changed[N];
        assert_same_strings(text, N);
        for (size_t at = 0; at < N; at++)
                for (int c = 1; c < 256; c++) {
                        memcpy(changed, text, N);
                        changed[at] = (char)c;
                        assert_same_strings(changed, N);
                }
}

/* Depth is counted by hand: PG_JSON_MAX_DEPTH brackets pass, one more does not. */
static void nesting_is_bounded(void **state)
{
        (void)state;
        char text[2 * (PG_JSON_MAX_DEPTH + 1)];
        for (size_t depth = PG_JSON_MAX_DEPTH; depth <= PG_JSON_MAX_DEPTH + 1; depth++) {
                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                assert_int_equal(accepts(text, 2 * depth), depth == PG_JSON_MAX_DEPTH);
        }
        static char deep[10 << 20];
        memset(deep, '[', sizeof(deep));
        assert_false(accepts(deep, sizeof(deep)));
}

/* ---- writing ---- */

static void every_string_comes_back(void **state)
{
        (void)state;
        for (int c = 1; c < 0x800; c++) {
                char s[8] = "x";
                if (c < 0x80)
                        s[1] = (char)c;
                else
                        s[1] = (char)(0xC0 | c >> 6), s[2] = (char)(0x80 | (c & 0x3F));
                PG_AUTO_BUF struct pg_buf out = { 0 };
                pg_json_put_string(&(struct pg_json_writer){ .out = &out }, s);
                json_t *back = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
                assert_non_null(back);
                assert_string_equal(json_string_value(back), s);
                json_decref(back);
        }
}

static void assert_writes(double x, const char *want)
{
        PG_AUTO_BUF struct pg_buf out = { 0 };
        pg_json_put_real(&(struct pg_json_writer){ .out = &out }, x);
        assert_string_equal(out.data, want);
}

/* By hand; the last digits of 0.1 + 0.2 are IEEE 754's, the others are the shortest that mean the number. */
static void reals_are_short_and_exact(void **state)
{
        (void)state;
        assert_writes(0.05, "0.05");
        assert_writes(-1.5, "-1.5");
        assert_writes(0.1 + 0.2, "0.30000000000000004");
        assert_writes(0, "0");
        assert_writes(1e300, "1e+300");
        assert_writes(DBL_MAX * 10, "null");
        assert_writes(-DBL_MAX * 10, "null");
}

static void counts_are_whole(void **state)
{
        (void)state;
        PG_AUTO_BUF struct pg_buf out = { 0 };
        struct pg_json_writer w = { .out = &out };
        pg_json_member_counts(&w, "n", (const uint64_t[]){ 0, 9, 10, INT64_MAX, UINT64_MAX }, 5);
        assert_string_equal(out.data, "\"n\": [0,9,10,9223372036854775807,18446744073709551615]");
}

static void flat_containers_stand_on_one_line(void **state)
{
        (void)state;
        PG_AUTO_BUF struct pg_buf out = { 0 };
        struct pg_json_writer w = { .out = &out };
        pg_json_open(&w, '{');
        pg_json_put_key(&w, "a");
        pg_json_open(&w, '[');
        for (int i = 0; i < 2; i++) {
                pg_json_open_flat(&w, '{');
                pg_json_put_key(&w, "x");
                pg_json_open(&w, '[');
                pg_json_put_bool(&w, true);
                pg_json_put_bool(&w, false);
                pg_json_close(&w, ']');
                pg_json_member_string(&w, "y", NULL);
                pg_json_put_key(&w, "z");
                pg_json_put_string(&w, NULL);
                pg_json_close(&w, '}');
        }
        pg_json_close(&w, ']');
        pg_json_put_key(&w, "b");
        pg_json_open(&w, '{');
        pg_json_close(&w, '}');
        pg_json_close(&w, '}');
        assert_string_equal(out.data, "{\n"
                                      "  \"a\": [\n"
                                      "    {\"x\":[true,false],\"z\":null},\n"
                                      "    {\"x\":[true,false],\"z\":null}\n"
                                      "  ],\n"
                                      "  \"b\": {}\n"
                                      "}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_that_differ_in_one_byte_are_judged_as_jansson_does),
                cmocka_unit_test(utf8_is_judged_as_jansson_does),
                cmocka_unit_test(strings_mean_what_jansson_reads),
                cmocka_unit_test(nesting_is_bounded),
                cmocka_unit_test(every_string_comes_back),
                cmocka_unit_test(reals_are_short_and_exact),
                cmocka_unit_test(counts_are_whole),
                cmocka_unit_test(flat_containers_stand_on_one_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
