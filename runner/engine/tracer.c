// SPDX-License-Identifier: MIT
/*
 * tracer.c - the tracing thread: what it does at each stop of a thread, and when it looks at which clock.
 *
 * Every stop is answered at once: samples are taken while the thread stands, everything else goes on. New
 * threads and children report by themselves (PTRACE_O_TRACE*); who they are is asked of /proc then,
 * because the report of who made them may come later or, after a kill, never.
 */
#include "runner/engine/tracer.h"

#include <errno.h>
#include <linux/elf.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "runner/base/clock.h"
#include "runner/engine/interrupted.h"
#include "runner/engine/priority.h"
#include "runner/engine/tracees.h"

enum {
        OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                  PTRACE_O_TRACEEXIT,
        WOKEN_MAX = 8, // so often a thread that waits is left alone; then that is where it was
        EVENTS_MAX = 256,
        ASLEEP_MAX = 5, // so many looks find a thread asleep; then it is idle
        /* Woken on a processor that the target keeps busy, we would else run when the target enters the
         * scheduler by itself and meet it there more often than it is there. */
        NICE = -15,
};
static const uint64_t SHORTEST_LOOK_NS = 100 * PG_NS_PER_US;
static const uint64_t ASLEEP_LOOK_NS = 500 * PG_NS_PER_US;
static const uint64_t LONGEST_SLEEP_NS = 50 * PG_NS_PER_MS;
static const uint64_t LOOK_SHARE_NS = 50 * PG_NS_PER_US; // between two looks at processes, times their number

struct pg_tracer {
        struct pg_trace_handler handler;
        uint64_t period_ns;
        uint64_t random;
        struct pg_tracees tracees;
        struct pg_trace_counts counts;
        bool out_of_memory;

        pthread_t thread;
        bool running; // the thread was made and not yet joined
        sigset_t old_mask;
        pid_t root;
        int seize_errno;
        sem_t seized;
        atomic_bool stop, ended;
};

/* ---- clocks -------------------------------------------------------------------------------------------- */

static void set_idle(struct pg_traced_thread *th, bool idle)
{
        th->process->n_idle += (uint32_t)idle - (uint32_t)th->idle;
        th->idle = idle;
        if (idle)
                th->look_at_ns = PG_NEVER_NS;
        if (idle && th->process->n_idle == 1)
                th->process->look_at_ns = 0;
}

static bool read_clock(struct pg_tracer *t, const struct pg_traced_thread *th, struct pg_task_time *ret)
{
        t->counts.looks++;
        return pg_task_clock_read(th->clock, th->process->pid, th->tid, ret);
}

static void note_time(struct pg_traced_thread *th, uint64_t now_ns, struct pg_task_time time)
{
        uint64_t since_ns = now_ns - th->seen_at_ns;
        th->behind_ns = time.used_ns != th->seen.used_ns ? since_ns : th->behind_ns + since_ns;
        th->process->known_ns += time.used_ns - th->seen.used_ns;
        th->seen = time;
        th->seen_at_ns = now_ns;
}

/* The thread is off its processor. */
static void note_exact_time(struct pg_traced_thread *th, uint64_t now_ns, struct pg_task_time time)
{
        note_time(th, now_ns, time);
        th->behind_ns = 0;
        th->exact = time;
        th->exact_at_ns = now_ns;
}

/* The most that it can have consumed by now: what the clock said when it was last brought up to date plus the
 * time since then, and no more than the time that went by without waiting for a processor. */
static uint64_t most_used_ns(const struct pg_traced_thread *th)
{
        uint64_t by_clock = th->seen.used_ns + th->behind_ns;
        uint64_t by_time = th->exact.used_ns + (th->seen_at_ns - th->exact_at_ns) -
                           (th->seen.waiting_ns - th->exact.waiting_ns);
        uint64_t least = by_clock < by_time ? by_clock : by_time;
        return least > th->seen.used_ns ? least : th->seen.used_ns;
}

static void look_after(struct pg_traced_thread *th, uint64_t now_ns, uint64_t ns, uint64_t least_ns)
{
        th->look_at_ns = now_ns + (ns > least_ns ? ns : least_ns);
}

/* The next look at a thread whose time is exact: not before it can be due. */
static void look_when_due(struct pg_tracer *t, struct pg_traced_thread *th, uint64_t now_ns)
{
        uint64_t left_ns = th->pace.due_ns > th->exact.used_ns ? th->pace.due_ns - th->exact.used_ns : 0;
        look_after(th, now_ns, left_ns, SHORTEST_LOOK_NS + pg_pace_draw(&t->random, SHORTEST_LOOK_NS));
}

