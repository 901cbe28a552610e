// SPDX-License-Identifier: MIT
/*
 * test_host.c - the machine's description, against what other programs say of the same machine, and the text
 * files of machines that are not at hand.
 */
#include "tests/unit/assert_near.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "runner/measure/host.h"
#include "runner/measure/host_text.h"

static void cpu_model_is_the_first_processors(void **state)
{
        (void)state;
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7763 "
                  "64-Core "
                  "Processor\nstepping\t: 1\n\nprocessor\t: 1\nmodel name\t: other\n",
                  "AMD EPYC 7763 64-Core Processor" },
                { "model name : A: B  \t\nx", "A: B" },
                { "model name\t: cut off", "cut off" },
                { "processor\t: 0\nCPU implementer\t: 0x41\n", "unknown" }, // arm64 names none
                { "model name\t:\nprocessor : 1\n", "unknown" },
                { "model name\nmodel : 3\n", "unknown" },
                { "my model name : x\n", "unknown" },
                { "", "unknown" },
        };
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_string_equal(pg_host_cpu_model(a, cases[i].text), cases[i].want);
}

static void os_name_is_unquoted_as_the_shell_does(void **state)
{
        (void)state;
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n",
                  "Debian GNU/Linux 12 (bookworm)" },
                { "PRETTY_NAME='single \\ \"x\"'\n", "single \\ \"x\"" },
                { "PRETTY_NAME=bare word\n", "bare" },
                { "PRETTY_NAME=\"a \\\"b\\\" \\$c \\\\ \\n\"\n", "a \"b\" $c \\ \\n" },
                { "PRETTY_NAME=old\nPRETTY_NAME=new", "new" },
                { "PRETTY_NAME=\"never closed\nID=x\n", "never closed" },
                { "#PRETTY_NAME=x\nMY_PRETTY_NAME=y\n", "Linux" },
                { "PRETTY_NAME=\n", "Linux" },
                { "PRETTY_NAME=\"\"", "Linux" },
                { "PRETTY_NAME=\"end\\", "end\\" },
                { "", "Linux" },
        };
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_string_equal(pg_host_os_name(a, cases[i].text), cases[i].want);
}

static const char *output_of(const char *command)
{
        static char line[512];
        FILE *f = popen(command, "r");
        assert_non_null(f);
        if (!fgets(line, sizeof(line), f))
                line[0] = '\0';
        pclose(f);
        line[strcspn(line, "\n")] = '\0';
        return line;
}

static void this_machine_is_what_its_own_programs_say(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_host h;
        struct pg_error err = { 0 };
        assert_true(pg_host_describe(a, &h, &err));
        assert_string_equal(h.arch, output_of("uname -m"));
        assert_string_equal(h.kernel, output_of("uname -r"));
        assert_string_equal(h.libc, output_of("getconf GNU_LIBC_VERSION"));
        assert_string_equal(
                h.os, output_of("{ . /etc/os-release || . /usr/lib/os-release; } && echo \"$PRETTY_NAME\""));
        char cores[16];
        snprintf(cores, sizeof(cores), "%u", h.cores);
        assert_string_equal(cores, output_of("env -u OMP_NUM_THREADS nproc"));
        assert_true(h.cpu_model[0] != '\0');
}

static void cores_are_those_that_this_process_may_use(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        cpu_set_t all, one;
        struct pg_host h;
        struct pg_error err = { 0 };
        assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
        CPU_ZERO(&one);
        for (int i = 0; CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &all))
                        CPU_SET(i, &one);
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        bool ok = pg_host_describe(a, &h, &err);
        assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
        assert_true(ok);
        assert_int_equal(h.cores, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cpu_model_is_the_first_processors),
                cmocka_unit_test(os_name_is_unquoted_as_the_shell_does),
                cmocka_unit_test(this_machine_is_what_its_own_programs_say),
                cmocka_unit_test(cores_are_those_that_this_process_may_use),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
