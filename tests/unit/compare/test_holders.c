// SPDX-License-Identifier: MIT
/*
 * test_holders.c - who is named when lock_wait rose. Expected values by hand.
 */
#include "tests/unit/assert_near.h"

#include <string.h>

#include "tests/unit/compare/made.h"

static void add_holder(struct pg_snapshot *s, struct pg_measurement *m, const char *function,
                       const char *module, uint32_t line, uint64_t delay_ns)
{
        m->lock_rule = "rule";
        m->lock_sites = pg_arena_grow(s->arena, m->lock_sites, m->n_lock_sites, sizeof(*m->lock_sites));
        assert_non_null(m->lock_sites);
        m->lock_sites[m->n_lock_sites++] = (struct pg_lock_site){
                .function = function,
                .module = module,
                .file = "a.c",
                .line = line,
                .contentions = 1,
                .delay_ns = delay_ns,
        };
}

struct both {
        struct pg_snapshot *base, *head;
        struct pg_measurement *b, *h;
        struct pg_gate *gate;
};

static struct both begin(void)
{
        struct both p = { .base = made_snapshot(), .head = made_snapshot() };
        p.b = made_benchmark(p.base, "a");
        p.h = made_benchmark(p.head, "a");
        made_series(p.base, p.b, PG_LOCK_WAIT, 1000000, 1000000, 1000000, 1000000, 1000000);
        made_series(p.head, p.h, PG_LOCK_WAIT, 9000000, 9000000, 9000000, 9000000, 9000000);
        return p;
}

/* Of 8 ms more: the row with its culprits. */
static const struct pg_row *judge(struct both *p)
{
        struct pg_gate_options options = made_options();
        options.thresholds.of[PG_LOCK_WAIT] =
                (struct pg_threshold){ .max_increase = { PG_LIMIT_RELATIVE, 0.1 } };
        p->gate = made_gate(p->base, p->head, &options);
        for (size_t i = 0; i < p->gate->benchmarks[0].n_rows; i++)
                if (p->gate->benchmarks[0].rows[i].metric == PG_LOCK_WAIT)
                        return &p->gate->benchmarks[0].rows[i];
        fail_msg("no row");
        return NULL;
}

static void end(struct both *p)
{
        pg_gate_destroy(p->gate);
        made_destroy(p->base);
        made_destroy(p->head);
}

static void the_holder_that_rose_most_is_named_at_its_line(void **state)
{
        (void)state;
        struct both p = begin();
        add_holder(p.base, p.b, "flush", "prog", 10, 300000);
        add_holder(p.base, p.b, "flush", "prog", 20, 300000);
        add_holder(p.base, p.b, "grow", "prog", 5, 400000);
        add_holder(p.head, p.h, "flush", "prog", 10, 400000);
        add_holder(p.head, p.h, "flush", "prog", 20, 8100000);
        add_holder(p.head, p.h, "grow", "prog", 5, 500000);
        const struct pg_row *row = judge(&p);
        assert_int_equal(row->verdict, PG_FAIL);
        assert_int_equal(row->n_culprits, 1); // 7.9 of 8 ms: more than 90 %
        assert_string_equal(row->culprits[0].function, "flush");
        assert_int_equal(row->culprits[0].line, 20);
        assert_near(row->culprits[0].baseline, 600000, 0);
        assert_near(row->culprits[0].current, 8500000, 0);
        assert_near(row->culprits[0].change, 7900000, 0);
        end(&p);
}

/* The same name in another file is another function. */
static void a_new_holder_counts_from_nothing(void **state)
{
        (void)state;
        struct both p = begin();
        add_holder(p.base, p.b, "flush", "lib.so", 10, 900000);
        add_holder(p.head, p.h, "flush", "lib.so", 10, 900000);
        add_holder(p.head, p.h, "flush", "prog", 10, 8000000);
        const struct pg_row *row = judge(&p);
        assert_int_equal(row->n_culprits, 1);
        assert_string_equal(row->culprits[0].module, "prog");
        assert_near(row->culprits[0].baseline, 0, 0);
        end(&p);
}

static void who_is_not_known_is_not_named(void **state)
{
        (void)state;
        static const struct {
                const char *base_rule, *head_rule;
                uint64_t delay_ns;
                const char *reason;
        } rows[] = {
                { NULL, "rule", 8000000, NULL },
                { "older", "rule", 8000000, "other rules" },
                { "rule", "rule", 100, "no holder of a lock explains the rise" },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct both p = begin();
                add_holder(p.head, p.h, "flush", "prog", 10, rows[i].delay_ns);
                p.b->lock_rule = rows[i].base_rule;
                p.h->lock_rule = rows[i].head_rule;
                const struct pg_row *row = judge(&p);
                assert_int_equal(row->verdict, PG_FAIL);
                assert_int_equal(row->n_culprits, 0);
                if (rows[i].reason)
                        assert_non_null(strstr(row->reason, rows[i].reason));
                end(&p);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_holder_that_rose_most_is_named_at_its_line),
                cmocka_unit_test(a_new_holder_counts_from_nothing),
                cmocka_unit_test(who_is_not_known_is_not_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
