// SPDX-License-Identifier: MIT
/*
 * stacks.c - trees of frames, one for each process, with a hash table that finds a node by (parent, place).
 */
#include "runner/capture/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/capture/printable.h"

struct tree {
        struct pg_captured_node *nodes;
        uint32_t n, capacity;
        uint32_t *slots; // node numbers, 0: empty; a power of two, at least twice the nodes
        uint32_t n_slots;
};

struct process {
        struct pg_captured_process p; // program, modules and nodes are filled in at the end
        char *program;
        struct pg_captured_module *modules; // paths owned
        uint32_t n_modules, modules_capacity;
        struct tree tree;
};

struct pg_stacks {
        struct process *processes;
        uint32_t n, capacity;
};

/* Room for one more of an array of n; NULL when out of memory, the old array is then kept. */
static void *grow(void *array, uint32_t n, uint32_t *capacity, size_t size)
{
        if (n < *capacity)
                return array;
        uint32_t larger = *capacity ? *capacity * 2 : 4;
        void *p =
                larger > *capacity ? realloc(array, larger * size) : NULL; // the product fits: size is small
        if (p)
                *capacity = larger;
        return p;
}

struct pg_stacks *pg_stacks_create(void)
{
        return calloc(1, sizeof(struct pg_stacks));
}

static void process_deinit(struct process *p)
{
        for (uint32_t i = 0; i < p->n_modules; i++)
                free((char *)(uintptr_t)p->modules[i].path);
        free(p->modules);
        free(p->program);
        free(p->tree.nodes);
        free(p->tree.slots);
}

void pg_stacks_destroy(struct pg_stacks *s)
{
        if (!s)
                return;
        for (uint32_t i = 0; i < s->n; i++)
                process_deinit(&s->processes[i]);
        free(s->processes);
        free(s);
}

/* ---- trees ----------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct tree *t, uint32_t parent, pg_place place)
{
        uint64_t h = (place ^ (uint64_t)parent << 40 ^ parent) * 0x9e3779b97f4a7c15ull;
        return (uint32_t)((h ^ h >> 29) * 0xbf58476d1ce4e5b9ull >> 32) & (t->n_slots - 1);
}

static bool tree_init(struct tree *t, struct pg_error *err)
{
        t->n_slots = 16;
        t->slots = calloc(t->n_slots, sizeof(*t->slots));
        t->nodes = grow(NULL, 0, &t->capacity, sizeof(*t->nodes));
        if (!t->slots || !t->nodes)
                return pg_fail_nomem(err);
        t->nodes[t->n++] = (struct pg_captured_node){ .place = PG_PLACE_PSEUDO(PG_NODE_ROOT) };
        return true;
}

static void enter(struct tree *t, uint32_t node)
{
        uint32_t i = slot_of(t, t->nodes[node].parent, t->nodes[node].place);
        while (t->slots[i])
                i = (i + 1) & (t->n_slots - 1);
        t->slots[i] = node;
}

static bool enlarge_table(struct tree *t, struct pg_error *err)
{
        uint32_t *larger = t->n_slots < 1u << 31 ? calloc(t->n_slots * 2ul, sizeof(*larger)) : NULL;
        if (!larger)
                return pg_fail_nomem(err);
        free(t->slots);
        t->slots = larger;
        t->n_slots *= 2;
        for (uint32_t i = 1; i < t->n; i++)
                enter(t, i);
        return true;
}

static bool add_node(struct tree *t, uint32_t parent, pg_place place, uint32_t *ret, struct pg_error *err)
{
        struct pg_captured_node *nodes = grow(t->nodes, t->n, &t->capacity, sizeof(*nodes));
        if (!nodes)
                return pg_fail_nomem(err);
        t->nodes = nodes;
        if (t->n >= t->n_slots / 2 && !enlarge_table(t, err))
                return false;
        nodes[t->n] = (struct pg_captured_node){ .parent = parent, .place = place };
        enter(t, t->n);
        *ret = t->n++;
        return true;
}

static bool child_of(struct tree *t, uint32_t parent, pg_place place, uint32_t *ret, struct pg_error *err)
{
        for (uint32_t i = slot_of(t, parent, place); t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
                const struct pg_captured_node *node = &t->nodes[t->slots[i]];
                if (node->place == place && node->parent == parent) {
                        *ret = t->slots[i];
                        return true;
                }
        }
        return add_node(t, parent, place, ret, err);
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

bool pg_stacks_set_program(struct pg_stacks *s, uint32_t process, const char *program, struct pg_error *err)
{
        char *copy = strdup(program);
        if (!copy)
                return pg_fail_nomem(err);
        pg_make_printable(copy, strlen(copy));
        free(s->processes[process].program);
        s->processes[process].program = copy;
        return true;
}

const char *pg_stacks_program(const struct pg_stacks *s, uint32_t process)
{
        return s->processes[process].program;
}

bool pg_stacks_add_process(struct pg_stacks *s, int32_t pid, int32_t ppid, const char *program,
                           uint64_t start_ns, bool forked, uint32_t *ret, struct pg_error *err)
{
        struct process *processes = grow(s->processes, s->n, &s->capacity, sizeof(*processes));
        if (!processes)
                return pg_fail_nomem(err);
        s->processes = processes;
        struct process *p = &processes[s->n];
        *p = (struct process){ .p = { .pid = pid, .ppid = ppid, .start_ns = start_ns, .forked = forked } };
        if (!tree_init(&p->tree, err) || !pg_stacks_set_program(s, s->n, program, err)) {
                process_deinit(p);
                return false;
        }
        *ret = s->n++;
        return true;
}

bool pg_stacks_add_module(struct pg_stacks *s, uint32_t process, const struct pg_captured_module *module,
                          uint32_t *ret, struct pg_error *err)
{
        struct process *p = &s->processes[process];
        if (p->n_modules == PG_MODULE_NONE) {
                *ret = PG_MODULE_NONE;
                return true;
        }
        struct pg_captured_module *modules =
                grow(p->modules, p->n_modules, &p->modules_capacity, sizeof(*modules));
        if (!modules)
                return pg_fail_nomem(err);
        p->modules = modules;
        char *path = strdup(module->path);
        if (!path)
                return pg_fail_nomem(err);
        pg_make_printable(path, strlen(path));
        modules[p->n_modules] = *module;
        modules[p->n_modules].path = path;
        *ret = p->n_modules++;
        return true;
}

/* The pseudo frame outside of an incomplete stack, counted; PG_NODE_ROOT: none. */
static uint32_t outermost(struct pg_captured_quality *q, enum pg_stop end, uint64_t count)
{
        switch (end) {
        case PG_STOP_ROOT:
                return PG_NODE_ROOT;
        case PG_STOP_MEMORY:
        case PG_STOP_DEPTH:
                q->truncated += count;
                return PG_NODE_TRUNCATED;
        default:
                q->unknown += count;
                return PG_NODE_UNKNOWN;
        }
}

