// SPDX-License-Identifier: MIT
/*
 * terminal.c - width, colour, and output that is known to have arrived.
 */
#include "ci/cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *const pg_color_choices[] = { "auto", "always", "never", NULL };

static bool wants_color(enum pg_color color)
{
        if (color != PG_COLOR_AUTO)
                return color == PG_COLOR_ALWAYS;
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
        return !(no && *no) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

struct pg_text_style pg_terminal_style(enum pg_color color, bool verbose)
{
        struct winsize size;
        unsigned width = 100;
        if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
                width = size.ws_col;
        return (struct pg_text_style){ .color = wants_color(color), .verbose = verbose, .width = width };
}

bool pg_write_output(const struct pg_buf *b, struct pg_error *err)
{
        if (b->len && fwrite(b->data, 1, b->len, stdout) != b->len)
                return pg_fail_os(err, "cannot write to standard output");
        return pg_flush_output(err);
}

bool pg_flush_output(struct pg_error *err)
{
        errno = EIO; // an earlier write may have failed without a reason left
        if (fflush(stdout) != 0 || ferror(stdout))
                return pg_fail_os(err, "cannot write to standard output");
        return true;
}
