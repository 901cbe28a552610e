// SPDX-License-Identifier: MIT
/*
 * identity.c - a function's name without what a rebuild changes.
 *
 * Ordinals and hashes are numbers that a compiler hands out in the order in which it meets things; an edit
 * elsewhere shifts them. A name without them may stand for several functions (two lambdas of one function):
 * their costs are then judged together, which is right more often than judging a new function that is none.
 */
#include "runner/symbolize/symbolize.h"

#include <ctype.h>
#include <string.h>

/* Suffixes of clones that compilers and linkers make of one function. */
static const struct {
        const char *word;
        enum { NUMBER_NEVER, NUMBER_MAYBE, NUMBER_ALWAYS } number;
        bool keep_word; // a function of its own: only the ordinal goes
} clones[] = {
        { "cold", NUMBER_MAYBE, false },       { "part", NUMBER_ALWAYS, false },
        { "constprop", NUMBER_ALWAYS, false }, { "isra", NUMBER_ALWAYS, false },
        { "llvm", NUMBER_ALWAYS, false },      { "lto_priv", NUMBER_ALWAYS, false },
        { "localalias", NUMBER_MAYBE, false }, { "specialized", NUMBER_ALWAYS, false },
        { "__uniq", NUMBER_ALWAYS, false },    { "_omp_fn", NUMBER_ALWAYS, true },
};

/* ---- the tail: each function takes the length of s and gives it without one thing at the end ---- */

static size_t without_digits(const char *s, size_t n)
{
        while (n && isdigit((unsigned char)s[n - 1]))
                n--;
        return n;
}

/* "foo.part.0" -> "foo"; n itself when there is no known clone suffix behind a name. */
static size_t without_clone_word(const char *s, size_t n)
{
        size_t stem = without_digits(s, n); // "foo.part."
        bool numbered = stem < n && stem && s[stem - 1] == '.';
        size_t end = numbered ? stem - 1 : n; // of the word
        for (size_t i = 0; i < sizeof(clones) / sizeof(*clones); i++) {
                size_t len = strlen(clones[i].word);
                if (numbered ? clones[i].number == NUMBER_NEVER : clones[i].number == NUMBER_ALWAYS)
                        continue;
                if (end < len + 2 || s[end - len - 1] != '.' ||
                    memcmp(s + end - len, clones[i].word, len) != 0)
                        continue;
                return clones[i].keep_word ? end : end - len - 1;
        }
        return n;
}

/* "inner.0" -> "inner": C names hold no dot. Names with more dots are another language's own (Go). */
static size_t without_ordinal(const char *s, size_t n)
{
        size_t stem = without_digits(s, n);
        if (stem == n || stem < 2 || s[stem - 1] != '.')
                return n;
        bool own_dots = memchr(s, '.', stem - 1) && s[0] != '.';
        return own_dots || memchr(s, '(', stem) ? n : stem - 1;
}

/* "foo(int) [clone .part.0]" -> "foo(int)" when what is inside is a known suffix. */
static size_t without_clone_note(const char *s, size_t n)
{
        static const char note[] = " [clone ";
        enum { NOTE = sizeof(note) - 1 };
        if (n < NOTE + 4 || s[n - 1] != ']')
                return n;
        size_t open = n - 1;
        while (open > 1 && s[open] != '[')
                open--;
        if (n - open < NOTE || memcmp(s + open - 1, note, NOTE) != 0)
                return n;
        size_t body = open - 1 + NOTE; // ".part.0"
        size_t inner = n - 1;
        for (size_t next;
             inner > body && (next = without_clone_word(s + body - 1, inner - body + 1)) < inner - body + 1;)
                inner = body - 1 + next;
        return inner == body ? open - 1 : n;
}

/* "core::fmt::write::h0123456789abcdef" -> "core::fmt::write" */
static size_t without_rust_hash(const char *s, size_t n)
{
        enum { HASH = 16, TAIL = 3 + HASH }; // "::h" and the digits
        if (n <= TAIL || memcmp(s + n - TAIL, "::h", 3) != 0)
                return n;
        for (size_t i = n - HASH; i < n; i++)
                if (!isdigit((unsigned char)s[i]) && (s[i] < 'a' || s[i] > 'f'))
                        return n;
        return n - TAIL;
}

static size_t without_tail(const char *s, size_t n)
{
        static size_t (*const steps[])(const char *, size_t) = { without_clone_word, without_ordinal,
                                                                 without_clone_note, without_rust_hash };
        for (size_t before = 0; before != n;) {
                before = n;
                for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
                        n = steps[i](s, n);
        }
        return n;
}

/* ---- the body: what is written so far loses its ordinals when the piece that holds them closes ---- */

/* "{lambda(int)#1" -> "{lambda(int)" */
static size_t close_brace(const char *s, size_t n)
{
        for (size_t stem; (stem = without_digits(s, n)) < n && stem && s[stem - 1] == '#';)
                n = stem - 1;
        return n;
}

/* "'lambda12" -> "'lambda", as LLVM's demangler numbers them */
static size_t close_quote(const char *s, size_t n)
{
        static const char *const words[] = { "'lambda", "'unnamed" };
        size_t stem = without_digits(s, n);
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
                size_t len = strlen(words[i]);
                if (stem >= len && memcmp(s + stem - len, words[i], len) == 0)
                        return stem;
        }
        return n;
}

/* Length of a Rust crate hash "[0123456789abcdef]" at s, which names follow; 0 when it is none. */
static size_t crate_hash(const char *s)
{
        size_t n = 1;
        while (isdigit((unsigned char)s[n]) || (s[n] >= 'a' && s[n] <= 'f'))
                n++;
        return n >= 9 && n <= 17 && s[n] == ']' && s[n + 1] == ':' && s[n + 2] == ':' ? n + 1 : 0;
}

static bool is_name_char(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

static size_t write_body(const char *s, char *out)
{
        size_t n = 0;
        while (*s) {
                size_t hash = *s == '[' && n && is_name_char(out[n - 1]) ? crate_hash(s) : 0;
                if (hash) {
                        s += hash;
                        continue;
                }
                if (*s == '}')
                        n = close_brace(out, n);
                else if (*s == '\'')
                        n = close_quote(out, n);
                else if (isdigit((unsigned char)*s) && n >= 2 && out[n - 1] == '_' && out[n - 2] == '$') {
                        s++; // "$_0": clang's unnamed things
                        continue;
                }
                out[n++] = *s++;
        }
        return n;
}

const char *pg_function_identity(const char *name, struct pg_arena *a)
{
        char *out = pg_arena_calloc(a, strlen(name) + 1, 1);
        if (!out)
                return NULL;
        out[without_tail(out, write_body(name, out))] = '\0';
        return out;
}