/* Found asleep: its clock is exact. A sample that it owes is taken when it is met running, at a random
 * time. */
static void leave_asleep(struct pg_tracer *t, struct pg_traced_thread *th, uint64_t now_ns, bool consumed)
{
        struct pg_task_time time;
        if (!read_clock(t, th, &time))
                return;
        note_exact_time(th, now_ns, time);
        th->asleep = consumed ? 0 : (uint8_t)(th->asleep + 1);
        if (th->asleep > ASLEEP_MAX) {
                set_idle(th, true);
                return;
        }
        uint64_t least_ns = ASLEEP_LOOK_NS << th->asleep;
        least_ns += pg_pace_draw(&t->random, least_ns);
        look_after(th, now_ns, th->pace.due_ns > time.used_ns ? th->pace.due_ns - time.used_ns : 0, least_ns);
}

static void interrupt(struct pg_traced_thread *th, int processor)
{
        th->look_at_ns = PG_NEVER_NS;
        th->beside = processor == sched_getcpu();
        th->asked_waiting_ns = th->seen.waiting_ns;
        th->interrupted = ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL) == 0;
}

static void look(struct pg_tracer *t, struct pg_traced_thread *th, uint64_t now_ns)
{
        struct pg_task_time time;
        int processor;
        th->look_at_ns = PG_NEVER_NS;
        if (!read_clock(t, th, &time))
                return; // its end will be reported
        bool consumed = time.used_ns != th->seen.used_ns;
        note_time(th, now_ns, time);
        uint64_t most_ns = most_used_ns(th);
        if (most_ns < th->pace.due_ns)
                look_after(th, now_ns, th->pace.due_ns - most_ns, SHORTEST_LOOK_NS);
        else if (!pg_task_is_running(th->process->pid, th->tid, &processor))
                leave_asleep(t, th, now_ns, consumed);
        else
                interrupt(th, processor);
}

/* Idle threads whose clock has moved are idle no more. */
static void look_at_idle(struct pg_tracer *t, struct pg_traced_process *p, uint64_t now_ns)
{
        for (size_t i = 0; i < t->tracees.n_threads; i++) {
                struct pg_traced_thread *th = t->tracees.threads[i];
                struct pg_task_time time;
                if (th->process != p || !th->idle || !read_clock(t, th, &time) ||
                    time.used_ns == th->seen.used_ns)
                        continue;
                note_time(th, now_ns, time);
                set_idle(th, false);
                th->asleep = 0;
                th->look_at_ns = now_ns;
        }
}

/* A process's clock tells with one call that none of its idle threads has done anything worth a look. */
static void look_at_process(struct pg_tracer *t, struct pg_traced_process *p, uint64_t now_ns)
{
        uint64_t share_ns = LOOK_SHARE_NS * t->tracees.n_processes;
        p->look_at_ns = now_ns + (share_ns > t->period_ns ? share_ns : t->period_ns);
        uint64_t clock_ns = pg_process_clock_ns(p->pid);
        uint64_t unknown_ns = clock_ns > p->known_ns ? clock_ns - p->known_ns : 0;
        if (unknown_ns < p->settled_ns + t->period_ns / 4)
                return;
        look_at_idle(t, p, now_ns);
        p->settled_ns = clock_ns > p->known_ns ? clock_ns - p->known_ns : 0;
}

/* Looks at whatever is to be looked at by now; returns the time of the next look. */
static uint64_t look_around(struct pg_tracer *t)
{
        uint64_t now_ns = pg_now_ns(), next_ns = now_ns + LONGEST_SLEEP_NS;
        for (size_t i = 0; i < t->tracees.n_processes; i++) {
                struct pg_traced_process *p = t->tracees.processes[i];
                if (p->n_idle && p->look_at_ns <= now_ns)
                        look_at_process(t, p, now_ns);
                if (p->n_idle && p->look_at_ns < next_ns)
                        next_ns = p->look_at_ns;
        }
        for (size_t i = 0; i < t->tracees.n_threads; i++) {
                struct pg_traced_thread *th = t->tracees.threads[i];
                if (th->look_at_ns <= now_ns)
                        look(t, th, pg_now_ns());
                if (th->look_at_ns < next_ns)
                        next_ns = th->look_at_ns;
        }
        return next_ns;
}

/* ---- images -------------------------------------------------------------------------------------------- */

static void end_image(struct pg_tracer *t, struct pg_traced_process *p, bool execed)
{
        struct pg_trace_end end = { execed, p->threads_seen, p->lost_points };
        if (p->image)
                t->handler.end(t->handler.context, p->image, &end);
        p->image = NULL;
        p->threads_seen = p->n_threads;
        p->lost_points = 0;
}

