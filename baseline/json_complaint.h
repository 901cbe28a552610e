// SPDX-License-Identifier: MIT
/*
 * json_complaint.h - what the reader and its complaints share.
 */
#ifndef PG_BASELINE_JSON_COMPLAINT_H
#define PG_BASELINE_JSON_COMPLAINT_H

#include "baseline/json_reader.h"

enum { PG_JSON_DESCRIBE_MAX = 96 };

/** What stands at where, for people: "an object", "the string "abc"", "-1", "the end of the file". */
const char *pg_json_describe(const struct pg_json_reader *r, const char *where,
                             char out[PG_JSON_DESCRIBE_MAX]);

#endif
