// SPDX-License-Identifier: MIT
/*
 * test_trees.c - counts over fork, vfork, posix_spawn, exec, system and popen, and children that cannot
 * report.
 *
 * How many processes of a mode allocate COUNT blocks of 64 bytes stands in fixtures/targets/alloc_tree.c.
 */
#include "tests/unit/assert_near.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/difference.h"

enum { ROUNDS = 1000 };

static const struct {
        const char *mode;
        int allocating; // processes that allocate
        int processes;  // images that claim a slot
        size_t gaps;
} modes[] = {
        { "leaf", 1, 1, 0 },
        { "fork", 3, 3, 0 },
        { "raw-fork", 3, 2, 0 },
        { "fork-exec", 2, 3, 0 }, // the fork's child before its exec is an image, too
        { "vfork-exec", 2, 2, 0 },
        { "vfork-exec-fails", 1, 1, 0 },
        { "exec-fails", 1, 1, 0 },
        { "spawn", 3, 3, 0 },
        { "spawn-bare", 2, 2, 0 },
        { "exec-bare", 1, 2, 0 },
        { "fexecve", 1, 2, 0 },
        { "chain", 5, 5, 0 },
        { "system", 2, 2, 0 }, // the shell runs the leaf in its place: its image and the leaf's
        { "popen", 2, 2, 0 },
        { "daemon", 2, 2, 0 },
        { "inherit", 2, 2, 0 },
};

static void every_process_of_a_tree_counts(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                const char *const argv[] = { target("alloc_tree"), modes[i].mode, "COUNT", NULL };
                struct difference d = difference_of(argv, "1000", 0, NULL);
                if (d.allocations != ROUNDS * modes[i].allocating || d.frees != d.allocations ||
                    d.bytes != 64 * d.allocations || d.live != 0)
                        fail_msg("%s: %lld allocations, %lld frees, %lld bytes, %lld live; expected %d",
                                 modes[i].mode, (long long)d.allocations, (long long)d.frees,
                                 (long long)d.bytes, (long long)d.live, ROUNDS * modes[i].allocating);
        }
}

static size_t images_named(const struct counted *c, const char *name)
{
        size_t n = 0;
        for (size_t i = 0; i < c->captured->n_processes; i++) {
                const char *slash = strrchr(c->captured->processes[i].program, '/');
                n += slash && strcmp(slash + 1, name) == 0;
        }
        return n;
}

static void every_image_is_listed_and_no_gap_is_invented(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                const char *const argv[] = { target("alloc_tree"), modes[i].mode, "10", NULL };
                struct counted c;
                run_counted(argv, NULL, &c);
                size_t images = images_named(&c, "alloc_tree"), gaps = c.captured->n_gaps;
                const char *why = gaps ? c.captured->gaps[0].why : "";
                if (images != (size_t)modes[i].processes || gaps != modes[i].gaps)
                        fail_msg("%s: %zu images and %zu gaps (%s)", modes[i].mode, images, gaps, why);
                counted_free(&c);
        }
}

/* Runs alloc_tree MODE 10 PROGRAM and checks that its one gap names program and reason. */
static void check_gap(const char *mode, const char *program, const char *path, const char *why)
{
        const char *const argv[] = { target("alloc_tree"), mode, "10", program, NULL };
        struct counted c;
        run_counted(argv, NULL, &c);
        if (c.captured->n_gaps != 1)
                fail_msg("%s %s: %zu gaps", mode, program, c.captured->n_gaps);
        assert_string_equal(c.captured->gaps[0].path, path);
        assert_string_equal(c.captured->gaps[0].why, why);
        assert_int_equal(c.exit_status, 0);
        counted_free(&c);
}

static void a_static_child_is_a_gap(void **state)
{
        (void)state;
        const char *program = target("alloc_tree_static");
        check_gap("spawn-bare", program, program, "statically linked");
        check_gap("fork-exec", program, program, "statically linked");
        check_gap("vfork-exec", program, program, "statically linked");
        check_gap("exec-bare", program, program, "statically linked");
        check_gap("fexecve", program, program, "statically linked");
}

