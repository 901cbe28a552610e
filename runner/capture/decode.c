// SPDX-License-Identifier: MIT
/*
 * decode.c - reads slots with a cursor that owns the arena, the damage count and the source.
 *
 * Every piece is copied out, then checked, then used; a number from the file is never an index or a length
 * before it was compared with what the layout admits. Bytes that are missing (a short file) are absent, not
 * an error: only the header must be there.
 */
#include "runner/capture/decode.h"

#include "runner/capture/decode_stacks.h"
#include "runner/capture/printable.h"

#include <stdlib.h>
#include <string.h>

bool pg_reader_fetch(struct pg_reader *r, uint64_t offset, void *out, size_t n)
{
        return r->source->read(r->source, r->slot + offset, out, n);
}

uint64_t pg_reader_next_data(const struct pg_reader *r, uint64_t offset)
{
        if (!r->source->next_data)
                return offset;
        return r->source->next_data(r->source, r->slot + offset) - r->slot;
}

static void damaged(struct pg_reader *r)
{
        r->out->n_damaged++;
}

static uint32_t at_most(uint32_t n, uint32_t max)
{
        return n < max ? n : max;
}

/* ---- text ------------------------------------------------------------------------------------------------
 */

/* A copy of the text in field, cut at size, with '?' for each byte that is not text. */
static const char *text(struct pg_reader *r, const char *field, size_t size)
{
        size_t n = strnlen(field, size);
        char *s = pg_arena_strndup(r->arena, field, n);
        if (!s) {
                r->no_memory = true;
                return "";
        }
        pg_make_printable(s, n);
        return s;
}

/* ---- modules ---------------------------------------------------------------------------------------------
 */

static const char *hex(struct pg_reader *r, const uint8_t *bytes, uint32_t n)
{
        static const char digits[] = "0123456789abcdef";
        char *s = pg_arena_calloc(r->arena, 2 * (size_t)n + 1, 1);
        if (!s) {
                r->no_memory = true;
                return "";
        }
        for (uint32_t i = 0; i < n; i++) {
                s[2 * i] = digits[bytes[i] >> 4];
                s[2 * i + 1] = digits[bytes[i] & 15];
        }
        return s;
}

static void read_module(struct pg_reader *r, uint32_t index, struct pg_captured_module *m,
                        const char **ret_build_id)
{
        struct pg_module raw;
        *m = (struct pg_captured_module){ .path = "" };
        *ret_build_id = "";
        if (!pg_reader_fetch(r, PG_OFFSET_MODULES + (uint64_t)index * sizeof(raw), &raw, sizeof(raw)) ||
            !raw.ready)
                return; // reserved, and the target was killed before it was filled
        if (raw.start >= raw.end || strnlen(raw.path, sizeof(raw.path)) == sizeof(raw.path)) {
                damaged(r);
                return;
        }
        m->path = text(r, raw.path, sizeof(raw.path));
        m->start = raw.start;
        m->end = raw.end;
        m->bias = raw.bias;
        m->is_main = raw.flags & PG_MODULE_MAIN;
        if (raw.build_id_bytes > 0 && raw.build_id_bytes <= sizeof(raw.build_id))
                *ret_build_id = hex(r, raw.build_id, raw.build_id_bytes);
}

static void read_modules(struct pg_reader *r, const struct pg_slot *s, struct pg_captured_process *p)
{
        uint32_t n = at_most(s->n_modules, PG_MODULES_MAX);
        const char **build_ids = pg_arena_calloc(r->arena, n, sizeof(*build_ids));
        p->modules = pg_arena_calloc(r->arena, n, sizeof(*p->modules));
        p->build_ids = build_ids;
        if (!p->modules || !build_ids) {
                r->no_memory = true;
                return;
        }
        p->n_modules = n;
        for (uint32_t i = 0; i < n; i++)
                read_module(r, i, &p->modules[i], &build_ids[i]);
}

/* ---- counters --------------------------------------------------------------------------------------------
 */

