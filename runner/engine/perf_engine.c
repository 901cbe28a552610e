// SPDX-License-Identifier: MIT
/*
 * perf_engine.c - samples from outside: the kernel ticks and copies, threads of ours unwind while the target runs.
 *
 * Nothing of it is in the target, so it covers whatever runs: static programs, Go, generated code, threads and
 * children made in any way. Ticks start a full period after a thread's birth, so a program of many short threads is
 * seen too little; again() then asks for finer ticks of which few are kept, as it asks for longer copies of the stack
 * when too many were too short.
 *
 * Rings of the kernel are emptied by a thread that does nothing else and runs before others where that is allowed;
 * what it takes out waits for another one, the unwinder (perf_spool.h). So a machine that is busy, or a file that takes
 * long to read, delays stacks but loses none.
 *
 * Copies begin at 16 KiB: stacks of programs that were looked at (interpreters, compilers, servers) are mostly
 * shorter, 8 KiB cut many of them, and longer ones only cost ring space.
 */
#include "runner/engine/engine.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runner/base/clock.h"
#include "runner/engine/perf_events.h"
#include "runner/engine/perf_spool.h"
#include "runner/engine/perf_tree.h"
#include "runner/engine/priority.h"

enum {
        STACK_BYTES = 16384,
        FINER_MAX = 3,
        COLLECTOR_NICE = -10,
        SPOOL_BYTES = 128 << 20,      // what may wait for the unwinder: 8 s of one busy CPU, with STACK_BYTES
        ROUND_MS = 100,               // at least so often the rings are looked at
        SETTLE_NS = 2 * PG_NS_PER_MS, // after so long what was written before is in every ring
};
static const double CUT_MAX = 0.02;    // of samples: above this a longer copy is asked for
static const double CUT_MANY = 0.5;    // above this, one four times as long
static const double UNSEEN_MAX = 0.03; // of CPU time that short threads hide: above this, finer ticks

struct pg_engine_session {
        struct pg_arena *arena;
        struct pg_perf_options options;
        uint32_t finer;
        struct pg_perf_events events;
        struct pg_perf_tree *tree;
        void *scratch;
        uint64_t n_damaged;
        struct pg_perf_spool *spool;
        int stop; // eventfd that ends the collector
        bool collecting, unwinding;
        pthread_t collector, unwinder;
        struct pg_error not_collected, not_unwound; // how either failed
        uint64_t counted_ns;                        // when they ended
};

static const char *const no_environment[] = { NULL };

/* ---- may it? --------------------------------------------------------------------------------------------- */

static struct pg_perf_options options_for(const struct pg_engine_request *r)
{
        uint32_t bytes = r->stack_copy_bytes ? r->stack_copy_bytes & ~7u : STACK_BYTES;
        uint64_t period_ns = PG_NS_PER_S / r->rate_hz >> r->finer;
        return (struct pg_perf_options){ .period_ns =
                                                 period_ns < 10000 ? 10000 : period_ns, // the kernel's least
                                         .stack_bytes =
                                                 bytes > PG_PERF_STACK_MAX ? PG_PERF_STACK_MAX : bytes };
}

/* What speaks against the program itself; scripts are taken for what their interpreter is: ordinary. */
static const char *program_obstacle(const char *program)
{
        unsigned char head[EI_NIDENT] = { 0 };
        struct stat st;
        PG_AUTO_CLOSE int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return NULL;
        if (geteuid() != 0 && st.st_mode & S_ISUID && st.st_uid != geteuid())
                return "set-user-ID";
        if (pread(fd, head, sizeof(head), 0) == sizeof(head) && memcmp(head, ELFMAG, SELFMAG) == 0 &&
            head[EI_CLASS] == ELFCLASS32)
                return "a 32-bit program";
        return NULL;
}

static const char *perf_obstacle(const char *program, const struct pg_engine_request *request,
                                 struct pg_arena *a)
{
        const char *why = program ? program_obstacle(program) : NULL;
        struct pg_perf_options options = options_for(request);
        return why ? why : pg_perf_events_obstacle(&options, a);
}

/* ---- a session ------------------------------------------------------------------------------------------- */

