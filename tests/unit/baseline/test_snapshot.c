// SPDX-License-Identifier: MIT
/*
 * test_snapshot.c - snapshots to files and back: nothing lost, equal bytes for equal snapshots, every cut
 * file refused.
 */
#include "tests/unit/assert_near.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include "runner/base/file.h"
#include "tests/unit/baseline/sample_snapshot.h"
#include "tests/unit/fixture_cases.h"

static void assert_same_text(const char *got, const char *want)
{
        assert_int_equal(got == NULL, want == NULL);
        if (want)
                assert_string_equal(got, want);
}

static void assert_same_counts(const uint64_t *got, const uint64_t *want, size_t n)
{
        if (n)
                assert_memory_equal(got, want, n * sizeof(*want));
}

static void assert_same_series(const struct pg_series *got, const struct pg_series *want)
{
        assert_int_equal(got->status, want->status);
        assert_int_equal(got->demoted, want->demoted);
        assert_same_text(got->reason, want->reason);
        assert_int_equal(got->n, want->n);
        assert_same_counts(got->samples, want->samples, want->n);
}

static void assert_same_profile(const struct pg_measurement *got, const struct pg_measurement *want)
{
        assert_int_equal(got->n_profile_runs, want->n_profile_runs);
        assert_int_equal(got->sample_rate_hz, want->sample_rate_hz);
        assert_same_text(got->profile_doubt, want->profile_doubt);
        assert_same_counts(got->profile_total_ns, want->profile_total_ns, want->n_profile_runs);
        assert_same_counts(got->profile_samples, want->profile_samples, want->n_profile_runs);
        assert_int_equal(got->profile_user_ns == NULL, want->profile_user_ns == NULL);
        if (want->profile_user_ns) {
                assert_same_counts(got->profile_user_ns, want->profile_user_ns, want->n_profile_runs);
                assert_same_counts(got->profile_system_ns, want->profile_system_ns, want->n_profile_runs);
        }
        assert_int_equal(got->n_functions, want->n_functions);
        for (size_t i = 0; i < want->n_functions; i++) {
                const struct pg_function *g = &got->functions[i], *w = &want->functions[i];
                assert_string_equal(g->function, w->function);
                assert_string_equal(g->module, w->module);
                assert_same_text(g->file, w->file);
                assert_int_equal(g->line, w->line);
                assert_same_counts(g->self_ns, w->self_ns, want->n_profile_runs);
        }
}

static void assert_same_tables(const struct pg_measurement *got, const struct pg_measurement *want)
{
        assert_int_equal(got->n_sites, want->n_sites);
        for (size_t i = 0; i < want->n_sites; i++) {
                const struct pg_site *g = &got->sites[i], *w = &want->sites[i];
                assert_string_equal(g->function, w->function);
                assert_string_equal(g->module, w->module);
                assert_same_text(g->file, w->file);
                assert_int_equal(g->line, w->line);
                assert_int_equal(g->allocations, w->allocations);
                assert_memory_equal(&g->allocated_bytes, &w->allocated_bytes, 4 * sizeof(uint64_t));
        }
        assert_same_text(got->site_quality.rule, want->site_quality.rule);
        assert_int_equal(got->site_quality.has_live, want->site_quality.has_live);
        assert_int_equal(got->site_quality.live_interval_bytes, want->site_quality.live_interval_bytes);
        assert_int_equal(got->site_quality.stack_interval_bytes, want->site_quality.stack_interval_bytes);
        assert_same_text(got->lock_rule, want->lock_rule);
        assert_int_equal(got->n_lock_sites, want->n_lock_sites);
        for (size_t i = 0; i < want->n_lock_sites; i++) {
                const struct pg_lock_site *g = &got->lock_sites[i], *w = &want->lock_sites[i];
                assert_string_equal(g->function, w->function);
                assert_string_equal(g->module, w->module);
                assert_same_text(g->file, w->file);
                assert_int_equal(g->line, w->line);
                assert_int_equal(g->contentions, w->contentions);
                assert_int_equal(g->delay_ns, w->delay_ns);
        }
        assert_int_equal(got->n_processes, want->n_processes);
        for (size_t i = 0; i < want->n_processes; i++) {
                const struct pg_process *g = &got->processes[i], *w = &want->processes[i];
                assert_string_equal(g->program, w->program);
                assert_memory_equal(&g->allocations, &w->allocations, 4 * sizeof(uint64_t));
        }
}

