// SPDX-License-Identifier: MIT
/*
 * perf_tree.c - live processes by pid, each with its address space and its place among the stacks.
 *
 * A stack is unwound from registers and the copied part of the stack by call frame information. Where that ends
 * early in code that keeps frame pointers, the kernel's own chain, which followed them through all memory, goes on;
 * through other code the chain is a guess and not taken.
 */
#include "runner/engine/perf_tree.h"

#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/engine/address_space.h"

enum { BUCKETS = 1024, STREAMS_FIRST = 256, STREAMS_MAX = 1 << 20 };

/* What runs in a process between two execs. */
struct image {
        struct pg_address_space *as; // NULL: there is none
        uint32_t stacks;             // its number there
        uint32_t *modules;           // numbers there, by number in as; UINT32_MAX: not yet
        uint32_t n_modules;
};

struct process {
        struct process *next; // in its bucket
        uint32_t pid, ppid;
        uint32_t live_threads;
        bool named; // the program is known
        struct image now;
        struct image before; // its last exec: the kernel's work for it still shows registers of then
};

/* How many ticks an event of one thread on one CPU has seen. */
struct stream {
        uint64_t id; // 0: free
        uint32_t ticks;
};

struct pg_perf_tree {
        struct pg_code_files *files;
        struct pg_stacks *stacks;
        struct process *buckets[BUCKETS];
        struct stream *streams;
        uint32_t n_streams, streams_room; // a power of two
        uint32_t keep_every;
        struct pg_perf_totals totals;
        struct pg_walked walked[PG_STACK_MAX];
        pg_place places[PG_STACK_MAX + 1];
};

bool pg_perf_tree_create(uint32_t keep_every, struct pg_perf_tree **ret, struct pg_error *err)
{
        struct pg_perf_tree *t = calloc(1, sizeof(*t));
        if (!t)
                return pg_fail_nomem(err);
        t->keep_every = keep_every;
        t->files = pg_code_files_create();
        t->stacks = pg_stacks_create();
        t->streams_room = STREAMS_FIRST;
        t->streams = calloc(t->streams_room, sizeof(*t->streams));
        if (!t->files || !t->stacks || !t->streams) {
                pg_perf_tree_destroy(t);
                return pg_fail_nomem(err);
        }
        *ret = t;
        return true;
}

static void image_deinit(struct image *i)
{
        pg_address_space_release(i->as);
        free(i->modules);
        *i = (struct image){ .as = NULL };
}

static void process_destroy(struct process *p)
{
        image_deinit(&p->now);
        image_deinit(&p->before);
        free(p);
}

void pg_perf_tree_destroy(struct pg_perf_tree *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < BUCKETS; i++)
                for (struct process *p = t->buckets[i], *next; p; p = next) {
                        next = p->next;
                        process_destroy(p);
                }
        pg_code_files_destroy(t->files);
        pg_stacks_destroy(t->stacks);
        free(t->streams);
        free(t);
}

/* ---- processes ------------------------------------------------------------------------------------------- */

static struct process **bucket_of(struct pg_perf_tree *t, uint32_t pid)
{
        return &t->buckets[pid % BUCKETS];
}

static struct process *find_process(struct pg_perf_tree *t, uint32_t pid)
{
        struct process *p = *bucket_of(t, pid);
        while (p && p->pid != pid)
                p = p->next;
        return p;
}

static void forget_process(struct pg_perf_tree *t, uint32_t pid)
{
        for (struct process **at = bucket_of(t, pid); *at; at = &(*at)->next)
                if ((*at)->pid == pid) {
                        struct process *p = *at;
                        *at = p->next;
                        process_destroy(p);
                        return;
                }
}

/* Another image of p, or its first one. */
static bool begin_image(struct pg_perf_tree *t, struct process *p, const char *program, uint64_t start_ns,
                        bool forked, struct pg_error *err)
{
        if (!pg_stacks_add_process(t->stacks, (int32_t)p->pid, (int32_t)p->ppid, program, start_ns, forked,
                                   &p->now.stacks, err))
                return false;
        struct pg_captured_process *c = pg_stacks_process(t->stacks, p->now.stacks);
        c->n_threads = c->threads_armed = c->threads_task_clock = 1;
        return true;
}

