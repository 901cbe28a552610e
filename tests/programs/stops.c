// SPDX-License-Identifier: MIT
/*
 * stops.c - the tracer stops, our unwinder and libunwind-ptrace walk.
 *
 * The agent's walk is what pg_walk makes of the rules alone; engines know more of the first frame (address_space.c).
 */
#include "tests/programs/stops.h"

#include <libunwind-ptrace.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/engine/address_space.h"
#include "runner/engine/remote_stack.h"
#include "runner/engine/tracer.h"
#include "runner/launch/launch.h"

struct image {
        struct pg_address_space *code;
        unw_addr_space_t theirs; // with the rules it knows of this process
        bool wanted;
};

struct session {
        const struct program *program;
        struct verdict_sums *sums;
        uint64_t at_most, n;
        pid_t pid; // that is stopped
        struct pg_code_files *files;
        struct pg_remote_stack stack;
        struct pg_walked walked[VERDICT_FRAMES];
        struct verdict_stack ours, theirs;
        enum pg_stop why; // ours ended
        /* Stops whose caller is known; of these the return addresses, and the interrupted ones, behind a call. */
        uint64_t n_callers, n_returns, n_interrupted;
        bool failed;
};

/* ---- images ---- */

static bool is_wanted(const struct session *s, pid_t pid)
{
        char link[64], path[4096];
        snprintf(link, sizeof(link), "/proc/%d/exe", pid);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        path[n > 0 ? n : 0] = '\0';
        return program_is(s->program, path);
}

static void *begin(void *context, pid_t pid, pid_t ppid, bool forked, void *parent)
{
        struct session *s = context;
        struct image *image = calloc(1, sizeof(*image));
        (void)ppid, (void)forked, (void)parent;
        if (!image)
                return NULL;
        image->code = pg_address_space_create(s->files);
        image->theirs = unw_create_addr_space(&_UPT_accessors, 0);
        image->wanted = is_wanted(s, pid);
        if (image->theirs)
                unw_set_caching_policy(image->theirs, UNW_CACHE_GLOBAL);
        s->failed = s->failed || !image->code || !image->theirs;
        return image;
}

static void end(void *context, void *argument, const struct pg_trace_end *how)
{
        struct image *image = argument;
        (void)context, (void)how;
        pg_address_space_release(image->code);
        if (image->theirs)
                unw_destroy_addr_space(image->theirs);
        free(image);
}

/* ---- one stop ---- */

static pg_rule rule_of(void *image, uint64_t address)
{
        return pg_address_space_rule(((struct image *)image)->code, address);
}

static void walk_ours(struct session *s, struct image *image, const struct pg_trace_stop *stop,
                      enum stops_walk how)
{
        const struct user_regs_struct *u = stop->regs;
        const uint64_t all[PG_GREGS] = { u->r8,  u->r9,  u->r10, u->r11, u->r12, u->r13,
                                         u->r14, u->r15, u->rdi, u->rsi, u->rbp, u->rbx,
                                         u->rdx, u->rax, u->rcx, u->rsp, u->rip };
        struct pg_regs r = { .pc = u->rip, .sp = u->rsp, .bp = u->rbp, .all = all, .exact = true };
        struct pg_unwinder agent = { .find = rule_of, .context = image };
        pg_remote_stack_start(&s->stack, stop->tid, u->rsp);
        s->ours.n = how == STOPS_AGENT
                            ? pg_walk(&agent, &r, &s->stack.stack, s->walked, VERDICT_FRAMES, &s->why)
                            : pg_address_space_walk(image->code, &r, &s->stack.stack, s->walked,
                                                    VERDICT_FRAMES, &s->why);
        if (how == STOPS_AGENT && s->ours.n > 1 && s->why != PG_STOP_ROOT &&
            !pg_address_space_is_code(image->code, s->walked[s->ours.n - 1].address))
                s->ours.n--; // a caller where no code is, is no frame
        s->ours.complete = s->why == PG_STOP_ROOT;
        for (uint32_t i = 0; i < s->ours.n; i++)
                s->ours.address[i] = s->walked[i].address;
}

