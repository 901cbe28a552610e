// SPDX-License-Identifier: MIT
/*
 * test_oracle.c - stacks of whole programs against libunwind: those of allocations, as the agent keeps them, and those
 * of threads that are stopped at random.
 */
#include "tests/unit/assert_near.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/agent/harness.h"
#include "tests/programs/programs.h"
#include "tests/programs/stops.h"
#include "tests/programs/verdict.h"

static const char *const kinds[VERDICT_KINDS] = { "equal", "they stop", "we stop", "different" };

static void print_stack(const char *whose, const uint64_t *address, uint32_t n, uint32_t from, bool complete)
{
        printf("    %s, %" PRIu32 " frames%s, from frame %" PRIu32 ":", whose, n, complete ? "" : " and no end", from);
        for (uint32_t i = 0; i < 12 && from + i < n; i++)
                printf(" %" PRIx64, address[i]);
        printf("\n");
}

static void print_example(const struct verdict_example *e)
{
        printf("  %s at frame %" PRIu32 ": behind %s+%" PRIx64 ", ours is %s+%" PRIx64 "\n", kinds[e->kind], e->at,
               e->module[0], e->module_address[0], e->module[1], e->module_address[1]);
        print_stack("ours", e->ours, e->n_ours, e->from, e->ours_complete);
        print_stack("libunwind's", e->theirs, e->n_theirs, e->from, e->theirs_complete);
}

static void print_head(const char *what)
{
        printf("%-32s %9s %9s %9s %9s %9s %9s %10s\n", what, "equal", "they stop", "we stop", "different", "unseen", "incomplete",
               "frames");
}

static void print_sums(const char *name, const struct verdict_sums *s)
{
        printf("%-32s", name);
        for (int i = 0; i < VERDICT_KINDS; i++)
                printf(" %9" PRIu64, s->kinds[i]);
        printf(" %9" PRIu64 " %9" PRIu64 " %10" PRIu64 "\n", s->unseen, s->incomplete, s->frames);
        uint32_t n = s->n_examples < VERDICT_EXAMPLES ? s->n_examples : VERDICT_EXAMPLES;
        for (uint32_t i = 0; i < n; i++)
                print_example(&s->examples[i]);
        fflush(stdout);
}

/* ---- allocations ---- */

static char oracle_file[] = "/tmp/perfgate-oracle-XXXXXX";

static void preload_oracle(void)
{
        char list[4096];
        snprintf(list, sizeof(list), "%s:%s", PG_BUILD_DIR "/tests/oracle_malloc.so", getenv("LD_PRELOAD"));
        setenv("LD_PRELOAD", list, 1);
        setenv("ORACLE_FILE", oracle_file, 1);
        setenv("ORACLE_EVERY", "199", 1);
}

static struct verdict_sums *map_sums(void)
{
        int fd = mkstemp(oracle_file);
        assert_true(fd >= 0 && ftruncate(fd, sizeof(struct verdict_sums)) == 0);
        void *p = mmap(NULL, sizeof(struct verdict_sums), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        assert_true(p != MAP_FAILED);
        return p;
}

static void stacks_of_allocations_are_libunwinds(void **state)
{
        (void)state;
        struct verdict_sums *sums = map_sums();
        print_head("allocations");
        for (size_t i = 0; i < n_programs; i++) {
                struct counted c;
                memset(sums, 0, sizeof(*sums));
                run_counted(programs[i].argv, preload_oracle, &c);
                print_sums(programs[i].name, sums);
                assert_int_equal(c.exit_status, 0);
                counted_free(&c);
        }
        munmap(sums, sizeof(*sums));
        unlink(oracle_file);
}

/* ---- CPU ---- */

static void stacks_of_stopped_threads_are_libunwinds(void **state)
{
        (void)state;
        static struct verdict_sums sums;
        print_head("stopped threads");
        for (size_t i = 0; i < n_programs; i++) {
                memset(&sums, 0, sizeof(sums));
                int status = stops_run(&programs[i], 400000, 1000, &sums);
                print_sums(programs[i].name, &sums);
                assert_int_equal(status, 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stacks_of_allocations_are_libunwinds),
                cmocka_unit_test(stacks_of_stopped_threads_are_libunwinds),
        };
        if (!programs_set_up())
                return 1;
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        programs_tear_down();
        return failed;
}
