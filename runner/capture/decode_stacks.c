// SPDX-License-Identifier: MIT
/*
 * decode_stacks.c - the tree of stacks, and what the table of live blocks says of it.
 *
 * A thread makes a frame's node before those below it and takes nodes in growing order, so one pass in order
 * of index sees parents first; a node that breaks this is damage. Several threads have nodes for the same
 * frame: they are joined. O(nodes + places in the table).
 */
#include "runner/capture/decode_stacks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/capture/live_sampling.h"

/* One slot's stacks while they are read. Arrays are by node of the slot. */
struct stacks {
        struct pg_reader *r;
        const struct pg_slot *slot;
        struct pg_captured_process *p;
        uint32_t n_raw;   // nodes in the slot
        uint32_t level;   // of the sample of live blocks
        uint32_t *merged; // node of p for each of the slot's
        uint32_t *
                table; // open addressing over p's nodes by (parent, place); NULL when one thread made them all
        uint32_t mask;
};

static void stacks_deinit(struct stacks *s)
{
        free(s->merged);
        free(s->table);
}

/* ---- nodes ---- */

static pg_place file_place(struct stacks *s, pg_place raw)
{
        uint32_t module = PG_PLACE_MODULE(raw);
        uint64_t address = PG_PLACE_ADDRESS(raw);
        if (module == PG_MODULE_NONE)
                return address >= PG_NODE_FIRST || address == PG_NODE_TRUNCATED
                               ? raw
                               : PG_PLACE_PSEUDO(PG_NODE_UNKNOWN);
        if (module >= s->p->n_modules) {
                s->r->out->n_damaged++;
                return PG_PLACE_PSEUDO(PG_NODE_UNKNOWN);
        }
        return PG_PLACE(module, address - s->p->modules[module].bias);
}

static uint32_t *slot_of(struct stacks *s, uint32_t parent, pg_place place)
{
        uint64_t h = (place ^ (uint64_t)parent << 32 ^ parent) * 0x9e3779b97f4a7c15ull;
        uint32_t i = (uint32_t)(h >> 32) & s->mask;
        while (s->table[i] &&
               (s->p->nodes[s->table[i]].parent != parent || s->p->nodes[s->table[i]].place != place))
                i = (i + 1) & s->mask;
        return &s->table[i];
}

static uint32_t append(struct stacks *s, uint32_t parent, pg_place place)
{
        uint32_t n = (uint32_t)s->p->n_nodes++;
        s->p->nodes[n].parent = parent;
        s->p->nodes[n].place = place;
        return n;
}

static uint32_t join(struct stacks *s, uint32_t parent, pg_place place)
{
        if (!s->table)
                return append(s, parent, place);
        uint32_t *at = slot_of(s, parent, place);
        if (!*at)
                *at = append(s, parent, place);
        return *at;
}

static uint64_t unscaled(const struct pg_reader *r, uint64_t value)
{
        return r->header.stack_interval_bytes ? (value + PG_SCALE_ONE / 2) >> PG_SCALE_BITS : value;
}

static void add_node(struct stacks *s, uint32_t i, const struct pg_node *raw)
{
        s->merged[i] = 0;
        if (i < PG_NODE_FIRST) { // always there, so that they have the same numbers in each process
                s->merged[i] = join(s, PG_NODE_ROOT, PG_PLACE_PSEUDO(i));
        } else if (raw->place == 0) {
                return; // taken and not used
        } else if (raw->parent >= i || (raw->parent && !s->merged[raw->parent])) {
                s->r->out->n_damaged++;
                s->merged[i] = s->merged[PG_NODE_OTHER];
        } else {
                s->merged[i] = join(s, s->merged[raw->parent], file_place(s, raw->place));
        }
        struct pg_captured_node *n = &s->p->nodes[s->merged[i]];
        n->count += unscaled(s->r, raw->count);
        n->amount += unscaled(s->r, raw->amount);
        n->temporary += raw->temporary;
}