static bool walk_theirs(struct session *s, const struct image *image, pid_t tid)
{
        unw_cursor_t cursor;
        unw_word_t ip;
        void *upt = _UPT_create(tid);
        int more = upt && unw_init_remote(&cursor, image->theirs, upt) == 0;
        if (!more)
                return false;
        s->theirs.n = 0;
        for (; more > 0 && s->theirs.n < VERDICT_FRAMES; more = unw_step(&cursor)) {
                if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0)
                        break;
                s->theirs.exact[s->theirs.n] = s->theirs.n == 0 || unw_is_signal_frame(&cursor) > 0;
                s->theirs.address[s->theirs.n++] = ip;
        }
        s->theirs.complete = more == 0;
        _UPT_destroy(upt);
        return s->theirs.n > 0;
}

static void name_module(const struct image *image, struct verdict_example *e, uint32_t which,
                        uint64_t address)
{
        uint32_t number = pg_address_space_locate(image->code, address, &e->module_address[which]);
        const char *path =
                number == PG_MODULE_NONE ? "[none]" : pg_address_space_module(image->code, number)->path;
        const char *slash = strrchr(path, '/');
        snprintf(e->module[which], sizeof(e->module[which]), "%s", slash ? slash + 1 : path);
}

static const char *path_of(const struct image *image, uint64_t address)
{
        uint64_t unused;
        uint32_t number = pg_address_space_locate(image->code, address, &unused);
        return number == PG_MODULE_NONE ? "" : pg_address_space_module(image->code, number)->path;
}

static bool is_in(const struct session *s, const struct image *image, uint32_t i, const char *library)
{
        const char *path = path_of(image, s->ours.address[i]), *slash = strrchr(path, '/');
        return strncmp(slash ? slash + 1 : path, library, strlen(library)) == 0;
}

/* Whether a call ends at this address: e8 and a distance, or ff /2 with an operand of up to 5 bytes and a prefix. */
static bool follows_a_call(pid_t pid, uint64_t address)
{
        enum { LONGEST = 7 };
        unsigned char code[LONGEST];
        const struct iovec here = { code, LONGEST },
                           there = { (void *)(uintptr_t)(address - LONGEST), LONGEST };
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != LONGEST)
                return false;
        bool follows = code[LONGEST - 5] == 0xe8;
        for (int length = 2; length <= LONGEST; length++)
                follows |= code[LONGEST - length] == 0xff && (code[LONGEST - length + 1] >> 3 & 7) == 2;
        return follows;
}

/* follows_a_call() is to hold for return addresses, and seldom for others. */
static void try_it(struct session *s)
{
        if (s->theirs.n < 2 || s->theirs.exact[1])
                return;
        s->n_callers++;
        s->n_returns += follows_a_call(s->pid, s->theirs.address[1]);
        s->n_interrupted += follows_a_call(s->pid, s->theirs.address[0]);
}

/* False: it tells nothing. Some callers are libunwind's guesses, some instructions do stand behind a call. */
static bool was_telling(const struct session *s, struct pg_error *err)
{
        return (s->n_returns * 10 > s->n_callers * 9 && s->n_interrupted * 2 < s->n_callers) ||
               pg_fail(err, PG_EOS,
                       "of %lu return addresses %lu stand behind a call, of interrupted instructions %lu",
                       (unsigned long)s->n_callers, (unsigned long)s->n_returns,
                       (unsigned long)s->n_interrupted);
}

/* Deep in the handler's frame or already at its door: test_oracle.c, "landing". */
static bool is_about_to_land(const struct session *s, const struct image *image, uint32_t at)
{
        if (at >= 2 && is_in(s, image, at - 2, "libgcc_s.so") && !is_in(s, image, at - 1, "libgcc_s.so"))
                return true;
        return at >= 2 && is_in(s, image, 0, "libgcc_s.so") &&
               !follows_a_call(s->pid, s->ours.address[at - 1] + 1);
}

