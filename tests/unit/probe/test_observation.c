// SPDX-License-Identifier: MIT
/*
 * test_observation.c - memory files as a probe leaves them, and as a hostile program could, made by hand.
 */
#include "tests/unit/assert_near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/probe/layout.h"
#include "runner/probe/observation.h"

/* Through the name in the variable, as the target finds it. */
static FILE *open_file(const struct pg_probe *p)
{
        const char *path = strchr(pg_probe_variable(p), '=') + 1;
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        return f;
}

static void write_image(FILE *f, uint32_t index, const struct pg_probe_image *image)
{
        long at = (long)(PG_PROBE_PAGE + index * sizeof(*image));
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        assert_int_equal(fwrite(image, sizeof(*image), 1, f), 1);
}

static void write_header(FILE *f, uint32_t n_images)
{
        struct pg_probe_header h = { .magic = PG_PROBE_MAGIC, .n_images = n_images };
        assert_int_equal(fseek(f, 0, SEEK_SET), 0);
        assert_int_equal(fwrite(&h, sizeof(h), 1, f), 1);
}

static const char *value_of(const struct pg_observation *o, enum pg_check check, const char *key)
{
        for (size_t i = 0; i < o->n; i++)
                if (o->seen[i].check == check && strcmp(o->seen[i].key, key) == 0)
                        return o->seen[i].value;
        return "(no line)";
}

static void images_of_a_program_are_added_up(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        PG_AUTO_PROBE struct pg_probe *p = NULL;
        struct pg_error err = { 0 };
        struct pg_observation o = { 0 };
        struct pg_probe_image *image = calloc(1, sizeof(*image));
        assert_true(pg_probe_create(&p, &err));
        FILE *f = open_file(p);
        image->ready = 1;
        image->threads = 1200;
        image->opened[PG_OPENER_open][3] = 6;
        image->opened[PG_OPENER_open][PG_PROBE_NUMBERS - 1] = 1;
        image->interrupted[PG_WAIT_accept_wait] = 1;
        image->interrupted[PG_WAIT_epoll_wait] = 2;
        strcpy(image->program, "/usr/bin/sh");
        write_image(f, 0, image);
        strcpy(image->program, "/bin/sh");
        write_image(f, 2, image);
        image->ready = 0; // killed before its start was complete
        write_image(f, 1, image);
        write_header(f, 3);
        fclose(f);
        free(image);
        assert_true(pg_probe_read(p, a, &o, &err));
        assert_int_equal(o.programs, 2);
        assert_string_equal(value_of(&o, PG_CHECK_PROGRAMS, "sh: started"), "2");
        assert_string_equal(value_of(&o, PG_CHECK_THREADS, "sh: created"), "2,400");
        assert_string_equal(value_of(&o, PG_CHECK_DESCRIPTORS, "sh: open"),
                            "3 (12 times), 63 and above (2 times)");
        assert_string_equal(value_of(&o, PG_CHECK_DESCRIPTORS, "sh: dup"), "(no line)");
        assert_string_equal(value_of(&o, PG_CHECK_INTERRUPTED, "sh: accept"), "2");
        assert_string_equal(value_of(&o, PG_CHECK_INTERRUPTED, "sh: epoll_wait"), "4");
        assert_string_equal(value_of(&o, PG_CHECK_SIGNALS, "sh: handled at the end"), "none");
}

/* Every byte may be anything: names without an end, control characters, counts beyond the file. */
static void nonsense_is_read_without_harm(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        PG_AUTO_PROBE struct pg_probe *p = NULL;
        struct pg_error err = { 0 };
        struct pg_observation o = { 0 };
        struct pg_probe_image *image = malloc(sizeof(*image));
        assert_true(pg_probe_create(&p, &err));
        FILE *f = open_file(p);
        memset(image, 0xff, sizeof(*image));
        image->ready = 1;
        write_image(f, 0, image);
        memset(image, 0x1b, sizeof(*image));
        image->ready = 1;
        write_image(f, PG_PROBE_IMAGES - 1, image);
        write_header(f, UINT32_MAX);
        fclose(f);
        free(image);
        assert_true(pg_probe_read(p, a, &o, &err));
        assert_int_equal(o.programs, 2);
        for (size_t i = 0; i < o.n; i++)
                assert_null(strchr(o.seen[i].key, 0x1b));
}

static void a_file_that_was_cut_is_an_error(void **state)
{
        (void)state;
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        PG_AUTO_PROBE struct pg_probe *p = NULL;
        struct pg_error err = { 0 };
        struct pg_observation o = { 0 };
        assert_true(pg_probe_create(&p, &err));
        FILE *f = open_file(p);
        write_header(f, 1);
        assert_int_equal(fflush(f), 0);
        assert_int_equal(ftruncate(fileno(f), PG_PROBE_PAGE + 100), 0);
        fclose(f);
        assert_false(pg_probe_read(p, a, &o, &err));
        assert_int_equal(err.code, PG_EOS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(images_of_a_program_are_added_up),
                cmocka_unit_test(nonsense_is_read_without_harm),
                cmocka_unit_test(a_file_that_was_cut_is_an_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