/* First the one that fills the spool, then the one that empties it. */
static void end_threads(struct pg_engine_session *s)
{
        uint64_t one = 1;
        while (s->collecting && write(s->stop, &one, sizeof(one)) < 0 && errno == EINTR)
                ;
        if (s->collecting)
                pthread_join(s->collector, NULL);
        s->collecting = false;
        if (!s->unwinding)
                return;
        pg_perf_spool_close(s->spool);
        pthread_join(s->unwinder, NULL);
        s->unwinding = false;
}

static void perf_stop(struct pg_engine_session *s)
{
        if (!s)
                return;
        end_threads(s);
        pg_perf_events_close(&s->events);
        pg_perf_spool_destroy(s->spool);
        pg_perf_tree_destroy(s->tree);
        pg_closep(&s->stop);
        free(s->scratch);
        pg_arena_destroy(s->arena); // holds s as well
}

static bool fill_session(struct pg_engine_session *s, const struct pg_engine_request *request,
                         struct pg_error *err)
{
        s->finer = request->finer <= FINER_MAX ? request->finer : FINER_MAX;
        s->options = options_for(request);
        s->scratch = aligned_alloc(64, PG_PERF_RECORD_MAX);
        if (!s->scratch)
                return pg_fail_nomem(err);
        s->stop = eventfd(0, EFD_CLOEXEC);
        if (s->stop < 0)
                return pg_fail_os(err, "cannot make a descriptor for the sampler");
        return pg_perf_spool_create(SPOOL_BYTES, &s->spool, err) &&
               pg_perf_tree_create(1u << s->finer, &s->tree, err);
}

static bool perf_start(const struct pg_engine_request *request, struct pg_engine_session **ret,
                       struct pg_error *err)
{
        if (!pg_engine_rate_ok(request, err))
                return false;
        struct pg_arena *arena = pg_arena_create();
        struct pg_engine_session *s = arena ? pg_arena_calloc(arena, 1, sizeof(*s)) : NULL;
        if (!s) {
                pg_arena_destroy(arena);
                return pg_fail_nomem(err);
        }
        s->arena = arena;
        s->stop = -1;
        if (!fill_session(s, request, err)) {
                perf_stop(s);
                return false;
        }
        *ret = s;
        return true;
}

static const char *const *perf_environment(const struct pg_engine_session *s)
{
        (void)s;
        return no_environment;
}

static const char *perf_preload(const struct pg_engine_session *s)
{
        (void)s;
        return NULL;
}

/* ---- the unwinder ---------------------------------------------------------------------------------------- */

/* After a failure the rest is taken and dropped, so that the collector need not wait. */
static void *unwind_records(void *argument)
{
        struct pg_engine_session *s = argument;
        setpriority(PRIO_PROCESS, (id_t)gettid(), COLLECTOR_NICE); // lest its work heaps up on a busy machine
        size_t n;
        bool ok = true;
        for (const void *record; (record = pg_perf_spool_next(s->spool, &n));)
                ok = ok && pg_perf_tree_add(s->tree, record, n, &s->not_unwound);
        return NULL;
}

/* ---- the collector --------------------------------------------------------------------------------------- */

static bool read_until(struct pg_engine_session *s, uint64_t until_ns)
{
        return pg_perf_rings_read(s->events.rings, s->events.n, until_ns, s->scratch, pg_perf_spool_add,
                                  s->spool, &s->n_damaged, &s->not_collected);
}

/* Sleeps until a ring is a quarter full; false when it is time to end. A ring that nobody is left to write to is not
 * waited for any more. */
static bool wait_for_records(struct pollfd *fds, size_t n)
{
        if (poll(fds, n, ROUND_MS) <= 0)
                return true;
        for (size_t i = 0; i + 1 < n; i++)
                if (fds[i].revents & (POLLHUP | POLLERR | POLLNVAL))
                        fds[i].fd = -1;
        return !fds[n - 1].revents;
}

