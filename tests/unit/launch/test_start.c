// SPDX-License-Identifier: MIT
/*
 * test_start.c - what a target is given, how it is found, and what is said when it cannot start.
 *
 * What it was given is told by the target itself (fixture act, verb show), not by the code under test.
 */
#include "runner/base/cleanup.h"
#include "tests/unit/launch/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <utmp.h>

/* ---- what it is given -----------------------------------------------------------------------------------
 */

static void assert_shows(const struct pg_launch_result *r, const char *want)
{
        if (!strstr(r->stderr_tail, want))
                fail_msg("expected \"%s\" in: %s", want, r->stderr_tail);
}

/* A runner as untidy as it can be: ignored and blocked signals, an inheritable descriptor. */
static void target_gets_defaults_whatever_the_runner_has(void **state)
{
        (void)state;
        sigset_t all, old_mask;
        sigfillset(&all);
        PG_AUTO_CLOSE int inheritable = fcntl(2, F_DUPFD, 50); // clear of the numbers that the helper uses
        sighandler_t old_pipe = signal(SIGPIPE, SIG_IGN), old_hup = signal(SIGHUP, SIG_IGN);
        sigprocmask(SIG_BLOCK, &all, &old_mask);
        struct pg_launcher *tidy = launcher;
        struct pg_error err = { 0 };
        bool created = pg_launcher_create(HELPER, &launcher, &err);
        struct pg_launch_result r = created ? RUN_ACT("show", "1") : (struct pg_launch_result){ 0 };
        pg_launcher_destroy(launcher);
        launcher = tidy;
        sigprocmask(SIG_SETMASK, &old_mask, NULL);
        signal(SIGPIPE, old_pipe);
        signal(SIGHUP, old_hup);
        assert_true(created);
        assert_shows(&r, "blocked=0 changed=0 open=3 leader=1 fixed=0 ");
}

static void addresses_are_fixed_only_on_request(void **state)
{
        (void)state;
        struct pg_launch_request q = ACT_ARGS("show", "1");
        q.fixed_addresses = true;
        struct pg_launch_result r = rig_run(q);
        assert_shows(&r, r.fixed_addresses ? " fixed=1 " : " fixed=0 "); // the truth, also in a sandbox
        r = RUN_ACT("show", "1");
        assert_shows(&r, " fixed=0 ");
        assert_false(r.fixed_addresses);
}

static void limit_of_open_files_is_the_one_before_the_launcher(void **state)
{
        (void)state;
        struct rlimit limit, lower;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        char want[64];
        snprintf(want, sizeof(want), " files=%lu ", (unsigned long)limit.rlim_cur);
        lower = limit;
        lower.rlim_cur = limit.rlim_cur - 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
        struct pg_launch_result r = RUN_ACT("show", "1");
        rig_fail(ACT_ARGS("signal-parent", "9", "sleep", "1000000"));
        struct pg_launch_result of_new_helper = RUN_ACT("show", "1");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_shows(&r, want);
        assert_shows(&of_new_helper, want);
}

static void environment_is_exactly_the_given_one(void **state)
{
        (void)state;
        struct pg_launch_request q = ACT_ARGS("env", "1");
        q.envp = ARGV("B=2", "A=", "B=3", "odd");
        assert_string_equal(rig_run(q).stderr_tail, "B=2\nA=\nB=3\nodd\n");
        assert_string_equal(RUN_ACT("env", "1").stderr_tail, "");
}

static void write_file(const char *name, const char *text, mode_t mode)
{
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", scratch, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        assert_int_equal(chmod(path, mode), 0);
}

static void working_directory_and_input_are_the_given_ones(void **state)
{
        (void)state;
        char path[128], want[128];
        write_file("input", "words", 0644);
        snprintf(path, sizeof(path), "%s/input", scratch);
        snprintf(want, sizeof(want), "cwd=%s stdin=words\n", scratch);
        struct pg_launch_request q = ACT_ARGS("show", "1");
        q.stdin_path = path;
        struct pg_launch_result r = rig_run(q);
        assert_shows(&r, want);
        r = RUN_ACT("show", "1");
        assert_shows(&r, " stdin=\n");
}

static void inherited_output_goes_where_the_runners_goes(void **state)
{
        (void)state;
        int fds[2];
        char text[64] = "";
        assert_int_equal(pipe(fds), 0);
        int old = dup(2);
        dup2(fds[1], 2);
        struct pg_launch_request q = ACT_ARGS("flood", "0");
        q.output = PG_OUTPUT_INHERIT;
        struct pg_launch_result r;
        struct pg_error err = { 0 };
        bool ok = pg_launch(launcher, &q, NULL, &r, &err);
        dup2(old, 2);
        close(old);
        close(fds[1]);
        ssize_t n = read(fds[0], text, sizeof(text) - 1);
        close(fds[0]);
        assert_true(ok);
        assert_int_equal(n, 8);
        assert_string_equal(text, "the end\n");
        assert_string_equal(r.stderr_tail, "");
}

