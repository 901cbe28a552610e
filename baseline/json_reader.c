// SPDX-License-Identifier: MIT
/*
 * json_reader.c - a strict one-pass JSON reader that fills structs by tables of keys.
 *
 * Bytes are looked at once and only before end; nothing is assumed about what follows the text. Line and
 * column are counted when somebody complains, never before. Recursion is as deep as the tables nest, or
 * PG_JSON_MAX_DEPTH for what is skipped.
 */
#include "baseline/json_reader.h"

#include <assert.h>
#include <string.h>

#include "baseline/json_complaint.h"
#include "baseline/utf8.h"

struct slice {
        const char *p;
        size_t n;
};

/* ---- bytes ---- */

static void skip_space(struct pg_json_reader *r)
{
        while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
                r->at++;
}

/* pg_json_peek for this file: a public function of a library is not inlined. */
static inline char peek(struct pg_json_reader *r)
{
        if (r->at < r->end && (unsigned char)*r->at <= ' ')
                skip_space(r);
        return r->at < r->end ? *r->at : '\0';
}

char pg_json_peek(struct pg_json_reader *r)
{
        return peek(r);
}

bool pg_json_begin(struct pg_json_reader *r, const char *name, const char *text, size_t len,
                   enum pg_code code, struct pg_arena *arena, struct pg_error *err)
{
        *r = (struct pg_json_reader){ .name = name,
                                      .text = text,
                                      .end = text + len,
                                      .at = text,
                                      .value = text,
                                      .key = text,
                                      .arena = arena,
                                      .err = err,
                                      .code = code };
        if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
                return pg_json_fail_at(r, text, "starts with a byte order mark, expected plain UTF-8");
        if (!peek(r) && r->at == r->end)
                return pg_json_fail_at(r, text, "is empty, expected a JSON object");
        return true;
}

bool pg_json_end(struct pg_json_reader *r)
{
        skip_space(r);
        if (r->at == r->end)
                return true;
        return pg_json_fail_at(r, r->at, "expected the end of the file, found %s",
                               pg_json_describe(r, r->at, (char[PG_JSON_DESCRIBE_MAX]){ 0 }));
}

static bool expect(struct pg_json_reader *r, char c, const char *what)
{
        if (peek(r) != c)
                return pg_json_fail_at(r, r->at, "expected %s, found %s", what,
                                       pg_json_describe(r, r->at, (char[PG_JSON_DESCRIBE_MAX]){ 0 }));
        r->at++;
        return true;
}

/* ---- strings ---- */

static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/*
 * True when all of eight bytes are plain. A byte minus what it must not be or lie below borrows into its top
 * bit; so do some neighbours of such a byte, which costs a second look and nothing else.
 */
static bool are_plain(const char *p)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
        uint64_t x;
        memcpy(&x, p, sizeof(x));
        uint64_t quote = (x ^ (ones * '"')) - ones, backslash = (x ^ (ones * '\\')) - ones;
        return !((x | (x - ones * 0x20) | quote | backslash) & tops);
}