static void assert_same_strings(const char *const *got, const char *const *want)
{
        assert_int_equal(got == NULL, want == NULL);
        for (; want && *want; got++, want++)
                assert_same_text(*got, *want);
        assert_true(!want || !*got);
}

static void assert_same_measurement(const struct pg_measurement *got, const struct pg_measurement *want)
{
        assert_string_equal(got->name, want->name);
        assert_same_strings(got->command, want->command);
        assert_same_strings(got->notes, want->notes);
        assert_same_text(got->engines.timing, want->engines.timing);
        assert_same_text(got->engines.allocation, want->engines.allocation);
        assert_same_text(got->engines.cpu, want->engines.cpu);
        assert_same_text(got->engines.cpu_clock, want->engines.cpu_clock);
        assert_same_text(got->engines.lock, want->engines.lock);
        for (int i = 0; i < PG_METRIC_COUNT; i++)
                assert_same_series(&got->series[i], &want->series[i]);
        assert_same_profile(got, want);
        assert_same_tables(got, want);
}

static void assert_same_host(const struct pg_host *got, const struct pg_host *want)
{
        assert_string_equal(got->cpu_model, want->cpu_model);
        assert_string_equal(got->arch, want->arch);
        assert_string_equal(got->kernel, want->kernel);
        assert_string_equal(got->libc, want->libc);
        assert_string_equal(got->os, want->os);
        assert_int_equal(got->cores, want->cores);
}

static void assert_same_snapshot(const struct pg_snapshot *got, const struct pg_snapshot *want)
{
        assert_string_equal(got->tool_version, want->tool_version);
        assert_same_text(got->created, want->created);
        assert_same_text(got->commit, want->commit);
        assert_same_host(&got->host, &want->host);
        assert_int_equal(got->n_benchmarks, want->n_benchmarks);
        for (size_t i = 0; i < want->n_benchmarks; i++)
                assert_same_measurement(&got->benchmarks[i], &want->benchmarks[i]);
        assert_int_equal(got->n_accepted, want->n_accepted);
        for (size_t i = 0; i < want->n_accepted; i++) {
                assert_string_equal(got->accepted[i].reason, want->accepted[i].reason);
                assert_string_equal(got->accepted[i].time, want->accepted[i].time);
                assert_string_equal(got->accepted[i].summary, want->accepted[i].summary);
        }
}

static char *format(const struct pg_snapshot *s, size_t *ret_len)
{
        struct pg_error err = { 0 };
        char *text = NULL;
        if (!pg_baseline_format(s, &text, ret_len, &err))
                fail_msg("%s", err.text);
        return text;
}

static struct pg_snapshot *parse(const char *text, size_t len)
{
        struct pg_error err = { 0 };
        struct pg_snapshot *s = NULL;
        if (!pg_snapshot_parse("test.json", text, len, &s, &err))
                fail_msg("%s", err.text);
        return s;
}

static void every_field_survives_the_file(void **state)
{
        (void)state;
        size_t len;
        PG_AUTO_FREE char *text = format(&sample_snapshot, &len);
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = parse(text, len);
        assert_same_snapshot(s, &sample_snapshot);
        assert_ptr_equal(pg_snapshot_find(s, "parse-large"), &s->benchmarks[0]);
        assert_null(pg_snapshot_find(s, "parse"));
}

static void equal_snapshots_give_equal_bytes(void **state)
{
        (void)state;
        size_t len, again_len;
        PG_AUTO_FREE char *text = format(&sample_snapshot, &len);
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = parse(text, len);
        PG_AUTO_FREE char *again = format(s, &again_len);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, text, len);
}

/* Jansson is the judge of the form: same tree, and dumping it with sorted keys gives the same order. */
static void the_text_is_json_with_sorted_keys(void **state)
{
        (void)state;
        size_t len;
        PG_AUTO_FREE char *text = format(&sample_snapshot, &len);
        json_t *tree = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(tree);
        PG_AUTO_FREE char *as_read = json_dumps(tree, JSON_COMPACT);
        PG_AUTO_FREE char *sorted = json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(tree);
        assert_string_equal(as_read, sorted);
        assert_string_equal(text + len - 2, "}\n");
}