struct heap {
        uint64_t net;      // of all cells; two's complement
        int64_t solo_peak; // of the first cell
        uint64_t not_solo; // cells that may hold back up to the slack
};

static void read_newest(struct pg_reader *r, const struct pg_cell *c, struct pg_newest_blocks *newest)
{
        if (!c->pending)
                return;
        struct pg_newest *items = pg_arena_grow(r->arena, newest->items, newest->n, sizeof(*items));
        if (!items) {
                r->no_memory = true;
                return;
        }
        items[newest->n++] = (struct pg_newest){ c->pending, c->last_bytes, c->last_node, c->last_peak };
        newest->items = items;
}

static void read_cell(struct pg_reader *r, uint32_t index, struct pg_captured_process *p, struct heap *h,
                      struct pg_newest_blocks *newest)
{
        struct pg_cell c;
        if (!pg_reader_fetch(r, PG_OFFSET_CELLS + (uint64_t)index * sizeof(c), &c, sizeof(c)))
                return;
        p->allocations += c.allocations;
        p->allocated_bytes += c.allocated_bytes;
        p->frees += c.frees;
        h->net += (uint64_t)c.net_bytes;
        if (index == 1)
                h->solo_peak = c.solo_peak_bytes;
        if (index > 0 && !c.solo)
                h->not_solo++;
        read_newest(r, &c, newest);
}

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

/* While solo the cell knows the peak; later the slot does, and what lived before the second cell counts too.
 */
static void set_peak(struct pg_reader *r, const struct pg_slot *s, const struct heap *h,
                     struct pg_captured_process *p)
{
        int64_t solo = (int64_t)(s->inherited_bytes + (uint64_t)h->solo_peak);
        int64_t now = (int64_t)(s->inherited_bytes + h->net);
        int64_t peak = larger(solo, now);
        if (s->multi)
                peak = larger(peak, s->peak_bytes);
        if (peak < 0 || s->slack_bytes > UINT32_MAX) {
                damaged(r);
                return;
        }
        p->peak_bytes = (uint64_t)peak;
        p->peak_uncertainty_bytes = s->multi ? h->not_solo * s->slack_bytes : 0;
}

static void read_heap(struct pg_reader *r, const struct pg_slot *s, struct pg_captured_process *p)
{
        struct pg_newest_blocks newest = { 0 };
        struct heap h = { 0 };
        for (uint32_t i = 0, n = at_most(s->n_cells, PG_CELLS_MAX); i < n; i++)
                read_cell(r, i, p, &h, &newest);
        p->live_bytes = (int64_t)h.net;
        set_peak(r, s, &h, p);
        pg_decode_stacks(r, s, p, &newest);
}

static void read_samples(struct pg_reader *r, const struct pg_slot *s, struct pg_captured_process *p)
{
        struct pg_newest_blocks none = { 0 };
        pg_decode_stacks(r, s, p, &none);
        for (size_t i = 0; i < p->n_nodes; i++) {
                p->sample_count += p->nodes[i].count;
                p->sample_weight_ns += p->nodes[i].amount;
        }
        p->threads_armed = s->threads_armed;
        p->threads_unarmed = s->threads_unarmed;
        p->threads_task_clock = s->threads_task_clock;
        p->signal_taken_away = s->signal_taken_away;
}

/* ---- slots -----------------------------------------------------------------------------------------------
 */

static void read_journal(struct pg_reader *r, const struct pg_slot *s)
{
        uint32_t n = at_most(s->n_started, PG_JOURNAL_MAX);
        r->journal.overflown += s->n_started - n;
        for (uint32_t i = 0; i < n; i++) {
                struct pg_started e;
                if (!pg_reader_fetch(r, PG_OFFSET_JOURNAL + (uint64_t)i * sizeof(e), &e, sizeof(e)) ||
                    !e.ready)
                        continue;
                struct pg_journal_entry *entries =
                        pg_arena_grow(r->arena, r->journal.entries, r->journal.n_entries, sizeof(*entries));
                if (!entries) {
                        r->no_memory = true;
                        return;
                }
                entries[r->journal.n_entries++] =
                        (struct pg_journal_entry){ e.pid, e.time_ns, text(r, e.path, sizeof(e.path)) };
                r->journal.entries = entries;
        }
}