static const char *skip_plain(const char *p, const char *end)
{
        while (end - p >= 8 && are_plain(p))
                p += 8;
        while (p < end && is_plain((unsigned char)*p))
                p++;
        return p;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX, -1 when they are not four digits. */
static int32_t hex4(const char *p, const char *end)
{
        if (end - p < 4)
                return -1;
        int32_t n = 0;
        for (int i = 0; i < 4; i++) {
                int d = hex_digit(p[i]);
                if (d < 0)
                        return -1;
                n = n * 16 + d;
        }
        return n;
}

/* The character of the \u escape at p (at the backslash); its length in *ret_n; -1 when it is none. */
static int32_t unicode_escape(const char *p, const char *end, size_t *ret_n)
{
        int32_t high = hex4(p + 2, end);
        *ret_n = 6;
        if (high < 0xD800 || high > 0xDFFF)
                return high;
        *ret_n = 12;
        if (high > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u')
                return -1;
        int32_t low = hex4(p + 8, end);
        if (low < 0xDC00 || low > 0xDFFF)
                return -1;
        return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* Steps over an escape; *p is at the backslash. */
static bool skip_escape(struct pg_json_reader *r, const char **p)
{
        size_t n = 2;
        char c = r->end - *p >= 2 ? (*p)[1] : '\0';
        bool good = c == 'u' ? unicode_escape(*p, r->end, &n) >= 0 : c && strchr("\"\\/bfnrt", c);
        if (!good && r->end - *p >= 2)
                return pg_json_fail_at(r, *p, "bad escape in a string");
        *p += good ? n : 1;
        return true;
}

/* Steps over one character that is not plain; *p is inside the string. */
static bool skip_special(struct pg_json_reader *r, const char **p)
{
        if (**p == '\\')
                return skip_escape(r, p);
        if ((unsigned char)**p < 0x20)
                return pg_json_fail_at(r, *p, "control character in a string, expected it escaped");
        size_t n = pg_utf8_sequence(*p, r->end);
        if (!n)
                return pg_json_fail_at(r, *p, "byte 0x%02X is not UTF-8", (unsigned char)**p);
        *p += n;
        return true;
}

/* The bytes between the quotes, checked but not decoded. */
static bool scan_string(struct pg_json_reader *r, struct slice *ret, bool *ret_escaped)
{
        const char *start = r->at + 1, *p = start;
        bool escaped = false;
        for (;;) {
                p = skip_plain(p, r->end);
                if (p == r->end)
                        return pg_json_fail_at(r, r->end, "the file ends inside a string");
                if (*p == '"')
                        break;
                escaped |= *p == '\\';
                if (!skip_special(r, &p))
                        return false;
        }
        *ret = (struct slice){ start, (size_t)(p - start) };
        *ret_escaped = escaped;
        r->at = p + 1;
        return true;
}

static char *put_utf8(char *out, uint32_t c)
{
        if (c < 0x80) {
                *out++ = (char)c;
        } else if (c < 0x800) {
                *out++ = (char)(0xC0 | c >> 6);
                *out++ = (char)(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
                *out++ = (char)(0xE0 | c >> 12);
                *out++ = (char)(0x80 | (c >> 6 & 0x3F));
                *out++ = (char)(0x80 | (c & 0x3F));
        } else {
                *out++ = (char)(0xF0 | c >> 18);
                *out++ = (char)(0x80 | (c >> 12 & 0x3F));
                *out++ = (char)(0x80 | (c >> 6 & 0x3F));
                *out++ = (char)(0x80 | (c & 0x3F));
        }
        return out;
}

/* One escape (checked before) at p; returns its length and advances *out. */
static size_t decode_escape(const char *p, const char *end, char **out)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        size_t n = 2;
        if (p[1] == 'u')
                *out = put_utf8(*out, (uint32_t)unicode_escape(p, end, &n));
        else
                *(*out)++ = to[strchr(from, p[1]) - from];
        return n;
}

/* Decodes raw (checked before) in the arena, which never makes it longer; NULL when out of memory. */
static char *decode(struct pg_json_reader *r, struct slice raw, size_t *ret_n)
{
        char *text = pg_arena_strndup(r->arena, raw.p, raw.n);
        if (!text)
                return NULL;
        char *out = text;
        for (const char *p = raw.p, *end = raw.p + raw.n; p < end;) {
                if (*p == '\\')
                        p += decode_escape(p, end, &out);
                else
                        *out++ = *p++;
        }
        *out = '\0';
        *ret_n = (size_t)(out - text);
        return text;
}

/* The string at r->at (a quote) as a C string. */
static bool read_string(struct pg_json_reader *r, const char **ret)
{
        const char *where = r->at;
        struct slice raw;
        bool escaped;
        if (!scan_string(r, &raw, &escaped))
                return false;
        size_t n = raw.n;
        const char *text = escaped ? decode(r, raw, &n) : pg_arena_strndup(r->arena, raw.p, raw.n);
        if (!text)
                return pg_fail_nomem(r->err);
        if (strlen(text) != n)
                return pg_json_fail_at(r, where, "a string may not hold a NUL character");
        *ret = text;
        return true;
}

bool pg_json_string(struct pg_json_reader *r, void *into)
{
        if (peek(r) != '"')
                return pg_json_fail_type(r, "a string");
        r->value = r->at;
        return read_string(r, into);
}

bool pg_json_text(struct pg_json_reader *r, void *into)
{
        const char *text;
        if (!pg_json_string(r, &text))
                return false;
        if (!*text)
                return pg_json_fail(r, "expected a string that is not empty");
        *(const char **)into = text;
        return true;
}

/* ---- numbers and words ---- */

static bool is_digit(const struct pg_json_reader *r, const char *p)
{
        return p < r->end && *p >= '0' && *p <= '9';
}

static const char *skip_digits(const struct pg_json_reader *r, const char *p)
{
        while (is_digit(r, p))
                p++;
        return p;
}

/* Behind the number at p, or NULL when it is not formed as JSON wants it. */
static const char *end_of_number(const struct pg_json_reader *r, const char *p)
{
        if (p < r->end && *p == '-')
                p++;
        if (!is_digit(r, p))
                return NULL;
        p = *p == '0' ? p + 1 : skip_digits(r, p);
        if (is_digit(r, p))
                return NULL;
        if (p < r->end && *p == '.') {
                if (!is_digit(r, p + 1))
                        return NULL;
                p = skip_digits(r, p + 1);
        }
        if (p < r->end && (*p == 'e' || *p == 'E')) {
                p++;
                if (p < r->end && (*p == '+' || *p == '-'))
                        p++;
                if (!is_digit(r, p))
                        return NULL;
                p = skip_digits(r, p);
        }
        return p;
}

static bool scan_number(struct pg_json_reader *r, struct slice *ret)
{
        r->value = r->at;
        const char *end = end_of_number(r, r->at);
        if (!end)
                return pg_json_fail_at(r, r->at, "%s is not a JSON number",
                                       pg_json_describe(r, r->at, (char[PG_JSON_DESCRIBE_MAX]){ 0 }));
        *ret = (struct slice){ r->at, (size_t)(end - r->at) };
        r->at = end;
        return true;
}

bool pg_json_literal(struct pg_json_reader *r, void *into)
{
        char c = peek(r);
        if (c != '-' && (c < '0' || c > '9'))
                return pg_json_fail_type(r, "a number");
        struct slice number;
        if (!scan_number(r, &number))
                return false;
        const char *text = pg_arena_strndup(r->arena, number.p, number.n);
        if (!text)
                return pg_fail_nomem(r->err);
        *(const char **)into = text;
        return true;
}

/* The value of a number that is digits only and fits. */
static bool whole_number(struct slice number, uint64_t *ret)
{
        enum { SAFE_DIGITS = 19 }; // 10^19 - 1 fits into 64 bits
        uint64_t n = 0;
        if (number.n > SAFE_DIGITS)
                return false;
        for (size_t i = 0; i < number.n; i++) {
                unsigned digit = (unsigned)(unsigned char)number.p[i] - '0';
                if (digit > 9)
                        return false;
                n = n * 10 + digit;
        }
        *ret = n;
        return true;
}

static bool read_range(struct pg_json_reader *r, uint64_t low, uint64_t high, uint64_t *ret)
{
        char c = peek(r);
        if (c != '-' && (c < '0' || c > '9'))
                return pg_json_fail_type(r, "a whole number");
        struct slice number;
        if (!scan_number(r, &number))
                return false;
        uint64_t n;
        if (!whole_number(number, &n) || n < low || n > high)
                return pg_json_fail(r, "expected a whole number from %ju to %ju, found %s", (uintmax_t)low,
                                    (uintmax_t)high,
                                    pg_json_describe(r, r->value, (char[PG_JSON_DESCRIBE_MAX]){ 0 }));
        *ret = n;
        return true;
}

bool pg_json_range(struct pg_json_reader *r, uint64_t low, uint64_t high, uint64_t *ret)
{
        assert(high <= INT64_MAX); // 20 digits are never read
        return read_range(r, low, high, ret);
}

bool pg_json_count(struct pg_json_reader *r, void *into)
{
        return read_range(r, 0, INT64_MAX, into);
}

bool pg_json_line(struct pg_json_reader *r, void *into)
{
        uint64_t n;
        if (!read_range(r, 1, UINT32_MAX, &n))
                return false;
        *(uint32_t *)into = (uint32_t)n;
        return true;
}

/* Steps over word when it is next and ends there. */
static bool take_word(struct pg_json_reader *r, const char *word)
{
        size_t n = strlen(word);
        (void)peek(r);
        if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
                return false;
        r->value = r->at;
        r->at += n;
        return true;
}

bool pg_json_true(struct pg_json_reader *r, void *into)
{
        if (!take_word(r, "true"))
                return pg_json_fail_type(r, "true");
        *(bool *)into = true;
        return true;
}

bool pg_json_null(struct pg_json_reader *r)
{
        return take_word(r, "null");
}

/* ---- containers ---- */

static void push(struct pg_json_reader *r, const char *key)
{
        assert(r->depth < PG_JSON_MAX_DEPTH); // tables do not nest that deep
        r->path[r->depth++] = (struct pg_json_step){ .key = key };
}

static bool enter(struct pg_json_reader *r, char open, const char *what)
{
        if (peek(r) != open)
                return pg_json_fail_type(r, what);
        r->value = r->at++;
        return true;
}

/* True when another member follows; false behind the closing bracket, or after a failure. */
static bool next(struct pg_json_reader *r, char close, bool *first)
{
        bool was_first = *first;
        *first = false;
        if (peek(r) == close) {
                r->at++;
                return false;
        }
        if (was_first)
                return true;
        return expect(r, ',', close == '}' ? "',' or '}'" : "',' or ']'");
}

static bool read_key(struct pg_json_reader *r, struct slice *ret)
{
        if (peek(r) != '"')
                return pg_json_fail_at(r, r->at, "expected a key in quotes, found %s",
                                       pg_json_describe(r, r->at, (char[PG_JSON_DESCRIBE_MAX]){ 0 }));
        r->key = r->at;
        bool escaped;
        if (!scan_string(r, ret, &escaped))
                return false;
        if (!escaped)
                return true;
        r->at = r->key;
        const char *text;
        if (!read_string(r, &text))
                return false;
        *ret = (struct slice){ text, strlen(text) };
        return true;
}

static bool failed(const struct pg_json_reader *r)
{
        return r->err->code != PG_OK;
}

/* The row of that key, or keys->n. Writers keep the order of the table, so the search starts at guess. */
static size_t find_key(const struct pg_json_keys *keys, struct slice key, size_t guess)
{
        for (size_t i = 0; i < keys->n; i++) {
                size_t k = guess + i < keys->n ? guess + i : guess + i - keys->n;
                const char *name = keys->keys[k].name;
                if (strncmp(name, key.p, key.n) == 0 && name[key.n] == '\0')
                        return k;
        }
        return keys->n;
}

static bool fail_unknown(struct pg_json_reader *r, const struct pg_json_keys *keys, struct slice key)
{
        const char *words[PG_JSON_MAX_KEYS + 1] = { NULL };
        for (size_t i = 0; i < keys->n; i++)
                words[i] = keys->keys[i].name;
        const char *text = pg_arena_strndup(r->arena, key.p, key.n);
        return text ? pg_json_fail_key(r, text, words) : pg_fail_nomem(r->err);
}

static bool read_member(struct pg_json_reader *r, const struct pg_json_key *key, void *into)
{
        push(r, key->name);
        bool ok = expect(r, ':', "':'") && key->read(r, (char *)into + key->offset);
        if (ok)
                r->depth--;
        return ok;
}

static bool check_required(struct pg_json_reader *r, const struct pg_json_keys *keys, uint32_t seen,
                           const char *object)
{
        for (size_t i = 0; i < keys->n; i++)
                if (keys->keys[i].required && !(seen >> i & 1)) {
                        r->value = object;
                        return pg_json_fail(r, "the key \"%s\" is missing", keys->keys[i].name);
                }
        return true;
}

bool pg_json_object(struct pg_json_reader *r, const struct pg_json_keys *keys, void *into)
{
        assert(keys->n <= PG_JSON_MAX_KEYS);
        if (!enter(r, '{', "an object"))
                return false;
        const char *object = r->value;
        bool first = true;
        uint32_t seen = 0;
        size_t guess = 0;
        while (next(r, '}', &first)) {
                struct slice name;
                if (!read_key(r, &name))
                        return false;
                size_t k = find_key(keys, name, guess);
                if (k == keys->n) {
                        if (!keys->open)
                                return fail_unknown(r, keys, name);
                        if (!expect(r, ':', "':'") || !pg_json_skip(r, NULL))
                                return false;
                        continue;
                }
                if (seen >> k & 1)
                        return pg_json_fail_duplicate(r, keys->keys[k].name);
                seen |= UINT32_C(1) << k;
                guess = k + 1;
                if (!read_member(r, &keys->keys[k], into))
                        return false;
        }
        return !failed(r) && check_required(r, keys, seen, object);
}

bool pg_json_map(struct pg_json_reader *r, pg_json_member_fn *member, void *into)
{
        if (!enter(r, '{', "an object"))
                return false;
        bool first = true;
        while (next(r, '}', &first)) {
                struct slice name;
                if (!read_key(r, &name))
                        return false;
                const char *key = pg_arena_strndup(r->arena, name.p, name.n);
                if (!key)
                        return pg_fail_nomem(r->err);
                push(r, key);
                if (!expect(r, ':', "':'") || !member(r, key, into))
                        return false;
                r->depth--;
        }
        return !failed(r);
}

bool pg_json_array(struct pg_json_reader *r, pg_json_read_fn *element, void *into)
{
        if (!enter(r, '[', "an array"))
                return false;
        bool first = true;
        push(r, NULL);
        while (next(r, ']', &first)) {
                if (!element(r, into))
                        return false;
                r->path[r->depth - 1].index++;
        }
        if (failed(r))
                return false;
        r->depth--;
        return true;
}

struct counts {
        uint64_t *values;
        size_t n;
};

static bool read_one_count(struct pg_json_reader *r, void *into)
{
        struct counts *c = into;
        uint64_t value;
        if (!read_range(r, 0, INT64_MAX, &value))
                return false;
        uint64_t *values = pg_arena_grow(r->arena, c->values, c->n, sizeof(*values));
        if (!values)
                return pg_fail_nomem(r->err);
        values[c->n++] = value;
        c->values = values;
        return true;
}

bool pg_json_counts(struct pg_json_reader *r, uint64_t **ret, size_t *ret_n)
{
        struct counts c = { 0 };
        if (!pg_json_array(r, read_one_count, &c))
                return false;
        *ret = c.values;
        *ret_n = c.n;
        return true;
}

struct strings {
        const char **values;
        size_t n;
};

/* Room for one more string, which is NULL; so the array always ends with one. */
static bool grow_strings(struct pg_json_reader *r, struct strings *s)
{
        const char **values = pg_arena_grow(r->arena, s->values, s->n, sizeof(*values));
        if (!values)
                return pg_fail_nomem(r->err);
        values[s->n] = NULL;
        s->values = values;
        return true;
}

static bool read_one_string(struct pg_json_reader *r, void *into)
{
        struct strings *s = into;
        const char *text;
        if (!pg_json_string(r, &text) || !grow_strings(r, s))
                return false;
        s->values[s->n++] = text;
        return true;
}

bool pg_json_strings(struct pg_json_reader *r, const char *const **ret, size_t *ret_n)
{
        struct strings s = { 0 };
        if (!pg_json_array(r, read_one_string, &s) || !grow_strings(r, &s))
                return false;
        *ret = s.values;
        *ret_n = s.n;
        return true;
}

/* ---- skipping ---- */

static bool skip_value(struct pg_json_reader *r, unsigned depth);

static bool skip_container(struct pg_json_reader *r, char close, unsigned depth)
{
        if (depth == PG_JSON_MAX_DEPTH)
                return pg_json_fail_at(r, r->at, "nested more than %d deep", PG_JSON_MAX_DEPTH);
        r->at++;
        bool first = true;
        while (next(r, close, &first)) {
                struct slice key;
                if (close == '}' && (!read_key(r, &key) || !expect(r, ':', "':'")))
                        return false;
                if (!skip_value(r, depth + 1))
                        return false;
        }
        return !failed(r);
}

static bool skip_value(struct pg_json_reader *r, unsigned depth)
{
        struct slice unused;
        bool escaped;
        char c = peek(r);
        if (c == '{' || c == '[')
                return skip_container(r, c == '{' ? '}' : ']', depth);
        if (c == '"')
                return scan_string(r, &unused, &escaped);
        if (c == '-' || (c >= '0' && c <= '9'))
                return scan_number(r, &unused);
        if (take_word(r, "true") || take_word(r, "false") || take_word(r, "null"))
                return true;
        return pg_json_fail_type(r, "a value");
}

bool pg_json_skip(struct pg_json_reader *r, void *unused)
{
        (void)unused;
        return skip_value(r, 0);
}
