// SPDX-License-Identifier: MIT
/*
 * config.c - perfgate.json as benchmarks and limits, by one table of keys for each kind of object.
 *
 * Paths are relative to the file's folder; they are made relative to the current one here, so that nobody
 * behind this has to know where the file was. Everything wrong in the file is PG_EUSAGE with its place.
 */
#include "ci/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "baseline/measurement_json.h"
#include "ci/config/keys.h"
#include "ci/config/reading.h"
#include "runner/base/file.h"
#include "runner/base/units.h"

enum { MAX_BYTES = 4 << 20 };

/* ---- one benchmark ---- */

/* A benchmark being read; its paths are as written until all of it is there. */
struct reading {
        struct pg_config_benchmark b;
        const char *cwd, *stdin_path;
        const char *name_at; // in the text
};

static bool read_name(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        if (!pg_benchmark_name_read(r, &b->b.workload.name))
                return false;
        b->name_at = r->value;
        return true;
}

static bool read_command(struct pg_json_reader *r, void *into)
{
        const char *const *command;
        size_t n;
        if (pg_json_peek(r) == '"')
                return pg_json_fail_type(r, "an array like [\"./build/parse\", \"large.json\"]");
        const char *where = r->at;
        if (!pg_json_strings(r, &command, &n))
                return false;
        r->value = where;
        if (n == 0 || !*command[0])
                return pg_json_fail(r, "expected a program and its arguments");
        *(const char *const **)into = command;
        return true;
}

/* The variables of one "env" object. */
struct variables {
        const char **values; // "NAME=value"
        struct pg_json_word *names;
        size_t n;
};

static bool grow_variables(struct pg_json_reader *r, struct variables *v)
{
        const char **values = pg_arena_grow(r->arena, v->values, v->n, sizeof(*values));
        struct pg_json_word *names = pg_arena_grow(r->arena, v->names, v->n, sizeof(*names));
        if (!values || !names)
                return pg_fail_nomem(r->err);
        values[v->n] = NULL;
        v->values = values;
        v->names = names;
        return true;
}

static bool read_variable(struct pg_json_reader *r, const char *name, void *into)
{
        struct variables *v = into;
        const char *value;
        if (!*name || strchr(name, '='))
                return pg_json_fail_at(r, r->key, "\"%.40s\" cannot be the name of an environment variable",
                                       name);
        const char *key = r->key;
        if (!pg_json_string(r, &value) || !grow_variables(r, v))
                return false;
        v->names[v->n] = (struct pg_json_word){ name, key };
        v->values[v->n] = pg_arena_printf(r->arena, "%s=%s", name, value);
        return v->values[v->n++] || pg_fail_nomem(r->err);
}

static bool read_env(struct pg_json_reader *r, void *into)
{
        struct variables v = { 0 };
        if (!pg_json_map(r, read_variable, &v) || !grow_variables(r, &v) ||
            !pg_json_unique(r, v.names, v.n, "variable"))
                return false;
        *(const char *const **)into = v.values;
        return true;
}

static bool read_stdin(struct pg_json_reader *r, void *into)
{
        if (pg_json_peek(r) == 'n' && pg_json_null(r))
                return true;
        return pg_json_peek(r) == '"' ? pg_json_text(r, into) : pg_json_fail_type(r, "a file name or null");
}

static bool read_runs(struct pg_json_reader *r, void *into)
{
        uint64_t n;
        if (!pg_json_range(r, 1, PG_MAX_RUNS, &n))
                return false;
        *(uint32_t *)into = (uint32_t)n;
        return true;
}

static bool read_warmup(struct pg_json_reader *r, void *into)
{
        uint64_t n;
        if (!pg_json_range(r, 0, PG_MAX_RUNS, &n))
                return false;
        *(uint32_t *)into = (uint32_t)n;
        return true;
}

static bool read_timeout(struct pg_json_reader *r, void *into)
{
        struct pg_error cause = { 0 };
        const char *text;
        if (pg_json_peek(r) != '"')
                return pg_json_fail_type(r, "a duration like \"60s\"");
        if (!pg_json_string(r, &text))
                return false;
        return pg_parse_duration(text, into, &cause) || pg_json_fail_cause(r, &cause);
}

