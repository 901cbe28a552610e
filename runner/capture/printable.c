// SPDX-License-Identifier: MIT
/*
 * printable.c - valid UTF-8 without control characters, whatever came.
 */
#include "runner/capture/printable.h"

#include <stdbool.h>
#include <stdint.h>

/* Length of the sequence at s (n >= 1 bytes left), 0 when it is none or a control character. */
static size_t sequence_length(const unsigned char *s, size_t n)
{
        static const struct {
                unsigned char mask, lead;
                uint32_t least;
        } forms[] = {
                { 0x80, 0x00, 0x20 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
        };
        for (size_t length = 1; length <= 4; length++) {
                if ((s[0] & forms[length - 1].mask) != forms[length - 1].lead)
                        continue;
                uint32_t c = s[0] & (unsigned char)~forms[length - 1].mask;
                for (size_t i = 1; i < length; i++) {
                        if (i >= n || (s[i] & 0xc0) != 0x80)
                                return 0;
                        c = c << 6 | (s[i] & 0x3f);
                }
                bool valid = c >= forms[length - 1].least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
                bool control = c == 0x7f || (c >= 0x80 && c < 0xa0);
                return valid && !control ? length : 0;
        }
        return 0;
}

void pg_make_printable(char *s, size_t n)
{
        for (size_t i = 0; i < n;) {
                size_t length = sequence_length((const unsigned char *)s + i, n - i);
                if (length == 0)
                        s[i] = '?';
                i += length ? length : 1;
        }
}
