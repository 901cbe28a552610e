// SPDX-License-Identifier: MIT
/*
 * test_guest_loader.c - programs and libraries that come, go and change while they are measured, and programs that
 * the loader keeps us out of.
 *
 * What the targets say must be equal bare and in each pass; how much they allocate stands in their sources.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/difference.h"
#include "tests/agent/undisturbed.h"

enum { ROUNDS = 1000 };

static void with_folder(void)
{
        char folder[512];
        snprintf(folder, sizeof(folder), "%s", target("guest_loader"));
        *strrchr(folder, '/') = '\0';
        setenv("GUEST_FOLDER", folder, 1);
}

/* In a measured run the agent stands before or behind what the user preloads. */
static void preload(const char *library, bool in_front)
{
        const char *agent = getenv("LD_PRELOAD");
        char list[2048];
        with_folder();
        if (agent)
                snprintf(list, sizeof(list), "%s:%s", in_front ? library : agent, in_front ? agent : library);
        else
                snprintf(list, sizeof(list), "%s", library);
        setenv("LD_PRELOAD", list, 1);
}

static void preloaded_behind(void)
{
        preload(target("guest_preloaded.so"), false);
}

static void preloaded_in_front(void)
{
        preload(target("guest_preloaded.so"), true);
}

static void audited(void)
{
        with_folder();
        setenv("LD_AUDIT", target("guest_audit.so"), 1);
}

/* Undisturbed, and COUNT rounds are counted exactly. */
static void check(const char *kind, prepare_function *prepare)
{
        const char *const argv[] = { target("guest_loader"), kind, "COUNT", NULL };
        const char *const once[] = { argv[0], kind, "1000", NULL };
        assert_undisturbed(once, prepare, 0, was_measured);
        struct difference d = difference_of(argv, "1000", 0, prepare);
        if (d.allocations != ROUNDS || d.bytes != 64 * ROUNDS || d.live != 0)
                fail_msg("%s: %lld allocations, %lld bytes, %lld live", kind, (long long)d.allocations,
                         (long long)d.bytes, (long long)d.live);
}

static void libraries_may_come_and_go(void **state)
{
        (void)state;
        check("dlopen-loop", with_folder);
}

/* Its own calls of malloc do not come to the agent, see dlopen(3); nothing breaks, and what others call counts. */
static void a_library_may_prefer_its_own_symbols(void **state)
{
        (void)state;
        check("deepbind", with_folder);
}

static void what_the_user_preloads_works(void **state)
{
        (void)state;
        struct counted run;
        const char *const argv[] = { target("guest_loader"), "ask", "10", NULL };
        check("ask", preloaded_behind);
        check("ask", preloaded_in_front);
        guest_run(GUEST_EVENT, argv, preloaded_behind, &run);
        assert_string_equal(run.output, "answer 42\n");
        counted_free(&run);
}

static void an_audit_library_works(void **state)
{
        (void)state;
        check("ask", audited);
        check("dlopen-loop", audited);
}

static void a_program_without_a_file_is_measured(void **state)
{
        (void)state;
        check("run-from-memory", with_folder);
}

/* ---- files that change -----------------------------------------------------------------------------------
 */

static char copy[128]; // of guest_loader

static int make_folder(void **state)
{
        (void)state;
        strcpy(copy, "/tmp/perfgate-test-XXXXXX");
        if (!mkdtemp(copy))
                return -1;
        strcat(copy, "/copy");
        return 0;
}

static int remove_folder(void **state)
{
        (void)state;
        unlink(copy);
        *strrchr(copy, '/') = '\0';
        return rmdir(copy);
}

static void copy_target(void)
{
        char command[1024];
        snprintf(command, sizeof(command), "cp -f %s %s", target("guest_loader"), copy);
        if (system(command) != 0)
                fail_msg("%s", command);
}

/* The build-id that the linker gave is 20 bytes, see ld(1). */
static bool knows_its_build(const struct pg_captured_process *p)
{
        for (size_t i = 0; i < p->n_modules; i++)
                if (p->modules[i].is_main)
                        return strlen(p->build_ids[i]) == 40 &&
                               strspn(p->build_ids[i], "0123456789abcdef") == 40;
        return false;
}

