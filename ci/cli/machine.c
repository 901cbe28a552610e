// SPDX-License-Identifier: MIT
/*
 * machine.c - the machine, the ways to measure on it, its noise; each a row with what could be changed.
 *
 * A way to measure is tried with the calls that it makes, not guessed from settings. Nothing is changed.
 */
#include "ci/cli/machine.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ci/cli/terminal.h"
#include "runner/base/clock.h"
#include "runner/base/file.h"
#include "runner/base/units.h"
#include "runner/engine/engine.h"
#include "runner/measure/host.h"

/* What a row says; text in the report's arena or static. */
struct row {
        const char *state;  // "yes", "no", or a figure
        const char *says;   // what that means here
        const char *advice; // what to change, NULL for nothing
};

/* ---- perf events -----------------------------------------------------------------------------------------
 */

/* 0, or the errno of opening an event on ourselves. */
static int try_event(uint32_t type, uint64_t config, uint64_t sample_type)
{
        struct perf_event_attr attr = {
                .type = type,
                .size = sizeof(attr),
                .config = config,
                .sample_period = 1003009, // 997 Hz of a clock; nothing is read
                .sample_type = sample_type,
                .disabled = 1,
                .exclude_kernel = 1,
                .exclude_hv = 1,
        };
        PG_AUTO_CLOSE int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
        return fd >= 0 ? 0 : errno;
}

static const char *why_no_event(int error)
{
        switch (error) {
        case EACCES:
        case EPERM:
                return "perf events are not allowed here";
        case ENOSYS:
                return "the system call perf_event_open is not there (a sandbox?)";
        case ENOENT:
        case EOPNOTSUPP:
        case ENODEV:
                return "this machine has no such counter (virtual machines often lack it)";
        default:
                return strerror(error);
        }
}

static const char *allow_events(int error)
{
        return error == EACCES || error == EPERM ? "allow perf events to everybody: sysctl "
                                                   "kernel.perf_event_paranoid=2 (in a container: "
                                                   "also its seccomp profile)"
                                                 : NULL;
}

static struct row look_at_event_clock(struct pg_arena *a)
{
        (void)a;
        int error = try_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, PERF_SAMPLE_READ);
        if (error)
                return (struct row){ "no", why_no_event(error), allow_events(error) };
        return (struct row){ "yes", "at any rate, and no system call is cut short", NULL };
}

static struct row look_at_instructions(struct pg_arena *a)
{
        (void)a;
        int error = try_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, 0);
        if (error)
                return (struct row){ "no", why_no_event(error), allow_events(error) };
        return (struct row){ "yes", "counted by the processor", NULL };
}

/* ---- timers --------------------------------------------------------------------------------------
 */

static struct row look_at_timer(struct pg_arena *a)
{
        struct sigevent event = { .sigev_notify = SIGEV_NONE };
        int timer;
        if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
                return (struct row){ "no", strerror(errno), "raise the limit on pending signals: ulimit -i" };
        syscall(SYS_timer_delete, timer);
        struct timespec tick = { 0 };
        clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
        long hz = tick.tv_nsec ? (PG_NS_PER_S + tick.tv_nsec / 2) / tick.tv_nsec : 0;
        return (struct row){ "yes", pg_arena_printf(a, "at most %ld times a second, the kernel's tick", hz),
                             NULL };
}

/* ---- engines that look from outside ----------------------------------------------------------------------
 */

static struct row look_at_engine(struct pg_arena *a, const char *name, const char *says, const char *advice)
{
        const struct pg_engine_request request = { .rate_hz = 997 };
        const struct pg_engine_ops *engine = pg_engine_by_name(name);
        if (!engine)
                return (struct row){ "no", "not part of this perfgate", NULL };
        const char *obstacle = engine->obstacle(NULL, &request, a);
        return obstacle ? (struct row){ "no", obstacle, advice } : (struct row){ "yes", says, NULL };
}

static struct row look_at_perf(struct pg_arena *a)
{
        int error = try_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, 0);
        return look_at_engine(a, "perf", "from outside: static programs, Go, Node.js", allow_events(error));
}

static struct row look_at_ptrace(struct pg_arena *a)
{
        return look_at_engine(
                a, "ptrace", "from outside, where perf events are not allowed",
                "allow ptrace of own children: kernel.yama.ptrace_scope below 3 (in a container: "
                "the capability SYS_PTRACE)");
}

/* ---- noise -----------------------------------------------------------------------------------------------
 */

enum { ROUNDS = 50, WORK = 4000000 }; // about 10 ms each

