// SPDX-License-Identifier: MIT
/*
 * observation.c - images of the same program are added up and written as lines.
 */
#include "runner/probe/observation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "runner/base/buf.h"
#include "runner/base/units.h"
#include "runner/probe/layout.h"

struct pg_probe {
        int fd;
        char variable[64];
};

static const char *const names[PG_CHECKS] = {
        [PG_CHECK_STATUS] = "exit status",
        [PG_CHECK_OUTPUT] = "standard output",
        [PG_CHECK_ERRORS] = "standard error",
        [PG_CHECK_PROGRAMS] = "programs run",
        [PG_CHECK_ENVIRONMENT] = "environment",
        [PG_CHECK_DESCRIPTORS] = "descriptor numbers",
        [PG_CHECK_OPEN] = "open at the end",
        [PG_CHECK_ERRNO] = "errno",
        [PG_CHECK_INTERRUPTED] = "interrupted calls",
        [PG_CHECK_SIZES] = "block sizes",
        [PG_CHECK_THREADS] = "threads",
        [PG_CHECK_SIGNALS] = "signals",
};

#define CALL_NAME(name) #name,
static const char *const opener_names[] = { PG_PROBE_OPENERS(CALL_NAME) };
static const char *const wait_names[] = { PG_PROBE_WAITS(CALL_NAME) };
#undef CALL_NAME

const char *pg_check_name(enum pg_check check)
{
        return names[check];
}

bool pg_observation_add(struct pg_observation *o, struct pg_arena *a, enum pg_check check, const char *key,
                        const char *value, struct pg_error *err)
{
        o->seen = pg_arena_grow(a, o->seen, o->n, sizeof(*o->seen));
        if (!o->seen || !key || !value)
                return pg_fail_nomem(err);
        o->seen[o->n++] = (struct pg_seen){ check, key, value };
        return true;
}

/* ---- the file --------------------------------------------------------------------------------------------
 */

static bool make_file(struct pg_probe *p, struct pg_error *err)
{
        const struct pg_probe_header h = { .magic = PG_PROBE_MAGIC };
        p->fd = memfd_create("perfgate-probe", MFD_CLOEXEC);
        if (p->fd < 0)
                return pg_fail_os(err, "cannot create shared memory");
        if (ftruncate(p->fd, PG_PROBE_FILE_BYTES) != 0 || pwrite(p->fd, &h, sizeof(h), 0) != sizeof(h))
                return pg_fail_os(err, "cannot size shared memory");
        snprintf(p->variable, sizeof(p->variable), PG_PROBE_VARIABLE "=/proc/%d/fd/%d", (int)getpid(), p->fd);
        return true;
}

bool pg_probe_create(struct pg_probe **ret, struct pg_error *err)
{
        PG_AUTO_PROBE struct pg_probe *p = calloc(1, sizeof(*p));
        if (!p)
                return pg_fail_nomem(err);
        if (!make_file(p, err))
                return false;
        *ret = p;
        p = NULL;
        return true;
}

void pg_probe_destroy(struct pg_probe *p)
{
        if (p && p->fd >= 0)
                close(p->fd);
        free(p);
}

const char *pg_probe_variable(const struct pg_probe *p)
{
        return p->variable;
}

static bool read_at(const struct pg_probe *p, void *out, size_t n, size_t offset, struct pg_error *err)
{
        ssize_t got;
        do
                got = pread(p->fd, out, n, (off_t)offset);
        while (got < 0 && errno == EINTR);
        return got == (ssize_t)n || pg_fail_os(err, "cannot read shared memory");
}

/* ---- images of one program -------------------------------------------------------------------------------
 */

/* The counters of an image are uint64_t from here to its end, so that sums need no list of them. */
enum {
        SUMS_AT = offsetof(struct pg_probe_image, opened),
        N_SUMS = (sizeof(struct pg_probe_image) - SUMS_AT) / sizeof(uint64_t),
};

struct program {
        const char *name;
        uint64_t images, variables, tasks_at_start, environment_hash, blocked_hash;
        struct pg_probe_image sums; // the counters
};

