// SPDX-License-Identifier: MIT
/*
 * test_guest_processes.c - trees, ends and limits: what the targets say and how they end is equal bare and in each
 * pass, and the counts are exact.
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/agent/difference.h"
#include "tests/agent/undisturbed.h"

enum { ROUNDS = 1000 };

static void check(const char *kind, const char *count, prepare_function *prepare, check_function *look)
{
        const char *const argv[] = { target("guest_process"), kind, count, NULL };
        assert_undisturbed(argv, prepare, 0, look);
}

static void check_count(const char *kind, int times, prepare_function *prepare)
{
        const char *const argv[] = { target("guest_process"), kind, "COUNT", NULL };
        struct difference d = difference_of(argv, "1000", 0, prepare);
        if (d.allocations != times * ROUNDS || d.bytes != 64 * d.allocations || d.live != 0)
                fail_msg("%s: %lld allocations, %lld bytes, %lld live", kind, (long long)d.allocations,
                         (long long)d.bytes, (long long)d.live);
}

/* ---- trees -----------------------------------------------------------------------------------------------
 */

/* Each way to start something; what it does in each stands in alloc_tree.c. */
static void every_way_to_start_a_process_works(void **state)
{
        (void)state;
        static const char *const modes[] = {
                "fork",       "raw-fork", "fork-exec",  "vfork-exec", "vfork-exec-fails",
                "exec-fails", "spawn",    "spawn-bare", "exec-bare",  "fexecve",
                "chain",      "system",   "popen",      "daemon",     "inherit",
        };
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                const char *const argv[] = { target("alloc_tree"), modes[i], "200", NULL };
                assert_undisturbed(argv, NULL, 0, was_measured);
        }
}

static void a_daemon_outlives_its_parents(void **state)
{
        (void)state;
        check("daemon", "100", NULL, was_measured);
        check_count("daemon", 3, NULL);
}

static bool saw_all_children(enum guest_pass pass, const struct counted *run)
{
        (void)pass;
        if (run->captured->n_processes == 1001 && run->captured->n_gaps == 0)
                return true;
        fprintf(stderr, "%zu processes, %zu gaps\n", run->captured->n_processes, run->captured->n_gaps);
        return false;
}

static void a_thousand_short_children_are_seen(void **state)
{
        (void)state;
        check("fork-often", "1000", NULL, saw_all_children);
        check_count("fork-often", 1, NULL);
}

/* ---- ends ------------------------------------------------------------------------------------------------
 */

static void every_end_is_the_same(void **state)
{
        (void)state;
        static const struct {
                const char *mode;
                int status;
        } rows[] = {
                { "_exit", 4 },
                { "abort", 128 + SIGABRT },
                { "kill", 128 + SIGKILL },
                { "segfault", 128 + SIGSEGV },
                { "constructor-exit", 3 },
                { "atexit", 0 },
                { "thread-destructor", 0 },
                { "main-thread-ends", 0 },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const argv[] = { target("alloc_ends"), rows[i].mode, "100", NULL };
                assert_undisturbed(argv, NULL, rows[i].status, was_measured);
        }
}

static void a_process_may_end_while_threads_allocate(void **state)
{
        (void)state;
        const char *const argv[] = { target("guest_process"), "exit-while-threads-allocate", "0", NULL };
        for (int i = 0; i < 5; i++)
                assert_undisturbed(argv, NULL, 5, was_measured);
}

/* ---- limits ----------------------------------------------------------------------------------------------
 */

static void limit(int what, rlim_t n)
{
        setrlimit(what, &(struct rlimit){ n, n });
}

static void sixteen_descriptors(void)
{
        closefrom(3); // the test's own surroundings may have left some open
        limit(RLIMIT_NOFILE, 16);
}

static void no_pending_signals(void)
{
        limit(RLIMIT_SIGPENDING, 0);
}

static void no_file_may_grow(void)
{
        limit(RLIMIT_FSIZE, 0);
}