static void read_slot(struct pg_reader *r)
{
        struct pg_slot s;
        if (!pg_reader_fetch(r, 0, &s, sizeof(s)) || s.state == PG_SLOT_FREE)
                return; // claimed, but never used
        if (s.state > PG_SLOT_EXITED || s.pid <= 0 || s.disarm >= PG_DISARM_COUNT) {
                damaged(r);
                return;
        }
        struct pg_captured_process *all =
                pg_arena_grow(r->arena, r->out->processes, r->out->n_processes, sizeof(*all));
        if (!all) {
                r->no_memory = true;
                return;
        }
        r->out->processes = all;
        struct pg_captured_process *p = &all[r->out->n_processes++];
        *p = (struct pg_captured_process){
                .pid = s.pid,
                .ppid = s.ppid,
                .program = text(r, s.program, sizeof(s.program)),
                .start_ns = s.start_ns,
                .forked = s.forked,
                .execed = s.state == PG_SLOT_EXECED,
                .disarm = s.disarm,
                .n_threads = s.n_threads,
        };
        read_modules(r, &s, p);
        if (r->header.mode == PG_MODE_COUNT)
                read_heap(r, &s, p);
        else
                read_samples(r, &s, p);
        read_journal(r, &s);
}

static int by_start(const void *a, const void *b)
{
        const struct pg_captured_process *x = a, *y = b;
        if (x->start_ns != y->start_ns)
                return x->start_ns < y->start_ns ? -1 : 1;
        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool check_header(struct pg_reader *r, struct pg_file_header *h, struct pg_error *err)
{
        if (!pg_reader_fetch(r, 0, h, sizeof(*h)))
                return pg_fail(err, PG_EDATA,
                               "a capture starts with %zu bytes of header, this one is shorter", sizeof(*h));
        if (h->magic != PG_CAPTURE_MAGIC || h->header_bytes != sizeof(*h))
                return pg_fail(err, PG_EDATA, "not a capture");
        if (h->version != PG_CAPTURE_VERSION)
                return pg_fail(err, PG_EDATA, "capture of version %u, expected %d", h->version,
                               PG_CAPTURE_VERSION);
        if (h->slot_size != PG_SLOT_BYTES || h->n_slots > PG_SLOTS_MAX || h->mode < PG_MODE_COUNT ||
            h->mode > PG_MODE_LOCK || h->live > PG_LIVE_OFF)
                return pg_fail(err, PG_EDATA, "the header of the capture was overwritten");
        return true;
}

bool pg_decode(const struct pg_source *source, struct pg_arena *a, struct pg_captured **ret,
               struct pg_journal *ret_journal, struct pg_error *err)
{
        struct pg_reader r = { .source = source, .arena = a };
        const struct pg_file_header *h = &r.header;
        if (!check_header(&r, &r.header, err))
                return false;
        r.out = pg_arena_calloc(a, 1, sizeof(*r.out));
        if (!r.out)
                return pg_fail_nomem(err);
        for (uint32_t i = 0, n = at_most(h->next_slot, h->n_slots); i < n && !r.no_memory; i++) {
                r.slot = PG_CAPTURE_PAGE + (uint64_t)i * PG_SLOT_BYTES;
                read_slot(&r);
        }
        if (r.out->n_processes)
                qsort(r.out->processes, r.out->n_processes, sizeof(*r.out->processes), by_start);
        r.journal.refused = h->slots_refused;
        if (r.no_memory || !pg_gaps_find(r.out, &r.journal, a))
                return pg_fail_nomem(err);
        *ret = r.out;
        *ret_journal = r.journal;
        return true;
}