bool pg_stacks_add(struct pg_stacks *s, uint32_t process, const pg_place *frames, uint32_t n, uint64_t count,
                   uint64_t amount, enum pg_stop end, struct pg_error *err)
{
        struct process *p = &s->processes[process];
        uint32_t node = 0, pseudo = outermost(&p->p.quality, end, count);
        if (pseudo != PG_NODE_ROOT && !child_of(&p->tree, node, PG_PLACE_PSEUDO(pseudo), &node, err))
                return false;
        for (uint32_t i = n; i-- > 0;)
                if (!child_of(&p->tree, node, frames[i], &node, err))
                        return false;
        p->tree.nodes[node].count += count;
        p->tree.nodes[node].amount += amount;
        p->p.sample_count += count;
        p->p.sample_weight_ns += amount;
        return true;
}

struct pg_captured_process *pg_stacks_process(struct pg_stacks *s, uint32_t process)
{
        return &s->processes[process].p;
}

uint32_t pg_stacks_n_processes(const struct pg_stacks *s)
{
        return s->n;
}

/* ---- handing over ---------------------------------------------------------------------------------------- */

static bool copy_modules(const struct process *from, struct pg_arena *a, struct pg_captured_process *to)
{
        to->modules = pg_arena_calloc(a, from->n_modules, sizeof(*to->modules));
        if (!to->modules)
                return false;
        for (uint32_t i = 0; i < from->n_modules; i++) {
                to->modules[i] = from->modules[i];
                to->modules[i].path = pg_arena_strdup(a, from->modules[i].path);
                if (!to->modules[i].path)
                        return false;
        }
        to->n_modules = from->n_modules;
        return true;
}

static bool copy_process(const struct process *from, struct pg_arena *a, struct pg_captured_process *to)
{
        *to = from->p;
        to->program = pg_arena_strdup(a, from->program);
        to->nodes = pg_arena_calloc(a, from->tree.n, sizeof(*to->nodes));
        if (!to->program || !to->nodes)
                return false;
        memcpy(to->nodes, from->tree.nodes, from->tree.n * sizeof(*to->nodes));
        to->n_nodes = from->tree.n;
        return copy_modules(from, a, to);
}

struct order {
        uint64_t start_ns;
        uint32_t process;
};

static int by_start(const void *a, const void *b)
{
        const struct order *x = a, *y = b;
        int c = (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
        return c ? c : (x->process > y->process) - (x->process < y->process);
}

bool pg_stacks_finish(const struct pg_stacks *s, struct pg_arena *a, struct pg_captured **ret,
                      struct pg_error *err)
{
        PG_AUTO_FREE struct order *order = calloc(s->n + 1ul, sizeof(*order));
        struct pg_captured *c = pg_arena_calloc(a, 1, sizeof(*c));
        if (!order || !c || !(c->processes = pg_arena_calloc(a, s->n, sizeof(*c->processes))))
                return pg_fail_nomem(err);
        for (uint32_t i = 0; i < s->n; i++)
                order[i] = (struct order){ s->processes[i].p.start_ns, i };
        qsort(order, s->n, sizeof(*order), by_start);
        for (uint32_t i = 0; i < s->n; i++)
                if (!copy_process(&s->processes[order[i].process], a, &c->processes[c->n_processes++]))
                        return pg_fail_nomem(err);
        c->from_outside = true;
        *ret = c;
        return true;
}