/* Printable and ended, whatever the bytes are. */
static const char *program_name(struct pg_arena *a, const char path[PG_PROBE_PROGRAM_BYTES])
{
        size_t n = strnlen(path, PG_PROBE_PROGRAM_BYTES), start = n;
        while (start > 0 && path[start - 1] != '/')
                start--;
        char *name = pg_arena_strndup(a, n > start ? path + start : "unknown", n > start ? n - start : 7);
        for (char *c = name; c && *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
        return name;
}

static struct program *find_program(struct program **programs, size_t *n, struct pg_arena *a,
                                    const char *name)
{
        for (size_t i = 0; i < *n; i++)
                if (strcmp((*programs)[i].name, name) == 0)
                        return &(*programs)[i];
        *programs = pg_arena_grow(a, *programs, *n, sizeof(**programs));
        if (!*programs)
                return NULL;
        (*programs)[*n].name = name;
        return &(*programs)[(*n)++];
}

static void add_image(struct program *p, const struct pg_probe_image *image)
{
        uint64_t sums[N_SUMS], more[N_SUMS];
        memcpy(sums, (char *)&p->sums + SUMS_AT, sizeof(sums));
        memcpy(more, (const char *)image + SUMS_AT, sizeof(more));
        for (size_t i = 0; i < N_SUMS; i++)
                sums[i] += more[i];
        memcpy((char *)&p->sums + SUMS_AT, sums, sizeof(sums));
        p->images++;
        p->variables += image->variables;
        p->tasks_at_start += image->tasks_at_start;
        p->environment_hash += image->environment_hash;
        p->blocked_hash += image->blocked_at_start * 0x9e3779b97f4a7c15u;
}

static bool read_programs(const struct pg_probe *p, struct pg_arena *a, struct program **ret, size_t *ret_n,
                          struct pg_error *err)
{
        struct pg_probe_header h;
        PG_AUTO_FREE struct pg_probe_image *image = malloc(sizeof(*image));
        *ret_n = 0;
        if (!image)
                return pg_fail_nomem(err);
        if (!read_at(p, &h, sizeof(h), 0, err))
                return false;
        uint32_t n = h.n_images < PG_PROBE_IMAGES ? h.n_images : PG_PROBE_IMAGES;
        for (uint32_t i = 0; i < n; i++) {
                if (!read_at(p, image, sizeof(*image), PG_PROBE_PAGE + i * sizeof(*image), err))
                        return false;
                if (image->ready != 1)
                        continue;
                const char *name = program_name(a, image->program);
                struct program *program = name ? find_program(ret, ret_n, a, name) : NULL;
                if (!program)
                        return pg_fail_nomem(err);
                add_image(program, image);
        }
        return true;
}

/* ---- lines -----------------------------------------------------------------------------------------------
 */

/* Where lines of one program go; `failed` is looked at once, at the end. */
struct writer {
        struct pg_observation *o;
        struct pg_arena *a;
        const char *program;
        struct pg_error *err;
        bool failed;
};

static void put(struct writer *w, enum pg_check check, const char *key, const char *value)
{
        if (!w->failed &&
            !pg_observation_add(w->o, w->a, check, pg_arena_printf(w->a, "%s: %s", w->program, key), value,
                                w->err))
                w->failed = true;
}

static void put_count(struct writer *w, enum pg_check check, const char *key, uint64_t n)
{
        char text[PG_NUMBER_MAX];
        put(w, check, key, pg_arena_strdup(w->a, pg_format_count(n, text)));
}

/* "3 (12 times), 4": which of the counters are not zero. */
static const char *list(struct pg_arena *a, const _Atomic uint64_t *counters, size_t n, const char *last)
{
        PG_AUTO_BUF struct pg_buf b = { 0 };
        for (size_t i = 0; i < n; i++) {
                if (counters[i] == 0)
                        continue;
                pg_buf_printf(&b, "%s%zu%s", b.len ? ", " : "", i, i == n - 1 ? last : "");
                if (counters[i] > 1)
                        pg_buf_printf(&b, " (%" PRIu64 " times)", counters[i]);
        }
        return b.failed ? NULL : pg_arena_strdup(a, b.len ? b.data : "none");
}

static void put_descriptors(struct writer *w, const struct pg_probe_image *s)
{
        static const uint64_t none[PG_PROBE_NUMBERS];
        for (size_t i = 0; i < PG_OPENERS; i++)
                if (memcmp((const void *)s->opened[i], none, sizeof(none)) != 0)
                        put(w, PG_CHECK_DESCRIPTORS, opener_names[i],
                            list(w->a, s->opened[i], PG_PROBE_NUMBERS, " and above"));
        put(w, PG_CHECK_OPEN, "open", list(w->a, s->open_at_end, PG_PROBE_NUMBERS, " and above"));
}

static void put_interrupted(struct writer *w, const struct pg_probe_image *s)
{
        for (size_t i = 0; i < PG_WAITS; i++) {
                char name[32];
                snprintf(name, sizeof(name), "%.*s", (int)strcspn(wait_names[i], "_"), wait_names[i]);
                bool own_name = !strstr(wait_names[i], "_wait") || strncmp(wait_names[i], "epoll", 5) == 0 ||
                                strncmp(wait_names[i], "sem", 3) == 0;
                if (s->interrupted[i])
                        put_count(w, PG_CHECK_INTERRUPTED, own_name ? wait_names[i] : name,
                                  s->interrupted[i]);
        }
}

static void put_environment(struct writer *w, const struct program *p)
{
        put(w, PG_CHECK_ENVIRONMENT, "at the start",
            pg_arena_printf(w->a, "%" PRIu64 " variable%s, %016" PRIx64, p->variables,
                            pg_plural(p->variables), p->environment_hash));
        put(w, PG_CHECK_ENVIRONMENT, "at the end",
            pg_arena_printf(w->a, "%" PRIu64 " variable%s, %016" PRIx64, p->sums.variables_at_end,
                            pg_plural(p->sums.variables_at_end), p->sums.environment_hash_at_end));
}

static void put_heap(struct writer *w, const struct pg_probe_image *s)
{
        put_count(w, PG_CHECK_ERRNO, "changed by the allocator", s->errno_changed);
        put(w, PG_CHECK_SIZES, "blocks",
            pg_arena_printf(w->a, "%" PRIu64 " of %" PRIu64 " byte%s in all, %016" PRIx64, s->blocks,
                            s->usable_bytes, pg_plural(s->usable_bytes), s->sizes_hash));
}

static void put_threads(struct writer *w, const struct program *p)
{
        put_count(w, PG_CHECK_THREADS, "at the start", p->tasks_at_start);
        put_count(w, PG_CHECK_THREADS, "created", p->sums.threads);
        put_count(w, PG_CHECK_THREADS, "at the end", p->sums.tasks_at_end);
}

static void put_signals(struct writer *w, const struct program *p)
{
        const struct pg_probe_image *s = &p->sums;
        put(w, PG_CHECK_SIGNALS, "blocked at the start",
            pg_arena_printf(w->a, "%016" PRIx64, p->blocked_hash));
        put(w, PG_CHECK_SIGNALS, "blocked at the end", list(w->a, s->blocked_at_end, PG_PROBE_SIGNALS, ""));
        put(w, PG_CHECK_SIGNALS, "handled at the end", list(w->a, s->handled_at_end, PG_PROBE_SIGNALS, ""));
        put(w, PG_CHECK_SIGNALS, "ignored at the end", list(w->a, s->ignored_at_end, PG_PROBE_SIGNALS, ""));
}

static void put_program(struct writer *w, const struct program *p)
{
        w->program = p->name;
        put_count(w, PG_CHECK_PROGRAMS, "started", p->images);
        put_count(w, PG_CHECK_PROGRAMS, "ends seen", p->sums.ends);
        put_environment(w, p);
        put_descriptors(w, &p->sums);
        put_interrupted(w, &p->sums);
        put_heap(w, &p->sums);
        put_threads(w, p);
        put_signals(w, p);
        w->o->programs += p->images;
        w->o->mappings += p->sums.mappings_at_end;
        w->o->ends += p->sums.ends;
}

bool pg_probe_read(const struct pg_probe *p, struct pg_arena *a, struct pg_observation *o,
                   struct pg_error *err)
{
        struct program *programs = NULL;
        size_t n;
        if (!read_programs(p, a, &programs, &n, err))
                return false;
        struct writer w = { .o = o, .a = a, .err = err };
        for (size_t i = 0; i < n; i++)
                put_program(&w, &programs[i]);
        return !w.failed;
}