/* A thread whose consumption counts from now on. */
static void start_pace(struct pg_tracer *t, struct pg_traced_thread *th)
{
        struct pg_task_time time = { 0 };
        uint64_t now_ns = pg_now_ns();
        bool read = read_clock(t, th, &time);
        th->seen_at_ns = now_ns;
        note_exact_time(th, now_ns, time);
        th->pace = pg_pace_start(time.used_ns, t->period_ns, &t->random);
        if (read)
                look_when_due(t, th, now_ns);
}

/* The last that is heard of a thread while its clock can still be read. */
static void lose_rest(struct pg_tracer *t, struct pg_traced_thread *th)
{
        struct pg_task_time time;
        if (read_clock(t, th, &time))
                note_exact_time(th, pg_now_ns(), time);
        th->process->lost_points += pg_pace_take(&th->pace, th->exact.used_ns, t->period_ns, &t->random);
}

static void forget(struct pg_tracer *t, struct pg_traced_thread *th)
{
        if (th->process->n_threads == 1)
                end_image(t, th->process, false);
        pg_tracees_remove(&t->tracees, th);
}

/* A thread that is new to us stands at its first stop. */
static struct pg_traced_thread *adopt(struct pg_tracer *t, pid_t tid)
{
        pid_t pid, ppid;
        if (!pg_task_family(tid, &pid, &ppid))
                return NULL;
        struct pg_traced_thread *th = pg_tracees_add(&t->tracees, pid, tid);
        if (!th) {
                t->out_of_memory = true;
                return NULL;
        }
        if (th->process->n_threads == 1) {
                struct pg_traced_process *parent = pg_tracees_find_process(&t->tracees, ppid);
                th->process->image =
                        t->handler.begin(t->handler.context, pid, ppid, true, parent ? parent->image : NULL);
        }
        start_pace(t, th);
        return th;
}

/* Another program has begun. All other threads are gone, and the one that called exec has the process's
 * number. */
static struct pg_traced_thread *note_exec(struct pg_tracer *t, struct pg_traced_thread *th)
{
        unsigned long former = 0;
        pid_t pid, ppid = 0;
        ptrace(PTRACE_GETEVENTMSG, th->tid, NULL, &former);
        struct pg_traced_thread *caller = pg_tracees_find(&t->tracees, (pid_t)former);
        if (caller && caller->process == th->process)
                th = caller;
        lose_rest(t, th);
        pg_tracees_become_first(&t->tracees, th);
        end_image(t, th->process, true);
        (void)!pg_task_family(th->tid, &pid, &ppid);
        th->process->image = t->handler.begin(t->handler.context, th->tid, ppid, false, NULL);
        set_idle(th, false);
        th->interrupted = th->listening = false;
        start_pace(t, th);
        return th;
}

/* ---- stops --------------------------------------------------------------------------------------------- */

/*
 * Whether it consumed nothing when we looked: asleep in a call by then, or ready but not running since a
 * call in which it woke somebody who took its processor. Our own coming does that as well, to a thread
 * beside us.
 */
static bool was_waiting(const struct pg_traced_thread *th, const struct user_regs_struct *regs)
{
        bool queued = !th->beside && th->exact.waiting_ns != th->asked_waiting_ns;
        return pg_interrupted_waiting(regs) || (queued && pg_interrupted_in_call(regs));
}

static void take_sample(struct pg_tracer *t, struct pg_traced_thread *th, const struct user_regs_struct *regs)
{
        uint64_t used_ns = th->exact.used_ns;
        if (used_ns < th->pace.due_ns) {
                t->counts.early++;
                return;
        }
        if (regs && was_waiting(th, regs) && th->woken < WOKEN_MAX) {
                th->woken++;
                t->counts.waiting++;
                return;
        }
        th->woken = 0;
        struct pg_trace_stop stop = {
                .pid = th->process->pid,
                .tid = th->tid,
                .regs = regs,
                .points = pg_pace_take(&th->pace, used_ns, t->period_ns, &t->random),
                .in_call = regs && pg_interrupted_in_call(regs),
        };
        if (th->process->image)
                t->handler.sample(t->handler.context, th->process->image, &stop);
}

/* For a thread that stands; *ret_known: they are those of a 64-bit program. */
static bool read_registers(const struct pg_traced_thread *th, struct user_regs_struct *ret, bool *ret_known)
{
        struct iovec io = { ret, sizeof(*ret) };
        if (ptrace(PTRACE_GETREGSET, th->tid, (void *)NT_PRSTATUS, &io) != 0)
                return false;
        *ret_known = io.iov_len == sizeof(*ret);
        return true;
}