static void output_into_files_is_whole(void **state)
{
        (void)state;
        char text[16] = "";
        PG_AUTO_FCLOSE FILE *out = tmpfile(), *errors = tmpfile();
        assert_non_null(out);
        assert_non_null(errors);
        struct pg_launch_request q = rig_request(ARGV("/bin/sh", "-c", "echo one; echo two >&2; cat"));
        q.output = PG_OUTPUT_FILES;
        q.output_fds[0] = fileno(out);
        q.output_fds[1] = fileno(errors);
        assert_int_equal(rig_run(q).exit_status, 0);
        assert_int_equal(pread(fileno(out), text, sizeof(text), 0), 4);
        assert_memory_equal(text, "one\n", 4);
        assert_int_equal(pread(fileno(errors), text, sizeof(text), 0), 4);
        assert_memory_equal(text, "two\n", 4);
        q.output_fds[1] = -1;
        assert_int_equal(rig_fail(q).code, PG_EOS);
}

static void closed_input_of_the_runner_is_no_obstacle(void **state)
{
        (void)state;
        int old = dup(0);
        close(0);
        struct pg_launch_request q =
                rig_request(ARGV("/bin/sh", "-c", "test /dev/fd/0 -ef /dev/null && exit 5"));
        q.output = PG_OUTPUT_INHERIT;
        struct pg_launch_result r = { 0 }, of_second = { 0 };
        struct pg_error err = { 0 };
        struct pg_launcher *second = NULL; // whose socket must not become descriptor 0
        bool ok = pg_launch(launcher, &q, NULL, &r, &err) && pg_launcher_create(HELPER, &second, &err) &&
                  pg_launch(second, &q, NULL, &of_second, &err);
        pg_launcher_destroy(second);
        dup2(old, 0);
        close(old);
        assert_true(ok);
        assert_int_equal(r.exit_status, 5);
        assert_int_equal(of_second.exit_status, 5);
}

/* In a session of its own on a new terminal; 0 when the terminal went to the target and came back. */
static int launch_on_terminal(int terminal)
{
        struct pg_launcher *l = NULL;
        struct pg_error err = { 0 };
        struct pg_launch_request q = ACT_ARGS("foreground", "1");
        struct pg_launch_result r = { 0 };
        q.output = PG_OUTPUT_INHERIT;
        if (login_tty(terminal) < 0 || !pg_launcher_create(HELPER, &l, &err))
                return 10;
        if (!pg_launch(l, &q, NULL, &r, &err))
                return 11;
        if (r.exit_status != 0)
                return 12;
        if (tcgetpgrp(0) != getpgrp())
                return 13;
        q.argv = ARGV(ACT, "raise", "20", "exit", "3"); // stops itself as Ctrl-Z would, is continued
        if (!pg_launch(l, &q, NULL, &r, &err))
                return 14;
        if (r.timed_out || r.exit_status != 3)
                return 15;
        q.argv = ARGV(ACT, "signal-parent", "9", "sleep", "1000000");
        if (pg_launch(l, &q, NULL, &r, &err) || tcgetpgrp(0) != getpgrp())
                return 16;
        pg_launcher_destroy(l);
        return 0;
}