/* What explains that frame `at` is not the same. */
static enum verdict_class class_of(const struct session *s, const struct image *image, enum verdict v,
                                   uint32_t at)
{
        if (v == VERDICT_EQUAL || at == 0)
                return CLASS_NONE;
        if (is_about_to_land(s, image, at))
                return CLASS_LANDING;
        if (v == VERDICT_WE_STOP && s->why == PG_STOP_REGISTER && is_in(s, image, at - 1, "ld-linux"))
                return CLASS_RESOLVER;
        for (uint32_t i = 0; i < at; i++) {
                if (v != VERDICT_WE_STOP && is_in(s, image, i, "[vdso]"))
                        return CLASS_VDSO;
                if (pg_rule_cfa(pg_address_space_rule(image->code, s->ours.address[i])) == PG_CFA_CHAIN)
                        return CLASS_NO_CFI;
        }
        return CLASS_NONE;
}

static void judge(struct session *s, struct image *image, struct verdict_sums *sums)
{
        uint32_t at;
        enum verdict v = verdict_of(&s->ours, &s->theirs, &at);
        struct verdict_example *e = verdict_add(sums, v, at, class_of(s, image, v, at), &s->ours, &s->theirs);
        if (!e)
                return;
        for (uint32_t i = 0; i < VERDICT_NAMED && e->from + i < s->ours.n; i++)
                name_module(image, e, i, s->ours.address[e->from + i]);
}

static void sample(void *context, void *argument, const struct pg_trace_stop *stop)
{
        struct session *s = context;
        struct image *image = argument;
        struct pg_error err = { 0 };
        if (!image->wanted || s->failed || s->n >= s->at_most)
                return;
        s->n++;
        s->pid = stop->pid;
        if (!stop->regs || !pg_address_space_read_maps(&image->code, stop->pid, &err) ||
            !walk_theirs(s, image, stop->tid)) {
                atomic_fetch_add(&s->sums->unseen, 1);
                return;
        }
        try_it(s);
        for (int how = 0; how < STOPS_WALKS; how++) {
                walk_ours(s, image, stop, (enum stops_walk)how);
                judge(s, image, &s->sums[how]);
        }
}

/* ---- the run ---- */

static bool seize(void *user, pid_t pid, struct pg_error *err)
{
        return pg_tracer_seize(user, pid, err);
}

/* Traced from its exec on. By the launcher, because a parent in our own process would be told of the stops too. */
static int run_traced(struct session *s, struct pg_tracer *tracer, struct pg_error *err)
{
        const struct pg_launch_request request = { .argv = s->program->argv,
                                                   .envp = (const char *const *)environ,
                                                   .cwd = ".",
                                                   .timeout_ns = 120ull * PG_NS_PER_S,
                                                   .before_exec = seize,
                                                   .user = tracer };
        struct pg_launcher *launcher = NULL;
        struct pg_launch_result result;
        struct pg_trace_counts counts;
        bool ok = pg_launcher_create(HELPER, &launcher, err) &&
                  pg_launch(launcher, &request, NULL, &result, err) &&
                  pg_tracer_finish(tracer, PG_NS_PER_S, &counts, err);
        pg_launcher_destroy(launcher);
        return ok && !s->failed ? result.exit_status : -1;
}

int stops_run(const struct program *p, uint64_t period_ns, uint64_t at_most,
              struct verdict_sums ret[STOPS_WALKS])
{
        struct session *s = calloc(1, sizeof(*s));
        struct pg_tracer *tracer = NULL;
        struct pg_error err = { 0 };
        int status = -1;
        if (!s)
                return -1;
        *s = (struct session){
                .program = p, .sums = ret, .at_most = at_most, .files = pg_code_files_create()
        };
        const struct pg_trace_handler handler = { s, begin, sample, end };
        if (s->files && pg_remote_stack_init(&s->stack) &&
            pg_tracer_create(&handler, period_ns, &tracer, &err))
                status = run_traced(s, tracer, &err);
        if (status == 0 && !was_telling(s, &err))
                status = -1;
        if (status == -1)
                fprintf(stderr, "%s: %s\n", p->name, err.text);
        pg_tracer_destroy(tracer);
        pg_remote_stack_deinit(&s->stack);
        pg_code_files_destroy(s->files);
        free(s);
        return status;
}
