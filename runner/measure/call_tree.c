// SPDX-License-Identifier: MIT
/*
 * call_tree.c - nodes in one growing array, parents first; an index over them only once a process comes again.
 *
 * A capture of a compiler has a million nodes and more. Within one image siblings are distinct already, so the nodes
 * of a process that is new are appended without a look at the others; only a further run of the same process must
 * find each frame again.
 */
#include "runner/measure/call_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/large.h"

enum { FOLD_PARTS = 100000, LABEL_BYTES = 96 };

struct process {
        char label[LABEL_BYTES]; // "jq/1"
        uint32_t unknown;        // node of events without any frame; 0: none yet
};

struct pg_call_tree {
        struct pg_code_map *map;
        struct pg_call_node *nodes;
        size_t n_nodes, capacity;
        struct process *processes;
        uint32_t n_processes;
        uint32_t *index; // node by (process, parent, point), 0 when empty; NULL until a process came again
        size_t index_size, n_indexed; // a power of two; nodes below n_indexed are in it
};

struct pg_call_tree *pg_call_tree_create(struct pg_code_map *map)
{
        struct pg_call_tree *t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->map = map;
        t->capacity = 64;
        t->nodes = calloc(t->capacity, sizeof(*t->nodes));
        t->processes = calloc(PG_CALL_PROCESSES_MAX + 1, sizeof(*t->processes));
        if (!t->nodes || !t->processes) {
                pg_call_tree_destroy(t);
                return NULL;
        }
        t->n_nodes = 1;
        return t;
}

void pg_call_tree_destroy(struct pg_call_tree *t)
{
        if (!t)
                return;
        free(t->nodes);
        free(t->processes);
        free(t->index);
        free(t);
}

const struct pg_call_node *pg_call_tree_nodes(const struct pg_call_tree *t, size_t *ret_n)
{
        *ret_n = t->n_nodes;
        return t->nodes;
}

/* ---- nodes ---- */

static bool reserve(struct pg_call_tree *t, size_t more)
{
        if (t->n_nodes + more <= t->capacity)
                return true;
        size_t capacity = t->capacity + t->capacity / 2;
        if (capacity < t->n_nodes + more)
                capacity = t->n_nodes + more;
        struct pg_call_node *grown = reallocarray(NULL, capacity, sizeof(*grown));
        if (!grown)
                return false;
        pg_expect_large(grown, capacity * sizeof(*grown));
        memcpy(grown, t->nodes, t->n_nodes * sizeof(*grown));
        free(t->nodes);
        t->nodes = grown;
        t->capacity = capacity;
        return true;
}

/* There is room: reserve() was asked for it. */
static uint32_t append(struct pg_call_tree *t, uint32_t process, uint32_t parent, uint32_t point)
{
        t->nodes[t->n_nodes] = (struct pg_call_node){ .parent = parent, .point = point, .process = process };
        return (uint32_t)t->n_nodes++;
}

static uint32_t *index_entry(const struct pg_call_tree *t, uint32_t process, uint32_t parent, uint32_t point)
{
        uint64_t h = ((uint64_t)parent << 32 | point) + (uint64_t)process * 0xff51afd7ed558ccdull;
        h = (h ^ h >> 31) * 0x9e3779b97f4a7c15ull;
        for (size_t i = (size_t)(h >> 24);; i++) {
                uint32_t *entry = &t->index[i & (t->index_size - 1)];
                const struct pg_call_node *n = &t->nodes[*entry];
                if (!*entry || (n->parent == parent && n->point == point && n->process == process))
                        return entry;
        }
}

/* Puts all nodes into the index, which stays at most half full with `more` further ones. */
static bool update_index(struct pg_call_tree *t, size_t more)
{
        if (2 * (t->n_nodes + more) > t->index_size) {
                size_t size = t->index_size ? t->index_size : 1024;
                while (size < 4 * (t->n_nodes + more))
                        size *= 2;
                uint32_t *index = calloc(size, sizeof(*index));
                if (!index)
                        return false;
                free(t->index);
                t->index = index;
                t->index_size = size;
                t->n_indexed = 1;
        }
        for (; t->n_indexed < t->n_nodes; t->n_indexed++) {
                const struct pg_call_node *n = &t->nodes[t->n_indexed];
                uint32_t *entry = index_entry(t, n->process, n->parent, n->point);
                if (!*entry)
                        *entry = (uint32_t)t->n_indexed;
        }
        return true;
}