static void mend(struct pg_tracer *t, const struct pg_traced_thread *th, struct user_regs_struct *regs)
{
        struct iovec io = { regs, sizeof(*regs) };
        if (pg_interrupted_mend(regs) && ptrace(PTRACE_SETREGSET, th->tid, (void *)NT_PRSTATUS, &io) == 0)
                t->counts.mended++;
}

/* It stands because we asked, or at the end of a stop by job control. */
static void inspect(struct pg_tracer *t, struct pg_traced_thread *th, const struct user_regs_struct *regs)
{
        struct pg_task_time time;
        if (read_clock(t, th, &time))
                note_exact_time(th, pg_now_ns(), time);
        if (th->interrupted) {
                t->counts.stops++;
                take_sample(t, th, regs);
        }
        th->interrupted = false;
        th->asleep = 0;
        set_idle(th, false);
        th->exact_at_ns = pg_now_ns(); // while it stood it did not run
        look_when_due(t, th, th->exact_at_ns);
}

static void go_on(const struct pg_traced_thread *th, int signal)
{
        ptrace(PTRACE_CONT, th->tid, NULL, (void *)(long)signal);
}

/* PTRACE_EVENT_STOP: our interrupt, or job control. */
static void event_stop(struct pg_tracer *t, struct pg_traced_thread *th, int signal)
{
        struct user_regs_struct regs = { 0 };
        bool known;
        if (read_registers(th, &regs, &known)) {
                inspect(t, th, known ? &regs : NULL);
                if (known && signal == SIGTRAP && !th->listening)
                        mend(t, th, &regs);
        }
        th->listening = signal != SIGTRAP;
        if (!th->listening) {
                go_on(th, 0);
                return;
        }
        th->look_at_ns = PG_NEVER_NS; // until it continues, which is another such stop
        ptrace(PTRACE_LISTEN, th->tid, NULL, NULL);
}