/* A process with an address space, taken, that is its own. */
static bool add_process(struct pg_perf_tree *t, uint32_t pid, uint32_t ppid,
                        struct pg_address_space *as_taken, const char *program, uint64_t start_ns,
                        bool forked, struct process **ret, struct pg_error *err)
{
        struct process *p = calloc(1, sizeof(*p));
        if (!p || !as_taken) {
                pg_address_space_release(as_taken);
                free(p);
                return pg_fail_nomem(err);
        }
        *p = (struct process){ .pid = pid, .ppid = ppid, .live_threads = 1, .named = *program };
        p->now.as = as_taken;
        forget_process(t, pid); // its end was lost
        p->next = *bucket_of(t, pid);
        *bucket_of(t, pid) = p;
        t->totals.tasks++;
        *ret = p;
        return begin_image(t, p, program, start_ns, forked, err);
}

static bool require_process(struct pg_perf_tree *t, const struct pg_perf_record *r, struct process **ret,
                            struct pg_error *err)
{
        *ret = find_process(t, r->pid);
        return *ret ||
               add_process(t, r->pid, 0, pg_address_space_create(t->files), "", r->time_ns, false, ret, err);
}

static bool on_exec(struct pg_perf_tree *t, const struct pg_perf_record *r, struct pg_error *err)
{
        struct process *p = find_process(t, r->pid);
        if (!p)
                return require_process(t, r, &p, err);
        struct pg_address_space *as = pg_address_space_create(t->files);
        if (!as)
                return pg_fail_nomem(err);
        image_deinit(&p->before);
        p->before = p->now;
        p->now = (struct image){ .as = as };
        p->live_threads = 1; // exec ends all others
        p->named = false;
        pg_stacks_process(t->stacks, p->before.stacks)->execed = true;
        return begin_image(t, p, "", r->time_ns, false, err);
}

static bool on_fork(struct pg_perf_tree *t, const struct pg_perf_record *r, struct pg_error *err)
{
        struct process *parent, *child;
        if (r->pid == r->task.ppid) {
                if (!require_process(t, r, &parent, err))
                        return false;
                struct pg_captured_process *c = pg_stacks_process(t->stacks, parent->now.stacks);
                c->n_threads++;
                c->threads_armed++;
                c->threads_task_clock++;
                parent->live_threads++;
                t->totals.tasks++;
                return true;
        }
        parent = find_process(t, r->task.ppid);
        PG_AUTO_FREE char *program = NULL;
        if (parent) {
                program = strdup(
                        pg_stacks_program(t->stacks, parent->now.stacks)); // it moves when the child is added
                if (!program)
                        return pg_fail_nomem(err);
        }
        struct pg_address_space *as =
                parent ? pg_address_space_share(parent->now.as) : pg_address_space_create(t->files);
        return add_process(t, r->pid, r->task.ppid, as, program ? program : "", r->time_ns, true, &child,
                           err);
}

static void on_end(struct pg_perf_tree *t, const struct pg_perf_record *r)
{
        struct process *p = find_process(t, r->pid);
        if (p && p->live_threads > 0 && --p->live_threads == 0)
                forget_process(t, r->pid);
}

/* The first file that an image maps is its program. */
static bool on_map(struct pg_perf_tree *t, const struct pg_perf_record *r, struct pg_error *err)
{
        struct process *p;
        const struct pg_mapping m = { r->map.start, r->map.end,      r->map.file_offset,   r->map.path,
                                      r->map.inode, r->map.build_id, r->map.build_id_bytes };
        if (!require_process(t, r, &p, err) || !pg_address_space_map(&p->now.as, (pid_t)r->pid, &m, err))
                return false;
        if (p->named || pg_address_space_n_modules(p->now.as) == 0)
                return true;
        p->named = true;
        return pg_stacks_set_program(t->stacks, p->now.stacks, pg_address_space_module(p->now.as, 0)->path,
                                     err);
}

/* ---- samples --------------------------------------------------------------------------------------------- */

/* Where the stream stands, or would stand. */
static struct stream *stream_slot(const struct pg_perf_tree *t, uint64_t id)
{
        uint32_t i = (uint32_t)(id * 0x9e3779b97f4a7c15ull >> 32) & (t->streams_room - 1);
        while (t->streams[i].id && t->streams[i].id != id)
                i = (i + 1) & (t->streams_room - 1);
        return &t->streams[i];
}

/* Twice the room; or, when there are too many of them to believe that all still run, none known. */
static bool make_stream_room(struct pg_perf_tree *t, struct pg_error *err)
{
        struct stream *old = t->streams;
        uint32_t n = t->streams_room, room = n < STREAMS_MAX ? n * 2 : n;
        struct stream *larger = calloc(room, sizeof(*larger));
        if (!larger)
                return pg_fail_nomem(err);
        t->streams = larger;
        t->streams_room = room;
        t->n_streams = 0;
        for (uint32_t i = 0; room != n && i < n; i++)
                if (old[i].id) {
                        *stream_slot(t, old[i].id) = old[i];
                        t->n_streams++;
                }
        free(old);
        return true;
}