static double seconds_of(clockid_t clock)
{
        struct timespec t;
        clock_gettime(clock, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void work(void)
{
        static volatile uint64_t sink;
        uint64_t x = sink;
        for (int i = 0; i < WORK; i++)
                x = x * 6364136223846793005u + 1442695040888963407u;
        sink = x;
}

/* Standard deviation over mean, of n > 1 positive numbers. */
static double variation(const double *x, int n)
{
        double mean = 0, squares = 0;
        for (int i = 0; i < n; i++)
                mean += x[i] / n;
        for (int i = 0; i < n; i++)
                squares += (x[i] - mean) * (x[i] - mean);
        return sqrt(squares / (n - 1)) / mean;
}

static struct row look_at_noise(struct pg_arena *a)
{
        double cpu[ROUNDS], wall[ROUNDS];
        work(); // caches, frequency
        for (int i = 0; i < ROUNDS; i++) {
                double cpu_start = seconds_of(CLOCK_THREAD_CPUTIME_ID), start = seconds_of(CLOCK_MONOTONIC);
                work();
                cpu[i] = seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
                wall[i] = seconds_of(CLOCK_MONOTONIC) - start;
        }
        double of_cpu = 100 * variation(cpu, ROUNDS), of_wall = 100 * variation(wall, ROUNDS);
        const char *advice =
                of_cpu > 3     ? "let times only warn here, and gate on counts; or give the job a machine of "
                                 "its own"
                : of_wall > 10 ? "other work takes the processors: wall_time will vary"
                               : NULL;
        return (struct row){ pg_arena_printf(a, "%.1f %%", of_cpu),
                             pg_arena_printf(
                                     a, "CPU time of the same work, standard deviation; wall time %.1f %%",
                                     of_wall),
                             advice };
}

/* ---- surroundings ----------------------------------------------------------------------------------------
 */

/* The first word of a small file, or NULL. */
static const char *first_word(struct pg_arena *a, const char *path)
{
        struct pg_error unused = { 0 };
        PG_AUTO_FREE char *text = NULL;
        size_t n;
        if (!pg_file_read(path, 4096, &text, &n, &unused))
                return NULL;
        return pg_arena_strndup(a, text, strcspn(text, " \n"));
}

static struct row look_at_paranoid(struct pg_arena *a)
{
        const char *level = first_word(a, "/proc/sys/kernel/perf_event_paranoid");
        return (struct row){ level ? level : "unknown",
                             "kernel.perf_event_paranoid; 2 or less lets everybody use event clocks", NULL };
}

static struct row look_at_governor(struct pg_arena *a)
{
        const char *name = first_word(a, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        if (!name)
                return (struct row){ "unknown", "the kernel does not set the frequency (a virtual machine?)",
                                     NULL };
        return (struct row){ name, "frequency governor",
                             strcmp(name, "performance") == 0
                                     ? NULL
                                     : "for steadier times: cpupower frequency-set -g "
                                       "performance" };
}

static struct row look_at_load(struct pg_arena *a)
{
        const char *load = first_word(a, "/proc/loadavg");
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        if (!load)
                return (struct row){ "unknown", "/proc is not mounted", NULL };
        return (struct row){
                load, pg_arena_printf(a, "processes that ran in the last minute, on %ld processors", cores),
                strtod(load, NULL) > 0.5 * (double)cores ? "measure when the machine is idle" : NULL
        };
}

/* ---- the report ------------------------------------------------------------------------------------------
 */

static const struct {
        const char *title; // NULL: under the one above
        const char *what;
        struct row (*look)(struct pg_arena *a);
} rows[] = {
        { "CPU profiles", "agent, event clock", look_at_event_clock },
        { NULL, "agent, timer", look_at_timer },
        { NULL, "perf", look_at_perf },
        { NULL, "ptrace", look_at_ptrace },
        { "Counters", "instructions", look_at_instructions },
        { "Surroundings", "perf events", look_at_paranoid },
        { NULL, "governor", look_at_governor },
        { NULL, "load", look_at_load },
        { NULL, "noise", look_at_noise },
};
enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

static bool put_host(struct pg_arena *a, struct pg_buf *out, struct pg_error *err)
{
        struct pg_host host;
        if (!pg_host_describe(a, &host, err))
                return false;
        pg_buf_printf(out, "%s, %u core%s\nLinux %s, %s, %s\n", host.cpu_model, host.cores,
                      pg_plural(host.cores), host.kernel, host.libc, host.os);
        return true;
}

static void put_advice(const struct row *seen, struct pg_buf *out)
{
        bool any = false;
        for (int i = 0; i < N_ROWS; i++) {
                bool again = false;
                for (int k = 0; k < i; k++)
                        again |= seen[i].advice && seen[k].advice == seen[i].advice;
                if (!seen[i].advice || again)
                        continue;
                pg_buf_printf(out, "%s  %s: %s\n", any ? "" : "\nWhat to change\n", rows[i].what,
                              seen[i].advice);
                any = true;
        }
        if (!any)
                pg_buf_puts(out, "\nNothing needs to be changed.\n");
}

bool pg_machine_report(struct pg_error *err)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        PG_AUTO_BUF struct pg_buf out = { 0 };
        struct row seen[N_ROWS];
        if (!a)
                return pg_fail_nomem(err);
        if (!put_host(a, &out, err))
                return false;
        for (int i = 0; i < N_ROWS; i++) {
                seen[i] = rows[i].look(a);
                if (!seen[i].state || !seen[i].says)
                        return pg_fail_nomem(err);
                if (rows[i].title)
                        pg_buf_printf(&out, "\n%s\n", rows[i].title);
                pg_buf_printf(&out, "  %-18s  %-11s  %s\n", rows[i].what, seen[i].state, seen[i].says);
        }
        put_advice(seen, &out);
        return pg_buf_ok(&out, err) && pg_write_output(&out, err);
}
