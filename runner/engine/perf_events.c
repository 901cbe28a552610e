// SPDX-License-Identifier: MIT
/*
 * perf_events.c - attributes, and how to do with less where kernel or limits demand it.
 */
#include "runner/engine/perf_events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "runner/base/cleanup.h"
#include "runner/base/clock.h"
#include "runner/engine/perf_record.h"

enum {
        RING_BYTES_MAX = 32 << 20,
        RING_BYTES_MIN = 256 << 10,
        RING_BYTES_LEAST = 128 << 10, // where the limit of locked memory is low; holds the longest record
        ALL_RINGS_BYTES = 128 << 20,
        RINGS_PER_S = 2,    // a ring takes what comes in half a second, for a busy machine's sake
        READ_LOST = 1 << 4, // PERF_FORMAT_LOST, by a name of ours: headers older than Linux 6.0 lack it
};

/* What may have to be given up, one after the other. */
struct features {
        bool kernel, build_id, lost;
};

static struct perf_event_attr attributes(const struct pg_perf_options *o, const struct features *f,
                                         uint64_t ring)
{
        struct perf_event_attr a = {
                .type = PERF_TYPE_SOFTWARE,
                .size = sizeof(a),
                .config = PERF_COUNT_SW_TASK_CLOCK,
                .sample_period = o->period_ns,
                .sample_type = PG_PERF_SAMPLE_TYPE,
                .read_format = f->lost ? READ_LOST : 0,
                .disabled = 1,
                .inherit = 1,
                .exclude_kernel = !f->kernel,
                .exclude_hv = 1,
                .mmap = 1,
                .comm = 1,
                .enable_on_exec = 1,
                .task = 1,
                .watermark = 1,
                .sample_id_all = 1,
                .exclude_callchain_kernel = 1,
                .mmap2 = 1,
                .comm_exec = 1,
                .use_clockid = 1,
                .build_id = f->build_id,
                .wakeup_watermark = (uint32_t)(ring / 4),
                .sample_regs_user = PG_PERF_REGS_MASK,
                .sample_stack_user = o->stack_bytes,
                .clockid = CLOCK_MONOTONIC,
        };
        return a;
}

