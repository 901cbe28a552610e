// SPDX-License-Identifier: MIT
/*
 * cases.h - reports made by hand, one for each thing that a reader may have to be told.
 */
#ifndef PG_TESTS_REPORT_CASES_H
#define PG_TESTS_REPORT_CASES_H

#include "ci/report/report.h"

struct report_case {
        const char *name; // also the golden files' name
        void (*make)(struct report_case *c);
        struct pg_snapshot *base, *head;
        struct pg_gate_options options;
        struct pg_gate_benchmark known[4];
        struct pg_report report; // gate is set by case_open
};

extern struct report_case report_cases[];
extern const size_t n_report_cases;

/** Makes both snapshots and judges them. */
void case_open(struct report_case *c);
void case_close(struct report_case *c);

#endif
