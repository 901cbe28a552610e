// SPDX-License-Identifier: MIT
/*
 * test_config_schema.c - the schema of perfgate.json describes exactly the keys that the reader takes.
 */
#include "tests/unit/assert_near.h"

#include "ci/config/keys.h"
#include "tests/unit/schema_keys.h"

#define SCHEMA "perfgate-config-v1.schema.json"

static void the_schema_has_the_keys_of_the_tables(void **state)
{
        (void)state;
        assert_true(pg_n_config_keys > 0);
        for (size_t i = 0; i < pg_n_config_keys; i++)
                assert_true(table_equals_schema(&pg_config_keys[i]));
}

static void the_schema_names_every_metric(void **state)
{
        (void)state;
        assert_true(names_all_metrics(SCHEMA, "thresholds", NULL));
        json_t *schema = load_schema(SCHEMA);
        json_t *benchmark = json_object_get(json_object_get(schema, "$defs"), "benchmark");
        json_t *metrics = json_object_get(json_object_get(benchmark, "properties"), "metrics");
        json_t *words = json_object_get(json_object_get(metrics, "items"), "enum");
        assert_int_equal(json_array_size(words), PG_METRIC_COUNT);
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                assert_true(lists(words, pg_metric_names[i]));
        json_decref(schema);
}

static void every_key_is_described(void **state)
{
        (void)state;
        assert_true(schema_is_described(SCHEMA));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_schema_has_the_keys_of_the_tables),
                cmocka_unit_test(the_schema_names_every_metric),
                cmocka_unit_test(every_key_is_described),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
