// SPDX-License-Identifier: MIT
/*
 * launch.c - the runner's side of the launch helper: starts it, sends it targets, drains their standard
 * error.
 *
 * The runner opens every descriptor that a target gets, so that a path that cannot be opened is reported from
 * here; the helper only places them. A helper that died is replaced at the next launch.
 */
#include "runner/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "runner/base/buf.h"
#include "runner/base/cleanup.h"
#include "runner/base/clock.h"
#include "runner/launch/program.h"
#include "runner/launch/protocol.h"
#include "runner/launch/wire.h"

enum {
        STOP_LOOK_MS = 50,   // how often *stop is looked at
        HELLO_S = 10,        // patience with a helper that should only say hello, or read
        ENDING_S = 10,       // patience with a helper that should only kill and reap
        LOWEST_FD = 10,      // keeps clear of the numbers that the helper's descriptors get
        DRAIN_MAX = 1 << 20, // read at most so much of what is left in the pipe; it holds 64 KiB
};

struct pg_launcher {
        char *helper_path;
        struct rlimit nofile; // what targets get, whatever the runner does to its own limit later
        struct pg_helper_shared *shared;
        int shared_fd;
        int socket; // -1 when no helper runs
        pid_t helper;
};

/* ---- the helper -----------------------------------------------------------------------------------------
 */

/* A copy of fd, out of the way of the helper's numbers; -1 and errno on failure. */
static int copy_out_of_the_way(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
        if (copy < 0 && errno == EINVAL) // RLIMIT_NOFILE is not above LOWEST_FD
                errno = EMFILE;
        return copy;
}

static bool map_shared_page(struct pg_launcher *l, struct pg_error *err)
{
        PG_AUTO_CLOSE int fd = memfd_create("perfgate-launch", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, sizeof(*l->shared)) < 0 || (l->shared_fd = copy_out_of_the_way(fd)) < 0)
                return pg_fail_os(err, "cannot make shared memory for the launch helper");
        void *page = mmap(NULL, sizeof(*l->shared), PROT_READ | PROT_WRITE, MAP_SHARED, l->shared_fd, 0);
        if (page == MAP_FAILED)
                return pg_fail_os(err, "cannot map shared memory for the launch helper");
        l->shared = page;
        return true;
}

/* Spawns the helper with the socket as 0, the shared page as 3, nothing on 1 and 2, every signal blocked. */
static int spawn_helper(struct pg_launcher *l, int socket)
{
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        sigset_t all;
        sigfillset(&all);
        if (posix_spawn_file_actions_init(&files) != 0)
                return ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                posix_spawn_file_actions_destroy(&files);
                return ENOMEM;
        }
        int e = posix_spawn_file_actions_adddup2(&files, socket, PG_HELPER_SOCKET);
        e = e ? e : posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
        e = e ? e : posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
        e = e ? e : posix_spawn_file_actions_adddup2(&files, l->shared_fd, PG_HELPER_SHARED);
        e = e ? e : posix_spawnattr_setsigmask(&attributes, &all);
        e = e ? e : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        char *argv[] = { (char[]){ "perfgate-helper" }, NULL }, *envp[] = { NULL };
        e = e ? e : posix_spawn(&l->helper, l->helper_path, &files, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&files);
        return e;
}

/* Forgets the helper; a tree that it leaves behind is killed as far as it can be told. */
static void drop_helper(struct pg_launcher *l)
{
        if (l->socket < 0)
                return;
        close(l->socket);
        l->socket = -1;
        kill(l->helper, SIGKILL);
        while (waitpid(l->helper, NULL, 0) < 0 && errno == EINTR)
                ;
        int target = atomic_exchange(&l->shared->target, 0);
        if (target > 1)
                kill(-target, SIGKILL);
}

