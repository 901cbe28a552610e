// SPDX-License-Identifier: MIT
/*
 * fuzz_capture.c - any bytes in the shared memory: decoded without a fault, and what comes out keeps the
 * reader's promises.
 *
 * A capture is sparse and megabytes long, so the input is a list of pieces that are laid over a valid, empty
 * one: area (1 byte), index (1 byte), offset (2 bytes), length (1 byte), bytes. An input that starts with
 * 0xff is a capture as it stands.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/capture/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_HEAD = 5, PIECES_MAX = 256 };

struct piece {
        uint64_t at;
        size_t n;
        const uint8_t *bytes;
};

struct sparse {
        struct pg_source source;
        struct piece pieces[PIECES_MAX];
        size_t n;
};

static const struct {
        uint64_t offset, stride; // of the index
} areas[] = {
        { 0, 0 },
        { PG_CAPTURE_PAGE, PG_SLOT_BYTES },
        { PG_CAPTURE_PAGE + PG_OFFSET_MODULES, sizeof(struct pg_module) },
        { PG_CAPTURE_PAGE + PG_OFFSET_CELLS, sizeof(struct pg_cell) },
        { PG_CAPTURE_PAGE + PG_OFFSET_NODES, sizeof(struct pg_node) },
        { PG_CAPTURE_PAGE + PG_OFFSET_JOURNAL, sizeof(struct pg_started) },
        { PG_CAPTURE_PAGE + PG_OFFSET_PEAKS, sizeof(struct pg_node_peak) },
        { PG_CAPTURE_PAGE + PG_OFFSET_LIVE_BLOCKS, sizeof(struct pg_live_block) },
};

static void overlay(unsigned char *out, uint64_t offset, size_t n, const struct piece *p)
{
        uint64_t from = p->at > offset ? p->at : offset;
        uint64_t to = p->at + p->n < offset + n ? p->at + p->n : offset + n;
        if (from < to)
                memcpy(out + (from - offset), p->bytes + (from - p->at), to - from);
}

static bool read_sparse(const struct pg_source *source, uint64_t offset, void *out, size_t n)
{
        const struct sparse *s = (const struct sparse *)source;
        memset(out, 0, n);
        for (size_t i = 0; i < s->n; i++)
                overlay(out, offset, n, &s->pieces[i]);
        return offset + n <= PG_CAPTURE_PAGE + 256ull * PG_SLOT_BYTES;
}

static void add(struct sparse *s, uint64_t at, const void *bytes, size_t n)
{
        if (s->n < PIECES_MAX)
                s->pieces[s->n++] = (struct piece){ at, n, bytes };
}

static void lay_out(struct sparse *s, const uint8_t *data, size_t size)
{
        while (size > PIECE_HEAD) {
                size_t area = data[0] % (sizeof(areas) / sizeof(*areas));
                size_t n = data[4] < size - PIECE_HEAD ? data[4] : size - PIECE_HEAD;
                uint64_t at = areas[area].offset + data[1] * areas[area].stride;
                add(s, at + ((uint64_t)data[2] | (uint64_t)data[3] << 8), data + PIECE_HEAD, n);
                data += PIECE_HEAD + n;
                size -= PIECE_HEAD + n;
        }
}

static void check(bool kept)
{
        if (!kept)
                abort();
}

static void check_place(const struct pg_captured_process *p, pg_place place)
{
        check(PG_PLACE_MODULE(place) < p->n_modules || PG_PLACE_MODULE(place) == PG_MODULE_NONE);
}

static void check_process(const struct pg_captured_process *p)
{
        check(p->pid > 0 && p->n_modules <= PG_MODULES_MAX);
        for (size_t i = 0; i < p->n_modules; i++)
                check(p->modules[i].path && !strpbrk(p->modules[i].path, "\n\t\x1b"));
        check(p->n_nodes >= PG_NODE_FIRST);
        for (size_t i = 1; i < p->n_nodes; i++) {
                check_place(p, p->nodes[i].place);
                check(p->nodes[i].parent < i);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        struct pg_captured *c = NULL;
        struct pg_error err = { 0 };
        bool ok;
        if (size > 0 && data[0] == 0xff) {
                ok = pg_capture_decode(data + 1, size - 1, a, &c, &err);
        } else {
                const struct pg_file_header h = { .magic = PG_CAPTURE_MAGIC,
                                                  .version = PG_CAPTURE_VERSION,
                                                  .header_bytes = sizeof(h),
                                                  .slot_size = PG_SLOT_BYTES,
                                                  .n_slots = PG_SLOTS_MAX,
                                                  .mode = PG_MODE_COUNT,
                                                  .next_slot = 1 };
                struct sparse s = { .source.read = read_sparse };
                struct pg_journal journal;
                add(&s, 0, &h, sizeof(h));
                lay_out(&s, data, size);
                ok = pg_decode(&s.source, a, &c, &journal, &err);
        }
        check(ok == (err.code == PG_OK) && (ok || err.text[0]));
        for (size_t i = 0; ok && i < c->n_processes; i++)
                check_process(&c->processes[i]);
        return 0;
}