/* Whether this tick is one to keep. The first one of a stream that is kept is as if by lot, so that a thread shorter
 * than the period between two that are kept is seen as often as its share demands: golden-ratio hashing spreads
 * consecutive numbers evenly. */
static bool is_kept(struct pg_perf_tree *t, uint64_t id, bool *ret, struct pg_error *err)
{
        *ret = true;
        if (t->keep_every == 1)
                return true;
        if (t->n_streams >= t->streams_room / 2 && !make_stream_room(t, err))
                return false;
        struct stream *s = stream_slot(t, id);
        if (s->id == 0) {
                t->n_streams++;
                *s = (struct stream){ id, (uint32_t)(id * 0x9e3779b97f4a7c15ull >> 40) };
        }
        *ret = ++s->ticks % t->keep_every == 0;
        return true;
}

static bool number_of_module(struct pg_perf_tree *t, struct image *image, uint32_t in_space, uint32_t *ret,
                             struct pg_error *err)
{
        uint32_t n = pg_address_space_n_modules(image->as);
        if (n > image->n_modules) {
                uint32_t *larger = reallocarray(image->modules, n, sizeof(*larger));
                if (!larger)
                        return pg_fail_nomem(err);
                memset(larger + image->n_modules, 0xff, (n - image->n_modules) * sizeof(*larger));
                image->modules = larger;
                image->n_modules = n;
        }
        if (image->modules[in_space] == UINT32_MAX) {
                const struct pg_code_module *c = pg_address_space_module(image->as, in_space);
                const struct pg_captured_module shown = { c->path, c->start, c->end, c->bias, c->is_main };
                if (!pg_stacks_add_module(t->stacks, image->stacks, &shown, &image->modules[in_space], err))
                        return false;
        }
        *ret = image->modules[in_space];
        return true;
}

static bool place_of(struct pg_perf_tree *t, struct image *image, uint64_t address, pg_place *ret,
                     struct pg_error *err)
{
        uint64_t in_file;
        uint32_t number = pg_address_space_locate(image->as, address, &in_file);
        if (number != PG_MODULE_NONE && !number_of_module(t, image, number, &number, err))
                return false;
        *ret = PG_PLACE(number, number == PG_MODULE_NONE ? address : in_file);
        return true;
}

static uint32_t walk_copy(struct pg_perf_tree *t, struct image *image, const struct pg_perf_record *r,
                          size_t stack_bytes, enum pg_stop *ret_end)
{
        const uint64_t *all = r->sample.regs;
        struct pg_regs regs = {
                .pc = all[PG_GREG_PC], .sp = all[PG_GREG_SP], .bp = all[PG_GREG_BP], .all = all, .exact = true
        };
        // words of a stack pointer that is no multiple of 8 cannot be read: then there is no stack
        uint64_t bytes = regs.sp % 8 || regs.sp + stack_bytes < regs.sp ? 0 : stack_bytes;
        struct pg_stack stack = { .lo = regs.sp,
                                  .hi = regs.sp + bytes,
                                  .shift = (uint64_t)(uintptr_t)r->sample.stack - regs.sp };
        return pg_address_space_walk(image->as, &regs, &stack, t->walked, PG_STACK_MAX, ret_end);
}

/* First entry of the user's part of the kernel's chain behind the interrupted instruction; n_chain: none. */
static size_t first_caller(const struct pg_perf_record *r)
{
        size_t i = 0;
        while (i < r->sample.n_chain && r->sample.chain[i] != PERF_CONTEXT_USER)
                i++;
        return i + 2 < r->sample.n_chain ? i + 2 : r->sample.n_chain;
}

/* Position in the chain behind the frame that the walk ended in; 0 when it is not in there. */
static size_t join(const struct pg_perf_tree *t, uint32_t n_walked, const struct pg_perf_record *r)
{
        if (n_walked < 2)
                return n_walked ? first_caller(r) : 0;
        for (size_t i = first_caller(r); i < r->sample.n_chain; i++)
                if (r->sample.chain[i] - 1 == t->walked[n_walked - 1].address)
                        return i + 1;
        return 0;
}

