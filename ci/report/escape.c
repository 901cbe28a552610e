// SPDX-License-Identifier: MIT
/*
 * escape.c - names made harmless for terminals, Markdown, and workflow commands.
 */
#include "ci/report/escape.h"

#include <stdint.h>
#include <string.h>

#include "baseline/utf8.h"

/* ---- printable ---- */

/* Ranges that no terminal shows as a sign of their own, or that reorder what stands around them. */
static bool is_invisible(uint32_t c)
{
        static const struct {
                uint32_t first, last;
        } ranges[] = {
                { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },
                { 0x180b, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
                { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
        };
        for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

static uint32_t decode(const char *p, size_t n)
{
        static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        uint32_t c = (unsigned char)p[0] & lead[n];
        for (size_t i = 1; i < n; i++)
                c = c << 6 | ((unsigned char)p[i] & 0x3f);
        return c;
}

/* GitHub Actions takes "::" at the start of a line, behind blanks too, and "##[" anywhere for a command, and
 * a report may be wrapped at any blank. */
static bool starts_command(const char *s, bool after_blank)
{
        return (after_blank && s[0] == ':' && s[1] == ':') || (s[0] == '#' && s[1] == '#' && s[2] == '[');
}

static void put_printable(struct pg_buf *out, const char *s)
{
        const char *end = s + strlen(s);
        bool after_blank = true;
        for (size_t n; s < end; s += n) {
                n = pg_utf8_sequence(s, end);
                uint32_t c = n ? decode(s, n) : (unsigned char)*s;
                bool plain = n && !is_invisible(c) && !starts_command(s, after_blank);
                after_blank = c == ' ';
                n = n ? n : 1;
                if (plain)
                        pg_buf_append(out, s, n);
                else
                        pg_buf_printf(out, c > 0xff ? "\\u{%x}" : "\\x%02x", (unsigned)c);
        }
}

static bool is_plain(const char *s)
{
        bool after_blank = true;
        for (; *s >= ' ' && *s < 0x7f && !starts_command(s, after_blank); s++)
                after_blank = *s == ' ';
        return *s == '\0';
}

char *pg_printable(struct pg_arena *a, const char *s)
{
        if (!s || is_plain(s))
                return pg_arena_strdup(a, s);
        PG_AUTO_BUF struct pg_buf out = { 0 };
        put_printable(&out, s);
        return out.failed ? NULL : pg_arena_strdup(a, out.data);
}

/* ---- columns ---- */

static bool is_first_byte(char c)
{
        return ((unsigned char)c & 0xc0) != 0x80;
}

size_t pg_columns(const char *s)
{
        size_t n = 0;
        for (; *s; s++)
                n += is_first_byte(*s);
        return n;
}

/* The byte at which the sign with that number starts. */
static size_t offset_of(const char *s, size_t sign)
{
        size_t at = 0;
        for (size_t n = 0; s[at]; at++)
                if (is_first_byte(s[at]) && n++ == sign)
                        break;
        return at;
}

const char *pg_shorten(struct pg_arena *a, const char *s, size_t columns)
{
        enum { DOTS = 3 };
        size_t n = pg_columns(s);
        if (n <= columns)
                return s;
        if (columns <= DOTS)
                return pg_arena_strndup(a, s, offset_of(s, columns));
        size_t tail = (columns - DOTS) / 2, head = columns - DOTS - tail;
        return pg_arena_printf(a, "%.*s...%s", (int)offset_of(s, head), s, s + offset_of(s, n - tail));
}

/* ---- other languages ---- */

void pg_put_markdown(struct pg_buf *out, const char *printable)
{
        for (const char *p = printable; *p; p++) {
                bool shortcode = *p == ':' && p[1] && p[1] != ' '; // or the middle of a URL
                if (shortcode || strchr("&<>\"|`*_~[]#\\!$", *p))
                        pg_buf_printf(out, "&#%d;", *p);
                else if (*p == '@')
                        pg_buf_puts(out, "&#64;<!-- -->"); // so that nobody is called
                else
                        pg_buf_putc(out, *p);
        }
}

void pg_put_command(struct pg_buf *out, const char *s, bool in_property)
{
        for (; *s; s++) {
                bool special = strchr("%\r\n", *s) || (in_property && strchr(":,", *s));
                if (special)
                        pg_buf_printf(out, "%%%02X", (unsigned char)*s);
                else
                        pg_buf_putc(out, *s);
        }
}