enum { BATCH = 8192 };

static void read_nodes(struct stacks *s)
{
        struct pg_node *batch = malloc(BATCH * sizeof(*batch));
        if (!batch) {
                s->r->no_memory = true;
                return;
        }
        s->p->n_nodes = 1; // the root
        for (uint32_t at = 0; at < s->n_raw; at += BATCH) {
                uint32_t n = s->n_raw - at < BATCH ? s->n_raw - at : BATCH;
                if (!pg_reader_fetch(s->r, PG_OFFSET_NODES + (uint64_t)at * sizeof(*batch), batch,
                                     n * sizeof(*batch)))
                        break;
                for (uint32_t i = at ? 0 : 1; i < n; i++)
                        add_node(s, at + i, &batch[i]);
        }
        free(batch);
}

/* ---- sampled stacks ---- */

/* What a block stands for that kept its stack; 1 where every stack is kept. The agent draws by the bytes asked for,
 * here are those of the block: for blocks much smaller than the interval the product is the bytes asked for. */
static double blocks_for_one(const struct stacks *s, double bytes)
{
        uint64_t interval = s->r->header.stack_interval_bytes;
        return interval && bytes > 0 ? 1 / -expm1(-bytes / (double)interval) : 1;
}

/* A block that chance left without a stack: those that have one stand for it. */
static bool was_left_out(const struct stacks *s, uint32_t node)
{
        return node == PG_NODE_ROOT && s->r->header.stack_interval_bytes;
}

/* ---- peaks: an array beside the nodes ---- */

/* Blocks of one stack that ended after the peak, by their mean size. */
static void add_peak(const struct stacks *s, struct pg_captured_node *n, const struct pg_node_peak *raw)
{
        uint64_t blocks = (raw->blocks_256ths + 128) / 256;
        double scale = blocks_for_one(s, (double)raw->bytes / (double)(blocks ? blocks : 1));
        n->peak_bytes += (uint64_t)(scale * (double)raw->bytes + 0.5);
        n->peak_blocks += (uint64_t)(scale * (double)blocks + 0.5);
}

static void read_peaks(struct stacks *s)
{
        enum { PEAKS = 2048 };
        struct pg_node_peak batch[PEAKS];
        for (uint32_t at = 0; at < s->n_raw; at += PEAKS) {
                uint32_t n = s->n_raw - at < PEAKS ? s->n_raw - at : PEAKS;
                if (!pg_reader_fetch(s->r, PG_OFFSET_PEAKS + (uint64_t)at * sizeof(*batch), batch,
                                     n * sizeof(*batch)))
                        return;
                for (uint32_t i = 0; i < n; i++) {
                        if (batch[i].peak == s->slot->peak && !was_left_out(s, at + i))
                                add_peak(s, &s->p->nodes[s->merged[at + i]], &batch[i]);
                }
        }
}

/* ---- live blocks ---- */

/* A block with its weight: it stands for all that is not in the sample. */
static void add_live(struct stacks *s, uint64_t address, uint64_t bytes, uint32_t node, uint32_t first_peak)
{
        if (was_left_out(s, node))
                return;
        if (node >= s->n_raw || !s->merged[node] || bytes > INT64_MAX) {
                s->r->out->n_damaged++;
                return;
        }
        if (bytes == 0 || !pg_live_is_hit(address, bytes, s->level))
                return;
        double p = pg_live_probability(bytes, s->level) / blocks_for_one(s, (double)bytes);
        uint64_t weighted = (uint64_t)((double)bytes / p + 0.5), blocks = (uint64_t)(1 / p + 0.5);
        struct pg_captured_node *n = &s->p->nodes[s->merged[node]];
        n->live_bytes += weighted;
        n->live_blocks += blocks;
        if (first_peak <= s->slot->peak) {
                n->peak_bytes += weighted;
                n->peak_blocks += blocks;
        }
}

