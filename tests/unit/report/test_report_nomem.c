// SPDX-License-Identifier: MIT
/*
 * test_report_nomem.c - every allocation of judging and reporting fails once; each time the caller hears of
 * it.
 *
 * malloc, calloc and realloc of the code under test go through the counters below (linker option --wrap).
 * Leaks and stray accesses on the way out are found where this runs under the address sanitizer.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/compare/made.h"
#include "tests/unit/report/cases.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left = -1; // allocations that still work; -1: all

static bool fails(void)
{
        return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

enum { JUDGE, TEXT, JSON, MARKDOWN, GITHUB, STEPS };

static bool step(int what, struct report_case *c, struct pg_buf *out, struct pg_gate **gate,
                 struct pg_error *err)
{
        switch (what) {
        case JUDGE:
                return pg_gate_judge(c->base, c->head, &c->options, gate, err);
        case TEXT:
                return pg_report_text(&c->report, &(struct pg_text_style){ .width = 80, .color = true }, out,
                                      err);
        case JSON:
                return pg_report_json(&c->report, out, err);
        case MARKDOWN:
                return pg_report_markdown(&c->report, out, err);
        default:
                return pg_report_github(&c->report, "/src/app", out, err);
        }
}

/* Lets allocation number `nth` fail; true when the step did not get that far and worked. */
static bool works_with(int what, struct report_case *c, long nth)
{
        struct pg_buf out = { 0 };
        struct pg_gate *gate = NULL;
        struct pg_error err = { 0 };
        left = nth;
        bool ok = step(what, c, &out, &gate, &err);
        bool reached = left < 0;
        left = -1;
        pg_buf_deinit(&out);
        pg_gate_destroy(gate);
        if (reached && ok)
                fail_msg("%s, step %d: allocation %ld failed and nobody said so", c->name, what, nth);
        if (reached)
                assert_int_equal(err.code, PG_ENOMEM);
        return !reached && ok;
}

static void every_failed_allocation_is_reported(void **state)
{
        (void)state;
        for (size_t i = 0; i < n_report_cases; i++) {
                case_open(&report_cases[i]);
                for (int what = 0; what < STEPS; what++) {
                        long nth = 0;
                        while (!works_with(what, &report_cases[i], nth))
                                nth++;
                        bool says_nothing = what == GITHUB && nth == 1; // only its arena: nothing to say
                        assert_true(nth >= 2 || says_nothing || what == JSON);
                }
                case_close(&report_cases[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(every_failed_allocation_is_reported) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