static void a_file_cut_anywhere_is_refused_with_its_place(void **state)
{
        (void)state;
        size_t len;
        PG_AUTO_FREE char *text = format(&sample_snapshot, &len);
        for (size_t n = 0; n < len - 1; n++) { // the last byte is a line feed
                struct pg_error err = { 0 };
                struct pg_snapshot *s = NULL;
                PG_AUTO_FREE char *cut = malloc(n ? n : 1); // so that a sanitizer sees reads behind it
                memcpy(cut, text, n);
                assert_false(pg_snapshot_parse("cut.json", cut, n, &s, &err));
                assert_null(s);
                assert_int_equal(err.code, PG_EDATA);
                unsigned line, column;
                assert_int_equal(sscanf(err.text, "cut.json:%u:%u: ", &line, &column), 2);
                assert_true(line >= 1 && column >= 1);
        }
}

static char dir[64];

static int make_dir(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/perfgate-test-XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        (void)state;
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        return system(command);
}

static const char *in_dir(const char *name)
{
        static char path[128];
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static void a_saved_baseline_is_loaded_again(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        assert_true(pg_baseline_save(in_dir("main.json"), &sample_snapshot, &err));
        assert_true(pg_snapshot_load(in_dir("main.json"), &s, &err));
        assert_same_snapshot(s, &sample_snapshot);
}

static bool read_snapshot(const char *name, const char *text, size_t len, struct pg_error *err)
{
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        return pg_snapshot_parse(name, text, len, &s, err);
}

static void every_valid_fixture_is_read(void **state)
{
        (void)state;
        assert_int_equal(run_cases("fixtures/baselines/valid", true, read_snapshot), 0);
}

static void every_invalid_fixture_gives_its_error(void **state)
{
        (void)state;
        assert_int_equal(run_cases("fixtures/baselines/invalid", false, read_snapshot), 0);
}

static void assert_reads_and_writes(const char *path, const struct pg_snapshot *want)
{
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        PG_AUTO_FREE char *kept = NULL;
        size_t kept_len, len;
        assert_true(pg_file_read(path, 1 << 20, &kept, &kept_len, &err));
        assert_true(pg_snapshot_load(path, &s, &err));
        assert_same_snapshot(s, want);
        PG_AUTO_FREE char *text = format(want, &len);
        assert_int_equal(len, kept_len);
        assert_memory_equal(text, kept, len);
}

/* Kept when they were new; their content is the sample's, whoever reads them. Older ones knew nothing of locks,
 * the first ones of call sites only what they allocated. */
static void what_version_1_wrote_is_read_and_written_unchanged(void **state)
{
        (void)state;
        struct pg_measurement benchmarks[] = { sample_benchmarks[0], sample_benchmarks[1] };
        struct pg_snapshot first = sample_snapshot;
        first.benchmarks = benchmarks;
        assert_reads_and_writes("fixtures/baselines/valid/written-by-v1-with-kernel-time/input.json", &first);
        benchmarks[0].profile_user_ns = benchmarks[0].profile_system_ns = NULL;
        assert_reads_and_writes("fixtures/baselines/valid/written-by-v1-with-lock-sites/input.json", &first);
        benchmarks[0].lock_sites = NULL;
        benchmarks[0].n_lock_sites = 0;
        benchmarks[0].lock_rule = NULL;
        assert_reads_and_writes("fixtures/baselines/valid/written-by-v1-with-live-sites/input.json", &first);
        struct pg_site sites[3];
        for (int i = 0; i < 3; i++) {
                sites[i] = sample_sites[i];
                sites[i].temporary = sites[i].peak_bytes = sites[i].leaked_bytes = 0;
        }
        benchmarks[0].sites = sites;
        benchmarks[0].site_quality = (struct pg_site_quality){ 0 };
        benchmarks[0].engines.lock = NULL;
        assert_reads_and_writes("fixtures/baselines/valid/written-by-v1/input.json", &first);
}

/* By hand: the file holds one measured benchmark and one that only its baseline had. */
static void of_a_result_only_what_was_measured_is_taken(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        assert_true(pg_snapshot_load("fixtures/baselines/valid/result/input.json", &s, &err));
        assert_int_equal(s->n_benchmarks, 1);
        assert_string_equal(s->benchmarks[0].name, "a");
        assert_int_equal(s->benchmarks[0].series[PG_ALLOCATIONS].n, 2);
        assert_int_equal(s->benchmarks[0].series[PG_ALLOCATIONS].samples[1], 7);
}

/* By hand: the fixture has (b, z), (a, z), (a, m). */
static void tables_in_any_order_are_sorted(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = NULL;
        assert_true(pg_snapshot_load("fixtures/baselines/valid/any-order/input.json", &s, &err));
        const struct pg_measurement *m = &s->benchmarks[0];
        static const char *const want[][2] = { { "a", "m" }, { "a", "z" }, { "b", "z" } };
        assert_int_equal(m->n_functions, 3);
        for (int i = 0; i < 3; i++) {
                assert_string_equal(m->functions[i].function, want[i][0]);
                assert_string_equal(m->functions[i].module, want[i][1]);
        }
        assert_int_equal(m->functions[1].self_ns[0], 9);
        assert_string_equal(m->sites[0].function, "a");
        assert_int_equal(m->sites[0].allocations, 3);
}

/* Live bytes that are exact have an interval of 0, which is not the same as none; see the fixtures. */
static void what_an_older_version_did_not_know_stays_unknown(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        PG_AUTO_SNAPSHOT struct pg_snapshot *old = NULL, *new = NULL;
        assert_true(pg_snapshot_load("fixtures/baselines/valid/written-by-v1/input.json", &old, &err));
        assert_null(old->benchmarks[0].site_quality.rule);
        assert_false(old->benchmarks[0].site_quality.has_live);
        assert_true(old->benchmarks[0].n_sites > 0);
        assert_true(pg_snapshot_load("fixtures/baselines/valid/live-sites/input.json", &new, &err));
        const struct pg_measurement *m = &new->benchmarks[0];
        assert_string_equal(m->site_quality.rule, "5d0f3c1a9b7e2468");
        assert_true(m->site_quality.has_live);
        assert_int_equal(m->site_quality.live_interval_bytes, 0);
        assert_int_equal(m->sites[0].temporary, 2);
        assert_int_equal(m->sites[0].peak_bytes, 64);
        assert_int_equal(m->sites[0].leaked_bytes, 0);
        assert_int_equal(m->sites[1].leaked_bytes, 48);
}

/* A symbol or an argument may hold any bytes, JSON may not; the file must still be readable. */
static void bytes_that_are_not_utf8_are_written_as_text(void **state)
{
        (void)state;
        struct pg_function functions[] = { { "a\xFF", "m", NULL, 0, sample_self[2] },
                                           { "\xC3\xA9\x80", "m\n\x7F", NULL, 0, sample_self[2] } };
        struct pg_measurement m = sample_benchmarks[0];
        m.functions = functions;
        m.n_functions = 2;
        struct pg_snapshot one = sample_snapshot;
        one.benchmarks = &m;
        one.n_benchmarks = 1;
        size_t len;
        PG_AUTO_FREE char *text = format(&one, &len);
        PG_AUTO_SNAPSHOT struct pg_snapshot *s = parse(text, len);
        assert_string_equal(s->benchmarks[0].functions[0].function, "a\\xff");
        assert_string_equal(s->benchmarks[0].functions[1].function, "\xC3\xA9\\x80");
        assert_string_equal(s->benchmarks[0].functions[1].module, "m\n\x7F");
}

/* ---- files ---- */

static void assert_load_fails(const char *path, enum pg_code code, int os_errno, const char *part)
{
        struct pg_error err = { 0 };
        struct pg_snapshot *s = NULL;
        assert_false(pg_snapshot_load(path, &s, &err));
        assert_null(s);
        assert_int_equal(err.code, code);
        assert_int_equal(err.os_errno, os_errno);
        if (strncmp(err.text, path, strlen(path)) != 0 || !strstr(err.text, part))
                fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void what_is_no_readable_file_is_named(void **state)
{
        (void)state;
        assert_load_fails(in_dir("missing.json"), PG_EOS, ENOENT, "No such file");
        assert_load_fails(dir, PG_EDATA, 0, "is a directory");
        assert_load_fails("/dev/null", PG_EDATA, 0, "neither a regular file nor a pipe");
        assert_int_equal(symlink("loop.json", in_dir("loop.json")), 0);
        assert_load_fails(in_dir("loop.json"), PG_EOS, ELOOP, "symbolic links");
        assert_int_equal(mkfifo(in_dir("pipe.json"), 0600), 0); // nobody writes: empty, and no waiting
        assert_load_fails(in_dir("pipe.json"), PG_EDATA, 0, ":1:1: is empty");
        PG_AUTO_FCLOSE FILE *f = fopen(in_dir("big.json"), "w");
        assert_non_null(f);
        assert_int_equal(ftruncate(fileno(f), 200 << 20), 0);
        assert_load_fails(in_dir("big.json"), PG_EDATA, 0, "200 MiB large, at most 128 MiB");
}

static void write_text(const char *path, const char *text)
{
        struct pg_error err = { 0 };
        assert_true(pg_file_replace(path, text, strlen(text), &err));
}

static void assert_holds(const char *path, const char *text)
{
        struct pg_error err = { 0 };
        PG_AUTO_FREE char *now = NULL;
        size_t len;
        assert_true(pg_file_read(path, 1 << 20, &now, &len, &err));
        assert_string_equal(now, text);
}

/* A snapshot with two benchmarks of one name is somebody's bug; the good file must not pay for it. */
static void what_could_not_be_read_again_is_not_written(void **state)
{
        (void)state;
        struct pg_measurement twins[] = { sample_benchmarks[0], sample_benchmarks[0] };
        struct pg_snapshot bad = sample_snapshot;
        bad.benchmarks = twins;
        write_text(in_dir("good.json"), "good");
        struct pg_error err = { 0 };
        assert_false(pg_baseline_save(in_dir("good.json"), &bad, &err));
        assert_int_equal(err.code, PG_EDATA);
        assert_non_null(strstr(err.text, "duplicate benchmark \"parse-large\""));
        assert_holds(in_dir("good.json"), "good");
}

/* /proc takes no new files, whoever asks. */
static void a_folder_that_takes_no_files_is_named(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        assert_false(pg_baseline_save("/proc/main.json", &sample_snapshot, &err));
        assert_int_equal(err.code, PG_EOS);
        assert_true(strncmp(err.text, "/proc/main.json: ", 17) == 0);
}

static void names_that_cannot_be_folders_are_refused(void **state)
{
        (void)state;
        char longest[102];
        memset(longest, 'x', sizeof(longest));
        longest[100] = '\0';
        assert_null(pg_benchmark_name_problem(longest));
        assert_null(pg_benchmark_name_problem("..."));
        assert_null(pg_benchmark_name_problem("caf\xC3\xA9 no. 1"));
        longest[100] = 'x';
        longest[101] = '\0';
        static const char *const bad[] = { "", ".", "..", "a/b", "/", "a\nb", "\x7F", "\xFF", "\xC3" };
        assert_non_null(pg_benchmark_name_problem(longest));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_non_null(pg_benchmark_name_problem(bad[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_field_survives_the_file),
                cmocka_unit_test(equal_snapshots_give_equal_bytes),
                cmocka_unit_test(the_text_is_json_with_sorted_keys),
                cmocka_unit_test(a_file_cut_anywhere_is_refused_with_its_place),
                cmocka_unit_test(a_saved_baseline_is_loaded_again),
                cmocka_unit_test(every_valid_fixture_is_read),
                cmocka_unit_test(every_invalid_fixture_gives_its_error),
                cmocka_unit_test(what_version_1_wrote_is_read_and_written_unchanged),
                cmocka_unit_test(of_a_result_only_what_was_measured_is_taken),
                cmocka_unit_test(tables_in_any_order_are_sorted),
                cmocka_unit_test(what_an_older_version_did_not_know_stays_unknown),
                cmocka_unit_test(bytes_that_are_not_utf8_are_written_as_text),
                cmocka_unit_test(what_is_no_readable_file_is_named),
                cmocka_unit_test(what_could_not_be_read_again_is_not_written),
                cmocka_unit_test(a_folder_that_takes_no_files_is_named),
                cmocka_unit_test(names_that_cannot_be_folders_are_refused),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