/* The first place at or behind this one whose page was ever written. */
static uint64_t next_block(const struct pg_reader *r, uint64_t place)
{
        uint64_t at = PG_OFFSET_LIVE_BLOCKS + place * sizeof(struct pg_live_block);
        uint64_t found = (pg_reader_next_data(r, at) - PG_OFFSET_LIVE_BLOCKS) / sizeof(struct pg_live_block);
        return found > place ? found : place;
}

static int by_address(const void *a, const void *b)
{
        const struct pg_newest *x = a, *y = b;
        return (x->address > y->address) - (x->address < y->address);
}

/* A process that was killed between the two steps has its newest block in both places. */
static void count_once(struct pg_newest_blocks *newest, uint64_t address)
{
        const struct pg_newest key = { .address = address };
        struct pg_newest *same =
                newest->n ? bsearch(&key, newest->items, newest->n, sizeof(key), by_address) : NULL;
        if (same)
                same->bytes = 0;
}

static void read_live(struct stacks *s, struct pg_newest_blocks *newest)
{
        enum { BLOCKS = 2048 };
        struct pg_live_block batch[BLOCKS];
        uint64_t places = (uint64_t)s->slot->live_buckets * PG_LIVE_BUCKET;
        if (places > PG_LIVE_EXACT_BLOCKS) {
                s->r->out->n_damaged++;
                return;
        }
        for (uint64_t at = 0; (at = next_block(s->r, at)) < places; at += BLOCKS) {
                uint32_t n = places - at < BLOCKS ? (uint32_t)(places - at) : BLOCKS;
                if (!pg_reader_fetch(s->r, PG_OFFSET_LIVE_BLOCKS + at * sizeof(*batch), batch,
                                     n * sizeof(*batch)))
                        return;
                for (uint32_t i = 0; i < n; i++) {
                        if (!batch[i].address || batch[i].address == PG_LIVE_CLAIMED)
                                continue;
                        count_once(newest, batch[i].address);
                        add_live(s, batch[i].address, batch[i].bytes, batch[i].node, batch[i].peak);
                }
        }
}

/* What was counted without a stack (before attaching, without a cell, a kill at the wrong instant) is in
 * [other] or [inherited], so that sums are the process's. */
static uint64_t missing(uint64_t whole, uint64_t parts)
{
        return whole > parts ? whole - parts : 0;
}

static void complete_counts(struct stacks *s)
{
        struct pg_captured_node sum = { 0 };
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                sum.count += s->p->nodes[i].count;
                sum.amount += s->p->nodes[i].amount;
        }
        struct pg_captured_node *other = &s->p->nodes[s->merged[PG_NODE_OTHER]];
        if (s->r->header.stack_interval_bytes)
                return; // an estimate adds up on average only
        other->count += missing(s->p->allocations, sum.count);
        other->amount += missing(s->p->allocated_bytes, sum.amount);
}

static void complete_live(struct stacks *s)
{
        struct pg_captured_node sum = { 0 };
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                sum.live_bytes += s->p->nodes[i].live_bytes;
                sum.peak_bytes += s->p->nodes[i].peak_bytes;
        }
        struct pg_captured_node *inherited = &s->p->nodes[s->merged[PG_NODE_INHERITED]];
        struct pg_captured_node *other = &s->p->nodes[s->merged[PG_NODE_OTHER]];
        uint64_t rest = missing(s->p->peak_bytes, sum.peak_bytes);
        uint64_t from_parent = rest < s->slot->inherited_bytes ? rest : s->slot->inherited_bytes;
        if (s->r->header.stack_interval_bytes)
                return; // an estimate, as the counts are
        inherited->peak_bytes += from_parent;
        if (s->level)
                return;
        other->peak_bytes += rest - from_parent;
        if (s->p->live_bytes > 0)
                other->live_bytes += missing((uint64_t)s->p->live_bytes, sum.live_bytes);
}