static uint32_t find_or_append(struct pg_call_tree *t, uint32_t process, uint32_t parent, uint32_t point)
{
        uint32_t *entry = index_entry(t, process, parent, point);
        if (!*entry) {
                *entry = append(t, process, parent, point);
                t->n_indexed = t->n_nodes;
        }
        return *entry;
}

/* ---- processes ---- */

/* The process with that label; *ret_known when it was there before. */
static uint32_t get_process(struct pg_call_tree *t, const char *program, uint32_t ordinal, bool *ret_known)
{
        char label[LABEL_BYTES];
        snprintf(label, sizeof(label), "%.80s/%" PRIu32, pg_module_name(program), ordinal);
        *ret_known = true;
        for (uint32_t i = 0; i < t->n_processes; i++)
                if (strcmp(t->processes[i].label, label) == 0)
                        return i;
        if (t->n_processes < PG_CALL_PROCESSES_MAX) {
                *ret_known = false;
                memcpy(t->processes[t->n_processes].label, label, sizeof(label));
                return t->n_processes++;
        }
        struct process *others = &t->processes[PG_CALL_PROCESSES_MAX];
        *ret_known = others->label[0] != '\0';
        memcpy(others->label, "[others]", sizeof("[others]"));
        return PG_CALL_PROCESSES_MAX;
}

/* Which one of its name the process with that index is, from 1. Beyond what is told apart it does not matter. */
static uint32_t ordinal_of(const struct pg_captured *c, size_t index)
{
        uint32_t n = 1;
        const char *name = pg_module_name(c->processes[index].program);
        if (index > 4 * PG_CALL_PROCESSES_MAX)
                return UINT32_MAX;
        for (size_t i = 0; i < index; i++)
                n += strcmp(pg_module_name(c->processes[i].program), name) == 0;
        return n;
}

/* ---- adding an image ---- */

struct adding {
        struct pg_call_tree *tree;
        const struct pg_captured_process *image;
        const char *agent_name;
        enum pg_agent_time agent;
        uint32_t process;
        bool known;         // the process was there before: look for its nodes
        bool has_the_peak;  // its peak is the tree's
        uint32_t *modules;  // of the map, by the image's module; UNSEEN
        uint32_t *moved_to; // node of the tree by the image's node
};
enum { UNSEEN = UINT32_MAX, OF_AGENT = UINT32_MAX - 1, LEFT_OUT = UINT32_MAX };

/* Index into a->modules: what is in no module stands behind the image's modules, pseudo frames behind that. */
static size_t module_slot(const struct adding *a, pg_place place)
{
        if (pg_place_is_pseudo(place))
                return a->image->n_modules + 1;
        uint32_t module = PG_PLACE_MODULE(place);
        return module < a->image->n_modules ? module : a->image->n_modules;
}

static bool find_module(struct adding *a, size_t slot, struct pg_error *err)
{
        const struct pg_captured_process *p = a->image;
        if (slot < p->n_modules && strcmp(pg_module_name(p->modules[slot].path), a->agent_name) == 0) {
                a->modules[slot] = OF_AGENT;
                return true;
        }
        if (slot > p->n_modules)
                return pg_code_map_add_pseudo(a->tree->map, &a->modules[slot], err);
        return pg_code_map_add_module(a->tree->map, p, (uint32_t)slot, &a->modules[slot], err);
}

/* Events without a frame are in [unknown]. */
static bool get_unknown(struct adding *a, uint32_t *ret, struct pg_error *err)
{
        struct process *process = &a->tree->processes[a->process];
        uint32_t module, point;
        if (!process->unknown) {
                if (!pg_code_map_add_pseudo(a->tree->map, &module, err) ||
                    !pg_code_map_intern(a->tree->map, module, PG_NODE_UNKNOWN, &point, err))
                        return false;
                process->unknown = a->known ? find_or_append(a->tree, a->process, 0, point)
                                            : append(a->tree, a->process, 0, point);
        }
        *ret = process->unknown;
        return true;
}

static uint64_t leaked(const struct adding *a, const struct pg_captured_node *n)
{
        bool inherited = n->place == PG_PLACE_PSEUDO(PG_NODE_INHERITED);
        return a->image->execed || inherited ? 0 : n->live_bytes;
}

static bool add_values(struct adding *a, const struct pg_captured_node *from, uint32_t to,
                       struct pg_error *err)
{
        if (!(from->count | from->amount | from->live_bytes | from->peak_bytes))
                return true;
        if (to == 0 && !get_unknown(a, &to, err))
                return false;
        struct pg_call_node *n = &a->tree->nodes[to];
        n->count += from->count;
        n->amount += from->amount;
        n->temporary += from->temporary;
        n->leaked_bytes += leaked(a, from);
        if (a->has_the_peak) {
                n->peak_blocks += from->peak_blocks;
                n->peak_bytes += from->peak_bytes;
        }
        return true;
}