/* Goes on by the chain as long as it leads from one frame that keeps frame pointers to another. */
static uint32_t follow_chain(struct pg_perf_tree *t, struct image *image, uint32_t n,
                             const struct pg_perf_record *r, enum pg_stop *end)
{
        size_t i = join(t, n, r);
        if (i == 0)
                return n;
        for (; i < r->sample.n_chain && r->sample.chain[i] < PERF_CONTEXT_MAX && n < PG_STACK_MAX; i++) {
                uint64_t address = r->sample.chain[i] - 1;
                if (!pg_address_space_keeps_frame_pointers(image->as, t->walked[n - 1].address) ||
                    !pg_address_space_is_code(image->as, address))
                        break;
                pg_rule rule = pg_address_space_rule(image->as, address);
                t->walked[n++] = (struct pg_walked){ address, rule };
                if (pg_rule_cfa(rule) != PG_CFA_STOP && pg_rule_ra(rule) == PG_RA_UNDEFINED)
                        *end = PG_STOP_ROOT;
        }
        return n;
}

/* Whether a sample's registers are of the program before: while the kernel execs they still are. The stack is gone
 * then. */
static bool is_of_before(const struct process *p, const struct pg_perf_record *r)
{
        uint64_t pc = r->sample.regs[PG_GREG_PC];
        return p->before.as && !pg_address_space_is_code(p->now.as, pc) &&
               pg_address_space_is_code(p->before.as, pc);
}

/* Into t->walked; how many frames. */
static uint32_t walk_sample(struct pg_perf_tree *t, struct process *p, const struct pg_perf_record *r,
                            struct image **ret_image, enum pg_stop *ret_end)
{
        *ret_image = &p->now;
        *ret_end = PG_STOP_NO_CFI;
        if (!r->sample.has_regs)
                return 0;
        if (is_of_before(p, r)) {
                *ret_image = &p->before;
                return walk_copy(t, &p->before, r, 0, ret_end);
        }
        uint32_t n = walk_copy(t, &p->now, r, r->sample.stack_bytes, ret_end);
        if (*ret_end != PG_STOP_ROOT && *ret_end != PG_STOP_DEPTH)
                n = follow_chain(t, &p->now, n, r, ret_end);
        t->totals.cut += *ret_end == PG_STOP_MEMORY && r->sample.stack_bytes == r->sample.stack_asked_bytes;
        return n;
}

static bool on_sample(struct pg_perf_tree *t, const struct pg_perf_record *r, struct pg_error *err)
{
        struct process *p;
        bool kept;
        if (!require_process(t, r, &p, err) || !is_kept(t, r->sample.stream, &kept, err))
                return false;
        if (!kept)
                return true;
        struct image *image;
        enum pg_stop end;
        uint32_t n = walk_sample(t, p, r, &image, &end);
        for (uint32_t i = 0; i < n; i++)
                if (!place_of(t, image, t->walked[i].address, &t->places[i], err))
                        return false;
        uint64_t weight_ns = r->sample.period_ns * t->keep_every;
        t->totals.samples++;
        t->totals.weight_ns += weight_ns;
        return pg_stacks_add(t->stacks, image->stacks, t->places, n, 1, weight_ns, end, err);
}

bool pg_perf_tree_add(void *tree, const void *record, size_t n, struct pg_error *err)
{
        struct pg_perf_tree *t = tree;
        struct pg_perf_record r;
        if (!pg_perf_record_parse(record, n, &r))
                t->totals.damaged++;
        switch (r.kind) {
        case PG_PERF_SAMPLE:
                return on_sample(t, &r, err);
        case PG_PERF_MAP:
                return on_map(t, &r, err);
        case PG_PERF_EXEC:
                return on_exec(t, &r, err);
        case PG_PERF_FORK:
                return on_fork(t, &r, err);
        case PG_PERF_EXIT:
                on_end(t, &r);
                return true;
        case PG_PERF_LOST:
                t->totals.lost_records += r.n_lost;
                return true;
        case PG_PERF_OTHER:
                return true;
        }
        return true;
}

const struct pg_perf_totals *pg_perf_tree_totals(const struct pg_perf_tree *t)
{
        return &t->totals;
}

struct pg_stacks *pg_perf_tree_stacks(struct pg_perf_tree *t, uint64_t lost_samples, uint64_t lost_weight_ns)
{
        if (pg_stacks_n_processes(t->stacks) > 0) {
                struct pg_captured_process *first = pg_stacks_process(t->stacks, 0);
                first->lost_samples = lost_samples;
                first->lost_weight_ns = lost_weight_ns;
        }
        return t->stacks;
}