/* In each pass from a fresh copy: equal output, the program measured under the name that it had. */
static void check_changing(const char *kind, const char *says)
{
        const char *const argv[] = { copy, kind, "1000", NULL };
        for (enum guest_pass pass = GUEST_BARE; pass < GUEST_PASSES; pass++) {
                struct counted run;
                copy_target();
                guest_run(pass, argv, NULL, &run);
                if (run.exit_status != 0 || strcmp(run.output, says) != 0)
                        fail_msg("%s: status %d, '%s'", guest_pass_name(pass), run.exit_status, run.output);
                if (pass != GUEST_BARE) {
                        assert_true(was_measured(pass, &run));
                        assert_string_equal(run.captured->processes[0].program, copy);
                        assert_true(knows_its_build(&run.captured->processes[0]));
                }
                counted_free(&run);
        }
}

static void a_program_may_be_deleted_while_it_runs(void **state)
{
        (void)state;
        check_changing("delete-self", "gone\n");
}

static void a_program_may_be_replaced_while_it_runs(void **state)
{
        (void)state;
        check_changing("replace-self", "replaced\n");
}

/* ---- programs that the agent does not get into -----------------------------------------------------------
 */

static const char *gap_path, *gap_why;

static bool has_the_gap(enum guest_pass pass, const struct counted *run)
{
        const struct pg_captured *c = run->captured;
        (void)pass;
        if (c->n_gaps == 1 && strcmp(c->gaps[0].path, gap_path) == 0 && strcmp(c->gaps[0].why, gap_why) == 0)
                return true;
        fprintf(stderr, "%zu gaps, %s: %s\n", c->n_gaps, c->n_gaps ? c->gaps[0].path : "",
                c->n_gaps ? c->gaps[0].why : "");
        return false;
}

/* As a child of a program that is measured: it runs as ever, and is named with the reason. */
static void check_gap(const char *program, const char *why)
{
        static const char *const ways[] = { "fork-exec", "spawn-bare" };
        gap_path = program;
        gap_why = why;
        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
                const char *const argv[] = { target("alloc_tree"), ways[i], "10", program, NULL };
                assert_undisturbed(argv, NULL, 0, has_the_gap);
        }
}

static void static_children_run(void **state)
{
        (void)state;
        check_gap(target("alloc_tree_static"), "statically linked");
        check_gap(target("alloc_tree_static_pie"), "statically linked");
}

static void children_of_another_c_library_run(void **state)
{
        (void)state;
        check_gap(target("alloc_tree_musl"), "linked with another C library (musl)");
}

static void children_of_32_bits_run(void **state)
{
        (void)state;
#if defined(__x86_64__)
        const char *program = target("tiny32");
        check_gap(program, "a 32-bit program");
#else // such machines have no 32-bit mode that everybody has
        assert_string_equal(pg_capture_obstacle(target("tiny"), PG_MODE_COUNT), "statically linked");
#endif
}

static void set_user_id_children_run(void **state)
{
        (void)state;
        char command[2048], program[256];
        snprintf(program, sizeof(program), "%s", copy);
        snprintf(command, sizeof(command), "cp -f %s %s", target("alloc_tree"), program);
        assert_int_equal(system(command), 0);
        bool root = getuid() == 0; // only root can make a file another user's
        if (root) {
                assert_int_equal(chown(program, 65534, 65534), 0);
                assert_int_equal(chmod(program, 04755), 0);
                char *slash = strrchr(copy, '/');
                *slash = '\0';
                assert_int_equal(chmod(copy, 0755), 0);
                *slash = '/';
                check_gap(program, "set-user-ID");
        }
        unlink(program);
        if (!root)
                assert_string_equal(pg_capture_obstacle("/bin/su", PG_MODE_SAMPLE), "set-user-ID");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(libraries_may_come_and_go),
                cmocka_unit_test(a_library_may_prefer_its_own_symbols),
                cmocka_unit_test(what_the_user_preloads_works),
                cmocka_unit_test(an_audit_library_works),
                cmocka_unit_test(a_program_without_a_file_is_measured),
                cmocka_unit_test(a_program_may_be_deleted_while_it_runs),
                cmocka_unit_test(a_program_may_be_replaced_while_it_runs),
                cmocka_unit_test(static_children_run),
                cmocka_unit_test(children_of_another_c_library_run),
                cmocka_unit_test(children_of_32_bits_run),
                cmocka_unit_test(set_user_id_children_run),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