static bool add_node(struct adding *a, uint32_t i, struct pg_error *err)
{
        const struct pg_captured_node *n = &a->image->nodes[i];
        uint32_t parent = a->moved_to[n->parent], point;
        size_t slot = module_slot(a, n->place);
        if (a->modules[slot] == UNSEEN && !find_module(a, slot, err))
                return false;
        if (a->modules[slot] == OF_AGENT) {
                a->moved_to[i] = parent;
                return a->agent == PG_AGENT_LEFT_OUT || add_values(a, n, parent, err);
        }
        if (!pg_code_map_intern(a->tree->map, a->modules[slot], PG_PLACE_ADDRESS(n->place), &point, err))
                return false;
        a->moved_to[i] = a->known ? find_or_append(a->tree, a->process, parent, point)
                                  : append(a->tree, a->process, parent, point);
        return add_values(a, n, a->moved_to[i], err);
}

static bool add_nodes(struct adding *a, struct pg_error *err)
{
        const struct pg_captured_process *p = a->image;
        if (a->tree->n_nodes + p->n_nodes >= UINT32_MAX)
                return pg_fail(err, PG_EDATA, "more than %" PRIu32 " frames", UINT32_MAX);
        if (!reserve(a->tree, p->n_nodes + 1) || (a->known && !update_index(a->tree, p->n_nodes + 1)))
                return pg_fail_nomem(err);
        if (!add_values(a, &p->nodes[0], 0, err))
                return false;
        for (uint32_t i = 1; i < p->n_nodes; i++)
                if (!add_node(a, i, err))
                        return false;
        return true;
}

static bool add_image(struct adding *a, struct pg_error *err)
{
        const struct pg_captured_process *p = a->image;
        if (!pg_code_map_add_program(a->tree->map, p, err))
                return false;
        if (p->n_nodes <= 1)
                return true;
        a->modules = malloc((p->n_modules + 2) * sizeof(*a->modules));
        a->moved_to = calloc(p->n_nodes, sizeof(*a->moved_to));
        for (size_t i = 0; a->modules && i < p->n_modules + 2; i++)
                a->modules[i] = UNSEEN;
        bool ok = a->modules && a->moved_to ? add_nodes(a, err) : pg_fail_nomem(err);
        free(a->modules);
        free(a->moved_to);
        return ok;
}

static size_t highest_peak(const struct pg_captured *c)
{
        size_t highest = 0;
        for (size_t i = 1; i < c->n_processes; i++)
                if (c->processes[i].peak_bytes > c->processes[highest].peak_bytes)
                        highest = i;
        return highest;
}

bool pg_call_tree_add_run(struct pg_call_tree *t, const struct pg_captured *c, const char *agent_path,
                          enum pg_agent_time agent, struct pg_error *err)
{
        size_t peak = highest_peak(c);
        for (size_t i = 0; i < c->n_processes; i++) {
                const struct pg_captured_process *p = &c->processes[i];
                struct adding a = { .tree = t, .image = p, .agent_name = pg_module_name(agent_path) };
                a.agent = agent;
                a.has_the_peak = i == peak;
                a.process = get_process(t, p->program, ordinal_of(c, i), &a.known);
                if (!add_image(&a, err))
                        return false;
        }
        return true;
}

/* ---- folding ---- */

static bool has_value(const struct pg_call_node *n)
{
        return n->count | n->amount | n->peak_bytes;
}

/* Below each limit; a value of which nothing is there never keeps a stack. */
static bool is_small(const struct pg_call_node *n, const struct pg_call_node *limit)
{
        return n->count <= limit->count && n->amount <= limit->amount && n->peak_bytes <= limit->peak_bytes;
}

static void move_values(struct pg_call_node *from, struct pg_call_node *to)
{
        to->count += from->count;
        to->amount += from->amount;
        to->temporary += from->temporary;
        to->peak_blocks += from->peak_blocks;
        to->peak_bytes += from->peak_bytes;
        to->leaked_bytes += from->leaked_bytes;
        from->count = from->amount = from->temporary = 0;
        from->peak_blocks = from->peak_bytes = from->leaked_bytes = 0;
}

/* The largest value that is less than its part of all. */
static uint64_t limit_of(uint64_t sum)
{
        return sum ? (sum - 1) / FOLD_PARTS : 0;
}

