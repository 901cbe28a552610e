// SPDX-License-Identifier: MIT
/*
 * jit_map.c - a text file of code ranges, made into one sorted table without overlaps.
 *
 * Names in the form of V8, "JS:*fib /srv/app.js:3:5", become the function's own name, its file and its line, so that
 * the versions which its compilers make of one function are one function, and are the same in the next run.
 */
#include "runner/symbolize/jit_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runner/base/arena.h"
#include "runner/base/file.h"

enum { MAX_FILE = 256 << 20, MAX_ENTRIES = 1 << 22, MAX_NAME = 1024, NS_PER_S = 1000000000 };

/* ---- finding ---- */

/* Files carry the time of the last coarse tick, so a little earlier than the start is not too early. */
static bool is_older(const struct stat *st, uint64_t start_ns)
{
        enum { SLACK_S = 1 };
        struct timespec real, mono;
        if (!start_ns || clock_gettime(CLOCK_REALTIME, &real) != 0 ||
            clock_gettime(CLOCK_MONOTONIC, &mono) != 0)
                return false;
        int64_t running_s = mono.tv_sec - (int64_t)(start_ns / NS_PER_S);
        return st->st_mtim.tv_sec < real.tv_sec - running_s - SLACK_S;
}

static bool is_trusted(const struct stat *st)
{
        return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0);
}

bool pg_jit_map_find(int pid, uint64_t start_ns, char ret[PG_JIT_MAP_PATH])
{
        char path[PG_JIT_MAP_PATH];
        struct stat st;
        if (pid <= 0)
                return false;
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
        if (lstat(path, &st) != 0 || !is_trusted(&st) || is_older(&st, start_ns))
                return false;
        memcpy(ret, path, sizeof(path));
        return true;
}

bool pg_is_jit_map(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        if (strncmp(name, "perf-", 5) != 0)
                return false;
        size_t digits = strspn(name + 5, "0123456789");
        return digits && strcmp(name + 5 + digits, ".map") == 0;
}

/* ---- names ---- */

struct span {
        const char *s;
        size_t n;
};

/* ":NUMBER" at the end of t is taken off; false when there is none, or a longer one than any line's. */
static bool take_number(struct span *t, uint32_t *ret)
{
        enum { MAX_DIGITS = 9 };
        size_t start = t->n;
        while (start && t->s[start - 1] >= '0' && t->s[start - 1] <= '9')
                start--;
        if (start == t->n || t->n - start > MAX_DIGITS || start < 2 || t->s[start - 1] != ':')
                return false;
        uint32_t number = 0;
        for (size_t i = start; i < t->n; i++)
                number = 10 * number + (uint32_t)(t->s[i] - '0');
        t->n = start - 1;
        *ret = number;
        return true;
}

/* ":LINE:COLUMN" at the end of t is taken off, or the ":LINE" of older V8 (node 12); false when there is none. */
static bool take_position(struct span *t, uint32_t *ret_line)
{
        uint32_t last, before;
        if (!take_number(t, &last))
                return false;
        *ret_line = take_number(t, &before) ? before : last;
        return true;
}

/* Where the file begins in "NAME FILE": at the first word that looks like one, else at the last; t->n when none. */
static size_t file_start(const struct span *t)
{
        static const char *const starts[] = { "/", "node:", "file:" };
        size_t last = t->n;
        for (size_t i = 0; i < t->n; i++) {
                if (t->s[i] != ' ')
                        continue;
                for (size_t k = 0; k < sizeof(starts) / sizeof(*starts); k++) {
                        size_t len = strlen(starts[k]);
                        if (t->n - i - 1 >= len && memcmp(t->s + i + 1, starts[k], len) == 0)
                                return i + 1;
                }
                last = i + 1;
        }
        return last;
}

/* The text behind "JS:*" and its like; false when t is of another kind. */
static bool take_kind(struct span *t)
{
        static const char *const kinds[] = { "JS:",     "LazyCompile:", "Function:",
                                             "Script:", "Eval:",        "InterpretedFunction:" };
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                size_t len = strlen(kinds[i]);
                if (t->n < len || memcmp(t->s, kinds[i], len) != 0)
                        continue;
                while (len < t->n && strchr("*~^+'", t->s[len]) && t->s[len])
                        len++;
                *t = (struct span){ t->s + len, t->n - len };
                return true;
        }
        return false;
}