static void no_locked_memory(void)
{
        limit(RLIMIT_MEMLOCK, 0);
}

static void one_gibibyte(void)
{
        limit(RLIMIT_AS, 1 << 30);
}

/* Less than the agent would like to map: the target must live all the same. */
static void little_address_space(void)
{
        limit(RLIMIT_AS, 24 << 20);
}

static void no_descriptors_to_spare(void)
{
        closefrom(3);
}

static void descriptors_keep_their_numbers(void **state)
{
        (void)state;
        check("descriptors", "10", no_descriptors_to_spare, was_measured);
        check("descriptors", "10", sixteen_descriptors, was_measured);
}

static void limits_do_not_matter(void **state)
{
        (void)state;
        static prepare_function *const limits[] = { sixteen_descriptors, no_file_may_grow, no_locked_memory,
                                                    one_gibibyte };
        for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
                check("modest", "1000", limits[i], was_measured);
                check_count("modest", 1, limits[i]);
        }
}

/* A timer needs a place in the queue of signals, an event needs none; who gets no clock says so. */
static bool has_clock_or_reason(enum guest_pass pass, const struct counted *run)
{
        const struct pg_captured_process *p = &run->captured->processes[0];
        return pass == GUEST_TIMER ? p->disarm == PG_DISARM_NO_TIMER : was_measured(pass, run);
}

static void a_target_without_a_signal_queue_lives(void **state)
{
        (void)state;
        check("modest", "10", no_pending_signals, has_clock_or_reason);
}

static void a_target_with_little_address_space_lives(void **state)
{
        (void)state;
        check("modest", "10", little_address_space, NULL);
}

/* ---- folders ---------------------------------------------------------------------------------------------
 */

/* Makes folder, all of its parents first. */
static void make_folders(const char *folder)
{
        char path[4096];
        for (const char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                snprintf(path, sizeof(path), "%.*s", (int)(slash - folder), folder);
                mkdir(path, 0700);
        }
        mkdir(folder, 0700);
}

/* With a /tmp of its own, mounted with these flags, where the kernel lets us (root, or a user namespace). A tree that
 * was built below /tmp stays in its place. */
static void mount_tmp(unsigned long flags)
{
        char build[4096], held[32];
        snprintf(build, sizeof(build), "%s", agent_path());
        *strrchr(build, '/') = '\0';
        if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
                return;
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        int folder = open(build, O_PATH | O_DIRECTORY);
        snprintf(held, sizeof(held), "/proc/self/fd/%d", folder);
        mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k");
        if (strncmp(build, "/tmp/", 5) == 0) {
                make_folders(build);
                mount(held, build, NULL, MS_BIND, NULL);
        }
        close(folder);
        mount(NULL, "/tmp", NULL, MS_REMOUNT | flags, "size=64k");
}

static void read_only_tmp(void)
{
        mount_tmp(MS_RDONLY);
}

static void tmp_without_programs(void)
{
        mount_tmp(MS_NOEXEC | MS_NOSUID | MS_NODEV);
}

static void an_unfit_tmp_does_not_matter(void **state)
{
        (void)state;
        check("temporary-folder", "1000", read_only_tmp, was_measured);
        check("temporary-folder", "1000", tmp_without_programs, was_measured);
        check_count("temporary-folder", 1, read_only_tmp);
        unlink("/tmp/perfgate-guest"); // where no mount was allowed
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_way_to_start_a_process_works),
                cmocka_unit_test(a_daemon_outlives_its_parents),
                cmocka_unit_test(a_thousand_short_children_are_seen),
                cmocka_unit_test(every_end_is_the_same),
                cmocka_unit_test(a_process_may_end_while_threads_allocate),
                cmocka_unit_test(descriptors_keep_their_numbers),
                cmocka_unit_test(limits_do_not_matter),
                cmocka_unit_test(a_target_without_a_signal_queue_lives),
                cmocka_unit_test(a_target_with_little_address_space_lives),
                cmocka_unit_test(an_unfit_tmp_does_not_matter),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