static bool expect_hello(struct pg_launcher *l, struct pg_error *err)
{
        struct timeval patience = { .tv_sec = HELLO_S };
        struct pg_helper_hello hello;
        if (setsockopt(l->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            setsockopt(l->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
                return pg_fail_os(err, "cannot talk to the launch helper");
        if (!pg_wire_receive(l->socket, &hello, sizeof(hello)))
                return pg_fail(err, PG_EOS, "the launch helper '%s' does not answer", l->helper_path);
        if (hello.magic != PG_HELPER_MAGIC || hello.version != PG_HELPER_VERSION)
                return pg_fail(err, PG_EOS, "'%s' is not the launch helper of this version of perfgate",
                               l->helper_path);
        return true;
}

static bool start_helper(struct pg_launcher *l, struct pg_error *err)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return pg_fail_os(err, "cannot make a socket for the launch helper");
        int ours = copy_out_of_the_way(pair[0]);
        int theirs = copy_out_of_the_way(pair[1]);
        int e = ours < 0 || theirs < 0 ? errno : 0;
        close(pair[0]);
        close(pair[1]);
        e = e ? e : spawn_helper(l, theirs);
        pg_closep(&theirs); // or the helper's end would never be seen
        if (e) {
                pg_closep(&ours);
                errno = e;
                return pg_fail_os(err, "cannot start the launch helper '%s'", l->helper_path);
        }
        l->socket = ours;
        if (expect_hello(l, err))
                return true;
        drop_helper(l);
        return false;
}

PG_DEFINE_CLEANUP(struct pg_launcher, pg_launcher_destroy)

bool pg_launcher_create(const char *helper_path, struct pg_launcher **ret, struct pg_error *err)
{
        __attribute__((cleanup(pg_launcher_destroyp))) struct pg_launcher *l = calloc(1, sizeof(*l));
        if (!l)
                return pg_fail_nomem(err);
        l->socket = l->shared_fd = -1;
        l->helper_path = strdup(helper_path);
        if (!l->helper_path)
                return pg_fail_nomem(err);
        if (getrlimit(RLIMIT_NOFILE, &l->nofile) < 0)
                return pg_fail_os(err, "cannot read the limit of open files");
        if (!map_shared_page(l, err) || !start_helper(l, err))
                return false;
        *ret = l;
        l = NULL;
        return true;
}

void pg_launcher_destroy(struct pg_launcher *l)
{
        if (!l)
                return;
        drop_helper(l);
        if (l->shared)
                munmap(l->shared, sizeof(*l->shared));
        pg_closep(&l->shared_fd);
        free(l->helper_path);
        free(l);
}

/* ---- asking ---------------------------------------------------------------------------------------------
 */

/* What one launch opens; all of it is close-on-exec. */
struct channel {
        int target[PG_HELPER_FDS]; // for the target
        int errors;                // our end of its standard error, -1 when it keeps the runner's
        bool terminal;             // its standard input is a terminal that is ours to lend
};

static void channel_close_target(struct channel *c)
{
        for (int i = 0; i < PG_HELPER_FDS; i++) {
                pg_closep(&c->target[i]);
                c->target[i] = -1;
        }
}

static void channel_deinit(struct channel *c)
{
        channel_close_target(c);
        pg_closep(&c->errors);
}

#define AUTO_CHANNEL __attribute__((cleanup(channel_deinit)))

/* Opening must not wait for a writer of a pipe, but reading should. */
static int open_input(const char *path, struct pg_error *err)
{
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || fcntl(fd, F_SETFL, 0) < 0) {
                pg_fail(err, PG_ETARGET, "cannot open standard input '%s': %s", path, strerror(errno));
                return -1;
        }
        if (S_ISDIR(st.st_mode)) {
                pg_fail(err, PG_ETARGET, "standard input '%s' is a directory, expected a file", path);
                return -1;
        }
        int out = fd;
        fd = -1;
        return out;
}

static bool open_discarding(struct channel *c, const char *stdin_path, struct pg_error *err)
{
        int pipe_fds[2];
        c->target[0] = open_input(stdin_path ? stdin_path : "/dev/null", err);
        if (c->target[0] < 0)
                return false;
        c->target[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (c->target[1] < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return pg_fail_os(err, "cannot open the target's output");
        c->errors = pipe_fds[0];
        c->target[2] = pipe_fds[1];
        if (fcntl(c->errors, F_SETFL, O_NONBLOCK) < 0)
                return pg_fail_os(err, "cannot open the target's output");
        return true;
}

/* The runner's own three; one that is closed here becomes /dev/null, for a target must have all of them. */
static bool open_inherited(struct channel *c, struct pg_error *err)
{
        for (int i = 0; i < 3; i++) {
                c->target[i] = copy_out_of_the_way(i);
                if (c->target[i] < 0 && errno == EBADF)
                        c->target[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (c->target[i] < 0)
                        return pg_fail_os(err, "cannot pass on descriptor %d", i);
        }
        c->terminal = isatty(0) && tcgetpgrp(0) == getpgrp();
        return true;
}

static bool open_files(struct channel *c, const struct pg_launch_request *r, struct pg_error *err)
{
        c->target[0] = open_input(r->stdin_path ? r->stdin_path : "/dev/null", err);
        if (c->target[0] < 0)
                return false;
        for (int i = 0; i < 2; i++) {
                c->target[i + 1] = copy_out_of_the_way(r->output_fds[i]);
                if (c->target[i + 1] < 0)
                        return pg_fail_os(err, "cannot pass on descriptor %d", r->output_fds[i]);
        }
        return true;
}

static bool open_output(struct channel *c, const struct pg_launch_request *r, struct pg_error *err)
{
        switch (r->output) {
        case PG_OUTPUT_INHERIT:
                return open_inherited(c, err);
        case PG_OUTPUT_FILES:
                return open_files(c, r, err);
        case PG_OUTPUT_DISCARD:
                break;
        }
        return open_discarding(c, r->stdin_path, err);
}

static bool channel_init(struct channel *c, const struct pg_launch_request *r, struct pg_error *err)
{
        *c = (struct channel){ { -1, -1, -1, -1 }, -1, false };
        // the standard ones first: where the runner has closed one of them, no other file may take its number
        if (!open_output(c, r, err))
                return false;
        c->target[PG_HELPER_CWD_FD] = open(r->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c->target[PG_HELPER_CWD_FD] < 0)
                return pg_fail(err, PG_ETARGET, "cannot use '%s' as working directory: %s", r->cwd,
                               strerror(errno));
        return true;
}

static uint32_t append_strings(struct pg_buf *b, const char *const *strings)
{
        uint32_t n = 0;
        for (; strings[n]; n++)
                pg_buf_append(b, strings[n], strlen(strings[n]) + 1);
        return n;
}

/* All in one message where it fits, so that the helper wakes once; the descriptors come with the first byte.
 */
static bool send_run(int socket, const struct pg_helper_request *head, const struct pg_buf *body,
                     const int fds[PG_HELPER_FDS])
{
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(PG_HELPER_FDS * sizeof(int))];
        } control = { 0 };
        struct iovec io[2] = { { (void *)(uintptr_t)head, sizeof(*head) }, { body->data, body->len } };
        struct msghdr m = { .msg_iov = io,
                            .msg_iovlen = 2,
                            .msg_control = control.room,
                            .msg_controllen = sizeof(control.room) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(PG_HELPER_FDS * sizeof(int));
        memcpy(CMSG_DATA(c), fds, PG_HELPER_FDS * sizeof(int));
        ssize_t put;
        do
                put = sendmsg(socket, &m, MSG_NOSIGNAL);
        while (put < 0 && errno == EINTR);
        if (put < (ssize_t)sizeof(*head)) // so few bytes go as a whole or not at all
                return false;
        size_t sent = (size_t)put - sizeof(*head);
        return pg_wire_send(socket, body->data + sent, body->len - sent);
}

static bool send_request(struct pg_launcher *l, const struct pg_launch_request *r, const char *program,
                         const struct channel *c, struct pg_error *err)
{
        PG_AUTO_BUF struct pg_buf body = { 0 };
        pg_buf_append(&body, program, strlen(program) + 1);
        struct pg_helper_request head = {
                .magic = PG_HELPER_MAGIC,
                .kind = PG_HELPER_RUN,
                .flags = (r->fixed_addresses ? PG_HELPER_FIXED_ADDRESSES : 0) |
                         (c->terminal ? PG_HELPER_TERMINAL : 0) | (r->before_exec ? PG_HELPER_WAIT : 0),
                .argc = append_strings(&body, r->argv),
                .envc = append_strings(&body, r->envp),
                .timeout_ns = r->timeout_ns,
                .nofile_soft = l->nofile.rlim_cur,
                .nofile_hard = l->nofile.rlim_max,
        };
        if (!pg_buf_ok(&body, err))
                return false;
        if (body.len > PG_HELPER_MAX_BODY)
                return pg_program_explain(c->target[PG_HELPER_CWD_FD], r->argv[0], program, E2BIG, err);
        head.body_bytes = body.len;
        if (send_run(l->socket, &head, &body, c->target))
                return true;
        drop_helper(l);
        return pg_fail(err, PG_EOS, "the launch helper was killed");
}

/* ---- waiting --------------------------------------------------------------------------------------------
 */

/* The last bytes of a stream. */
struct tail {
        char data[PG_STDERR_TAIL - 1];
        size_t len;
        bool cut;
};

static void tail_append(struct tail *t, const char *data, size_t n)
{
        size_t room = sizeof(t->data);
        if (n > room) {
                data += n - room;
                n = room;
                t->cut = true;
        }
        size_t keep = t->len < room - n ? t->len : room - n;
        t->cut |= keep < t->len;
        memmove(t->data, t->data + t->len - keep, keep);
        memcpy(t->data + keep, data, n);
        t->len = keep + n;
}

/* As a string: no NUL inside, and no half UTF-8 character where it was cut. */
static void tail_copy(const struct tail *t, char out[PG_STDERR_TAIL])
{
        size_t start = 0;
        while (t->cut && start < 3 && start < t->len && ((unsigned char)t->data[start] & 0xc0) == 0x80)
                start++;
        size_t n = 0;
        for (size_t i = start; i < t->len; i++)
                out[n++] = t->data[i] ? t->data[i] : '?';
        out[n] = '\0';
}

struct watch {
        struct pg_launcher *l;
        int errors; // -1 at end of file
        struct tail tail;
        uint64_t give_up_ns; // when a helper that still has not answered counts as hung
        bool stopping;
        struct pg_error refused; // by before_exec
};

/* Reads what is there, once; false when nothing was. */
static bool drain_once(struct watch *w)
{
        char piece[16384];
        ssize_t n = read(w->errors, piece, sizeof(piece));
        if (n > 0)
                tail_append(&w->tail, piece, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                w->errors = -1;
        return n > 0;
}

static void ask_to_stop(struct watch *w)
{
        struct pg_helper_request head = { .magic = PG_HELPER_MAGIC, .kind = PG_HELPER_STOP };
        if (w->stopping)
                return;
        w->stopping = true;
        w->give_up_ns = pg_now_ns() + ENDING_S * (uint64_t)PG_NS_PER_S;
        if (!pg_wire_send(w->l->socket, &head, sizeof(head)))
                w->give_up_ns = 0; // the helper is gone
}

/* Until the helper has answered or is gone; everything else is drained and looked at meanwhile. */
static bool wait_for_answer(struct watch *w, const volatile int *stop, struct pg_helper_answer *ret,
                            struct pg_error *err)
{
        for (;;) {
                if (stop && *stop)
                        ask_to_stop(w);
                struct pollfd fds[2] = { { .fd = w->l->socket, .events = POLLIN },
                                         { .fd = w->errors, .events = POLLIN } };
                int n = poll(fds, 2, STOP_LOOK_MS);
                if (n < 0 && errno != EINTR)
                        return pg_fail_os(err, "cannot wait for the launch helper");
                if (n > 0 && fds[1].revents)
                        drain_once(w);
                if (n > 0 && fds[0].revents)
                        return (pg_wire_receive(w->l->socket, ret, sizeof(*ret)) &&
                                ret->magic == PG_HELPER_MAGIC) ||
                               pg_fail(err, PG_EOS, "the launch helper was killed");
                if (n == 0)
                        kill(w->l->helper, SIGCONT); // a target may have stopped its parent
                if (pg_now_ns() > w->give_up_ns)
                        return pg_fail(err, PG_EOS, "the launch helper does not answer");
        }
}

/* The target waits before its exec: whoever wanted to see it does. After a refusal it is told to end, and its end
 * is waited for as any other. */
static void let_go(struct watch *w, const struct pg_launch_request *r, pid_t pid)
{
        struct pg_helper_request head = { .magic = PG_HELPER_MAGIC, .kind = PG_HELPER_GO };
        if (w->stopping)
                return; // it hears that instead
        if (!r->before_exec || !r->before_exec(r->user, pid, &w->refused)) {
                pg_fail(&w->refused, PG_EOS, "the target was not let go");
                ask_to_stop(w);
                return;
        }
        if (r->timeout_ns)
                w->give_up_ns = pg_now_ns() + r->timeout_ns + ENDING_S * (uint64_t)PG_NS_PER_S;
        if (!pg_wire_send(w->l->socket, &head, sizeof(head)))
                w->give_up_ns = 0; // the helper is gone
}

/* The last answer; the one that says that the target waits is dealt with. */
static bool wait_for_end(struct watch *w, const struct pg_launch_request *r, const volatile int *stop,
                         struct pg_helper_answer *ret, struct pg_error *err)
{
        if (!wait_for_answer(w, stop, ret, err))
                return false;
        if (!r->before_exec || ret->failed_step != PG_STEP_WAITING)
                return true;
        let_go(w, r, ret->pid);
        return wait_for_answer(w, stop, ret, err);
}

static bool explain_failed_step(const struct pg_helper_answer *a, const struct pg_launch_request *r,
                                const char *program, int cwd_fd, struct pg_error *err)
{
        static const char *const steps[PG_STEP_COUNT] = {
                [PG_STEP_FORK] = "cannot make a process",
                [PG_STEP_STDIO] = "cannot set up its standard descriptors",
                [PG_STEP_CWD] = "cannot enter its working directory",
                [PG_STEP_LIMIT] = "cannot set its limit of open files",
                [PG_STEP_REFUSED] = "it was not let go",
        };
        if (a->failed_step >= PG_STEP_COUNT || a->failed_step == PG_STEP_WAITING)
                return pg_fail(err, PG_EOS, "the launch helper gave an answer that makes no sense");
        if (a->failed_step == PG_STEP_EXEC)
                return pg_program_explain(cwd_fd, r->argv[0], program, a->error, err);
        return pg_fail(err, PG_ETARGET, "'%s': %s: %s", r->argv[0], steps[a->failed_step],
                       strerror(a->error));
}

static void fill_result(const struct pg_helper_answer *a, const struct tail *t, struct pg_launch_result *ret)
{
        int signal = WIFSIGNALED(a->status) ? WTERMSIG(a->status) : 0;
        *ret = (struct pg_launch_result){
                .pid = a->pid,
                .exit_status = signal ? 128 + signal : WEXITSTATUS(a->status),
                .signal = signal,
                .timed_out = a->timed_out,
                .fixed_addresses = a->fixed_addresses,
                .wall_ns = a->wall_ns,
                .user_ns = a->user_ns,
                .system_ns = a->system_ns,
                .peak_rss_bytes = a->peak_rss_bytes,
                .left_running = a->left_running,
        };
        tail_copy(t, ret->stderr_tail);
}

/* For when the helper is gone, which else does it. Who is not in the foreground is stopped for trying. */
static void take_terminal_back(void)
{
        sigset_t ttou, old;
        sigemptyset(&ttou);
        sigaddset(&ttou, SIGTTOU);
        pthread_sigmask(SIG_BLOCK, &ttou, &old);
        tcsetpgrp(0, getpgrp());
        pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static bool await(struct pg_launcher *l, const struct pg_launch_request *r, const struct channel *c,
                  const volatile int *stop, struct tail *ret_tail, struct pg_helper_answer *ret,
                  struct pg_error *err)
{
        uint64_t patience_ns = r->timeout_ns + ENDING_S * (uint64_t)PG_NS_PER_S;
        struct watch w = { .l = l, .errors = c->errors };
        w.give_up_ns = r->timeout_ns ? pg_now_ns() + patience_ns : UINT64_MAX;
        if (!wait_for_end(&w, r, stop, ret, err)) {
                drop_helper(l);
                if (c->terminal)
                        take_terminal_back();
                return false;
        }
        for (size_t i = 0; w.errors >= 0 && i < DRAIN_MAX / 16384 && drain_once(&w); i++)
                ;
        *ret_tail = w.tail;
        if (w.refused.code != PG_OK) {
                *err = w.refused;
                return false;
        }
        return w.stopping ? pg_fail(err, PG_ESTOPPED, "interrupted") : true;
}

bool pg_launch(struct pg_launcher *l, const struct pg_launch_request *request, const volatile int *stop,
               struct pg_launch_result *ret, struct pg_error *err)
{
        if (stop && *stop)
                return pg_fail(err, PG_ESTOPPED, "interrupted");
        if (!request->argv[0])
                return pg_fail(err, PG_ETARGET, "the command is empty");
        if (l->socket < 0 && !start_helper(l, err))
                return false;
        AUTO_CHANNEL struct channel c;
        PG_AUTO_FREE char *program = NULL;
        if (!channel_init(&c, request, err) ||
            !pg_program_find(c.target[PG_HELPER_CWD_FD], request->argv[0], request->envp, &program, err) ||
            !send_request(l, request, program, &c, err))
                return false;
        PG_AUTO_CLOSE int cwd_fd = c.target[PG_HELPER_CWD_FD];
        c.target[PG_HELPER_CWD_FD] = -1;
        channel_close_target(&c);

        struct tail tail;
        struct pg_helper_answer answer;
        if (!await(l, request, &c, stop, &tail, &answer, err))
                return false;
        if (answer.failed_step != PG_STEP_NONE)
                return explain_failed_step(&answer, request, program, cwd_fd, err);
        fill_result(&answer, &tail, ret);
        return true;
}
