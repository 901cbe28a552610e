// SPDX-License-Identifier: MIT
/*
 * error.h - how a function says that it failed.
 *
 * The caller owns a struct pg_error that starts as { 0 }; the first failure is the cause and is kept, callers
 * add context in front of it. No heap, nothing to free, nothing is printed here.
 */
#ifndef PG_BASE_ERROR_H
#define PG_BASE_ERROR_H

#include <stdbool.h>

#define PG_MUST_CHECK   __attribute__((warn_unused_result))
#define PG_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum pg_code {
        PG_OK,
        PG_EUSAGE,  // the command line or the configuration is wrong
        PG_EDATA,   // bytes from outside do not say what they should
        PG_EOS,     // a system call failed, os_errno says why
        PG_ENOMEM,  // out of memory
        PG_ETARGET, // the measured program could not be started, failed, or ran out of time
        PG_ESTOPPED // interrupted by SIGINT or SIGTERM
};

struct pg_error {
        enum pg_code code;
        int os_errno;   // 0 unless code is PG_EOS
        char text[512]; // for people, one line without a line feed; tests look at code first
};

/**
 * Records a failure and returns false, so that `return pg_fail(...)` reports and leaves.
 * Does nothing when err already holds a failure.
 */
bool pg_fail(struct pg_error *err, enum pg_code code, const char *fmt, ...) PG_PRINTF(3, 4);

/** Like pg_fail with PG_EOS; saves errno and appends ": strerror(errno)". */
bool pg_fail_os(struct pg_error *err, const char *fmt, ...) PG_PRINTF(2, 3);

/** Like pg_fail with PG_ENOMEM and a fixed text. */
bool pg_fail_nomem(struct pg_error *err);

/** Puts "fmt: " in front of the text of a failure that err already holds; returns false. */
bool pg_context(struct pg_error *err, const char *fmt, ...) PG_PRINTF(2, 3);

#endif