/* ---- quality ---- */

static void judge(struct stacks *s)
{
        struct pg_captured_process *p = s->p;
        struct pg_captured_quality *q = &p->quality;
        *q = (struct pg_captured_quality){
                .stacks_other = s->slot->stacks_other,
                .stacks_verified = s->slot->stacks_verified,
                .stacks_different = s->slot->stacks_different,
                .live_lost = s->slot->live_lost,
                .live_interval_bytes = pg_live_interval(s->level),
        };
        uint32_t *root =
                malloc(p->n_nodes * sizeof(*root)); // outermost frame of each, below the kind of event
        if (!root) {
                s->r->no_memory = true;
                return;
        }
        root[0] = 0;
        for (uint32_t i = 1; i < p->n_nodes; i++) {
                bool inside = p->nodes[i].parent && !pg_place_is_pseudo(p->nodes[i].place);
                root[i] = inside ? root[p->nodes[i].parent] : i;
                pg_place outermost = p->nodes[root[i]].place;
                q->truncated += outermost == PG_PLACE_PSEUDO(PG_NODE_TRUNCATED) ? p->nodes[i].count : 0;
                q->unknown += outermost == PG_PLACE_PSEUDO(PG_NODE_UNKNOWN) ? p->nodes[i].count : 0;
        }
        free(root);
}

/* ---- all ---- */

static bool open_stacks(struct stacks *s)
{
        s->level = s->slot->live_level < PG_LIVE_LEVEL_MAX ? s->slot->live_level : PG_LIVE_LEVEL_MAX;
        uint32_t limit = s->slot->nodes_limit < PG_NODES_MAX ? s->slot->nodes_limit : PG_NODES_MAX;
        s->n_raw = s->slot->n_nodes < limit ? s->slot->n_nodes : limit;
        size_t n = s->n_raw > PG_NODE_FIRST ? s->n_raw : PG_NODE_FIRST;
        s->merged = calloc(n, sizeof(*s->merged));
        s->p->nodes = pg_arena_calloc(s->r->arena, n, sizeof(*s->p->nodes));
        if (!s->merged || !s->p->nodes)
                return false;
        if (s->slot->n_cells <= 2)
                return true;
        for (s->mask = 1023; s->mask < 2 * n; s->mask = 2 * s->mask + 1)
                ;
        s->table = calloc((size_t)s->mask + 1, sizeof(*s->table));
        return s->table;
}

/* A slot without nodes (they could not be mapped) has the pseudo ones all the same. */
static void ensure_pseudo(struct stacks *s)
{
        for (uint32_t i = 1; i < PG_NODE_FIRST; i++)
                if (!s->merged[i])
                        s->merged[i] = append(s, PG_NODE_ROOT, PG_PLACE_PSEUDO(i));
}

void pg_decode_stacks(struct pg_reader *r, const struct pg_slot *slot, struct pg_captured_process *p,
                      struct pg_newest_blocks *newest)
{
        __attribute__((cleanup(stacks_deinit))) struct stacks s = { .r = r, .slot = slot, .p = p };
        if (!open_stacks(&s)) {
                r->no_memory = true;
                return;
        }
        read_nodes(&s);
        if (r->no_memory)
                return;
        ensure_pseudo(&s);
        if (r->header.mode == PG_MODE_COUNT)
                complete_counts(&s);
        if (r->header.mode == PG_MODE_COUNT && r->header.live != PG_LIVE_OFF) {
                read_peaks(&s);
                if (newest->n)
                        qsort(newest->items, newest->n, sizeof(*newest->items), by_address);
                read_live(&s, newest);
                for (size_t i = 0; i < newest->n; i++)
                        add_live(&s, newest->items[i].address, newest->items[i].bytes, newest->items[i].node,
                                 newest->items[i].peak);
                complete_live(&s);
        }
        judge(&s);
}
