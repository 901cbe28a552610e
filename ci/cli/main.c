// SPDX-License-Identifier: MIT
/*
 * main.c - perfgate's entry: the table of commands, help, version, and the exit status with its meaning.
 *
 * Commands return a status or an error; only this file turns them into the last line on standard error.
 */
#include "ci/cli/command.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ci/cli/terminal.h"
#include "runner/base/units.h"

static const struct pg_command *const commands[] = {
        &pg_command_run,    &pg_command_compare, &pg_command_baseline,
        &pg_command_record, &pg_command_top,     &pg_command_doctor,
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

/* ---- exit status ---- */

static const struct {
        enum pg_exit status;
        const char *words;
} exits[] = {
        // the first that applies wins
        { PG_EXIT_ERROR, "error: wrong usage, a bad file, or perfgate itself failed" },
        { PG_EXIT_TARGET,
          "a target failed: it could not start, exited wrongly, died of a signal, or ran out of time" },
        { PG_EXIT_REGRESSION, "regression" },
        { PG_EXIT_NOTHING, "nothing was evaluated, or the result is inconclusive" },
        { PG_EXIT_WARNING, "passed with warnings, and --fail-on-warn was given" },
        { PG_EXIT_PASS, "passed" },
};
enum { N_EXITS = sizeof(exits) / sizeof(*exits) };

enum pg_exit pg_exit_worse(enum pg_exit a, enum pg_exit b)
{
        for (int i = 0; i < N_EXITS; i++)
                if (exits[i].status == a || exits[i].status == b)
                        return exits[i].status;
        return PG_EXIT_ERROR;
}

const char *pg_exit_words(enum pg_exit e)
{
        for (int i = 0; i < N_EXITS; i++)
                if (exits[i].status == e)
                        return exits[i].words;
        return "unknown";
}

/* ---- help ---- */

static void print_overview(FILE *to)
{
        fputs("perfgate - gates a pull request on performance and names the function that got worse\n\n"
              "usage: perfgate COMMAND [OPTIONS]\n\n",
              to);
        for (int i = 0; i < N_COMMANDS; i++)
                fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
        fputs("\nFirst steps:\n"
              "  perfgate run --save-baseline main.json -- ./program ARG...   measure, keep as baseline\n"
              "  perfgate run --baseline main.json -- ./program ARG...        measure again and compare\n\n"
              "perfgate COMMAND --help tells more; perfgate --version says which this is.\n"
              "Exit status: 0 passed, 1 error, 2 regression, 3 warnings (--fail-on-warn),\n"
              "4 nothing evaluated or inconclusive (--strict), 5 a target failed.\n",
              to);
}

static void print_command_help(const struct pg_command *c)
{
        PG_AUTO_BUF struct pg_buf b = { 0 };
        pg_options_help(c->options, &b);
        printf("usage: perfgate %s %s\n\n%s.\n%s%s\noptions:\n%s", c->name, c->synopsis, c->summary,
               c->details[0] ? "\n" : "", c->details, b.data ? b.data : "");
}

bool pg_command_options(const struct pg_command *c, int argc, char **argv, void *args, int *ret_rest,
                        bool *ret_dashes, bool *ret_help, struct pg_error *err)
{
        if (!pg_options_parse(c->options, argc, argv, args, ret_rest, ret_dashes, ret_help, err))
                return pg_context(err, "%s", c->name);
        if (*ret_help)
                print_command_help(c);
        return true;
}

/* ---- dispatch ---- */

static const struct pg_command *find_command(const char *name)
{
        for (int i = 0; i < N_COMMANDS; i++)
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        return NULL;
}

static bool unknown_command(const char *word, struct pg_error *err)
{
        const char *names[N_COMMANDS + 2] = { "help" };
        for (int i = 0; i < N_COMMANDS; i++)
                names[i + 1] = commands[i]->name;
        const char *near = pg_nearest(word, names);
        if (near)
                return pg_fail(err, PG_EUSAGE, "unknown command '%.60s', did you mean '%s'?", word, near);
        return pg_fail(err, PG_EUSAGE, "unknown command '%.60s'; 'perfgate help' lists them", word);
}

static bool help(int argc, char **argv, struct pg_error *err)
{
        if (argc < 2) {
                print_overview(stdout);
                return true;
        }
        const struct pg_command *c = find_command(argv[1]);
        if (!c)
                return unknown_command(argv[1], err);
        print_command_help(c);
        return true;
}

static bool dispatch(int argc, char **argv, enum pg_exit *ret, struct pg_error *err)
{
        if (argc < 2) {
                print_overview(stderr);
                return pg_fail(err, PG_EUSAGE, "a command is missing");
        }
        const char *word = argv[1];
        if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
                puts("perfgate " PG_VERSION);
                return true;
        }
        if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
                return help(argc - 1, argv + 1, err);
        if (word[0] == '-')
                return pg_fail(err, PG_EUSAGE,
                               "'%.60s' stands in front of a command; write: perfgate COMMAND %.60s", word,
                               word);
        const struct pg_command *c = find_command(word);
        return c ? c->run(argc - 1, argv + 1, ret, err) : unknown_command(word, err);
}

/* A standard stream that is closed would be the next file that is opened, and a target would write its output there.
 * It stays as useless as it was: 0 cannot be read, 1 and 2 cannot be written. */
static void keep_standard_streams(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static const char *words_for(bool ok, enum pg_exit status, const struct pg_error *err)
{
        if (err->code == PG_ESTOPPED)
                return "interrupted, nothing was judged";
        return ok && status == PG_EXIT_ERROR ? "error: the command is not what it is without perfgate"
                                             : pg_exit_words(status);
}

int main(int argc, char **argv)
{
        keep_standard_streams();
        setlocale(LC_ALL, "C.UTF-8"); // numbers as in C, names in UTF-8
        enum pg_exit status = PG_EXIT_PASS;
        struct pg_error err = { 0 };
        bool ok = dispatch(argc, argv, &status, &err);
        if (ok && !pg_flush_output(&err))
                ok = false;
        if (!ok) {
                fprintf(stderr, "perfgate: %s\n", err.text);
                status = err.code == PG_ETARGET ? PG_EXIT_TARGET : PG_EXIT_ERROR;
        }
        if (status != PG_EXIT_PASS)
                fprintf(stderr, "perfgate: exit status %d: %s\n", status, words_for(ok, status, &err));
        return (int)status;
}
