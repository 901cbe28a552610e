// SPDX-License-Identifier: MIT
/*
 * options.c - option tables onto getopt_long, and their help text.
 */
#include "ci/cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "runner/base/units.h"

enum { OPTIONS_MAX = 40, FIRST_LONG = 1000, HELP = 999 };

struct getopt_tables {
        struct option longs[OPTIONS_MAX + 2];
        char shorts[2 * OPTIONS_MAX + 4];
        const char *names[OPTIONS_MAX + 2]; // for the nearest one
};

static void fill_tables(const struct pg_option *options, struct getopt_tables *t)
{
        size_t n = 0, s = 0;
        t->shorts[s++] = '+'; // stop at the first word that is no option
        t->shorts[s++] = ':';
        for (; n < OPTIONS_MAX && options[n].type != PG_OPTION_END; n++) {
                const struct pg_option *o = &options[n];
                int wants = o->type == PG_OPTION_FLAG ? no_argument : required_argument;
                t->longs[n] = (struct option){ o->name, wants, NULL, FIRST_LONG + (int)n };
                t->names[n] = o->name;
                if (o->letter) {
                        t->shorts[s++] = o->letter;
                        if (wants == required_argument)
                                t->shorts[s++] = ':';
                }
        }
        t->longs[n] = (struct option){ "help", no_argument, NULL, HELP };
        t->names[n] = "help";
}

static const struct pg_option *option_of(const struct pg_option *options, int key)
{
        if (key >= FIRST_LONG)
                return &options[key - FIRST_LONG];
        for (; options->type != PG_OPTION_END; options++)
                if (options->letter && options->letter == key)
                        return options;
        return NULL;
}

/* word is the long option; letter is not 0 for a short one, which may stand among others. */
static bool unknown(const struct getopt_tables *t, const char *word, int letter, struct pg_error *err)
{
        if (letter)
                return pg_fail(err, PG_EUSAGE, "unknown option '-%c'; options have long names, see --help",
                               letter);
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        const char *near = pg_nearest(name, t->names);
        if (near)
                return pg_fail(err, PG_EUSAGE, "unknown option '--%s', did you mean '--%s'?", name, near);
        return pg_fail(err, PG_EUSAGE, "unknown option '--%s', see --help", name);
}

static bool set_choice(const struct pg_option *o, const char *text, int *value, struct pg_error *err)
{
        for (int i = 0; o->choices[i]; i++)
                if (strcmp(o->choices[i], text) == 0) {
                        *value = i;
                        return true;
                }
        PG_AUTO_BUF struct pg_buf all = { 0 };
        for (int i = 0; o->choices[i]; i++)
                pg_buf_printf(&all, "%s%s", i ? ", " : "", o->choices[i]);
        return pg_fail(err, PG_EUSAGE, "--%s: '%.40s' is none of %s", o->name, text,
                       all.data ? all.data : "");
}

static bool set_count(const struct pg_option *o, const char *text, uint32_t *value, struct pg_error *err)
{
        uint64_t n;
        if (!pg_parse_count(text, &n, err))
                return pg_context(err, "--%s", o->name);
        if (n < o->min || n > UINT32_MAX)
                return pg_fail(err, PG_EUSAGE, "--%s: %s is out of range, expected at least %u", o->name,
                               text, o->min);
        *value = (uint32_t)n;
        return true;
}

static bool set_list(const struct pg_option *o, const char *text, struct pg_option_list *list,
                     struct pg_error *err)
{
        if (list->n == PG_OPTION_LIST_MAX)
                return pg_fail(err, PG_EUSAGE, "--%s: more than %d of them", o->name, PG_OPTION_LIST_MAX);
        list->values[list->n++] = text;
        list->values[list->n] = NULL;
        return true;
}

static bool set_value(const struct pg_option *o, const char *text, void *args, struct pg_error *err)
{
        void *field = (char *)args + o->offset;
        switch (o->type) {
        case PG_OPTION_END:
                break;
        case PG_OPTION_FLAG:
                *(bool *)field = true;
                return true;
        case PG_OPTION_TEXT:
                if (!*text)
                        return pg_fail(err, PG_EUSAGE, "--%s: expected %s, got nothing", o->name, o->value);
                *(const char **)field = text;
                return true;
        case PG_OPTION_LIST:
                return set_list(o, text, field, err);
        case PG_OPTION_COUNT:
                return set_count(o, text, field, err);
        case PG_OPTION_DURATION:
                return pg_parse_duration(text, field, err) || pg_context(err, "--%s", o->name);
        case PG_OPTION_CHOICE:
                return set_choice(o, text, field, err);
        }
        return false;
}

bool pg_options_parse(const struct pg_option *options, int argc, char **argv, void *args, int *ret_rest,
                      bool *ret_dashes, bool *ret_help, struct pg_error *err)
{
        struct getopt_tables t = { 0 };
        fill_tables(options, &t);
        optind = 0; // glibc: start afresh
        opterr = 0;
        *ret_help = false;
        for (int key; (key = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1;) {
                if (key == HELP) {
                        *ret_help = true;
                        return true;
                }
                const struct pg_option *o = key == ':' ? option_of(options, optopt) : option_of(options, key);
                if (key == ':')
                        return pg_fail(err, PG_EUSAGE, "%s needs a value: %s", argv[optind - 1],
                                       o ? o->value : "");
                if (key == '?' && optopt >= HELP)
                        return pg_fail(err, PG_EUSAGE, "--%s takes no value",
                                       optopt == HELP ? "help" : option_of(options, optopt)->name);
                if (key == '?' || !o)
                        return unknown(&t, argv[optind - 1], optopt, err);
                if (!set_value(o, optarg, args, err))
                        return false;
        }
        *ret_rest = optind;
        *ret_dashes = optind > 0 && strcmp(argv[optind - 1], "--") == 0;
        return true;
}

void pg_options_help(const struct pg_option *options, struct pg_buf *out)
{
        for (; options->type != PG_OPTION_END; options++) {
                char left[64];
                snprintf(left, sizeof(left), "%c%c%s--%s%s%s", options->letter ? '-' : ' ',
                         options->letter ? options->letter : ' ', options->letter ? ", " : "  ",
                         options->name, options->value ? " " : "", options->value ? options->value : "");
                pg_buf_printf(out, "  %-34s %s\n", left, options->help);
        }
        pg_buf_printf(out, "  %-34s %s\n", "    --help", "show this text");
}
