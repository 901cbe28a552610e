// SPDX-License-Identifier: MIT
/*
 * schema_keys.h - a reader's tables of keys against the shipped schemas, so that neither can change alone.
 */
#ifndef PG_TEST_SCHEMA_KEYS_H
#define PG_TEST_SCHEMA_KEYS_H

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "baseline/keys.h"

static json_t *load_schema(const char *file)
{
        char path[256];
        snprintf(path, sizeof(path), "ci/schema/%s", file);
        json_error_t error;
        json_t *schema = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
        if (!schema)
                fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return schema;
}

/* The schema of one object: pointer is "" or "/$defs/NAME". */
static json_t *at_pointer(json_t *schema, const char *pointer)
{
        return *pointer ? json_object_get(json_object_get(schema, "$defs"), pointer + strlen("/$defs/"))
                        : schema;
}

static bool lists(json_t *array, const char *word)
{
        size_t i;
        json_t *value;
        json_array_foreach(array, i, value) if (strcmp(json_string_value(value), word) == 0) return true;
        return false;
}

static bool says(bool good, const struct pg_described_keys *d, const char *key, const char *what)
{
        if (!good)
                fprintf(stderr, "%s#%s: %s: %s\n", d->schema_file, d->pointer, key, what);
        return good;
}

/*
 * Every key of the table is described, and required on both sides or on none. Of an open object the reader
 * may need more than a valid file has: a result without measurements is valid, and nothing to compare with.
 */
static bool table_is_described(const struct pg_described_keys *d, json_t *object)
{
        json_t *properties = json_object_get(object, "properties");
        bool good = true;
        for (size_t i = 0; i < d->keys->n; i++) {
                const struct pg_json_key *k = &d->keys->keys[i];
                bool required = lists(json_object_get(object, "required"), k->name);
                good &= says(json_object_get(properties, k->name), d, k->name, "not in the schema");
                good &= says(d->keys->open || required == k->required, d, k->name,
                             "required on one side only");
        }
        return good;
}

/* A closed object describes no more keys than the table has, and forbids others. */
static bool nothing_else_is_described(const struct pg_described_keys *d, json_t *object)
{
        if (d->keys->open)
                return says(!json_object_get(object, "additionalProperties"), d, "", "not open");
        return says(json_is_false(json_object_get(object, "additionalProperties")), d, "", "not closed") &
               says(json_object_size(json_object_get(object, "properties")) == d->keys->n, d, "",
                    "other keys than the table");
}

static bool table_equals_schema(const struct pg_described_keys *d)
{
        json_t *schema = load_schema(d->schema_file);
        json_t *object = schema ? at_pointer(schema, d->pointer) : NULL;
        bool good = says(object, d, "", "missing") && table_is_described(d, object) &&
                    nothing_else_is_described(d, object);
        json_decref(schema);
        return good;
}

/* Whether the keys of an object of metrics are all metrics. */
static bool names_all_metrics(const char *file, const char *name, const char *inside)
{
        json_t *schema = load_schema(file);
        json_t *object = json_object_get(json_object_get(schema, "$defs"), name);
        if (inside)
                object = json_object_get(json_object_get(object, "properties"), inside);
        json_t *properties = json_object_get(object, "properties");
        bool good = json_object_size(properties) == PG_METRIC_COUNT &&
                    json_is_false(json_object_get(object, "additionalProperties"));
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                good &= json_object_get(properties, pg_metric_names[i]) != NULL;
        json_decref(schema);
        return good;
}

/* Editors show descriptions: each property below value has one, or is what it refers to. */
static bool all_described(json_t *value, const char *where)
{
        bool good = true;
        const char *key;
        json_t *member;
        json_t *properties = json_object_get(value, "properties");
        json_object_foreach(properties, key, member)
        {
                bool described = json_is_true(member) || json_object_get(member, "description") ||
                                 json_object_get(member, "$ref") || json_object_get(member, "const");
                if (!described)
                        fprintf(stderr, "%s: %s has no description\n", where, key);
                good &= described && all_described(member, key);
        }
        json_t *defs = json_object_get(value, "$defs");
        json_object_foreach(defs, key, member) good &=
                json_object_get(member, "description") && all_described(member, key);
        return good;
}

static bool schema_is_described(const char *file)
{
        json_t *schema = load_schema(file);
        bool good = schema && all_described(schema, file);
        json_decref(schema);
        return good;
}

#endif