static bool name_code(struct pg_arena *a, struct span text, struct pg_jit_code *ret)
{
        ret->system_name = ret->name = pg_arena_strndup(a, text.s, text.n);
        struct span t = text;
        if (!ret->name || !take_kind(&t))
                return ret->name;
        uint32_t line = 0;
        bool placed = take_position(&t, &line);
        size_t file = placed ? file_start(&t) : t.n;
        if (file < t.n && !(ret->file = pg_arena_strndup(a, t.s + file, t.n - file)))
                return false;
        ret->line = ret->file ? line : 0;
        size_t n = file < t.n ? file : t.n;
        while (n && t.s[n - 1] == ' ')
                n--;
        const char *file_name = ret->file ? strrchr(ret->file, '/') : NULL;
        file_name = file_name ? file_name + 1 : ret->file;
        ret->name = n           ? pg_arena_strndup(a, t.s, n)
                    : file_name ? pg_arena_printf(a, "(anonymous %s)", file_name)
                                : "(anonymous)";
        return ret->name;
}

/* ---- the table ---- */

struct entry {
        uint64_t start, end;
        const char *text; // in the file's bytes
        uint32_t len;
        uint32_t number; // of its line: the higher one is right
};

struct pg_jit_map {
        struct pg_arena *arena;
        struct pg_jit_code *codes; // by start, without overlaps; named when first asked for
        struct entry *entries;     // of each code
        char *text;
        size_t n;
};

static bool read_hex(const char **s, const char *end, uint64_t *ret)
{
        const char *p = *s;
        uint64_t x = 0;
        if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
                p += 2;
        const char *digits = p;
        for (; p < end && p - digits < 16; p++) {
                int d = *p >= '0' && *p <= '9'   ? *p - '0'
                        : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                        : *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                                 : -1;
                if (d < 0)
                        break;
                x = x << 4 | (uint64_t)d;
        }
        if (p == digits || p == end || *p != ' ')
                return false;
        *s = p + 1;
        *ret = x;
        return true;
}

static bool read_line(const char *line, const char *end, struct entry *ret)
{
        uint64_t size;
        if (!read_hex(&line, end, &ret->start) || !read_hex(&line, end, &size) || size == 0 ||
            size > UINT64_MAX - ret->start || line == end)
                return false;
        size_t len = (size_t)(end - line);
        ret->end = ret->start + size;
        ret->text = line;
        ret->len = (uint32_t)(len < MAX_NAME ? len : MAX_NAME);
        return true;
}

static size_t count_lines(const char *text, size_t len)
{
        size_t n = 1;
        for (const char *p = text; len && (p = memchr(p, '\n', len - (size_t)(p - text))); p++)
                n++;
        return n < MAX_ENTRIES ? n : MAX_ENTRIES;
}

static size_t read_lines(const char *text, size_t len, struct entry *entries, size_t room)
{
        size_t n = 0;
        for (const char *line = text, *end = text + len; line < end && n < room;) {
                const char *stop = memchr(line, '\n', (size_t)(end - line));
                if (!stop) // the last one may be cut off, but what it says so far is true
                        stop = end;
                if (read_line(line, stop, &entries[n])) {
                        entries[n].number = (uint32_t)n;
                        n++;
                }
                line = stop < end ? stop + 1 : end;
        }
        return n;
}

static int by_start(const void *pa, const void *pb)
{
        const struct entry *a = pa, *b = pb;
        if (a->start != b->start)
                return a->start < b->start ? -1 : 1;
        return a->number < b->number ? -1 : a->number > b->number;
}

/* ---- overlaps: a sweep over the starts, with a heap of the ranges that are open, newest on top ---- */

struct sweep {
        const struct entry *in;
        uint32_t *heap; // indices of entries
        size_t n_heap;
        struct entry *out; // room for 2 n
        size_t n_out;
};

static void sift_down(struct sweep *s, size_t i)
{
        for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
                if (child + 1 < s->n_heap && s->in[s->heap[child + 1]].number > s->in[s->heap[child]].number)
                        child++;
                if (s->in[s->heap[i]].number > s->in[s->heap[child]].number)
                        return;
                uint32_t swap = s->heap[i];
                s->heap[i] = s->heap[child];
                s->heap[child] = swap;
        }
}