static bool read_expect_exit(struct pg_json_reader *r, void *into)
{
        uint64_t n;
        if (!pg_json_range(r, 0, 255, &n))
                return false;
        *(int *)into = (int)n;
        return true;
}

static bool read_metric_name(struct pg_json_reader *r, void *into)
{
        bool *metrics = into;
        const char *name;
        enum pg_metric m;
        if (!pg_json_string(r, &name))
                return false;
        if (!pg_metric_by_name(name, &m)) {
                const char *near = pg_nearest(name, pg_metric_names);
                return pg_json_fail(r, "unknown metric \"%.40s\"%s%s%s", name,
                                    near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        }
        if (metrics[m])
                return pg_json_fail(r, "duplicate metric \"%s\"", name);
        return metrics[m] = true;
}

static bool read_metric_names(struct pg_json_reader *r, void *into)
{
        struct reading *b = into;
        (void)pg_json_peek(r);
        const char *where = r->at;
        memset(b->b.workload.metrics, 0, sizeof(b->b.workload.metrics));
        if (!pg_json_array(r, read_metric_name, b->b.workload.metrics))
                return false;
        r->value = where;
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                b->b.names_metrics |= b->b.workload.metrics[i];
        return b->b.names_metrics || pg_json_fail(r, "expected at least one metric");
}

/* ---- allocator wrappers ---- */

/* The globs of one array while it is read. */
struct wrappers {
        const char **globs; // NULL-terminated
        struct pg_json_word *words;
        size_t n;
};

static bool read_wrapper(struct pg_json_reader *r, void *into)
{
        struct wrappers *w = into;
        const char *glob;
        if (!pg_json_string(r, &glob))
                return false;
        if (glob[strspn(glob, "*")] == '\0')
                return pg_json_fail(r, "expected a pattern for functions like \"my_pool_*\"");
        const char **globs = pg_arena_calloc(r->arena, w->n + 2, sizeof(*globs));
        struct pg_json_word *words = pg_arena_grow(r->arena, w->words, w->n, sizeof(*words));
        if (!globs || !words)
                return pg_fail_nomem(r->err);
        if (w->n)
                memcpy(globs, w->globs, w->n * sizeof(*globs));
        globs[w->n] = glob;
        words[w->n++] = (struct pg_json_word){ glob, r->value };
        w->globs = globs;
        w->words = words;
        return true;
}

static bool read_wrappers(struct pg_json_reader *r, void *into)
{
        struct wrappers w = { 0 };
        if (!pg_json_array(r, read_wrapper, &w) || !pg_json_unique(r, w.words, w.n, "pattern"))
                return false;
        *(const char *const **)into = w.globs;
        return true;
}

#define WORKLOAD(f) offsetof(struct reading, b.workload.f)

static const struct pg_json_key benchmark_key[] = {
        { "name", read_name, 0, true },
        { "command", read_command, WORKLOAD(command), true },
        { "cwd", pg_json_text, offsetof(struct reading, cwd), false },
        { "env", read_env, WORKLOAD(env), false },
        { "stdin", read_stdin, offsetof(struct reading, stdin_path), false },
        { "runs", read_runs, WORKLOAD(runs), false },
        { "warmup", read_warmup, WORKLOAD(warmup), false },
        { "timeout", read_timeout, WORKLOAD(timeout_ns), false },
        { "expect_exit", read_expect_exit, WORKLOAD(expect_exit), false },
        { "metrics", read_metric_names, 0, false },
        { "allocator_wrappers", read_wrappers, WORKLOAD(allocator_wrappers), false },
        { "thresholds", pg_config_read_thresholds, offsetof(struct reading, b.thresholds), false },
};
static const struct pg_json_keys benchmark_keys = PG_JSON_KEYS(benchmark_key);

static struct reading default_benchmark(void)
{
        struct reading b = { .cwd = "." };
        b.b.workload.runs = PG_DEFAULT_RUNS;
        b.b.workload.warmup = PG_DEFAULT_WARMUP;
        b.b.workload.timeout_ns = PG_DEFAULT_TIMEOUT_NS;
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                b.b.workload.metrics[i] = pg_metrics[i].on_by_default;
        return b;
}

/* ---- paths ---- */

/* path, which is relative to folder, relative to the current folder; NULL when out of memory. */
static const char *in_folder(struct pg_arena *a, const char *folder, const char *path)
{
        if (*path == '/' || strcmp(folder, ".") == 0)
                return path;
        if (strcmp(path, ".") == 0)
                return folder;
        return pg_arena_printf(a, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", path);
}

/* How many folders cwd goes down, or -1 when that cannot be told from its words ("/x", "a/../b"). */
static int depth_of(const char *cwd)
{
        int depth = 0;
        if (*cwd == '/')
                return -1;
        while (*cwd) {
                size_t n = strcspn(cwd, "/");
                if (n == 2 && memcmp(cwd, "..", 2) == 0)
                        return -1;
                depth += n > 1 || (n == 1 && *cwd != '.');
                cwd += n + (cwd[n] == '/');
        }
        return depth;
}

/*
 * The program as it is reached from cwd, when it has a slash and so is relative to the file's folder. Going
 * up keeps it free of this machine's folders, which have no place in a baseline.
 */
static bool place_program(struct pg_json_reader *r, struct reading *b, const char *folder)
{
        const char *program = b->b.workload.command[0];
        int depth = depth_of(b->cwd);
        if (*program == '/' || !strchr(program, '/') || depth == 0)
                return true;
        char *placed = NULL;
        if (depth > 0) {
                placed = pg_arena_calloc(r->arena, 3 * (size_t)depth + strlen(program) + 1, 1);
                for (int i = 0; placed && i < depth; i++)
                        memcpy(placed + 3 * i, "../", 3);
                if (placed)
                        strcpy(placed + 3 * depth, program);
        } else {
                PG_AUTO_FREE char *absolute = realpath(folder, NULL);
                if (!absolute)
                        return pg_fail_os(r->err, "%s: cannot find the folder '%s'", r->name, folder);
                placed = pg_arena_printf(r->arena, "%s/%s", absolute, program);
        }
        if (!placed)
                return pg_fail_nomem(r->err);
        ((const char **)b->b.workload.command)[0] = placed;
        return true;
}

static bool place(struct pg_json_reader *r, struct reading *b, const char *folder)
{
        struct pg_workload *w = &b->b.workload;
        if (!place_program(r, b, folder))
                return false;
        w->cwd = in_folder(r->arena, folder, b->cwd);
        if (b->stdin_path)
                w->stdin_path = in_folder(r->arena, folder, b->stdin_path);
        return (w->cwd && (w->stdin_path || !b->stdin_path)) || pg_fail_nomem(r->err);
}

/* The folder of a file, "." when its name has none. */
static const char *folder_of(struct pg_arena *a, const char *path)
{
        const char *slash = strrchr(path, '/');
        if (!slash)
                return ".";
        return pg_arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
}

/* ---- the file ---- */

struct file {
        struct pg_config *c;
        const char *folder, *schema;
        const char *const *wrappers; // for all benchmarks; NULL-terminated or NULL
        struct pg_json_word *names;  // one for each benchmark
};

static bool read_benchmark(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        struct pg_config *c = f->c;
        size_t n = c->n_benchmarks;
        struct pg_config_benchmark *all = pg_arena_grow(r->arena, c->benchmarks, n, sizeof(*all));
        struct pg_json_word *names = pg_arena_grow(r->arena, f->names, n, sizeof(*names));
        if (!all || !names)
                return pg_fail_nomem(r->err);
        struct reading b = default_benchmark();
        if (!pg_json_object(r, &benchmark_keys, &b) || !place(r, &b, f->folder))
                return false;
        all[n] = b.b;
        names[n] = (struct pg_json_word){ b.b.workload.name, b.name_at };
        c->benchmarks = all;
        f->names = names;
        c->n_benchmarks++;
        return true;
}

static bool read_benchmarks(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        (void)pg_json_peek(r);
        const char *where = r->at;
        if (!pg_json_array(r, read_benchmark, f))
                return false;
        r->value = where;
        if (!f->c->n_benchmarks)
                return pg_json_fail(r, "expected at least one benchmark");
        return pg_json_unique(r, f->names, f->c->n_benchmarks, "benchmark");
}

static bool read_thresholds(struct pg_json_reader *r, void *into)
{
        struct file *f = into;
        return pg_config_read_thresholds(r, &f->c->thresholds);
}

static const struct pg_json_key config_key[] = {
        { "$schema", pg_json_string, offsetof(struct file, schema), false },
        { "allocator_wrappers", read_wrappers, offsetof(struct file, wrappers), false },
        { "benchmarks", read_benchmarks, 0, true },
        { "thresholds", read_thresholds, 0, false },
};
static const struct pg_json_keys config_keys = PG_JSON_KEYS(config_key);

static size_t count(const char *const *strings)
{
        size_t n = 0;
        while (strings && strings[n])
                n++;
        return n;
}

/* A benchmark's own wrappers behind the file's, each once; NULL when out of memory. */
static const char *const *join_wrappers(struct pg_arena *a, const char *const *all, const char *const *own)
{
        size_t n = count(all), n_own = count(own);
        const char **joined = pg_arena_calloc(a, n + n_own + 1, sizeof(*joined));
        for (size_t i = 0; joined && i < n; i++)
                joined[i] = all[i];
        for (size_t i = 0; joined && i < n_own; i++) {
                size_t k = 0;
                while (k < n && strcmp(joined[k], own[i]) != 0)
                        k++;
                joined[k] = own[i];
                n += k == n;
        }
        return joined;
}

/* The file's wrappers may stand behind the benchmarks that they are for. */
static bool give_wrappers(const struct file *f, struct pg_error *err)
{
        for (size_t i = 0; f->wrappers && i < f->c->n_benchmarks; i++) {
                struct pg_workload *w = &f->c->benchmarks[i].workload;
                w->allocator_wrappers = join_wrappers(f->c->arena, f->wrappers, w->allocator_wrappers);
                if (!w->allocator_wrappers)
                        return pg_fail_nomem(err);
        }
        return true;
}

static struct pg_config *create(void)
{
        struct pg_arena *arena = pg_arena_create();
        struct pg_config *c = arena ? pg_arena_calloc(arena, 1, sizeof(*c)) : NULL;
        if (!c) {
                pg_arena_destroy(arena);
                return NULL;
        }
        c->arena = arena;
        return c;
}

void pg_config_destroy(struct pg_config *c)
{
        if (c)
                pg_arena_destroy(c->arena);
}

bool pg_config_parse(const char *name, const char *text, size_t len, struct pg_config **ret,
                     struct pg_error *err)
{
        PG_AUTO_CONFIG struct pg_config *c = create();
        struct file f = { .c = c, .folder = c ? folder_of(c->arena, name) : NULL };
        if (!f.folder)
                return pg_fail_nomem(err);
        struct pg_json_reader r;
        if (!pg_json_begin(&r, name, text, len, PG_EUSAGE, c->arena, err) ||
            !pg_json_object(&r, &config_keys, &f) || !pg_json_end(&r) || !give_wrappers(&f, err))
                return false;
        *ret = c;
        c = NULL;
        return true;
}

bool pg_config_load(const char *path, struct pg_config **ret, struct pg_error *err)
{
        PG_AUTO_FREE char *text = NULL;
        size_t len;
        if (!pg_file_read(path, MAX_BYTES, &text, &len, err)) {
                if (err->code == PG_EDATA)
                        err->code = PG_EUSAGE; // whatever is wrong with this file is its author's to mend
                return pg_context(err, "%s", path);
        }
        return pg_config_parse(path, text, len, ret, err);
}

/* ---- for the schema test ---- */

#define C "perfgate-config-v1.schema.json"

const struct pg_described_keys pg_config_keys[] = {
        { C, "", &config_keys },
        { C, "/$defs/benchmark", &benchmark_keys },
        { C, "/$defs/threshold", &pg_threshold_keys },
        { C, "/$defs/bytesThreshold", &pg_threshold_keys },
        { C, "/$defs/timeThreshold", &pg_threshold_keys },
        { C, "/$defs/functionThreshold", &pg_threshold_keys },
        { C, "/$defs/shareThreshold", &pg_share_threshold_keys },
};
const size_t pg_n_config_keys = sizeof(pg_config_keys) / sizeof(pg_config_keys[0]);
