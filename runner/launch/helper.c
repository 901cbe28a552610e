// SPDX-License-Identifier: MIT
/*
 * helper.c - perfgate-helper: starts targets for the runner and waits for their whole process tree.
 *
 * Static, one thread, no heap, no stdio: what it weighs is the least peak_rss that a target can show, because
 * exec folds the forking process's high-water mark into the child's ru_maxrss. It is a child subreaper, so
 * every descendant of a target ends here and none gets away. When the runner is gone (end of file on the
 * socket) it ends the tree and exits.
 *
 * All signals stay blocked here; SIGCHLD is read from a descriptor. Handlers are the defaults from the start,
 * so a target inherits nothing but defaults.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/launch/protocol.h"
#include "runner/launch/wire.h"

static const uint64_t LINGER_NS = PG_NS_PER_S;      // what descendants get after the target's end
static const uint64_t RESCAN_NS = 5 * PG_NS_PER_MS; // between two rounds of killing
static const size_t LARGE_REQUEST = 128 * 1024;     // above this the high-water mark is set back

static int child_events = -1;
static struct pg_helper_shared *shared;

/* ---- talking to the runner ------------------------------------------------------------------------------
 */

struct request {
        struct pg_helper_request head;
        int fds[PG_HELPER_FDS];
        size_t n_fds;
        void *memory; // pointers, then strings; NULL when there is none
        size_t memory_bytes;
        const char *program;
        char **argv, **envp;
};

static void keep_descriptors(struct request *q, struct msghdr *m)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(q->fds, CMSG_DATA(c), n * sizeof(int)); // the control buffer holds no more than this
                q->n_fds = n;
        }
}

static bool receive_head(struct request *q)
{
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(PG_HELPER_FDS * sizeof(int))];
        } control;
        struct iovec io = { &q->head, sizeof(q->head) };
        struct msghdr m = { .msg_iov = &io,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof(control.room) };
        ssize_t got;
        do
                got = recvmsg(PG_HELPER_SOCKET, &m, MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
                return false;
        keep_descriptors(q, &m);
        return pg_wire_receive(PG_HELPER_SOCKET, (char *)&q->head + got, sizeof(q->head) - (size_t)got);
}

static bool head_is_sane(const struct request *q)
{
        const struct pg_helper_request *h = &q->head;
        if (h->magic != PG_HELPER_MAGIC)
                return false;
        if (h->kind == PG_HELPER_STOP)
                return q->n_fds == 0 && h->body_bytes == 0;
        return h->kind == PG_HELPER_RUN && q->n_fds == PG_HELPER_FDS && !(h->flags & ~PG_HELPER_FLAGS) &&
               h->body_bytes <= PG_HELPER_MAX_BODY && h->argc >= 1 && h->argc < h->body_bytes &&
               h->envc < h->body_bytes;
}

/* Points the next n entries at strings from *at on, and ends them with NULL; false when the body is short. */
static bool index_strings(char **to, size_t n, char **at, const char *end)
{
        for (size_t i = 0; i < n; i++) {
                char *nul = memchr(*at, '\0', (size_t)(end - *at));
                if (!nul)
                        return false;
                to[i] = *at;
                *at = nul + 1;
        }
        to[n] = NULL;
        return true;
}

