// SPDX-License-Identifier: MIT
/*
 * ptrace_engine.c - the target's threads are stopped for an instant each time they have consumed a period
 * of CPU time.
 *
 * For programs that the loader cannot give an agent, where perf events are forbidden. A stop costs the
 * thread two switches of context, so no thread is sampled more often than 250 times in a second of its
 * CPU time, whatever is asked for. Stacks are read while the thread stands, as deep as they are, and
 * walked at once.
 *
 * A program has one tracer at most: targets that trace their own processes (debuggers, LeakSanitizer at
 * its end) are told that they may not.
 *
 * A set-user-ID program that the target starts runs without its privileges while it is traced, unless we
 * have them: the kernel's rule, which a gap in the result tells of.
 */
#include "runner/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/capture/stacks.h"
#include "runner/engine/address_space.h"
#include "runner/engine/ptrace_obstacle.h"
#include "runner/engine/remote_stack.h"
#include "runner/engine/tracer.h"

enum { OWN_RATE_HZ_MAX = 250 };
static const uint64_t END_PATIENCE_NS = 2ull * PG_NS_PER_S; // for the tree's end, when it was reported
static const uint64_t MAPS_AGAIN_NS = 20ull * PG_NS_PER_MS; // after a look for new code that found none

struct image {
        uint32_t process; // in the stacks
        struct pg_address_space *code;
        uint32_t *modules; // numbers in the stacks of the address space's modules
        uint32_t n_modules;
        uint64_t maps_due_ns; // reading the maps again is worth it from then on
};

struct pg_engine_session {
        struct pg_arena *arena; // holds s as well
        uint64_t period_ns;
        struct pg_tracer *tracer;
        struct pg_stacks *stacks;
        struct pg_code_files *files;
        struct pg_remote_stack stack;
        struct pg_walked *walked; // PG_STACK_MAX of each
        pg_place *places;
        struct pg_error err;          // of the tracing thread: the first one
        struct pg_captured_gap *gaps; // in the arena
        size_t n_gaps;
};

/* ---- images: called by the tracing thread -------------------------------------------------------- */

static bool read_maps(struct image *image, pid_t pid, struct pg_error *err)
{
        struct pg_error gone = { 0 };
        uint32_t known = pg_address_space_n_modules(image->code);
        if (!pg_address_space_read_maps(&image->code, pid, &gone) && gone.code != PG_EOS) {
                *err = gone; // a process that is gone is none, it has no more stacks either
                return false;
        }
        if (pg_address_space_n_modules(image->code) == known)
                image->maps_due_ns = pg_now_ns() + MAPS_AGAIN_NS;
        return true;
}

static void image_destroy(struct image *image)
{
        if (!image)
                return;
        pg_address_space_release(image->code);
        free(image->modules);
        free(image);
}
PG_DEFINE_CLEANUP(struct image, image_destroy)

static void read_program(pid_t pid, char *path, size_t size)
{
        char link[32];
        snprintf(link, sizeof(link), "/proc/%d/exe", pid);
        ssize_t n = readlink(link, path, size - 1);
        path[n > 0 ? n : 0] = '\0';
}