static void an_allocator_inside_a_child_is_a_gap(void **state)
{
        (void)state;
        const char *program = target("alloc_inside");
        check_gap("spawn-bare", program, program, "its allocator is inside the program");
}

/* libc starts the shell, and the shell's environment lacks what the program took away. */
static void a_shell_without_the_variables_is_a_gap(void **state)
{
        (void)state;
        check_gap("system-bare", target("alloc_tree"), "/bin/sh", "did not load the agent");
}

/* A set-user-ID program of another user does not load what an unprivileged caller preloads. */
static void a_set_user_id_child_is_a_gap(void **state)
{
        (void)state;
        char folder[] = "/tmp/perfgate-test-XXXXXX";
        assert_non_null(mkdtemp(folder));
        char command[2048], program[256];
        snprintf(program, sizeof(program), "%s/other", folder);
        snprintf(command, sizeof(command), "cp %s %s", target("alloc_tree"), program);
        assert_int_equal(system(command), 0);
        bool root = getuid() == 0;
        if (root) {
                assert_int_equal(chown(program, 65534, 65534), 0);
                assert_int_equal(chmod(program, 04755), 0);
                assert_int_equal(chmod(folder, 0755), 0);
                check_gap("fork-exec", program, program, "set-user-ID");
        }
        unlink(program);
        rmdir(folder);
        if (!root) // only root can make a file another user's; a system program is one
                assert_string_equal(pg_capture_obstacle("/bin/su", PG_MODE_COUNT), "set-user-ID");
}

/* At the fork all descriptors are taken: the child finds its slot without opening anything. */
static void ten_descriptors(void)
{
        closefrom(3);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 10, 10 });
}

static void a_child_without_a_free_descriptor_counts(void **state)
{
        (void)state;
        const char *const argv[] = { target("alloc_tree"), "fork-no-descriptors", "COUNT", NULL };
        struct difference d = difference_of(argv, "1000", 0, ten_descriptors);
        assert_int_equal(d.allocations, 2 * ROUNDS);
}

/* Where there is no room for a slot of its own its allocations are in its parent's. */
static void a_child_without_room_for_a_slot_counts(void **state)
{
        (void)state;
        const char *const argv[] = { target("alloc_tree"), "squeezed", "COUNT", NULL };
        struct difference d = difference_of(argv, "1000", 0, NULL);
        assert_int_equal(d.allocations, 32 * ROUNDS);
        assert_int_equal(d.frees, 32 * ROUNDS);
        assert_int_equal(d.live, 0);
}

/* The child starts with the parent's 1 MB (its peak), and leaks nothing by freeing it: its own balance is
 * what it allocated less what it freed. */
static void a_forked_child_inherits_live_heap(void **state)
{
        (void)state;
        const char *const argv[] = { target("alloc_tree"), "inherit", "10", NULL };
        struct counted c;
        run_counted(argv, NULL, &c);
        assert_int_equal(c.captured->n_processes, 2);
        const struct pg_captured_process *parent = &c.captured->processes[0],
                                         *child = &c.captured->processes[1];
        assert_false(parent->forked);
        assert_true(child->forked);
        assert_int_equal(child->ppid, parent->pid);
        assert_true(parent->peak_bytes >= 1000000);
        assert_int_equal(child->peak_bytes, parent->peak_bytes);
        assert_in_range(-child->live_bytes, 1000000, 1000000 + 8192); // a mapped block is whole pages
        assert_int_equal(child->peak_uncertainty_bytes, 0);
        counted_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_process_of_a_tree_counts),
                cmocka_unit_test(every_image_is_listed_and_no_gap_is_invented),
                cmocka_unit_test(a_static_child_is_a_gap),
                cmocka_unit_test(an_allocator_inside_a_child_is_a_gap),
                cmocka_unit_test(a_shell_without_the_variables_is_a_gap),
                cmocka_unit_test(a_set_user_id_child_is_a_gap),
                cmocka_unit_test(a_child_without_a_free_descriptor_counts),
                cmocka_unit_test(a_child_without_room_for_a_slot_counts),
                cmocka_unit_test(a_forked_child_inherits_live_heap),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
