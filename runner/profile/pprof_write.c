// SPDX-License-Identifier: MIT
/*
 * pprof_write.c - a profile as the gzip bytes of a pprof file.
 *
 * Messages that are concatenated are merged by every protobuf reader, so the file is written as many small
 * Profile messages, one for each table row, straight into the compressor: memory does not grow with the
 * profile. Samples are packed by hand: protobuf-c took longer for them than compressing them. The gzip header
 * has no time and no system, so that equal profiles give equal bytes.
 */
#include "runner/profile/profile.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "profile.pb-c.h"
#include "runner/base/buf.h"
#include "runner/base/cleanup.h"
#include "runner/base/file.h"
#include "runner/profile/index.h"

enum { OS_UNKNOWN = 255 }; // RFC 1952

struct writer {
        z_stream z;
        gz_header header;
        struct pg_buf out;
        unsigned char *packed; // the message that is written
        size_t packed_size;
        const char **strings; // position is the number in the file; 0 is ""
        size_t n_strings, strings_capacity;
        struct pg_index string_index;
        bool no_memory;
};

static bool writer_init(struct writer *w)
{
        enum { FAST = 1, GZIP = 16, MEMORY_LEVEL = 8 }; // level 6 takes 2.5 times as long for 7 % less
        if (deflateInit2(&w->z, FAST, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
                return false;
        w->header.os = OS_UNKNOWN;
        deflateSetHeader(&w->z, &w->header);
        return true;
}

static void writer_deinit(struct writer *w)
{
        deflateEnd(&w->z);
        pg_buf_deinit(&w->out);
        pg_index_deinit(&w->string_index);
        free(w->packed);
        free(w->strings);
}

static void compress_bytes(struct writer *w, const void *bytes, size_t n, int flush)
{
        unsigned char piece[16384];
        w->z.next_in = (Bytef *)(uintptr_t)bytes;
        w->z.avail_in = (uInt)n;
        int rc;
        do {
                w->z.next_out = piece;
                w->z.avail_out = sizeof(piece);
                rc = deflate(&w->z, flush);
                pg_buf_append(&w->out, piece, sizeof(piece) - w->z.avail_out);
        } while (rc == Z_OK && w->z.avail_out == 0);
}

/* Writes a Profile message that holds only a part of the whole. */
static void write_part(struct writer *w, const Pprof__Profile *part)
{
        size_t n = pprof__profile__get_packed_size(part);
        if (n > w->packed_size) {
                unsigned char *grown = realloc(w->packed, 2 * n);
                if (!grown) {
                        w->no_memory = true;
                        return;
                }
                w->packed = grown;
                w->packed_size = 2 * n;
        }
        compress_bytes(w, w->packed, pprof__profile__pack(part, w->packed), Z_NO_FLUSH);
}

/* ---- text ---- */

static bool same_string(const void *owner, uint32_t item, const void *key)
{
        const struct writer *w = owner;
        return strcmp(w->strings[item], key) == 0;
}

/* The number of s in the string table; 0, which is "", when out of memory. */
static int64_t text(struct writer *w, const char *s)
{
        uint32_t hash = pg_hash(0, s, strlen(s));
        struct pg_index_slot *slot = pg_index_place(&w->string_index, hash, same_string, w, s);
        if (slot && !slot->item && w->n_strings == w->strings_capacity) {
                size_t capacity = w->strings_capacity ? 2 * w->strings_capacity : 64;
                const char **grown = reallocarray(w->strings, capacity, sizeof(*grown));
                if (grown) {
                        w->strings = grown;
                        w->strings_capacity = capacity;
                } else {
                        slot = NULL;
                }
        }
        if (!slot) {
                w->no_memory = true;
                return 0;
        }
        if (!slot->item) {
                w->strings[w->n_strings] = s;
                pg_index_fill(&w->string_index, slot, hash, (uint32_t)w->n_strings++);
        }
        return slot->item - 1;
}

static void write_strings(struct writer *w)
{
        for (size_t i = 0; i < w->n_strings; i++) {
                Pprof__Profile part = PPROF__PROFILE__INIT;
                char *s = (char *)(uintptr_t)w->strings[i]; // packing does not write
                part.n_string_table = 1;
                part.string_table = &s;
                write_part(w, &part);
        }
}

/* ---- tables ---- */

static Pprof__ValueType value_type(struct writer *w, const struct pg_value_type *t)
{
        Pprof__ValueType m = PPROF__VALUE_TYPE__INIT;
        m.type = text(w, t->type);
        m.unit = text(w, t->unit);
        return m;
}

static void write_sample_types(struct writer *w, const struct pg_profile *p)
{
        for (size_t i = 0; i < p->n_sample_types; i++) {
                Pprof__Profile part = PPROF__PROFILE__INIT;
                Pprof__ValueType m = value_type(w, &p->sample_types[i]), *row = &m;
                part.n_sample_type = 1;
                part.sample_type = &row;
                write_part(w, &part);
        }
}

/* ---- samples: most of the file, so they are packed by hand ---- */

enum {
        VARINT_MAX = 10,
        SAMPLE_FIELD = 2,
        LOCATION_IDS = 1,
        VALUES = 2,
        LABEL = 3,
        LABEL_KEY = 1,
        LABEL_TEXT = 2
};

static unsigned char *put_varint(unsigned char *p, uint64_t x)
{
        for (; x >= 0x80; x >>= 7)
                *p++ = (unsigned char)(x | 0x80);
        *p++ = (unsigned char)x;
        return p;
}

static size_t varint_bytes(uint64_t x)
{
        return (size_t)(63 - __builtin_clzll(x | 1)) / 7 + 1;
}

/* A field of bytes: its tag and length; the bytes follow. */
static unsigned char *put_head(unsigned char *p, unsigned field, uint64_t bytes)
{
        *p++ = (unsigned char)(field << 3 | 2);
        return put_varint(p, bytes);
}

static size_t field_bytes(uint64_t bytes)
{
        return 1 + varint_bytes(bytes) + bytes;
}

struct label {
        uint64_t key, text, bytes; // numbers of strings; bytes of the message, 0: no label
};

static struct label make_label(struct writer *w, const char *process)
{
        struct label l = { 0 };
        if (process) {
                l.key = (uint64_t)text(w, "process");
                l.text = (uint64_t)text(w, process);
                l.bytes = 2 + varint_bytes(l.key) + varint_bytes(l.text);
        }
        return l;
}

static unsigned char *put_label(unsigned char *p, const struct label *l)
{
        if (!l->bytes)
                return p;
        p = put_head(p, LABEL, l->bytes);
        *p++ = LABEL_KEY << 3;
        p = put_varint(p, l->key);
        *p++ = LABEL_TEXT << 3;
        return put_varint(p, l->text);
}

/* The field at p, where there is room for it; its end. */
static unsigned char *put_sample(unsigned char *p, const struct pg_profile_sample *s, size_t n_values,
                                 const struct label *label)
{
        uint64_t ids_bytes = 0, values_bytes = 0;
        for (size_t i = 0; i < s->n_locations; i++)
                ids_bytes += varint_bytes(s->locations[i] + UINT64_C(1));
        for (size_t i = 0; i < n_values; i++)
                values_bytes += varint_bytes((uint64_t)s->values[i]);
        p = put_head(p, SAMPLE_FIELD,
                     field_bytes(ids_bytes) + field_bytes(values_bytes) +
                             (label->bytes ? field_bytes(label->bytes) : 0));
        p = put_head(p, LOCATION_IDS, ids_bytes);
        for (size_t i = 0; i < s->n_locations; i++)
                p = put_varint(p, s->locations[i] + UINT64_C(1));
        p = put_head(p, VALUES, values_bytes);
        for (size_t i = 0; i < n_values; i++)
                p = put_varint(p, (uint64_t)s->values[i]);
        return put_label(p, label);
}

static bool make_room(struct writer *w, size_t bytes)
{
        if (bytes <= w->packed_size)
                return true;
        unsigned char *grown = realloc(w->packed, 2 * bytes);
        if (!grown)
                return false;
        w->packed = grown;
        w->packed_size = 2 * bytes;
        return true;
}

static bool write_samples(struct writer *w, const struct pg_profile *p)
{
        enum { HEADS = 64, BATCH = 65536 };
        size_t filled = 0;
        for (size_t i = 0; i < p->n_samples; i++) {
                const struct pg_profile_sample *s = &p->samples[i];
                size_t most = HEADS + (s->n_locations + p->n_sample_types) * VARINT_MAX;
                if (filled > BATCH) {
                        compress_bytes(w, w->packed, filled, Z_NO_FLUSH);
                        filled = 0;
                }
                if (!make_room(w, filled + most))
                        return false;
                struct label label = make_label(w, s->process);
                filled = (size_t)(put_sample(w->packed + filled, s, p->n_sample_types, &label) - w->packed);
        }
        compress_bytes(w, w->packed, filled, Z_NO_FLUSH);
        return true;
}

static void write_mappings(struct writer *w, const struct pg_profile *p)
{
        for (size_t i = 0; i < p->n_mappings; i++) {
                const struct pg_profile_mapping *from = &p->mappings[i];
                Pprof__Profile part = PPROF__PROFILE__INIT;
                Pprof__Mapping m = PPROF__MAPPING__INIT, *row = &m;
                m.id = i + 1;
                m.memory_start = from->start;
                m.memory_limit = from->limit;
                m.file_offset = from->offset;
                m.filename = text(w, from->file);
                m.build_id = text(w, from->build_id);
                m.has_functions = from->has_functions;
                m.has_filenames = from->has_filenames;
                m.has_line_numbers = from->has_lines;
                m.has_inline_frames = from->has_inlines;
                part.n_mapping = 1;
                part.mapping = &row;
                write_part(w, &part);
        }
}

static void write_location(struct writer *w, const struct pg_profile_location *from, uint64_t id,
                           Pprof__Line *lines, Pprof__Line **rows)
{
        for (size_t i = 0; i < from->n_lines; i++) {
                lines[i] = (Pprof__Line)PPROF__LINE__INIT;
                lines[i].function_id = from->lines[i].function + UINT64_C(1);
                lines[i].line = from->lines[i].line;
                rows[i] = &lines[i];
        }
        Pprof__Profile part = PPROF__PROFILE__INIT;
        Pprof__Location m = PPROF__LOCATION__INIT, *row = &m;
        m.id = id;
        m.mapping_id = (uint64_t)(from->mapping + INT64_C(1));
        m.address = from->address;
        m.n_line = from->n_lines;
        m.line = rows;
        part.n_location = 1;
        part.location = &row;
        write_part(w, &part);
}

static bool write_locations(struct writer *w, const struct pg_profile *p)
{
        size_t most = 1;
        for (size_t i = 0; i < p->n_locations; i++)
                if (p->locations[i].n_lines > most)
                        most = p->locations[i].n_lines;
        PG_AUTO_FREE Pprof__Line *lines = calloc(most, sizeof(*lines));
        PG_AUTO_FREE Pprof__Line **rows = calloc(most, sizeof(*rows));
        for (size_t i = 0; lines && rows && i < p->n_locations; i++)
                write_location(w, &p->locations[i], i + 1, lines, rows);
        return lines && rows;
}

static void write_functions(struct writer *w, const struct pg_profile *p)
{
        for (size_t i = 0; i < p->n_functions; i++) {
                const struct pg_profile_function *from = &p->functions[i];
                Pprof__Profile part = PPROF__PROFILE__INIT;
                Pprof__Function m = PPROF__FUNCTION__INIT, *row = &m;
                m.id = i + 1;
                m.name = text(w, from->name);
                m.system_name = text(w, from->system_name);
                m.filename = text(w, from->file);
                m.start_line = from->start_line;
                part.n_function = 1;
                part.function = &row;
                write_part(w, &part);
        }
}

static bool write_rest(struct writer *w, const struct pg_profile *p)
{
        Pprof__Profile part = PPROF__PROFILE__INIT;
        Pprof__ValueType period_type = value_type(w, &p->period_type);
        PG_AUTO_FREE int64_t *comments = calloc(p->n_comments + 1, sizeof(*comments));
        if (!comments)
                return false;
        for (size_t i = 0; i < p->n_comments; i++)
                comments[i] = text(w, p->comments[i]);
        part.time_nanos = p->time_ns;
        part.duration_nanos = p->duration_ns;
        part.period_type = &period_type;
        part.period = p->period;
        part.n_comment = p->n_comments;
        part.comment = comments;
        part.default_sample_type = text(w, p->sample_types[p->default_type].type);
        write_part(w, &part);
        return true;
}

static bool write_all(struct writer *w, const struct pg_profile *p)
{
        (void)text(w, ""); // number 0
        write_sample_types(w, p);
        if (!write_samples(w, p))
                return false;
        write_mappings(w, p);
        if (!write_locations(w, p))
                return false;
        write_functions(w, p);
        if (!write_rest(w, p))
                return false;
        write_strings(w);
        compress_bytes(w, "", 0, Z_FINISH);
        return !w->no_memory;
}

bool pg_pprof_format(const struct pg_profile *p, char **ret, size_t *ret_len, struct pg_error *err)
{
        if (!pg_profile_check(p, err))
                return false;
        struct writer w = { 0 };
        bool ok = writer_init(&w) && write_all(&w, p) && pg_buf_ok(&w.out, err);
        size_t len = w.out.len;
        char *bytes = ok ? pg_buf_steal(&w.out) : NULL;
        writer_deinit(&w);
        if (!bytes)
                return pg_fail_nomem(err);
        *ret = bytes;
        *ret_len = len;
        return true;
}

bool pg_pprof_save(const char *path, const struct pg_profile *p, struct pg_error *err)
{
        PG_AUTO_FREE char *bytes = NULL;
        size_t len;
        if (!pg_pprof_format(p, &bytes, &len, err) || !pg_file_replace(path, bytes, len, err))
                return pg_context(err, "profile '%s'", path);
        return true;
}