static int open_event(const struct perf_event_attr *a, pid_t pid, int cpu)
{
        return (int)syscall(SYS_perf_event_open, a, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Gives up one thing that errno may be about; false when nothing is left. */
static bool give_up_one(struct features *f, int error)
{
        if ((error == EACCES || error == EPERM) && f->kernel)
                return f->kernel = false, true;
        if (error == EINVAL && f->lost)
                return f->lost = false, true;
        if (error == EINVAL && f->build_id)
                return f->build_id = false, true;
        return false;
}

/* An event on that CPU with as much as can be had; -1 with errno. */
static int open_best(const struct pg_perf_options *o, struct features *f, uint64_t ring, pid_t pid, int cpu)
{
        for (;;) {
                struct perf_event_attr a = attributes(o, f, ring);
                int fd = open_event(&a, pid, cpu);
                if (fd >= 0 || !give_up_one(f, errno))
                        return fd;
        }
}

/* A power of two: what one busy CPU writes in half a second, as far as all of them stay within bounds. */
static uint64_t ring_bytes(const struct pg_perf_options *o, long n_cpus)
{
        uint64_t want = PG_NS_PER_S / o->period_ns * o->stack_bytes / RINGS_PER_S, bytes = RING_BYTES_MIN;
        while (bytes < want && bytes < RING_BYTES_MAX && bytes * 2 * (uint64_t)n_cpus <= ALL_RINGS_BYTES)
                bytes *= 2;
        return bytes;
}

/* ---- reasons --------------------------------------------------------------------------------------------- */

/* kernel.perf_event_paranoid; the least that it can be when it cannot be read. */
static long paranoid_level(void)
{
        char text[16] = "";
        PG_AUTO_CLOSE int fd = open("/proc/sys/kernel/perf_event_paranoid", O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? strtol(text, NULL, 10) : -1;
}

/* Into text why events cannot be had. */
static void explain(int error, char *text, size_t n)
{
        long level = paranoid_level();
        switch (error) {
        case EACCES:
        case EPERM:
                if (level > 2)
                        snprintf(text, n, "perf events are not allowed (kernel.perf_event_paranoid is %ld)",
                                 level);
                else
                        snprintf(text, n,
                                 "perf events are not allowed here (by a container's seccomp filter, "
                                 "perhaps)");
                break;
        case ENOSYS:
                snprintf(text, n, "there are no perf events here (kernel or sandbox)");
                break;
        case ENOENT:
        case ENODEV:
        case EOPNOTSUPP:
        case EINVAL:
                snprintf(text, n, "this kernel has no task-clock events with user stacks");
                break;
        case EMFILE:
        case ENFILE:
                snprintf(text, n, "perf events need a descriptor for each CPU, and the limit is too low");
                break;
        default:
                snprintf(text, n, "perf events cannot be opened: %s", strerror(error));
                break;
        }
}

/* ---- rings ----------------------------------------------------------------------------------------------- */

static void *map_ring(int fd, size_t bytes)
{
        return mmap(NULL, (size_t)sysconf(_SC_PAGESIZE) + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

const char *pg_perf_events_obstacle(const struct pg_perf_options *options, struct pg_arena *a)
{
        struct features f = { true, true, true };
        char text[160];
        const size_t bytes = RING_BYTES_LEAST;
        int error = ENODEV;
        PG_AUTO_CLOSE int fd = -1;
        for (int cpu = 0; fd < 0 && error == ENODEV && cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
                fd = open_best(options, &f, bytes, 0, cpu);
                error = errno;
        }
        if (fd < 0) {
                explain(error, text, sizeof(text));
        } else {
                void *p = map_ring(fd, bytes);
                if (p != MAP_FAILED) {
                        munmap(p, (size_t)sysconf(_SC_PAGESIZE) + bytes);
                        return NULL;
                }
                snprintf(text, sizeof(text),
                         "no memory may be locked for samples (kernel.perf_event_mlock_kb): %s",
                         strerror(errno));
        }
        const char *copy = pg_arena_strdup(a, text);
        return copy ? copy : "perf events cannot be had";
}

static bool make_room(struct pg_perf_events *e, size_t n, struct pg_error *err)
{
        e->fds = calloc(n, sizeof(*e->fds));
        e->rings = calloc(n, sizeof(*e->rings));
        e->maps = calloc(n, sizeof(*e->maps));
        return (e->fds && e->rings && e->maps) || pg_fail_nomem(err);
}

/* What one attempt is made with, and what it met. */
struct attempt {
        struct features features;
        size_t ring_bytes;
        bool ring_refused; // rings may not be that large (EPERM, though it is the limit of locked memory)
};

static bool open_on_cpu(struct pg_perf_events *e, const struct pg_perf_options *o, struct attempt *t,
                        pid_t pid, int cpu, struct pg_error *err)
{
        char text[160];
        int fd = open_best(o, &t->features, t->ring_bytes, pid, cpu);
        if (fd < 0 && errno == ENODEV)
                return true; // no such CPU, or switched off
        if (fd < 0) {
                int error = errno;
                explain(error, text, sizeof(text));
                pg_fail(err, PG_EOS, "%s", text);
                err->os_errno = error;
                return false;
        }
        void *map = map_ring(fd, t->ring_bytes);
        if (map == MAP_FAILED) {
                t->ring_refused = errno == EPERM || errno == ENOMEM;
                pg_fail_os(err, "no memory may be locked for samples (kernel.perf_event_mlock_kb)");
                close(fd);
                return false;
        }
        e->fds[e->n] = fd;
        e->maps[e->n] = map;
        pg_perf_ring_init(&e->rings[e->n], map, (const uint8_t *)map + sysconf(_SC_PAGESIZE), t->ring_bytes);
        e->n++;
        return true;
}

static bool open_all(struct pg_perf_events *e, pid_t pid, const struct pg_perf_options *o, struct attempt *t,
                     struct pg_error *err)
{
        long n_cpus = sysconf(_SC_NPROCESSORS_CONF);
        *e = (struct pg_perf_events){ .map_bytes = t->ring_bytes };
        if (n_cpus < 1)
                return pg_fail(err, PG_EOS, "the number of CPUs is not known");
        if (!make_room(e, (size_t)n_cpus, err))
                return false;
        for (int cpu = 0; cpu < n_cpus; cpu++)
                if (!open_on_cpu(e, o, t, pid, cpu, err))
                        return false;
        e->user_only = !t->features.kernel;
        e->lost_known = t->features.lost;
        return e->n > 0 || pg_fail(err, PG_EOS, "no CPU takes perf events");
}

/* All events are alike: when a later one has to do with less than the first, it is all done again. */
bool pg_perf_events_open(struct pg_perf_events *e, pid_t pid, const struct pg_perf_options *options,
                         struct pg_error *err)
{
        struct attempt t = { { true, true, true },
                             ring_bytes(options, sysconf(_SC_NPROCESSORS_CONF)),
                             false };
        for (;;) {
                struct features before = t.features;
                struct pg_error why = { 0 };
                t.ring_refused = false;
                bool ok = open_all(e, pid, options, &t, &why);
                if (ok && memcmp(&before, &t.features, sizeof(before)) == 0)
                        return true;
                pg_perf_events_close(e);
                if (!ok && (!t.ring_refused || t.ring_bytes <= RING_BYTES_LEAST)) {
                        *err = why;
                        return false;
                }
                if (t.ring_refused)
                        t.ring_bytes /= 2;
        }
}

void pg_perf_events_close(struct pg_perf_events *e)
{
        for (size_t i = 0; i < e->n; i++) {
                munmap(e->maps[i], (size_t)sysconf(_SC_PAGESIZE) + e->map_bytes);
                close(e->fds[i]);
        }
        free(e->fds);
        free(e->rings);
        free(e->maps);
        *e = (struct pg_perf_events){ 0 };
}

void pg_perf_events_counted(const struct pg_perf_events *e, uint64_t *ret_ns, uint64_t *ret_lost)
{
        *ret_ns = *ret_lost = 0;
        for (size_t i = 0; i < e->n; i++) {
                uint64_t values[2] = { 0, 0 };
                if (read(e->fds[i], values, sizeof(values)) < (ssize_t)sizeof(values[0]))
                        continue;
                *ret_ns += values[0];
                *ret_lost += e->lost_known ? values[1] : 0;
        }
}