/* A program that should have changed its user or group and was not allowed to. */
static bool lacks_privileges(pid_t pid)
{
        char link[32], proc[32];
        struct stat program, process;
        snprintf(link, sizeof(link), "/proc/%d/exe", pid);
        snprintf(proc, sizeof(proc), "/proc/%d/stat", pid);
        if (geteuid() == 0 || stat(link, &program) != 0 || stat(proc, &process) != 0)
                return false;
        return (program.st_mode & S_ISUID && program.st_uid != process.st_uid) ||
               ((program.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                program.st_gid != process.st_gid);
}

static bool add_gap(struct pg_engine_session *s, pid_t pid, const char *program)
{
        struct pg_captured_gap *gaps = pg_arena_grow(s->arena, s->gaps, s->n_gaps, sizeof(*gaps));
        char *path = pg_arena_strdup(s->arena, program);
        if (!gaps || !path)
                return pg_fail_nomem(&s->err);
        s->gaps = gaps;
        gaps[s->n_gaps++] = (struct pg_captured_gap){ pid, path, "set-user-ID: ran without its privileges" };
        return true;
}

static struct image *make_image(struct pg_engine_session *s, pid_t pid, pid_t ppid, bool forked,
                                const struct image *parent)
{
        __attribute__((cleanup(image_destroyp))) struct image *image = calloc(1, sizeof(*image));
        char program[PG_PATH_MAX_BYTES];
        read_program(pid, program, sizeof(program));
        if (image)
                image->code =
                        parent ? pg_address_space_share(parent->code) : pg_address_space_create(s->files);
        if (!image || !image->code) {
                pg_fail_nomem(&s->err);
                return NULL;
        }
        if (!pg_stacks_add_process(s->stacks, pid, ppid, program, pg_now_ns(), forked, &image->process,
                                   &s->err) ||
            (!parent && !read_maps(image, pid, &s->err)) ||
            (!forked && lacks_privileges(pid) && !add_gap(s, pid, program)))
                return NULL;
        struct image *made = image;
        image = NULL;
        return made;
}

static void *begin(void *context, pid_t pid, pid_t ppid, bool forked, void *parent)
{
        struct pg_engine_session *s = context;
        return s->err.code == PG_OK ? make_image(s, pid, ppid, forked, parent) : NULL;
}

static void end(void *context, void *argument, const struct pg_trace_end *end)
{
        struct pg_engine_session *s = context;
        struct image *image = argument;
        struct pg_captured_process *p = pg_stacks_process(s->stacks, image->process);
        p->execed = end->execed;
        p->n_threads = p->threads_armed = p->threads_stopped = end->threads;
        p->lost_samples = end->lost_points;
        p->lost_weight_ns = end->lost_points * s->period_ns;
        image_destroy(image);
}

/* ---- samples: called by the tracing thread ------------------------------------------------------- */

/* Modules that the address space has got since the last time. */
static bool add_modules(struct pg_engine_session *s, struct image *image)
{
        uint32_t n = pg_address_space_n_modules(image->code);
        if (n <= image->n_modules)
                return true;
        uint32_t *modules = reallocarray(image->modules, n, sizeof(*modules));
        if (!modules)
                return pg_fail_nomem(&s->err);
        image->modules = modules;
        for (; image->n_modules < n; image->n_modules++) {
                const struct pg_code_module *m = pg_address_space_module(image->code, image->n_modules);
                struct pg_captured_module module = { m->path, m->start, m->end, m->bias, m->is_main };
                if (!pg_stacks_add_module(s->stacks, image->process, &module, &modules[image->n_modules],
                                          &s->err))
                        return false;
        }
        return true;
}

/*
 * Where a walk ends because the program has switched stacks, and its code keeps frame pointers (Go,
 * generated code), they lead on from one stack to the other. As long as it is such code: elsewhere the
 * register holds anything.
 */
static uint32_t follow_frame_pointers(struct pg_engine_session *s, const struct image *image, pid_t tid,
                                      uint64_t frame_pointer, uint32_t n, enum pg_stop *end)
{
        uint64_t frame[2];
        while (n < PG_STACK_MAX &&
               pg_address_space_keeps_frame_pointers(image->code, s->walked[n - 1].address)) {
                if (frame_pointer == 0)
                        *end = PG_STOP_ROOT;
                if (frame_pointer == 0 || !pg_remote_frame(tid, frame_pointer, frame) ||
                    !pg_address_space_is_code(image->code, frame[1] - 1))
                        break;
                pg_rule rule = pg_address_space_rule(image->code, frame[1] - 1);
                s->walked[n++] = (struct pg_walked){ frame[1] - 1, rule };
                if (pg_rule_cfa(rule) != PG_CFA_STOP && pg_rule_ra(rule) == PG_RA_UNDEFINED) {
                        *end = PG_STOP_ROOT;
                        break;
                }
                frame_pointer = frame[0];
        }
        return n;
}

static uint32_t walk(struct pg_engine_session *s, struct image *image, const struct pg_trace_stop *stop,
                     enum pg_stop *ret_end)
{
        const struct user_regs_struct *u = stop->regs;
        const uint64_t all[PG_GREGS] = { u->r8,  u->r9,  u->r10, u->r11, u->r12, u->r13,
                                         u->r14, u->r15, u->rdi, u->rsi, u->rbp, u->rbx,
                                         u->rdx, u->rax, u->rcx, u->rsp, u->rip };
        struct pg_regs r = { .pc = u->rip, .sp = u->rsp, .bp = u->rbp, .all = all, .exact = true };
        pg_remote_stack_start(&s->stack, stop->tid, u->rsp);
        uint32_t n =
                pg_address_space_walk(image->code, &r, &s->stack.stack, s->walked, PG_STACK_MAX, ret_end);
        if (*ret_end == PG_STOP_ROOT || r.bp_lost || pg_regs_lookup(&r) != s->walked[n - 1].address)
                return n;
        return follow_frame_pointers(s, image, stop->tid, r.bp, n, ret_end);
}

/* Code may have been loaded since the maps were read. */
static bool is_stale(const struct image *image, enum pg_stop end)
{
        return end != PG_STOP_ROOT && end != PG_STOP_MEMORY && end != PG_STOP_DEPTH &&
               pg_now_ns() >= image->maps_due_ns;
}

static uint32_t find_places(struct pg_engine_session *s, const struct image *image, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                uint64_t address;
                uint32_t module = pg_address_space_locate(image->code, s->walked[i].address, &address);
                module = module < image->n_modules ? image->modules[module] : PG_MODULE_NONE;
                s->places[i] = PG_PLACE(module, module == PG_MODULE_NONE ? s->walked[i].address : address);
        }
        return n;
}