static bool receive_body(struct request *q)
{
        size_t n_pointers = (size_t)q->head.argc + q->head.envc + 4; // program, and three NULLs
        size_t body = q->head.body_bytes;
        q->memory_bytes = n_pointers * sizeof(char *) + body;
        void *memory =
                mmap(NULL, q->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return false;
        q->memory = memory;
        char **program = memory;
        q->argv = program + 2;
        q->envp = q->argv + q->head.argc + 1;
        char *at = (char *)(q->envp + q->head.envc + 1), *end = at + body;
        if (!pg_wire_receive(PG_HELPER_SOCKET, at, body) || !index_strings(program, 1, &at, end) ||
            !index_strings(q->argv, q->head.argc, &at, end) ||
            !index_strings(q->envp, q->head.envc, &at, end))
                return false;
        q->program = program[0];
        return at == end;
}

/* The mark that exec folds into later targets goes back to what is resident now. */
static void reset_high_water_mark(void)
{
        int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return; // then later targets of this helper show at least the large request
        while (write(fd, "5", 1) < 0 && errno == EINTR)
                ;
        close(fd);
}

static void close_descriptors(struct request *q)
{
        for (size_t i = 0; i < q->n_fds; i++)
                close(q->fds[i]);
        q->n_fds = 0;
}

static void release(struct request *q)
{
        close_descriptors(q);
        if (!q->memory)
                return;
        munmap(q->memory, q->memory_bytes);
        if (q->memory_bytes > LARGE_REQUEST)
                reset_high_water_mark();
}

/* ---- starting -------------------------------------------------------------------------------------------
 */

struct start {
        int step, error; // enum pg_helper_step
        bool fixed_addresses;
        uint64_t go_ns; // when a target that had to wait was let go, else 0
};

/* Until the runner says go. The helper sleeps meanwhile, so the socket is ours alone. */
static bool wait_for_go(volatile struct start *s)
{
        struct pg_helper_answer ready = { .magic = PG_HELPER_MAGIC,
                                          .failed_step = PG_STEP_WAITING,
                                          .pid = getpid() };
        struct pg_helper_request go;
        if (!pg_wire_send(PG_HELPER_SOCKET, &ready, sizeof(ready)) ||
            !pg_wire_receive(PG_HELPER_SOCKET, &go, sizeof(go)) || go.magic != PG_HELPER_MAGIC ||
            go.kind != PG_HELPER_GO)
                return false;
        s->go_ns = pg_now_ns();
        return true;
}

/* Runs on the helper's memory until exec: writes nothing but *s and the shared page, calls only the kernel.
 */
static enum pg_helper_step become_target(const struct request *q, volatile struct start *s)
{
        setpgid(0, 0);
        atomic_store(&shared->target, getpid()); // before it can do anything to the helper
        if (q->head.flags & PG_HELPER_TERMINAL)
                tcsetpgrp(q->fds[0], getpid());
        prctl(PR_SET_PDEATHSIG, SIGKILL); // a killed helper takes the target along
        if (q->head.flags & PG_HELPER_FIXED_ADDRESSES) {
                int old = personality(0xffffffff);
                s->fixed_addresses = personality((unsigned long)old | ADDR_NO_RANDOMIZE) >= 0;
        }
        if (q->head.flags & PG_HELPER_WAIT && !wait_for_go(s)) // 0 is still the socket
                return PG_STEP_REFUSED;
        for (int i = 0; i < 3; i++)
                if (dup2(q->fds[i], i) < 0)
                        return PG_STEP_STDIO;
        if (fchdir(q->fds[PG_HELPER_CWD_FD]) < 0)
                return PG_STEP_CWD;
        struct rlimit nofile = { q->head.nofile_soft, q->head.nofile_hard };
        if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
                return PG_STEP_LIMIT;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(q->program, q->argv, q->envp);
        return PG_STEP_EXEC;
}

__attribute__((noinline)) static pid_t start_target(const struct request *q, volatile struct start *s)
{
        pid_t pid = vfork();
        if (pid == 0) {
                s->step = (int)become_target(q, s);
                s->error = errno;
                _exit(127);
        }
        if (pid < 0) {
                s->step = PG_STEP_FORK;
                s->error = errno;
        }
        return pid;
}

/* ---- waiting --------------------------------------------------------------------------------------------
 */

enum phase {
        RUNNING,   // the target runs
        LINGERING, // it ended, descendants may still end by themselves
        ENDING     // everything is being killed
};

struct run {
        pid_t pid;
        int terminal; // lent to the target, -1 when none
        enum phase phase;
        bool ended, timed_out, counting_left, runner_gone;
        int status;
        uint32_t left_running;
        uint64_t start_ns, stop_ns;
        uint64_t user_ns, system_ns, peak_rss_bytes;
};

static uint64_t timeval_ns(struct timeval t)
{
        return (uint64_t)t.tv_sec * PG_NS_PER_S + (uint64_t)t.tv_usec * PG_NS_PER_US;
}

static void add_usage(struct run *r, const struct rusage *u)
{
        r->user_ns += timeval_ns(u->ru_utime);
        r->system_ns += timeval_ns(u->ru_stime);
        uint64_t rss = (uint64_t)u->ru_maxrss * 1024;
        if (rss > r->peak_rss_bytes)
                r->peak_rss_bytes = rss;
}

static void note_end_of_target(struct run *r, int status)
{
        r->stop_ns = pg_now_ns();
        r->status = status;
        r->ended = true;
        if (r->terminal >= 0)
                tcsetpgrp(r->terminal, getpgrp()); // SIGTTOU is blocked
}

/* Collects every process that has ended; false when no child is left. */
static bool reap(struct run *r)
{
        for (;;) {
                int status;
                struct rusage usage;
                pid_t pid = wait4(-1, &status, WNOHANG | WUNTRACED | __WALL, &usage);
                if (pid <= 0)
                        return pid == 0;
                if (WIFSTOPPED(status)) {
                        if (pid == r->pid && r->terminal >= 0 && WSTOPSIG(status) == SIGTSTP)
                                kill(-pid, SIGCONT); // no shell sees it stop, so none would ever continue it
                        continue;
                }
                if (pid == r->pid && !r->ended)
                        note_end_of_target(r, status);
                else if (r->counting_left)
                        r->left_running++;
                add_usage(r, &usage);
        }
}

/* A whole group where it surely is one of ours, because that is atomic against forks; else the process. */
static void kill_child(const struct run *r, pid_t pid)
{
        pid_t group = getpgid(pid);
        if (group > 1 && (group == r->pid || group == pid))
                kill(-group, SIGKILL);
        kill(pid, SIGKILL);
}

/* One round. Descendants of the killed become our children and are met in the next round. */
static void kill_children(const struct run *r)
{
        if (!r->ended)
                kill(-r->pid, SIGKILL);
        int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        char text[1024];
        pid_t pid = 0;
        ssize_t n;
        while ((n = read(fd, text, sizeof(text))) > 0)
                for (ssize_t i = 0; i < n; i++) {
                        if (text[i] >= '0' && text[i] <= '9') {
                                pid = pid * 10 + (text[i] - '0');
                                continue;
                        }
                        if (pid > 1)
                                kill_child(r, pid);
                        pid = 0;
                }
        close(fd);
}

/* While a target runs the runner can only ask for its end, or be gone. */
static void hear_runner(struct run *r)
{
        struct request q = { 0 };
        if (!receive_head(&q) || !head_is_sane(&q) || q.head.kind != PG_HELPER_STOP)
                r->runner_gone = true;
        close_descriptors(&q);
        r->counting_left = false;
        r->phase = ENDING;
}

/* Sleeps until a child changed state, the runner spoke, or the deadline came. */
static void wait_for_event(struct run *r, uint64_t now_ns, uint64_t deadline_ns)
{
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        struct timespec left = { (time_t)(left_ns / PG_NS_PER_S), (long)(left_ns % PG_NS_PER_S) };
        struct pollfd fds[2] = { { .fd = child_events, .events = POLLIN },
                                 { .fd = r->runner_gone ? -1 : PG_HELPER_SOCKET, .events = POLLIN } };
        if (ppoll(fds, 2, deadline_ns == UINT64_MAX ? NULL : &left, NULL) <= 0)
                return;
        struct signalfd_siginfo info;
        if (fds[0].revents && read(child_events, &info, sizeof(info)) < 0)
                return; // nothing to read after all; reap() looks anyway
        if (fds[1].revents)
                hear_runner(r);
}

static void wait_for_tree(struct run *r, uint64_t timeout_ns)
{
        uint64_t deadline_ns = timeout_ns ? r->start_ns + timeout_ns : UINT64_MAX;
        while (reap(r)) {
                if (r->phase == RUNNING && r->ended) {
                        r->phase = LINGERING;
                        deadline_ns = r->stop_ns + LINGER_NS;
                }
                uint64_t now_ns = pg_now_ns();
                if (r->phase != ENDING && now_ns >= deadline_ns) {
                        r->timed_out = r->phase == RUNNING;
                        r->counting_left = r->phase == LINGERING;
                        r->phase = ENDING;
                }
                if (r->phase == ENDING) {
                        kill_children(r);
                        deadline_ns = now_ns + RESCAN_NS;
                }
                wait_for_event(r, now_ns, deadline_ns);
        }
}

/* ---- serving --------------------------------------------------------------------------------------------
 */

static struct pg_helper_answer answer_of(const struct run *r, const struct start *s)
{
        return (struct pg_helper_answer){
                .magic = PG_HELPER_MAGIC,
                .failed_step = (uint32_t)s->step,
                .error = s->error,
                .pid = r->pid,
                .status = r->status,
                .timed_out = r->timed_out,
                .fixed_addresses = s->fixed_addresses,
                .left_running = r->left_running,
                .wall_ns = r->stop_ns - r->start_ns,
                .user_ns = r->user_ns,
                .system_ns = r->system_ns,
                .peak_rss_bytes = r->peak_rss_bytes,
        };
}

/* False when the runner is gone. */
static bool run_target(struct request *q)
{
        struct start s = { 0 };
        struct run r = { .terminal = q->head.flags & PG_HELPER_TERMINAL ? q->fds[0] : -1 };
        r.start_ns = pg_now_ns();
        r.pid = start_target(q, &s);
        if (s.go_ns)
                r.start_ns = s.go_ns;
        if (r.pid > 0) {
                for (int i = r.terminal < 0 ? 0 : 1; i < PG_HELPER_FDS; i++)
                        close(q->fds[i]);
                q->n_fds = r.terminal < 0 ? 0 : 1;
                wait_for_tree(&r, q->head.timeout_ns);
        }
        atomic_store(&shared->target, 0);
        struct pg_helper_answer answer = answer_of(&r, &s);
        return !r.runner_gone && pg_wire_send(PG_HELPER_SOCKET, &answer, sizeof(answer));
}

static bool serve(void)
{
        struct request q = { 0 };
        bool go_on = receive_head(&q) && head_is_sane(&q);
        if (go_on && q.head.kind == PG_HELPER_RUN)
                go_on = receive_body(&q) && run_target(&q);
        release(&q);
        return go_on;
}

static void block_signals(void)
{
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL); // refused for a few, which are always at their default
}