static void *collect_records(void *argument)
{
        struct pg_engine_session *s = argument;
        pg_go_first(COLLECTOR_NICE);
        size_t n = s->events.n + 1;
        PG_AUTO_FREE struct pollfd *fds = calloc(n, sizeof(*fds));
        if (!fds) {
                pg_fail_nomem(&s->not_collected);
                return NULL;
        }
        for (size_t i = 0; i + 1 < n; i++)
                fds[i] = (struct pollfd){ .fd = s->events.fds[i], .events = POLLIN };
        fds[n - 1] = (struct pollfd){ .fd = s->stop, .events = POLLIN };
        bool ok = true;
        while (ok && wait_for_records(fds, n))
                ok = read_until(s, pg_now_ns() - SETTLE_NS);
        if (ok)
                read_until(s, UINT64_MAX - 1);
        return NULL;
}

/* With all signals blocked: they are for the runner's first thread. */
static bool start_threads(struct pg_engine_session *s, struct pg_error *err)
{
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        int e = pthread_create(&s->unwinder, NULL, unwind_records, s);
        s->unwinding = e == 0;
        if (e == 0)
                e = pthread_create(&s->collector, NULL, collect_records, s);
        s->collecting = e == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        errno = e;
        return e == 0 || pg_fail_os(err, "cannot start the sampler's threads");
}

static bool perf_before_exec(struct pg_engine_session *s, pid_t pid, struct pg_error *err)
{
        return pg_perf_events_open(&s->events, pid, &s->options, err) && start_threads(s, err);
}

static bool perf_collect(struct pg_engine_session *s, struct pg_arena *a, struct pg_captured **ret,
                         struct pg_error *err)
{
        end_threads(s);
        const struct pg_error *failure = s->not_collected.code != PG_OK ? &s->not_collected : &s->not_unwound;
        if (failure->code != PG_OK) {
                *err = *failure;
                return false;
        }
        uint64_t lost;
        pg_perf_events_counted(&s->events, &s->counted_ns, &lost);
        if (!s->events.lost_known)
                lost = pg_perf_tree_totals(s->tree)->lost_records;
        struct pg_stacks *stacks =
                pg_perf_tree_stacks(s->tree, lost >> s->finer, lost * s->options.period_ns);
        if (!pg_stacks_finish(stacks, a, ret, err))
                return false;
        (*ret)->n_damaged = s->n_damaged + pg_perf_tree_totals(s->tree)->damaged;
        return true;
}

/* ---- better next time? ----------------------------------------------------------------------------------- */

/* CPU time that is not seen because each task's first tick comes after a full period: half of one on average. */
static double unseen_ns(const struct pg_engine_session *s, uint32_t finer)
{
        double period_ns = (double)(s->options.period_ns << s->finer >> finer);
        return (double)pg_perf_tree_totals(s->tree)->tasks * period_ns / 2;
}

static double percent(double part, double whole)
{
        return part < whole ? 100 * part / whole : 100;
}

static const char *perf_again(const struct pg_engine_session *s, struct pg_engine_request *request,
                              struct pg_arena *a)
{
        const struct pg_perf_totals *t = pg_perf_tree_totals(s->tree);
        double cut = (double)t->cut, samples = (double)t->samples, counted_ns = (double)s->counted_ns;
        uint32_t finer = s->finer, longer = 1;
        while (finer < FINER_MAX && unseen_ns(s, finer) > UNSEEN_MAX * counted_ns)
                finer++;
        if (cut > CUT_MAX * samples && s->options.stack_bytes < PG_PERF_STACK_MAX)
                longer = cut > CUT_MANY * samples ? 4 : 2;
        if (longer == 1 && finer == s->finer)
                return NULL;
        request->finer = finer;
        request->stack_copy_bytes = s->options.stack_bytes * longer;
        const char *text =
                longer > 1
                        ? pg_arena_printf(
                                  a, "%.1f %% of the stacks were deeper than the %u bytes that were copied",
                                  percent(cut, samples), s->options.stack_bytes)
                        : pg_arena_printf(a, "%.1f %% of the CPU time was in threads too short for the rate",
                                          percent(unseen_ns(s, s->finer), counted_ns));
        return text ? text : "the samples can be better";
}

const struct pg_engine_ops pg_perf_engine = {
        .name = "perf",
        .obstacle = perf_obstacle,
        .start = perf_start,
        .environment = perf_environment,
        .preload = perf_preload,
        .before_exec = perf_before_exec,
        .collect = perf_collect,
        .again = perf_again,
        .stop = perf_stop,
};