static bool add_sample(struct pg_engine_session *s, struct image *image, const struct pg_trace_stop *stop)
{
        enum pg_stop end = PG_STOP_UNSUPPORTED;
        uint32_t n = stop->regs ? walk(s, image, stop, &end) : 0;
        if (stop->regs && is_stale(image, end)) {
                if (!read_maps(image, stop->pid, &s->err))
                        return false;
                n = walk(s, image, stop, &end);
        }
        if (stop->in_call)
                pg_stacks_process(s->stacks, image->process)->call_weight_ns += stop->points * s->period_ns;
        return add_modules(s, image) &&
               pg_stacks_add(s->stacks, image->process, s->places, find_places(s, image, n), 1,
                             stop->points * s->period_ns, end, &s->err);
}

static void sample(void *context, void *image, const struct pg_trace_stop *stop)
{
        struct pg_engine_session *s = context;
        if (s->err.code == PG_OK)
                (void)!add_sample(s, image, stop);
}

/* ---- operations ---------------------------------------------------------------------------------- */

static const char *ptrace_obstacle(const char *program, const struct pg_engine_request *request,
                                   struct pg_arena *a)
{
        (void)request;
        return pg_ptrace_obstacle(program, a);
}

static void ptrace_stop(struct pg_engine_session *s)
{
        if (!s)
                return;
        pg_tracer_destroy(s->tracer); // ends all images
        pg_stacks_destroy(s->stacks);
        pg_code_files_destroy(s->files);
        pg_remote_stack_deinit(&s->stack);
        free(s->walked);
        free(s->places);
        pg_arena_destroy(s->arena);
}

static bool fill_session(struct pg_engine_session *s, struct pg_error *err)
{
        const struct pg_trace_handler handler = { s, begin, sample, end };
        s->stacks = pg_stacks_create();
        s->files = pg_code_files_create();
        s->walked = calloc(PG_STACK_MAX, sizeof(*s->walked));
        s->places = calloc(PG_STACK_MAX, sizeof(*s->places));
        if (!s->stacks || !s->files || !s->walked || !s->places || !pg_remote_stack_init(&s->stack))
                return pg_fail_nomem(err);
        return pg_tracer_create(&handler, s->period_ns, &s->tracer, err);
}

static bool ptrace_start(const struct pg_engine_request *request, struct pg_engine_session **ret,
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
        uint32_t rate_hz = request->rate_hz < OWN_RATE_HZ_MAX ? request->rate_hz : OWN_RATE_HZ_MAX;
        s->period_ns = PG_NS_PER_S / rate_hz;
        if (!fill_session(s, err)) {
                ptrace_stop(s);
                return false;
        }
        *ret = s;
        return true;
}

static const char *const *ptrace_environment(const struct pg_engine_session *s)
{
        static const char *const nothing[] = { NULL };
        (void)s;
        return nothing;
}

static const char *ptrace_preload(const struct pg_engine_session *s)
{
        (void)s;
        return NULL;
}

static bool ptrace_before_exec(struct pg_engine_session *s, pid_t pid, struct pg_error *err)
{
        return pg_tracer_seize(s->tracer, pid, err);
}

static bool ptrace_collect(struct pg_engine_session *s, struct pg_arena *a, struct pg_captured **ret,
                           struct pg_error *err)
{
        struct pg_trace_counts counts;
        if (!pg_tracer_finish(s->tracer, END_PATIENCE_NS, &counts, err))
                return false;
        if (s->err.code != PG_OK) {
                *err = s->err;
                return false;
        }
        struct pg_captured *c;
        if (!pg_stacks_finish(s->stacks, a, &c, err))
                return false;
        c->gaps = pg_arena_calloc(a, s->n_gaps, sizeof(*c->gaps));
        for (size_t i = 0; c->gaps && i < s->n_gaps; i++) {
                c->gaps[i] = s->gaps[i];
                c->gaps[i].path = pg_arena_strdup(a, s->gaps[i].path);
                if (!c->gaps[i].path)
                        return pg_fail_nomem(err);
        }
        c->n_gaps = s->n_gaps;
        *ret = c;
        return c->gaps || pg_fail_nomem(err);
}

const struct pg_engine_ops pg_ptrace_engine = {
        .name = "ptrace",
        .obstacle = ptrace_obstacle,
        .start = ptrace_start,
        .environment = ptrace_environment,
        .preload = ptrace_preload,
        .before_exec = ptrace_before_exec,
        .collect = ptrace_collect,
        .stop = ptrace_stop,
};
