// SPDX-License-Identifier: MIT
/*
 * error.c - failures as values: the first one wins, callers prepend where it happened.
 */
#include "runner/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set(struct pg_error *err, enum pg_code code, const char *fmt, va_list ap)
{
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        err->code = code;
}

bool pg_fail(struct pg_error *err, enum pg_code code, const char *fmt, ...)
{
        if (err->code != PG_OK)
                return false;
        va_list ap;
        va_start(ap, fmt);
        set(err, code, fmt, ap);
        va_end(ap);
        return false;
}

bool pg_fail_os(struct pg_error *err, const char *fmt, ...)
{
        int saved = errno;
        if (err->code != PG_OK)
                return false;
        va_list ap;
        va_start(ap, fmt);
        set(err, PG_EOS, fmt, ap);
        va_end(ap);
        err->os_errno = saved;
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
        return false;
}

bool pg_fail_nomem(struct pg_error *err)
{
        return pg_fail(err, PG_ENOMEM, "out of memory");
}

bool pg_context(struct pg_error *err, const char *fmt, ...)
{
        char cause[sizeof(err->text)];
        memcpy(cause, err->text, sizeof(cause));
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", cause);
        return false;
}
