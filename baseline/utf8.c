// SPDX-License-Identifier: MIT
/*
 * utf8.c - well-formed UTF-8 by the table of the Unicode standard: the lead byte decides the length and what
 * the second byte may be.
 */
#include "baseline/utf8.h"

struct lead {
        unsigned char first, last; // lead bytes
        unsigned char length;
        unsigned char low, high; // of the second byte; all later ones are 80..BF
};

static const struct lead leads[] = {
        { 0xC2, 0xDF, 2, 0x80, 0xBF }, { 0xE0, 0xE0, 3, 0xA0, 0xBF }, { 0xE1, 0xEC, 3, 0x80, 0xBF },
        { 0xED, 0xED, 3, 0x80, 0x9F }, { 0xEE, 0xEF, 3, 0x80, 0xBF }, { 0xF0, 0xF0, 4, 0x90, 0xBF },
        { 0xF1, 0xF3, 4, 0x80, 0xBF }, { 0xF4, 0xF4, 4, 0x80, 0x8F },
};

static const struct lead *lead_of(unsigned char c)
{
        for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
                if (c >= leads[i].first && c <= leads[i].last)
                        return &leads[i];
        return NULL;
}

size_t pg_utf8_sequence(const char *p, const char *end)
{
        const unsigned char *s = (const unsigned char *)p;
        if (s[0] < 0x80)
                return 1;
        const struct lead *lead = lead_of(s[0]);
        if (!lead || (size_t)(end - p) < lead->length || s[1] < lead->low || s[1] > lead->high)
                return 0;
        for (size_t i = 2; i < lead->length; i++)
                if ((s[i] & 0xC0) != 0x80)
                        return 0;
        return lead->length;
}
