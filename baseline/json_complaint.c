// SPDX-License-Identifier: MIT
/*
 * json_complaint.c - what a reader says when the text is wrong: where, what was expected, what is there.
 *
 * Words of the file are shown short and without control characters, so that a message stays one line and
 * always has room for its end.
 */
#include "baseline/json_complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/units.h"

enum { NAME_SHOWN = 160, WORD_SHOWN = 48, PATH_SHOWN = 120 };

struct place {
        size_t line, column;
};

/* Line and column, from 1; a column is a character, not a byte. */
static struct place place_of(const struct pg_json_reader *r, const char *where)
{
        struct place at = { 1, 1 };
        for (const char *p = r->text; p < where; p++) {
                if (*p == '\n')
                        at = (struct place){ at.line + 1, 1 };
                else if (((unsigned char)*p & 0xC0) != 0x80)
                        at.column++;
        }
        return at;
}

static bool is_word(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '-' || c == '.';
}

/* At most WORD_SHOWN bytes of s with every byte that is not a printable character replaced. */
static const char *shown(const char *s, size_t n, char out[WORD_SHOWN + 4])
{
        size_t len = n;
        if (len > WORD_SHOWN)
                for (len = WORD_SHOWN; len && ((unsigned char)s[len] & 0xC0) == 0x80;)
                        len--; // do not cut a character
        for (size_t i = 0; i < len; i++)
                out[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7F ? '?' : s[i];
        strcpy(out + len, len < n ? "..." : "");
        return out;
}

const char *pg_json_describe(const struct pg_json_reader *r, const char *where,
                             char out[PG_JSON_DESCRIBE_MAX])
{
        char word[WORD_SHOWN + 4];
        const char *p = where;
        if (where == r->end)
                return "the end of the file";
        if (*where == '{' || *where == '[')
                return *where == '{' ? "an object" : "an array";
        if (*where == '"') {
                for (p++; p < r->end && *p != '"' && *p != '\n'; p++)
                        if (*p == '\\' && r->end - p > 1)
                                p++;
                snprintf(out, PG_JSON_DESCRIBE_MAX, "the string \"%s\"",
                         shown(where + 1, (size_t)(p - where) - 1, word));
                return out;
        }
        while (p < r->end && is_word(*p))
                p++;
        if (p > where)
                snprintf(out, PG_JSON_DESCRIBE_MAX, "%s", shown(where, (size_t)(p - where), word));
        else if (*where > 0x20 && *where < 0x7F)
                snprintf(out, PG_JSON_DESCRIBE_MAX, "'%c'", *where);
        else
                snprintf(out, PG_JSON_DESCRIBE_MAX, "byte 0x%02X", (unsigned char)*where);
        return out;
}

/* "benchmarks[3].thresholds"; the end of it when it is long. */
static const char *path_text(const struct pg_json_reader *r, char *out, size_t size)
{
        char all[PG_JSON_MAX_DEPTH * 8 + PATH_SHOWN] = "", word[WORD_SHOWN + 4];
        size_t n = 0;
        for (size_t i = 0; i < r->depth && n < sizeof(all) - WORD_SHOWN - 8; i++) {
                const struct pg_json_step *step = &r->path[i];
                if (step->key)
                        n += (size_t)sprintf(all + n, "%s%s", n ? "." : "",
                                             shown(step->key, strlen(step->key), word));
                else
                        n += (size_t)sprintf(all + n, "[%zu]", step->index);
        }
        snprintf(out, size, "%s%s", n >= size ? "..." : "", n >= size ? all + n - size + 4 : all);
        return out;
}

/* "FILE:LINE:COLUMN: PATH: text", PATH and its colon only when it is not empty. */
static bool complain(struct pg_json_reader *r, const char *where, const char *path, const char *fmt,
                     va_list ap)
{
        char text[sizeof(r->err->text)];
        vsnprintf(text, sizeof(text), fmt, ap);
        for (char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7F)
                        *p = '?';
        struct place at = place_of(r, where);
        size_t n = strlen(r->name);
        return pg_fail(r->err, r->code, "%s%s:%zu:%zu: %s%s%s", n > NAME_SHOWN ? "..." : "",
                       n > NAME_SHOWN ? r->name + n - NAME_SHOWN : r->name, at.line, at.column, path,
                       *path ? ": " : "", text);
}

bool pg_json_fail(struct pg_json_reader *r, const char *fmt, ...)
{
        char path[PATH_SHOWN];
        va_list ap;
        va_start(ap, fmt);
        complain(r, r->value, path_text(r, path, sizeof(path)), fmt, ap);
        va_end(ap);
        return false;
}

bool pg_json_fail_at(struct pg_json_reader *r, const char *where, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        complain(r, where, "", fmt, ap);
        va_end(ap);
        return false;
}

bool pg_json_fail_cause(struct pg_json_reader *r, const struct pg_error *cause)
{
        if (cause->code == PG_EUSAGE || cause->code == PG_EDATA)
                return pg_json_fail(r, "%s", cause->text);
        if (r->err->code == PG_OK)
                *r->err = *cause;
        return false;
}

bool pg_json_fail_type(struct pg_json_reader *r, const char *what)
{
        char found[PG_JSON_DESCRIBE_MAX];
        (void)pg_json_peek(r);
        r->value = r->at;
        return pg_json_fail(r, "expected %s, found %s", what, pg_json_describe(r, r->at, found));
}

/* " in benchmarks[0]"; the path is that of the object whose key is complained about. */
static const char *in_object(const struct pg_json_reader *r, char out[PATH_SHOWN + 4])
{
        char path[PATH_SHOWN];
        if (r->depth == 0)
                return " at the top level";
        snprintf(out, PATH_SHOWN + 4, " in %s", path_text(r, path, sizeof(path)));
        return out;
}

bool pg_json_fail_duplicate(struct pg_json_reader *r, const char *key)
{
        char word[WORD_SHOWN + 4], in[PATH_SHOWN + 4];
        return pg_json_fail_at(r, r->key, "duplicate key \"%s\"%s", shown(key, strlen(key), word),
                               in_object(r, in));
}

/* ", did you mean "x"?", or all that there are; files that a program wrote have no typing errors. */
static const char *advice(const struct pg_json_reader *r, const char *key, const char *const *words,
                          char *out, size_t size)
{
        const char *near = pg_nearest(key, words);
        if (near)
                snprintf(out, size, ", did you mean \"%s\"?", near);
        else if (r->code == PG_EDATA)
                snprintf(out, size, "; a newer perfgate may have written it");
        else
                for (size_t n = 0; *words && n < size; words++)
                        n += (size_t)snprintf(out + n, size - n, "%s\"%s\"", n ? ", " : "; known are ",
                                              *words);
        return out;
}

bool pg_json_fail_key(struct pg_json_reader *r, const char *key, const char *const *words)
{
        char word[WORD_SHOWN + 4], in[PATH_SHOWN + 4], hint[240] = "";
        return pg_json_fail_at(r, r->key, "unknown key \"%s\"%s%s", shown(key, strlen(key), word),
                               in_object(r, in), advice(r, key, words, hint, sizeof(hint)));
}

static int by_text_then_place(const void *a, const void *b)
{
        const struct pg_json_word *x = a, *y = b;
        int order = strcmp(x->text, y->text);
        return order ? order : (x->at > y->at) - (x->at < y->at);
}

bool pg_json_unique(struct pg_json_reader *r, struct pg_json_word *words, size_t n, const char *what)
{
        if (n)
                qsort(words, n, sizeof(*words), by_text_then_place);
        for (size_t i = 1; i < n; i++) {
                char word[WORD_SHOWN + 4];
                if (strcmp(words[i - 1].text, words[i].text) == 0)
                        return pg_json_fail_at(r, words[i].at, "duplicate %s \"%s\"", what,
                                               shown(words[i].text, strlen(words[i].text), word));
        }
        return true;
}