/* What the runner itself was started with and never marked close-on-exec. */
static void close_all_from(int first)
{
        if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0)
                return;
        struct rlimit limit = { 0 };
        getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = first; (rlim_t)fd < limit.rlim_cur && fd < 65536; fd++) // before Linux 5.9
                close(fd);
}

/* The C library's start touches most of its code; what comes back is what runs. Nothing depends on success.
 */
static void forget_startup(void)
{
        extern const char __executable_start, etext; // from the linker
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t start = (uintptr_t)&__executable_start & -page;
        madvise((void *)start, (uintptr_t)&etext - start, MADV_DONTNEED);
        reset_high_water_mark();
}

int main(void)
{
        block_signals();
        forget_startup();
        close_all_from(PG_HELPER_SHARED + 1);
        fcntl(PG_HELPER_SOCKET, F_SETFD, FD_CLOEXEC);
        fcntl(PG_HELPER_SHARED, F_SETFD, FD_CLOEXEC);
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        child_events = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, PG_HELPER_SHARED, 0);
        if (child_events < 0 || shared == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return 1;
        struct pg_helper_hello hello = { PG_HELPER_MAGIC, PG_HELPER_VERSION };
        if (!pg_wire_send(PG_HELPER_SOCKET, &hello, sizeof(hello)))
                return 1;
        while (serve())
                ;
        return 0;
}
