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
#include <sys/ioctl.h>
#include <time.h>

#include "runner/agent/raw.h"

enum {
        EVENT_SHORTEST_NS = 10000, // the kernel rounds shorter periods up to this
        LATENCY_NS = 50000,        // from the event's clock to the handler, generously
};

static uint64_t thread_cpu_ns(void)
{
        struct timespec now = { 0 };
        raw_call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&now, 0, 0, 0, 0);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

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

static bool start_event(struct tick *t, int sig, uint64_t period_ns, bool once)
{
        int fd = open_event(period_ns < EVENT_SHORTEST_NS ? EVENT_SHORTEST_NS : period_ns);
        if (fd < 0)
                return false;
        long page = raw_call(SYS_mmap, 0, PG_CAPTURE_PAGE, PROT_READ, MAP_SHARED, fd, 0);
        bool ok = page > 0 && route_signal(fd, sig);
        if (ok)
                ok = raw_call(SYS_ioctl, fd, once ? PERF_EVENT_IOC_REFRESH : PERF_EVENT_IOC_ENABLE, once, 0,
                              0, 0) == 0;
        raw_close(fd);
        if (!ok) {
                if (page > 0)
                        raw_unmap((void *)page, PG_CAPTURE_PAGE);
                return false;
        }
        t->kind = TICK_EVENT;
        t->event_fd = fd;
        t->page = (void *)page;
        t->started_ns = thread_cpu_ns();
        return true;
}

/* ---- CPU timer ---- */

static bool start_timer(struct tick *t, int sig, uint64_t first_ns, uint64_t period_ns)
{
        struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };
        event.sigev_value.sival_ptr = t;
        event._sigev_un._tid = raw_gettid();
        int id = -1;
        if (raw_call(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, (long)&event, (long)&id, 0, 0, 0) != 0)
                return false;
        struct itimerspec when = {
                .it_value = { (time_t)(first_ns / 1000000000u), (long)(first_ns % 1000000000u) },
                .it_interval = { (time_t)(period_ns / 1000000000u), (long)(period_ns % 1000000000u) },
        };
        if (raw_call(SYS_timer_settime, id, 0, (long)&when, 0, 0, 0) != 0) {
                raw_call(SYS_timer_delete, id, 0, 0, 0, 0, 0);
                return false;
        }
        t->kind = TICK_TIMER;
        t->timer_id = id;
        return true;
}

/* ---- both ---- */

bool tick_start(struct tick *t, unsigned kinds, int sig, uint64_t first_ns, uint64_t period_ns)
{
        *t = (struct tick){ .event_fd = -1, .first = true, .first_ns = first_ns, .period_ns = period_ns };
        if (kinds & 1u << TICK_EVENT && start_event(t, sig, first_ns, true))
                return true;
        return kinds & 1u << TICK_TIMER && start_timer(t, sig, first_ns, period_ns);
}

void tick_stop(struct tick *t)
{
        if (t->kind == TICK_EVENT)
                raw_unmap(t->page, PG_CAPTURE_PAGE);
        else if (t->kind == TICK_TIMER)
                raw_call(SYS_timer_delete, t->timer_id, 0, 0, 0, 0, 0);
        t->kind = TICK_NONE;
        t->page = NULL;
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
 * The one-shot event looks at the clock every first_ns until it finds the thread in user space. Only the
 * first look is at a random instant of the period; a hit at a later one (the first was inside the kernel, or
 * the signal was blocked) would favour the code that runs just after system calls, so it does not count.
 */
static uint64_t hit_first_event(struct tick *t, unsigned kinds, int sig)
{
        uint64_t ran_ns = thread_cpu_ns() - t->started_ns;
        uint64_t step_ns = t->first_ns < EVENT_SHORTEST_NS ? EVENT_SHORTEST_NS : t->first_ns;
        int fd = t->event_fd;
        tick_stop(t);
        t->first = false;
        if (!start_event(t, sig, t->period_ns, false) && kinds & 1u << TICK_TIMER)
                start_timer(t, sig, t->period_ns, t->period_ns);
        if (t->kind != TICK_EVENT)
                t->event_fd = fd;
        return ran_ns < step_ns + (step_ns > LATENCY_NS ? step_ns : LATENCY_NS) ? t->period_ns : 0;
}

uint64_t tick_hit(struct tick *t, unsigned kinds, int sig, const siginfo_t *info)
{
        if (t->kind == TICK_NONE) // stopped while the signal was under way
                return 0;
        if (info->si_code == SI_TIMER)
                return (1 + (uint64_t)(info->si_overrun > 0 ? info->si_overrun : 0)) * t->period_ns;
        return t->first ? hit_first_event(t, kinds, sig) : t->period_ns;
}