static bool stops_jobs(int signal)
{
        return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/*
 * A signal on its way to the thread, or a child that it has made. A traced thread is woken by signals
 * that it ignores as well (the kernel wants to show them), and its call would end with an error that
 * nobody else gets.
 */
static void pass_on(struct pg_tracer *t, struct pg_traced_thread *th, int signal)
{
        struct user_regs_struct regs = { 0 };
        bool known;
        if ((signal || th->interrupted) && read_registers(th, &regs, &known)) {
                if (th->interrupted)
                        inspect(t, th, known ? &regs : NULL);
                if (known && !stops_jobs(signal))
                        mend(t, th, &regs);
        }
        go_on(th, signal);
}

static void note_last_stop(struct pg_tracer *t, struct pg_traced_thread *th)
{
        set_idle(th, false);
        th->look_at_ns = PG_NEVER_NS;
        th->interrupted = false;
        lose_rest(t, th);
        go_on(th, 0);
}

/* A thread that is new stands at its first stop, which is a PTRACE_EVENT_STOP unless it was killed
 * already. */
static void note_first_stop(struct pg_tracer *t, pid_t tid, int status)
{
        struct pg_traced_thread *th = adopt(t, tid);
        bool stopped = status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
        if (th && stopped) {
                th->look_at_ns = PG_NEVER_NS;
                th->listening = true;
        }
        ptrace(stopped ? PTRACE_LISTEN : PTRACE_CONT, tid, NULL, NULL);
}

static void note_stop(struct pg_tracer *t, pid_t tid, int status)
{
        int event = status >> 16;
        struct pg_traced_thread *th = pg_tracees_find(&t->tracees, tid);
        if (!th)
                note_first_stop(t, tid, status);
        else if (event == PTRACE_EVENT_STOP)
                event_stop(t, th, WSTOPSIG(status));
        else if (event == PTRACE_EVENT_EXEC)
                go_on(note_exec(t, th), 0);
        else if (event == PTRACE_EVENT_EXIT)
                note_last_stop(t, th);
        else // PTRACE_EVENT_CLONE, FORK, VFORK, or a signal
                pass_on(t, th, event ? 0 : WSTOPSIG(status));
}

static void note_end(struct pg_tracer *t, pid_t tid)
{
        struct pg_traced_thread *th = pg_tracees_find(&t->tracees, tid);
        if (th)
                forget(t, th);
}

/* What has happened; false when nobody is traced any more. Clocks have their turn even if it never ends. */
static bool hear_all(struct pg_tracer *t)
{
        for (int i = 0; i < EVENTS_MAX; i++) {
                int status;
                pid_t tid = waitpid(-1, &status, WNOHANG | __WALL | __WNOTHREAD);
                if (tid <= 0)
                        return tid == 0 || errno != ECHILD;
                if (WIFSTOPPED(status))
                        note_stop(t, tid, status);
                else
                        note_end(t, tid);
        }
        pthread_kill(pthread_self(), SIGCHLD); // there may be more, whose signal is gone
        return true;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

/* Until a tracee wants something, which sends SIGCHLD, or the time has come. */
static void wait_until(uint64_t until_ns)
{
        uint64_t now_ns = pg_now_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        struct timespec left = { (time_t)(left_ns / PG_NS_PER_S), (long)(left_ns % PG_NS_PER_S) };
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigtimedwait(&child, NULL, &left);
}

static bool seize_root(struct pg_tracer *t)
{
        if (ptrace(PTRACE_SEIZE, t->root, NULL, (void *)(long)OPTIONS) == 0 &&
            pg_tracees_add(&t->tracees, t->root, t->root))
                return true;
        t->seize_errno = errno;
        return false;
}

/* The kernel lets go of every tracee when this thread ends. */
static void *trace(void *argument)
{
        struct pg_tracer *t = argument;
        prctl(PR_SET_NAME, "perfgate-trace");
        prctl(PR_SET_TIMERSLACK, PG_NS_PER_US);
        pg_go_first(NICE);
        bool ok = seize_root(t);
        sem_post(&t->seized);
        while (ok && hear_all(t) && !atomic_load(&t->stop))
                wait_until(look_around(t));
        for (size_t i = 0; i < t->tracees.n_processes; i++)
                end_image(t, t->tracees.processes[i], false);
        atomic_store(&t->ended, true);
        return NULL;
}

bool pg_tracer_create(const struct pg_trace_handler *handler, uint64_t period_ns, struct pg_tracer **ret,
                      struct pg_error *err)
{
        struct pg_tracer *t = calloc(1, sizeof(*t));
        if (!t)
                return pg_fail_nomem(err);
        t->handler = *handler;
        t->period_ns = period_ns;
        t->random = pg_now_ns() | 1;
        sem_init(&t->seized, 0, 0);
        *ret = t;
        return true;
}

/* Blocked here, SIGCHLD is left for the thread, which waits for it. */
static void block_child_signal(struct pg_tracer *t)
{
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        pthread_sigmask(SIG_BLOCK, &child, &t->old_mask);
}

static int make_thread(struct pg_tracer *t)
{
        sigset_t all, mine;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &mine); // handlers run in the runner's other threads
        int e = pthread_create(&t->thread, NULL, trace, t);
        pthread_sigmask(SIG_SETMASK, &mine, NULL);
        return e;
}

static void join(struct pg_tracer *t)
{
        pthread_join(t->thread, NULL);
        pthread_sigmask(SIG_SETMASK, &t->old_mask, NULL);
        t->running = false;
}

bool pg_tracer_seize(struct pg_tracer *t, pid_t pid, struct pg_error *err)
{
        t->root = pid;
        block_child_signal(t);
        errno = make_thread(t);
        if (errno != 0) {
                pthread_sigmask(SIG_SETMASK, &t->old_mask, NULL);
                return pg_fail_os(err, "cannot make a thread for tracing");
        }
        t->running = true;
        while (sem_wait(&t->seized) != 0)
                ;
        if (t->seize_errno == 0)
                return true;
        join(t);
        errno = t->seize_errno;
        return pg_fail_os(err, "cannot trace process %d", pid);
}

static void stop_thread(struct pg_tracer *t)
{
        if (!t->running)
                return;
        atomic_store(&t->stop, true);
        pthread_kill(t->thread, SIGCHLD);
        join(t);
}

bool pg_tracer_finish(struct pg_tracer *t, uint64_t patience_ns, struct pg_trace_counts *ret,
                      struct pg_error *err)
{
        uint64_t give_up_ns = pg_now_ns() + patience_ns;
        while (t->running && !atomic_load(&t->ended) && pg_now_ns() < give_up_ns)
                nanosleep(&(struct timespec){ .tv_nsec = PG_NS_PER_MS }, NULL);
        stop_thread(t);
        if (t->out_of_memory)
                return pg_fail_nomem(err);
        *ret = t->counts;
        return true;
}

void pg_tracer_destroy(struct pg_tracer *t)
{
        if (!t)
                return;
        stop_thread(t);
        pg_tracees_deinit(&t->tracees);
        sem_destroy(&t->seized);
        free(t);
}