static void terminal_is_lent_to_the_target(void **state)
{
        (void)state;
        int master, terminal, status;
        assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
        pid_t pid = fork();
        if (pid == 0)
                _exit(launch_on_terminal(terminal));
        close(terminal);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(master);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- how it is found ------------------------------------------------------------------------------------
 */

static void command_is_looked_up_in_the_targets_path_from_its_folder(void **state)
{
        (void)state;
        char folder[128], path[160];
        snprintf(folder, sizeof(folder), "%s/bin", scratch);
        assert_int_equal(mkdir(folder, 0755), 0);
        write_file("bin/tool", "#!/bin/sh\nexit 21\n", 0755);
        write_file("tool", "#!/bin/sh\nexit 22\n", 0755);
        write_file("data", "text", 0644);
        write_file("bin/data", "#!/bin/sh\nexit 23\n", 0755);
        snprintf(path, sizeof(path), "PATH=/nonexistent:%s", folder);
        const struct {
                const char *command, *path;
                int status;
        } cases[] = {
                { "tool", path, 21 },         { "tool", "PATH=bin", 21 },
                { "tool", "PATH=", 22 },      { "tool", "PATH=/nonexistent:", 22 },
                { "./tool", path, 22 },       { "bin/tool", "PATH=/nonexistent", 21 },
                { "data", "PATH=.:bin", 23 }, // what cannot be executed is passed over
                { "sh", "HOME=/", 0 },        // without PATH: /bin and /usr/bin; reads /dev/null
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_launch_request q = rig_request(ARGV(cases[i].command));
                q.envp = ARGV(cases[i].path);
                assert_int_equal(rig_run(q).exit_status, cases[i].status);
        }
}

/* ---- what is said when it cannot start ------------------------------------------------------------------
 */

static void reason_for_not_starting_is_named(void **state)
{
        (void)state;
        write_file("plain", "#!/bin/sh\n", 0644);
        write_file("text", "hello\n", 0755);
        write_file("orphaned", "#! /nonexistent/python -u\n", 0755);
        write_file("dark", "#!/etc/passwd\n", 0755);
        const struct {
                const char *command, *text;
        } cases[] = {
                { "./missing", "'./missing': No such file or directory" },
                { "missing", "'missing': not found in PATH" },
                { "", "the command is empty" },
                { "/tmp", "'/tmp': is a directory, expected a program" },
                { "/dev/null", "'/dev/null': is not a regular file, expected a program" },
                { "./plain", "'./plain': not executable (it has no permission for it, see chmod +x)" },
                { "plain", "'plain': not executable (./plain has no permission for it, see chmod +x)" },
                { "./text", "'./text': neither a program for this machine nor a script that starts with #!" },
                { "./orphaned", "'./orphaned': its interpreter '/nonexistent/python' does not exist" },
                { "./dark", "'./dark': its interpreter '/etc/passwd' cannot be executed" },
                { "./plain/x", "'./plain/x': Not a directory" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pg_launch_request q = rig_request(ARGV(cases[i].command));
                q.envp = ARGV("PATH=/nonexistent:.");
                struct pg_error err = rig_fail(q);
                assert_int_equal(err.code, PG_ETARGET);
                assert_string_equal(err.text, cases[i].text);
        }
}

static void folder_and_input_that_cannot_be_used_are_named(void **state)
{
        (void)state;
        struct pg_launch_request q = ACT_ARGS("exit", "0");
        q.cwd = "/nonexistent";
        struct pg_error err = rig_fail(q);
        assert_int_equal(err.code, PG_ETARGET);
        assert_string_equal(err.text,
                            "cannot use '/nonexistent' as working directory: No such file or directory");
        q.cwd = "/dev/null";
        err = rig_fail(q);
        assert_string_equal(err.text, "cannot use '/dev/null' as working directory: Not a directory");
        q.cwd = scratch;
        q.stdin_path = "/nonexistent";
        err = rig_fail(q);
        assert_int_equal(err.code, PG_ETARGET);
        assert_string_equal(err.text, "cannot open standard input '/nonexistent': No such file or directory");
        q.stdin_path = "/tmp";
        err = rig_fail(q);
        assert_string_equal(err.text, "standard input '/tmp' is a directory, expected a file");
}

/* One string of 1 MiB is more than the kernel takes (32 pages), one of 40 MiB more than the helper takes. */
static void arguments_that_are_too_large_are_an_error(void **state)
{
        (void)state;
        const size_t sizes[] = { 1 * MIB, 40 * MIB };
        for (size_t i = 0; i < 2; i++) {
                char *big = malloc(sizes[i]);
                assert_non_null(big);
                memset(big, 'x', sizes[i] - 1);
                big[sizes[i] - 1] = '\0';
                struct pg_error err = rig_fail(ACT_ARGS("exit", "0", big));
                free(big);
                assert_int_equal(err.code, PG_ETARGET);
                assert_string_equal(err.text, "'" ACT "': arguments and environment are too large for exec");
        }
        assert_int_equal(RUN_ACT("exit", "5").exit_status, 5);
}

static void helper_that_is_none_is_an_error(void **state)
{
        (void)state;
        struct pg_launcher *l = NULL;
        struct pg_error err = { 0 };
        assert_false(pg_launcher_create("/nonexistent/perfgate-helper", &l, &err));
        assert_int_equal(err.code, PG_EOS);
        assert_int_equal(err.os_errno, ENOENT);
        err = (struct pg_error){ 0 };
        assert_false(pg_launcher_create("/bin/true", &l, &err)); // ends without a word
        assert_int_equal(err.code, PG_EOS);
        write_file("liar", "#!/bin/sh\nprintf 12345678 >&0\n", 0755); // says something else
        char path[128];
        snprintf(path, sizeof(path), "%s/liar", scratch);
        err = (struct pg_error){ 0 };
        assert_false(pg_launcher_create(path, &l, &err));
        assert_int_equal(err.code, PG_EOS);
        assert_non_null(strstr(err.text, "is not the launch helper of this version"));
        assert_null(l);
        pg_launcher_destroy(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(target_gets_defaults_whatever_the_runner_has),
                cmocka_unit_test(addresses_are_fixed_only_on_request),
                cmocka_unit_test(limit_of_open_files_is_the_one_before_the_launcher),
                cmocka_unit_test(environment_is_exactly_the_given_one),
                cmocka_unit_test(working_directory_and_input_are_the_given_ones),
                cmocka_unit_test(inherited_output_goes_where_the_runners_goes),
                cmocka_unit_test(output_into_files_is_whole),
                cmocka_unit_test(closed_input_of_the_runner_is_no_obstacle),
                cmocka_unit_test(terminal_is_lent_to_the_target),
                cmocka_unit_test(command_is_looked_up_in_the_targets_path_from_its_folder),
                cmocka_unit_test(reason_for_not_starting_is_named),
                cmocka_unit_test(folder_and_input_that_cannot_be_used_are_named),
                cmocka_unit_test(arguments_that_are_too_large_are_an_error),
                cmocka_unit_test(helper_that_is_none_is_an_error),
        };
        return cmocka_run_group_tests(tests, rig_start, rig_end);
}
