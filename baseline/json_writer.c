// SPDX-License-Identifier: MIT
/*
 * json_writer.c - JSON as text, in the C locale whatever the process has set.
 */
#include "baseline/json_writer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/utf8.h"

static void new_line(struct pg_json_writer *w)
{
        static const char spaces[] = "\n                                                                ";
        if (!w->flat_depth)
                pg_buf_append(w->out, spaces, 1 + 2 * (size_t)w->depth);
}

/* What stands before a value or key: comma, line. */
static void separate(struct pg_json_writer *w)
{
        if (w->after_key) {
                w->after_key = false;
                return;
        }
        if (w->depth == 0)
                return;
        if (w->filled[w->depth])
                pg_buf_putc(w->out, ',');
        w->filled[w->depth] = true;
        new_line(w);
}

void pg_json_open(struct pg_json_writer *w, char bracket)
{
        separate(w);
        pg_buf_putc(w->out, bracket);
        assert(w->depth + 1 < PG_JSON_WRITER_DEPTH);
        w->depth++;
        w->filled[w->depth] = false;
        w->last_key[w->depth] = NULL;
        if (w->flat_depth)
                w->flat_depth++;
}

void pg_json_open_flat(struct pg_json_writer *w, char bracket)
{
        pg_json_open(w, bracket);
        if (!w->flat_depth)
                w->flat_depth = 1;
}

void pg_json_close(struct pg_json_writer *w, char bracket)
{
        assert(w->depth > 0);
        bool filled = w->filled[w->depth--];
        if (filled)
                new_line(w);
        if (w->flat_depth)
                w->flat_depth--;
        pg_buf_putc(w->out, bracket);
}

static void put_escaped(struct pg_buf *out, unsigned char c)
{
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *special = c ? strchr(from, c) : NULL;
        if (special) {
                pg_buf_putc(out, '\\');
                pg_buf_putc(out, to[special - from]);
        } else {
                pg_buf_printf(out, "\\u%04x", c);
        }
}

static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void put_quoted(struct pg_buf *out, const char *s)
{
        const char *end = s + strlen(s);
        pg_buf_putc(out, '"');
        while (s < end) {
                const char *p = s;
                while (p < end && is_plain((unsigned char)*p))
                        p++;
                pg_buf_append(out, s, (size_t)(p - s));
                if (p == end)
                        break;
                size_t n = pg_utf8_sequence(p, end);
                if (n == 1)
                        put_escaped(out, (unsigned char)*p);
                else if (n)
                        pg_buf_append(out, p, n);
                else
                        pg_buf_printf(out, "\\\\x%02x", (unsigned char)*p);
                s = p + (n ? n : 1);
        }
        pg_buf_putc(out, '"');
}

void pg_json_put_key(struct pg_json_writer *w, const char *key)
{
        assert(!w->last_key[w->depth] || strcmp(w->last_key[w->depth], key) < 0);
        w->last_key[w->depth] = key;
        separate(w);
        put_quoted(w->out, key);
        pg_buf_puts(w->out, w->flat_depth ? ":" : ": ");
        w->after_key = true;
}

void pg_json_put_string(struct pg_json_writer *w, const char *s)
{
        separate(w);
        if (s)
                put_quoted(w->out, s);
        else
                pg_buf_puts(w->out, "null");
}

void pg_json_put_count(struct pg_json_writer *w, uint64_t n)
{
        char digits[20], *p = digits + sizeof(digits);
        do
                *--p = (char)('0' + n % 10);
        while (n /= 10);
        separate(w);
        pg_buf_append(w->out, p, (size_t)(digits + sizeof(digits) - p));
}

void pg_json_put_bool(struct pg_json_writer *w, bool b)
{
        separate(w);
        pg_buf_puts(w->out, b ? "true" : "false");
}

void pg_json_put_real(struct pg_json_writer *w, double x)
{
        char text[32] = "null";
        for (int digits = 15; isfinite(x) && digits <= 17; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, x);
                if (strtod(text, NULL) == x)
                        break;
        }
        char *comma = strchr(text, ',');
        if (comma) // a process that set LC_NUMERIC
                *comma = '.';
        separate(w);
        pg_buf_puts(w->out, text);
}

void pg_json_member_string(struct pg_json_writer *w, const char *key, const char *s)
{
        if (!s)
                return;
        pg_json_put_key(w, key);
        pg_json_put_string(w, s);
}

void pg_json_member_count(struct pg_json_writer *w, const char *key, uint64_t n)
{
        pg_json_put_key(w, key);
        pg_json_put_count(w, n);
}

void pg_json_member_counts(struct pg_json_writer *w, const char *key, const uint64_t *values, size_t n)
{
        pg_json_put_key(w, key);
        pg_json_open_flat(w, '[');
        for (size_t i = 0; i < n; i++)
                pg_json_put_count(w, values[i]);
        pg_json_close(w, ']');
}
