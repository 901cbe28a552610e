// SPDX-License-Identifier: MIT
/*
 * reproduce.c - words quoted for a POSIX shell; control characters and bytes that are no UTF-8 by $'...'.
 */
#include "ci/cli/reproduce.h"

#include <stdbool.h>
#include <string.h>

#include "baseline/utf8.h"

static bool is_plain(const char *word)
{
        return *word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                          "-_./=:,+@%")] == '\0';
}

/* Control characters and bytes that are no UTF-8 do not survive as they stand. */
static bool needs_escapes(const char *word)
{
        size_t n = 0;
        for (const char *end = word + strlen(word); word < end; word += n) {
                n = pg_utf8_sequence(word, end);
                if (n == 0 || (unsigned char)*word < 0x20 || *word == 0x7f)
                        return true;
        }
        return false;
}

static void put_escaped(struct pg_buf *out, const char *word)
{
        pg_buf_puts(out, "$'");
        for (; *word; word++)
                if ((unsigned char)*word < 0x20 || (unsigned char)*word >= 0x7f || *word == '\'' ||
                    *word == '\\')
                        pg_buf_printf(out, "\\%03o", (unsigned)(unsigned char)*word);
                else
                        pg_buf_putc(out, *word);
        pg_buf_putc(out, '\'');
}

static void put_word(struct pg_buf *out, const char *word)
{
        if (is_plain(word)) {
                pg_buf_puts(out, word);
                return;
        }
        if (needs_escapes(word)) {
                put_escaped(out, word);
                return;
        }
        pg_buf_putc(out, '\'');
        for (; *word; word++)
                if (*word == '\'')
                        pg_buf_puts(out, "'\\''");
                else
                        pg_buf_putc(out, *word);
        pg_buf_putc(out, '\'');
}

bool pg_reproduce(char **argv, struct pg_buf *out, struct pg_error *err)
{
        pg_buf_puts(out, "perfgate");
        for (; *argv; argv++) {
                pg_buf_putc(out, ' ');
                put_word(out, *argv);
        }
        return pg_buf_ok(out, err);
}

/* How many words at argv give that option: 0, 1 ("--baseline=x", "-bx") or 2. getopt_long takes beginnings.
 */
static int words_of(char **argv, const char *name, char letter)
{
        const char *word = argv[0];
        size_t n = strcspn(word, "=");
        if (word[0] != '-' || word[1] == '\0')
                return 0;
        bool is_long = word[1] == '-' && n > 2 && strncmp(word + 2, name, n - 2) == 0;
        bool is_short = word[1] == letter;
        if (!is_long && !is_short)
                return 0;
        bool joined = is_long ? word[n] == '=' : word[2] != '\0';
        return joined || !argv[1] ? 1 : 2;
}

bool pg_reproduce_saving(char **argv, const char *baseline_path, struct pg_buf *out, struct pg_error *err)
{
        pg_buf_puts(out, "perfgate run --save-baseline ");
        put_word(out, baseline_path);
        bool options = true; // in front of "--"
        for (argv++; *argv;) {
                options = options && strcmp(*argv, "--") != 0;
                int skip = options ? words_of(argv, "baseline", 'b') : 0;
                if (options && !skip)
                        skip = words_of(argv, "save-baseline", 's');
                argv += skip;
                if (skip)
                        continue;
                pg_buf_putc(out, ' ');
                put_word(out, *argv++);
        }
        return pg_buf_ok(out, err);
}
