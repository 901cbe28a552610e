// SPDX-License-Identifier: MIT
/*
 * tick.c - perf events and CPU timers by raw system calls.
 *
 * A perf event ends when its last reference goes, and a mapping is one. So the descriptor is closed at once,
 * and a page keeps the event: fork does not copy it, exec and exit drop it, and no other process is needed.
 *
 * The first hit comes after a random part of a period, by an event of its own that fires once: the period of
 * a running event cannot be changed without starting it anew.
 */
#include "runner/agent/tick.h"

#include <linux/perf_event.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <time.h>

#include "runner/agent/raw.h"

enum { EVENT_SHORTEST_NS = 10000 }; // the kernel rounds shorter periods up to this

/* What the kernel writes into the second page at the first hit: the event's clock at that very moment. */
struct first_record {
        struct perf_event_header header;
        uint64_t ran_ns;
};

/* ---- task-clock event ---- */

static int open_event(uint64_t period_ns)
{
        struct perf_event_attr attr = {
                .size = sizeof(attr),
                .type = PERF_TYPE_SOFTWARE,
                .config = PERF_COUNT_SW_TASK_CLOCK,
                .sample_period = period_ns,
                .disabled = 1,
                .exclude_kernel = 1, // what an ordinary user may have; the same for everybody
                .exclude_hv = 1,
                .sample_type = PERF_SAMPLE_READ, // struct first_record
                .remove_on_exec = 1,
        };
        long fd = raw_call(SYS_perf_event_open, (long)&attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC, 0);
        if (fd == -EINVAL) { // before Linux 5.13: the event goes a little later in exec, with its page
                attr.remove_on_exec = 0;
                fd = raw_call(SYS_perf_event_open, (long)&attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC, 0);
        }
        return fd < 0 ? -1 : (int)fd;
}

static bool route_signal(int fd, int sig)
{
        struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = raw_gettid() };
        return raw_call(SYS_fcntl, fd, F_SETOWN_EX, (long)&owner, 0, 0, 0) == 0 &&
               raw_call(SYS_fcntl, fd, F_SETSIG, sig, 0, 0, 0) == 0 &&
               raw_call(SYS_fcntl, fd, F_SETFL, O_ASYNC, 0, 0, 0) == 0;
}

/* The handler may come in between: it then finds nothing to do. */
static void end_event(struct tick *t)
{
        void *pages = t->pages;
        t->kind = TICK_NONE;
        t->pages = NULL;
        atomic_signal_fence(memory_order_seq_cst);
        if (pages)
                raw_unmap(pages, t->mapped_bytes);
}

/* Everything that the handler looks at is there before the event runs: the first hit may come at once, and
 * then the handler has already replaced it when this returns. */
static bool start_event(struct tick *t, int sig, uint64_t period_ns, bool once)
{
        int fd = open_event(period_ns < EVENT_SHORTEST_NS ? EVENT_SHORTEST_NS : period_ns);
        if (fd < 0)
                return false;
        size_t size = (once ? 2 : 1) * PG_CAPTURE_PAGE; // the second one is for struct first_record
        long pages = raw_call(SYS_mmap, 0, (long)size, PROT_READ, MAP_SHARED, fd, 0);
        if (pages < 0 || !route_signal(fd, sig)) {
                if (pages > 0)
                        raw_unmap((void *)pages, size);
                raw_close(fd);
                return false;
        }
        t->pages = (void *)pages;
        t->mapped_bytes = (uint32_t)size;
        t->event_fd = fd;
        t->kind = TICK_EVENT;
        atomic_signal_fence(memory_order_release);
        long failed =
                raw_call(SYS_ioctl, fd, once ? PERF_EVENT_IOC_REFRESH : PERF_EVENT_IOC_ENABLE, 1, 0, 0, 0);
        raw_close(fd);
        if (failed)
                end_event(t);
        return !failed;
}

/* ---- CPU timer ---- */

/* The kernel looks at CPU timers when its tick finds the thread running. */
static uint64_t kernel_tick_ns(void)
{
        struct timespec t = { 0 };
        raw_call(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, (long)&t, 0, 0, 0, 0);
        return t.tv_nsec > 0 ? (uint64_t)t.tv_nsec : 10000000;
}

static void end_timer(struct tick *t)
{
        t->kind = TICK_NONE;
        atomic_signal_fence(memory_order_seq_cst);
        raw_call(SYS_timer_delete, t->timer_id, 0, 0, 0, 0, 0);
}

