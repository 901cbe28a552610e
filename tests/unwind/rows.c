// SPDX-License-Identifier: MIT
/*
 * rows.c - functions whose unwind information has the shapes that compilers make. Only compared, never run.
 *
 * tests/unwind/CMakeLists.txt builds this with several compilers, linkers and options.
 */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rows_realigned(size_t n), rows_saved(int a, int b, int c, int d, int e, int f, int g, int h);
int rows_large(int n), rows_shrink_wrapped(const char *s), rows_forks(void), rows_jumps(void),
        rows_handler(void);
_Noreturn void rows_gives_up(const char *why);

struct wide {
        _Alignas(64) uint64_t v[8];
};

__attribute__((noinline)) static int look(const struct wide *w, const char *s)
{
        return (int)(w->v[0] + (uint64_t)s[0]);
}

/* An aligned variable beside one of unknown size: the frame is found through a saved pointer to the arguments. */
int rows_realigned(size_t n)
{
        struct wide w = { { n } };
        char *s = alloca(n);
        memset(s, 0, n);
        return look(&w, s) + look(&w, s + 1);
}

int rows_saved(int a, int b, int c, int d, int e, int f, int g, int h)
{
        int x = printf("%d %d %d\n", a, b, c), y = printf("%d %d %d\n", d, e, f), z = printf("%d %d\n", g, h);
        return printf("%d %d %d %d %d %d %d %d\n", x, y, z, a, b, c, d, e) + f * g - h * x + y / (z | 1);
}

int rows_large(int n)
{
        char buffer[1 << 18];
        return snprintf(buffer, sizeof(buffer), "%d", n) + (int)strlen(buffer);
}

void rows_gives_up(const char *why)
{
        fputs(why, stderr);
        abort();
}

int rows_shrink_wrapped(const char *s)
{
        if (!s)
                rows_gives_up("nothing\n");
        if (!*s)
                return 0;
        int n = atoi(s);
        for (int i = 0; i < n; i++)
                n += puts(s);
        return n;
}

int rows_forks(void)
{
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        return pid > 0;
}

static jmp_buf place;
int rows_jumps(void)
{
        if (setjmp(place))
                return 1;
        longjmp(place, 1);
}

static void on_signal(int sig)
{
        (void)sig;
}
int rows_handler(void)
{
        return signal(SIGUSR1, on_signal) == SIG_ERR;
}