static struct pg_call_node fold_limits(const struct pg_call_tree *t, uint64_t *ret_stacks)
{
        struct pg_call_node sum = { 0 };
        *ret_stacks = 0;
        for (size_t i = 1; i < t->n_nodes; i++) {
                *ret_stacks += has_value(&t->nodes[i]);
                sum.count += t->nodes[i].count;
                sum.amount += t->nodes[i].amount;
                sum.peak_bytes += t->nodes[i].peak_bytes;
        }
        return (struct pg_call_node){ .count = limit_of(sum.count),
                                      .amount = limit_of(sum.amount),
                                      .peak_bytes = limit_of(sum.peak_bytes) };
}

void pg_call_tree_fold(struct pg_call_tree *t, struct pg_fold *ret)
{
        uint64_t kept = 0;
        struct pg_call_node limit = fold_limits(t, &ret->stacks);
        for (size_t i = t->n_nodes - 1; i > 0; i--) {
                struct pg_call_node *n = &t->nodes[i];
                if (!has_value(n))
                        continue;
                if (n->parent && is_small(n, &limit))
                        move_values(n, &t->nodes[n->parent]);
                else
                        kept++;
        }
        ret->folded = ret->stacks - kept;
}

/* ---- into a profile ---- */

void pg_call_tree_mark_points(const struct pg_call_tree *t, uint8_t *marks)
{
        uint8_t *seen = calloc(t->n_nodes, 1);
        for (size_t i = 1; i < t->n_nodes; i++) {
                if (!has_value(&t->nodes[i]))
                        continue;
                for (uint32_t k = (uint32_t)i; k && !(seen && seen[k]); k = t->nodes[k].parent) {
                        marks[t->nodes[k].point] = 1;
                        if (seen)
                                seen[k] = 1;
                }
        }
        free(seen);
}

struct exporting {
        struct pg_call_tree *tree;
        struct pg_profile_builder *builder;
        uint32_t *locations; // of the builder by point, plus 1; 0: not yet
        uint32_t *stack;
        size_t capacity;
        bool labels;
};

static bool several_processes(const struct pg_call_tree *t)
{
        uint32_t first = UINT32_MAX;
        for (size_t i = 1; i < t->n_nodes; i++) {
                const struct pg_call_node *n = &t->nodes[i];
                if (has_value(n) && first == UINT32_MAX)
                        first = n->process;
                else if (has_value(n) && n->process != first)
                        return true;
        }
        return false;
}

static bool push(struct exporting *e, size_t n, uint32_t point, struct pg_error *err)
{
        if (n == e->capacity) {
                size_t capacity = e->capacity ? 2 * e->capacity : 256;
                uint32_t *grown = reallocarray(e->stack, capacity, sizeof(*grown));
                if (!grown)
                        return pg_fail_nomem(err);
                e->stack = grown;
                e->capacity = capacity;
        }
        if (!e->locations[point]) {
                uint32_t location;
                if (!pg_code_map_export(e->tree->map, point, e->builder, &location, err))
                        return false;
                e->locations[point] = location + 1;
        }
        e->stack[n] = e->locations[point] - 1;
        return true;
}

static int64_t clamp(uint64_t x)
{
        return x > INT64_MAX ? INT64_MAX : (int64_t)x;
}

static bool export_stack(struct exporting *e, uint32_t node, struct pg_error *err)
{
        const struct pg_call_node *nodes = e->tree->nodes, *n = &nodes[node];
        const int64_t values[4] = { clamp(n->count), clamp(n->amount), clamp(n->peak_blocks),
                                    clamp(n->peak_bytes) };
        size_t depth = 0;
        for (uint32_t k = node; k; k = nodes[k].parent)
                if (!push(e, depth++, nodes[k].point, err))
                        return false;
        const char *process = e->labels ? e->tree->processes[n->process].label : NULL;
        return pg_profile_add_labelled(e->builder, e->stack, depth, values, process, err);
}

bool pg_call_tree_export(struct pg_call_tree *t, struct pg_profile_builder *b, struct pg_error *err)
{
        struct exporting e = { .tree = t, .builder = b };
        e.locations = calloc(pg_code_map_count(t->map) + 1, sizeof(*e.locations));
        e.labels = several_processes(t);
        bool ok = e.locations ? true : pg_fail_nomem(err);
        for (size_t i = 1; ok && i < t->n_nodes; i++)
                if (has_value(&t->nodes[i]))
                        ok = export_stack(&e, (uint32_t)i, err);
        free(e.locations);
        free(e.stack);
        return ok;
}
