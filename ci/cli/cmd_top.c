// SPDX-License-Identifier: MIT
/*
 * cmd_top.c - perfgate top: the hot functions or allocation sites of any producer's pprof file.
 */
#include "ci/cli/command.h"

#include <stdlib.h>
#include <string.h>

#include "ci/cli/terminal.h"
#include "runner/base/units.h"
#include "runner/profile/profile.h"

struct top_args {
        const char *sample_type;
        uint32_t limit;
        int sort; // index into sorts
};

static const char *const sorts[] = { "self", "cum", NULL };

#define AT(field) offsetof(struct top_args, field)

static const struct pg_option options[] = {
        { PG_OPTION_TEXT, 's', "sample-type", AT(sample_type), "NAME",
          "which values, e.g. alloc_space (default: the file's own)", NULL, 0 },
        { PG_OPTION_COUNT, 'n', "limit", AT(limit), "N", "rows (default 20; 0 is all)", NULL, 0 },
        { PG_OPTION_CHOICE, 0, "sort", AT(sort), "COLUMN", "self (default), or cum: with all that was called",
          sorts, 0 },
        { .type = PG_OPTION_END },
};

static bool choose_type(const struct pg_profile *p, const char *name, size_t *ret, struct pg_error *err)
{
        if (!name) {
                *ret = p->default_type;
                return p->n_sample_types > 0 || pg_fail(err, PG_EDATA, "the profile has no sample types");
        }
        PG_AUTO_BUF struct pg_buf known = { 0 };
        for (size_t i = 0; i < p->n_sample_types; i++) {
                if (strcmp(p->sample_types[i].type, name) == 0) {
                        *ret = i;
                        return true;
                }
                pg_buf_printf(&known, "%s%s", i ? ", " : "", p->sample_types[i].type);
        }
        return pg_fail(err, PG_EUSAGE, "--sample-type: the profile has no '%.40s', only %.200s", name,
                       known.data ? known.data : "none");
}

static void format_value(int64_t v, const char *unit, char out[PG_NUMBER_MAX])
{
        uint64_t magnitude = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
        char *p = out;
        if (v < 0)
                *p++ = '-';
        char text[PG_NUMBER_MAX];
        if (strcmp(unit, "nanoseconds") == 0)
                pg_format_duration(magnitude, text);
        else if (strcmp(unit, "bytes") == 0)
                pg_format_size(magnitude, text);
        else
                pg_format_count(magnitude, text);
        memcpy(p, text, strlen(text) + 1);
}

/* Names come from outside: control characters must not reach the terminal. */
static void put_name(struct pg_buf *out, const char *name)
{
        for (; *name; name++)
                pg_buf_putc(out, (unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
}

static double percent(int64_t v, int64_t sum)
{
        return sum ? 100.0 * (double)v / (double)sum : 0;
}

/* Functions with the same cost keep their order, which is that of their own cost, then their name. */
static int by_total(const void *pa, const void *pb)
{
        const struct pg_top_row *a = pa, *b = pb;
        if (a->total != b->total)
                return a->total > b->total ? -1 : 1;
        if (a->self != b->self)
                return a->self > b->self ? -1 : 1;
        return strcmp(a->function, b->function);
}

static void put_row(struct pg_buf *out, const struct pg_top_row *row, int64_t self_so_far, int64_t sum,
                    const char *unit)
{
        char self[PG_NUMBER_MAX], total[PG_NUMBER_MAX];
        format_value(row->self, unit, self);
        format_value(row->total, unit, total);
        pg_buf_printf(out, "%12s %6.2f%% %6.2f%% %12s %6.2f%%  ", self, percent(row->self, sum),
                      percent(self_so_far, sum), total, percent(row->total, sum));
        put_name(out, row->function);
        if (row->file && row->file[0]) {
                pg_buf_puts(out, "  ");
                put_name(out, row->file);
        }
        pg_buf_putc(out, '\n');
}

/* "sum %" is what the rows down to this one cost themselves. */
static void put_rows(struct pg_buf *out, const struct pg_top_row *rows, size_t n, size_t limit, int64_t sum,
                     const char *unit)
{
        int64_t self_so_far = 0;
        pg_buf_printf(out, "%12s %7s %7s %12s %7s  %s\n", "self", "self %", "sum %", "cum", "cum %",
                      "function");
        for (size_t i = 0; i < n && i < limit; i++) {
                if (__builtin_add_overflow(self_so_far, rows[i].self, &self_so_far))
                        self_so_far = INT64_MAX;
                put_row(out, &rows[i], self_so_far, sum, unit);
        }
        if (n > limit)
                pg_buf_printf(out, "%12s %zu more, --limit 0 shows all\n", "...", n - limit);
}

/* What the profile itself says of a type: whether its values are estimates, and from what. */
static void put_comments(struct pg_buf *out, const struct pg_profile *p, const char *type)
{
        for (size_t i = 0; i < p->n_comments; i++) {
                if (!*type || !strstr(p->comments[i], type))
                        continue;
                put_name(out, p->comments[i]);
                pg_buf_putc(out, '\n');
        }
}

static bool put_top(struct pg_buf *out, const struct pg_profile *p, const struct top_args *args,
                    struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        size_t type = 0, n = 0;
        int64_t sum = 0;
        struct pg_top_row *rows = NULL;
        if (!a)
                return pg_fail_nomem(err);
        if (!choose_type(p, args->sample_type, &type, err) ||
            !pg_profile_top(p, type, a, &rows, &n, &sum, err))
                return false;
        if (n && args->sort)
                qsort(rows, n, sizeof(*rows), by_total);
        const struct pg_value_type *t = &p->sample_types[type];
        char all[PG_NUMBER_MAX];
        format_value(sum, t->unit, all);
        put_name(out, t->type);
        pg_buf_printf(out, ": %s in %zu distinct stack%s\n", all, p->n_samples, pg_plural(p->n_samples));
        put_comments(out, p, t->type);
        pg_buf_putc(out, '\n');
        put_rows(out, rows, n, args->limit ? args->limit : SIZE_MAX, sum, t->unit);
        return true;
}

static bool run(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        (void)ret;
        struct top_args args = { .limit = 20 };
        int rest = argc;
        bool dashes, stop = false;
        if (!pg_command_options(&pg_command_top, argc, argv, &args, &rest, &dashes, &stop, err) || stop)
                return err->code == PG_OK;
        if (argc - rest != 1)
                return pg_fail(err, PG_EUSAGE, "top takes one file, got %d: perfgate top PROFILE",
                               argc - rest);
        PG_AUTO_PROFILE struct pg_profile *p = NULL;
        if (!pg_pprof_load(argv[rest], &p, err))
                return false;
        PG_AUTO_BUF struct pg_buf out = { 0 };
        if (!put_top(&out, p, &args, err))
                return pg_context(err, "profile '%s'", argv[rest]);
        return pg_write_output(&out, err);
}

const struct pg_command pg_command_top = {
        .name = "top",
        .synopsis = "[OPTIONS] PROFILE",
        .summary = "List the hot functions or allocation sites of a pprof file",
        .details = "Reads profiles of any producer (perfgate, Go, gperftools, ...), compressed or not. "
                   "\"self\" is what a\n"
                   "function costs itself, \"cum\" with all that it called; \"sum %\" adds self up from the "
                   "top.\n",
        .options = options,
        .run = run,
};