static void push(struct sweep *s, uint32_t entry)
{
        size_t i = s->n_heap++;
        while (i && s->in[s->heap[(i - 1) / 2]].number < s->in[entry].number) {
                s->heap[i] = s->heap[(i - 1) / 2];
                i = (i - 1) / 2;
        }
        s->heap[i] = entry;
}

static void pop(struct sweep *s)
{
        s->heap[0] = s->heap[--s->n_heap];
        sift_down(s, 0);
}

static void put(struct sweep *s, const struct entry *e, uint64_t start, uint64_t end)
{
        struct entry *last = s->n_out ? &s->out[s->n_out - 1] : NULL;
        if (last && last->number == e->number && last->end == start) {
                last->end = end;
                return;
        }
        s->out[s->n_out] = *e;
        s->out[s->n_out].start = start;
        s->out[s->n_out++].end = end;
}

/* Writes what is on top from `at` up to `limit`. Each range that is left behind ends before `at` or is closed here. */
static void advance(struct sweep *s, uint64_t at, uint64_t limit)
{
        while (s->n_heap && at < limit) {
                const struct entry *top = &s->in[s->heap[0]];
                if (top->end <= at) {
                        pop(s);
                        continue;
                }
                uint64_t end = top->end < limit ? top->end : limit;
                put(s, top, at, end);
                at = end;
        }
}

/* n sorted ranges into at most 2 n without overlaps: each start and each end begins at most one piece. */
static void flatten(struct sweep *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (i)
                        advance(s, s->in[i - 1].start, s->in[i].start);
                push(s, (uint32_t)i);
        }
        if (n)
                advance(s, s->in[n - 1].start, UINT64_MAX);
}

static bool build(struct pg_jit_map *m, size_t len)
{
        size_t room = count_lines(m->text, len);
        struct entry *lines = calloc(room, sizeof(*lines));
        size_t n = lines ? read_lines(m->text, len, lines, room) : 0;
        struct sweep s = { .in = lines };
        s.heap = calloc(n + 1, sizeof(*s.heap));
        s.out = m->entries = calloc(2 * n + 1, sizeof(*s.out));
        m->codes = calloc(2 * n + 1, sizeof(*m->codes));
        bool ok = lines && s.heap && s.out && m->codes;
        if (ok) {
                qsort(lines, n, sizeof(*lines), by_start);
                flatten(&s, n);
                m->n = s.n_out;
        }
        free(lines);
        free(s.heap);
        return ok;
}

/* text is the map's from here on, whatever happens. */
static struct pg_jit_map *make(char *text, size_t len)
{
        struct pg_jit_map *m = calloc(1, sizeof(*m));
        if (!m) {
                free(text);
                return NULL;
        }
        m->text = text;
        m->arena = pg_arena_create();
        if (!text || !m->arena || !build(m, len)) {
                pg_jit_map_destroy(m);
                return NULL;
        }
        return m;
}

struct pg_jit_map *pg_jit_map_parse(const char *text, size_t len)
{
        char *copy = malloc(len + 1);
        if (copy && len)
                memcpy(copy, text, len);
        return make(copy, copy ? len : 0);
}

struct pg_jit_map *pg_jit_map_load(const char *path)
{
        struct pg_error unused = { 0 };
        char *text = NULL;
        size_t len = 0;
        struct stat st;
        if (lstat(path, &st) != 0 || !is_trusted(&st) || !pg_file_read(path, MAX_FILE, &text, &len, &unused))
                return unused.code == PG_ENOMEM ? NULL : pg_jit_map_parse("", 0);
        return make(text, len);
}

void pg_jit_map_destroy(struct pg_jit_map *m)
{
        if (!m)
                return;
        pg_arena_destroy(m->arena);
        free(m->codes);
        free(m->entries);
        free(m->text);
        free(m);
}

const struct pg_jit_code *pg_jit_map_find_code(const struct pg_jit_map *m, uint64_t address)
{
        size_t low = 0, high = m->n;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (m->entries[middle].end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == m->n || m->entries[low].start > address)
                return NULL;
        struct pg_jit_code *code = &m->codes[low];
        const struct entry *e = &m->entries[low];
        if (!code->name && !name_code(m->arena, (struct span){ e->text, e->len }, code))
                return NULL;
        code->start = e->start;
        code->end = e->end;
        return code;
}
