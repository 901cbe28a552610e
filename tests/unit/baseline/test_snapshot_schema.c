// SPDX-License-Identifier: MIT
/*
 * test_snapshot_schema.c - the schemas of baseline and result describe exactly the keys that the reader
 * takes.
 */
#include "tests/unit/assert_near.h"

#include "baseline/keys.h"
#include "tests/unit/schema_keys.h"

#define BASELINE "perfgate-baseline-v1.schema.json"
#define RESULT   "perfgate-result-v1.schema.json"

static void the_schemas_have_the_keys_of_the_tables(void **state)
{
        (void)state;
        assert_true(pg_n_snapshot_keys > 0);
        for (size_t i = 0; i < pg_n_snapshot_keys; i++)
                assert_true(table_equals_schema(&pg_snapshot_keys[i]));
}

static void the_schemas_name_every_metric(void **state)
{
        (void)state;
        assert_true(names_all_metrics(BASELINE, "measurement", "metrics"));
        assert_true(names_all_metrics(RESULT, "measurement", "metrics"));
}

/* A result carries whole measurements; its schema is complete on its own, and must not drift from the other.
 */
static void a_measurement_is_the_same_in_both(void **state)
{
        (void)state;
        static const char *const shared[] = { "measurement", "series",  "function", "site", "site_quality",
                                              "process",     "profile", "engines",  "host", "tool" };
        json_t *baseline = load_schema(BASELINE), *result = load_schema(RESULT);
        for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
                json_t *b = json_object_get(json_object_get(baseline, "$defs"), shared[i]);
                json_t *r = json_object_get(json_object_get(result, "$defs"), shared[i]);
                assert_true(b && json_equal(b, r));
        }
        json_decref(baseline);
        json_decref(result);
}

static void every_key_is_described(void **state)
{
        (void)state;
        assert_true(schema_is_described(BASELINE));
        assert_true(schema_is_described(RESULT));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_schemas_have_the_keys_of_the_tables),
                cmocka_unit_test(the_schemas_name_every_metric),
                cmocka_unit_test(a_measurement_is_the_same_in_both),
                cmocka_unit_test(every_key_is_described),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
