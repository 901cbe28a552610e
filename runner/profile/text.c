// SPDX-License-Identifier: MIT
/*
 * text.c - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "runner/profile/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed, printable character at s, 0 when there is none. */
static size_t character(const unsigned char *s, size_t n)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        if (s[0] < 0x80)
                return s[0] >= 0x20 && s[0] != 0x7f;
        size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
        if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
                return 0;
        uint32_t c = s[0] & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        return c >= least[len] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? len : 0;
}

static size_t write_clean(const unsigned char *s, size_t n, char *out)
{
        static const char digits[] = "0123456789abcdef";
        size_t len = 0;
        for (size_t i = 0; i < n;) {
                size_t step = character(s + i, n - i);
                if (step) {
                        if (out)
                                memcpy(out + len, s + i, step);
                        len += step;
                        i += step;
                        continue;
                }
                if (out)
                        memcpy(out + len, (char[]){ '\\', 'x', digits[s[i] >> 4], digits[s[i] & 15] }, 4);
                len += 4;
                i++;
        }
        return len;
}

bool pg_text_is_clean(const char *s, size_t n)
{
        return write_clean((const unsigned char *)s, n, NULL) == n;
}

const char *pg_text_clean(struct pg_arena *a, const char *s, size_t n)
{
        const unsigned char *bytes = (const unsigned char *)s;
        size_t len = write_clean(bytes, n, NULL);
        if (len == n)
                return pg_arena_strndup(a, s, n);
        char *out = pg_arena_calloc(a, len + 1, 1);
        if (out)
                write_clean(bytes, n, out);
        return out;
}