static bool start_timer(struct tick *t, int sig)
{
        struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };
        event.sigev_value.sival_ptr = t;
        event._sigev_un._tid = raw_gettid();
        int id = -1;
        if (raw_call(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, (long)&event, (long)&id, 0, 0, 0) != 0)
                return false;
        t->tick_ns = kernel_tick_ns();
        if (t->period_ns > t->tick_ns)
                t->period_ns = t->tick_ns;
        t->timer_id = id;
        t->kind = TICK_TIMER;
        atomic_signal_fence(memory_order_release);
        struct itimerspec when = {
                .it_value = { 0, 1 }, // at the first tick, whenever that is
                .it_interval = { 0, (long)t->period_ns },
        };
        if (raw_call(SYS_timer_settime, id, 0, (long)&when, 0, 0, 0) == 0)
                return true;
        end_timer(t);
        return false;
}

/*
 * The tick comes at a random instant of the thread's life. What ran since the last one is the period times
 * the number of expiries; what runs after the last one is never seen. The first one makes up for it: it
 * stands for a whole tick, however little ran before it. So the expected sum is the thread's CPU time, also
 * for a thread that lives shorter than a tick and is rarely seen at all.
 */
static uint64_t hit_timer(struct tick *t, const siginfo_t *info)
{
        uint64_t ran_ns = (1 + (uint64_t)(info->si_overrun > 0 ? info->si_overrun : 0)) * t->period_ns;
        if (!t->first)
                return ran_ns;
        t->first = false;
        return ran_ns > 2 * t->tick_ns ? ran_ns : t->tick_ns;
}

/* ---- both ---- */

bool tick_start(struct tick *t, unsigned kinds, int sig, uint64_t first_ns, uint64_t period_ns)
{
        *t = (struct tick){ .event_fd = -1, .first = true, .first_ns = first_ns, .period_ns = period_ns };
        if (kinds & 1u << TICK_EVENT && start_event(t, sig, first_ns, true))
                return true;
        return kinds & 1u << TICK_TIMER && start_timer(t, sig);
}

void tick_stop(struct tick *t)
{
        if (t->kind == TICK_TIMER)
                end_timer(t);
        else
                end_event(t);
}

void tick_forget(struct tick *t)
{
        *t = (struct tick){ .event_fd = -1 };
}

bool tick_owns(const struct tick *t, const siginfo_t *info)
{
        if (info->si_code == SI_TIMER)
                return info->si_value.sival_ptr == t;
        bool from_descriptor = info->si_code == POLL_IN || info->si_code == POLL_HUP;
        return from_descriptor && t->event_fd >= 0 && info->si_fd == t->event_fd;
}

/*
 * The one-shot event looks at its clock every first_ns until it finds the thread in user space. Only the
 * first look is at a random instant of the period; a hit at a later one (at the first, the thread was inside
 * the kernel) would favour the code that runs just after system calls, so it does not count.
 */
static bool hit_at_first_look(const struct tick *t)
{
        const struct first_record *r = (const void *)((const char *)t->pages + PG_CAPTURE_PAGE);
        uint64_t step_ns = t->first_ns < EVENT_SHORTEST_NS ? EVENT_SHORTEST_NS : t->first_ns;
        return r->header.type == PERF_RECORD_SAMPLE && r->ran_ns < 2 * step_ns;
}

/* The signals of both events carry one number. */
static void go_on(struct tick *t, unsigned kinds, int sig)
{
        int fd = t->event_fd;
        tick_stop(t);
        t->first = false;
        if (!start_event(t, sig, t->period_ns, false) && kinds & 1u << TICK_TIMER)
                start_timer(t, sig);
        if (t->kind != TICK_EVENT)
                t->event_fd = fd;
}

static uint64_t hit_first_event(struct tick *t, unsigned kinds, int sig)
{
        bool counts = hit_at_first_look(t);
        go_on(t, kinds, sig);
        return counts ? t->period_ns : 0;
}

void tick_settle(struct tick *t, unsigned kinds, int sig)
{
        if (t->kind == TICK_EVENT && t->first)
                go_on(t, kinds, sig);
}

uint64_t tick_hit(struct tick *t, unsigned kinds, int sig, const siginfo_t *info)
{
        if (t->kind == TICK_NONE) // stopped while the signal was under way
                return 0;
        if (info->si_code == SI_TIMER)
                return hit_timer(t, info);
        return t->first ? hit_first_event(t, kinds, sig) : t->period_ns;
}
