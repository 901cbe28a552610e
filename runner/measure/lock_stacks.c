// SPDX-License-Identifier: MIT
/*
 * lock_stacks.c - the outermost frame becomes the innermost one.
 *
 * Every node of the part is copied, and one that holds a value hands it to a new child that stands for the
 * call. Parents stay in front of their children.
 */
#include "runner/measure/lock_stacks.h"

#include "runner/base/cleanup.h"

static const struct {
        bool is_root, contends;
        enum pg_lock_part part;
} roots[PG_NODE_FIRST] = {
        [PG_NODE_WAITER] = { true, true, PG_LOCK_WAITERS },
        [PG_NODE_READER] = { true, true, PG_LOCK_WAITERS },
        [PG_NODE_WRITER] = { true, true, PG_LOCK_WAITERS },
        [PG_NODE_CONDITION] = { true, false, PG_LOCK_WAITERS },
        [PG_NODE_HOLDER] = { true, false, PG_LOCK_HOLDERS },
        [PG_NODE_RWHOLDER] = { true, false, PG_LOCK_HOLDERS },
        [PG_NODE_RELEASER] = { true, false, PG_LOCK_HOLDERS },
};

/* The root that node i of p is, or lies below: 0 when it is none of ours. of: that of the nodes before i. */
static uint8_t root_of(const struct pg_captured_process *p, const uint8_t *of, size_t i)
{
        const struct pg_captured_node *n = &p->nodes[i];
        if (n->parent)
                return of[n->parent];
        uint64_t pseudo = pg_place_is_pseudo(n->place) ? PG_PLACE_ADDRESS(n->place) : 0;
        return roots[pseudo].is_root ? (uint8_t)pseudo : 0;
}

static uint32_t append(struct pg_captured_process *to, uint32_t parent, pg_place place)
{
        to->nodes[to->n_nodes] = (struct pg_captured_node){ .parent = parent, .place = place };
        return (uint32_t)to->n_nodes++;
}

static void add_event(struct pg_captured_process *to, const struct pg_captured_node *from, uint32_t parent,
                      uint8_t root)
{
        if (!(from->count | from->amount))
                return;
        uint32_t leaf = append(to, parent, PG_PLACE_PSEUDO(root));
        to->nodes[leaf].count = from->count;
        to->nodes[leaf].amount = from->amount;
}

static bool take_part(const struct pg_captured_process *p, enum pg_lock_part part, struct pg_arena *a,
                      struct pg_captured_process *to)
{
        PG_AUTO_FREE uint8_t *root = calloc(p->n_nodes, sizeof(*root));
        PG_AUTO_FREE uint32_t *moved_to = calloc(p->n_nodes, sizeof(*moved_to));
        to->nodes = pg_arena_calloc(a, 2 * p->n_nodes, sizeof(*to->nodes));
        if (!root || !moved_to || !to->nodes)
                return false;
        to->n_nodes = 1;
        for (size_t i = 1; i < p->n_nodes; i++) {
                const struct pg_captured_node *n = &p->nodes[i];
                root[i] = root_of(p, root, i);
                if (!root[i] || roots[root[i]].part != part)
                        continue;
                if (n->parent)
                        moved_to[i] = append(to, moved_to[n->parent], n->place);
                add_event(to, n, moved_to[i], root[i]);
        }
        return true;
}

bool pg_lock_stacks(const struct pg_captured *c, enum pg_lock_part part, struct pg_arena *a,
                    struct pg_captured *ret, struct pg_error *err)
{
        struct pg_captured out = *c;
        out.processes = pg_arena_calloc(a, c->n_processes, sizeof(*out.processes));
        if (!out.processes)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < c->n_processes; i++) {
                out.processes[i] = c->processes[i];
                if (!take_part(&c->processes[i], part, a, &out.processes[i]))
                        return pg_fail_nomem(err);
        }
        *ret = out;
        return true;
}

/* The outermost frame above node i. */
static pg_place top_of(const struct pg_captured_process *p, size_t i)
{
        while (p->nodes[i].parent)
                i = p->nodes[i].parent;
        return p->nodes[i].place;
}

static uint64_t process_wait_ns(const struct pg_captured_process *p)
{
        uint64_t sum_ns = 0;
        for (size_t i = 1; i < p->n_nodes; i++) {
                pg_place top = p->nodes[i].amount ? top_of(p, i) : 0;
                if (pg_place_is_pseudo(top) && roots[PG_PLACE_ADDRESS(top)].contends)
                        sum_ns += p->nodes[i].amount;
        }
        return sum_ns;
}

uint64_t pg_lock_wait_ns(const struct pg_captured *c)
{
        uint64_t sum_ns = 0;
        for (size_t i = 0; i < c->n_processes; i++)
                sum_ns += process_wait_ns(&c->processes[i]);
        return sum_ns;
}
