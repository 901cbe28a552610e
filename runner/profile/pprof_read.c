// SPDX-License-Identifier: MIT
/*
 * pprof_read.c - a pprof file of any producer as a profile; every length, index and id in it is distrusted.
 *
 * The fields of the outermost message are walked here, and only one inner message at a time is unpacked by
 * protobuf-c, with an allocator that has a limit: unpacking all at once would take many times the file's
 * size. Producers may put fields into any order, so there is one walk for each kind of reference: text, then
 * what only needs text, then locations, then samples. Of labels only "process" is kept.
 */
#include "runner/profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"
#include "runner/base/buf.h"
#include "runner/base/cleanup.h"
#include "runner/base/file.h"
#include "runner/base/units.h"
#include "runner/profile/gunzip.h"
#include "runner/profile/ids.h"
#include "runner/profile/text.h"

enum { MAX_UNPACKED = 1 << 30, MAX_RECORDS = 1 << 26, MAX_MESSAGE_MEMORY = 256 << 20 };

/* Numbers of the fields of Profile. */
enum {
        SAMPLE_TYPE = 1,
        SAMPLE,
        MAPPING,
        LOCATION,
        FUNCTION,
        STRING,
        DROP_FRAMES,
        KEEP_FRAMES,
        TIME,
        DURATION,
        PERIOD_TYPE,
        PERIOD,
        COMMENT,
        DEFAULT_TYPE,
        N_FIELDS
};

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
        uint64_t number;
        unsigned wire;
        uint64_t value; // of a VARINT
        const uint8_t *bytes;
        size_t len;
        size_t at; // offset in the file, for messages
};

struct reader {
        const uint8_t *data;
        size_t len;
        struct pg_profile *p;
        const char **strings;
        size_t n_strings;
        size_t seen[N_FIELDS];
        struct pg_ids mappings, functions, locations;
        int64_t default_type; // text
        ProtobufCAllocator allocator;
        size_t message_memory; // of the message that is unpacked now
        bool no_memory, too_large;
};

/* ---- the outermost message ---- */

static bool read_varint(const struct reader *r, size_t *at, uint64_t *ret, struct pg_error *err)
{
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
                if (*at >= r->len)
                        return pg_fail(err, PG_EDATA, "byte %zu: the file ends within a number", *at);
                uint8_t byte = r->data[(*at)++];
                if (shift < 64)
                        value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = value;
                        return true;
                }
        }
        return pg_fail(err, PG_EDATA, "byte %zu: a number of more than 64 bits", *at);
}

static bool read_field(const struct reader *r, size_t *at, struct field *f, struct pg_error *err)
{
        uint64_t tag, len = 0;
        f->at = *at;
        if (!read_varint(r, at, &tag, err))
                return false;
        f->number = tag >> 3;
        f->wire = tag & 7;
        if (f->wire == VARINT)
                return read_varint(r, at, &f->value, err);
        if (f->wire == BYTES && !read_varint(r, at, &len, err))
                return false;
        if (f->wire == FIXED64 || f->wire == FIXED32)
                len = f->wire == FIXED64 ? 8 : 4;
        else if (f->wire != BYTES)
                return pg_fail(err, PG_EDATA, "byte %zu: not a pprof profile (field type %u)", f->at,
                               f->wire);
        if (len > r->len - *at)
                return pg_fail(err, PG_EDATA, "byte %zu: a field of %llu byte%s, but only %zu are left",
                               f->at, (unsigned long long)len, pg_plural(len), r->len - *at);
        f->bytes = r->data + *at;
        f->len = len;
        *at += len;
        return true;
}

/* ---- inner messages ---- */

static void *limited_alloc(void *context, size_t n)
{
        struct reader *r = context;
        if (n > MAX_MESSAGE_MEMORY - r->message_memory) {
                r->too_large = true;
                return NULL;
        }
        void *p = malloc(n ? n : 1);
        if (p)
                r->message_memory += n;
        else
                r->no_memory = true;
        return p;
}

static void limited_free(void *context, void *p)
{
        (void)context;
        free(p);
}

/* One message of the type, to be freed with close_message; NULL with err set. */
static void *open_message(struct reader *r, const ProtobufCMessageDescriptor *type, const struct field *f,
                          struct pg_error *err)
{
        r->message_memory = 0;
        void *m = protobuf_c_message_unpack(type, &r->allocator, f->len, f->bytes);
        if (m)
                return m;
        if (r->no_memory)
                pg_fail_nomem(err);
        else if (r->too_large)
                pg_fail(err, PG_EDATA, "byte %zu: a %s that needs more than %d MiB", f->at, type->short_name,
                        MAX_MESSAGE_MEMORY >> 20);
        else
                pg_fail(err, PG_EDATA, "byte %zu: damaged %s", f->at, type->short_name);
        return NULL;
}

static void close_message(struct reader *r, void *m)
{
        protobuf_c_message_free_unpacked(m, &r->allocator);
}

static bool get_text(const struct reader *r, const struct field *f, int64_t number, const char **ret,
                     struct pg_error *err)
{
        if (number < 0 || (uint64_t)number >= r->n_strings)
                return pg_fail(err, PG_EDATA, "byte %zu: text number %lld, the file has %zu", f->at,
                               (long long)number, r->n_strings);
        *ret = r->strings[number];
        return true;
}

static bool get_type(const struct reader *r, const struct field *f, const Pprof__ValueType *m,
                     struct pg_value_type *ret, struct pg_error *err)
{
        return get_text(r, f, m->type, &ret->type, err) && get_text(r, f, m->unit, &ret->unit, err);
}

/* ---- one function for each field; each takes the next row of its table ---- */

static bool take_string(struct reader *r, const struct field *f, struct pg_error *err)
{
        const char *s = pg_text_clean(r->p->arena, (const char *)f->bytes, f->len);
        if (!s)
                return pg_fail_nomem(err);
        if (r->n_strings == 0 && *s)
                return pg_fail(err, PG_EDATA, "byte %zu: the first text is not empty", f->at);
        r->strings[r->n_strings++] = s;
        return true;
}

static bool take_sample_type(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__ValueType *m = open_message(r, &pprof__value_type__descriptor, f, err);
        if (!m)
                return false;
        bool ok = get_type(r, f, m, &r->p->sample_types[r->p->n_sample_types++], err);
        close_message(r, m);
        return ok;
}

static bool take_period_type(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__ValueType *m = open_message(r, &pprof__value_type__descriptor, f, err);
        if (!m)
                return false;
        bool ok = get_type(r, f, m, &r->p->period_type, err);
        close_message(r, m);
        return ok;
}

static bool take_mapping(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__Mapping *m = open_message(r, &pprof__mapping__descriptor, f, err);
        if (!m)
                return false;
        uint32_t i = (uint32_t)r->p->n_mappings++;
        struct pg_profile_mapping *to = &r->p->mappings[i];
        *to = (struct pg_profile_mapping){ .start = m->memory_start,
                                           .limit = m->memory_limit,
                                           .offset = m->file_offset,
                                           .has_functions = m->has_functions,
                                           .has_filenames = m->has_filenames,
                                           .has_lines = m->has_line_numbers,
                                           .has_inlines = m->has_inline_frames };
        r->mappings.items[r->mappings.n++] = (struct pg_id){ m->id, i };
        bool ok = get_text(r, f, m->filename, &to->file, err) &&
                  get_text(r, f, m->build_id, &to->build_id, err);
        close_message(r, m);
        return ok;
}

static bool take_function(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__Function *m = open_message(r, &pprof__function__descriptor, f, err);
        if (!m)
                return false;
        uint32_t i = (uint32_t)r->p->n_functions++;
        struct pg_profile_function *to = &r->p->functions[i];
        to->start_line = m->start_line;
        r->functions.items[r->functions.n++] = (struct pg_id){ m->id, i };
        bool ok = get_text(r, f, m->name, &to->name, err) &&
                  get_text(r, f, m->system_name, &to->system_name, err) &&
                  get_text(r, f, m->filename, &to->file, err);
        close_message(r, m);
        return ok;
}

static bool fill_location(struct reader *r, const struct field *f, const Pprof__Location *m,
                          struct pg_profile_location *to, struct pg_error *err)
{
        uint32_t mapping = 0;
        if (m->mapping_id && !pg_ids_find(&r->mappings, m->mapping_id, &mapping))
                return pg_fail(err, PG_EDATA, "byte %zu: no mapping has id %llu", f->at,
                               (unsigned long long)m->mapping_id);
        to->mapping = m->mapping_id ? (int32_t)mapping : -1;
        to->address = m->address;
        to->lines = pg_arena_calloc(r->p->arena, m->n_line, sizeof(*to->lines));
        if (!to->lines)
                return pg_fail_nomem(err);
        for (size_t i = 0; i < m->n_line; i++) {
                struct pg_profile_line *line = &to->lines[to->n_lines];
                if (m->line[i]->function_id == 0)
                        continue; // says nothing
                if (!pg_ids_find(&r->functions, m->line[i]->function_id, &line->function))
                        return pg_fail(err, PG_EDATA, "byte %zu: no function has id %llu", f->at,
                                       (unsigned long long)m->line[i]->function_id);
                line->line = m->line[i]->line;
                to->n_lines++;
        }
        return true;
}

static bool take_location(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__Location *m = open_message(r, &pprof__location__descriptor, f, err);
        if (!m)
                return false;
        uint32_t i = (uint32_t)r->p->n_locations++;
        r->locations.items[r->locations.n++] = (struct pg_id){ m->id, i };
        bool ok = fill_location(r, f, m, &r->p->locations[i], err);
        close_message(r, m);
        return ok;
}

static bool fill_sample(struct reader *r, const struct field *f, const Pprof__Sample *m,
                        struct pg_profile_sample *to, struct pg_error *err)
{
        size_t values_bytes = m->n_value * sizeof(*to->values);
        if (m->n_value != r->p->n_sample_types)
                return pg_fail(err, PG_EDATA, "byte %zu: a sample of %zu value%s, expected %zu", f->at,
                               m->n_value, pg_plural(m->n_value), r->p->n_sample_types);
        char *block =
                pg_arena_calloc(r->p->arena, 1, values_bytes + m->n_location_id * sizeof(*to->locations));
        if (!block)
                return pg_fail_nomem(err);
        to->values = (int64_t *)(void *)block;
        to->locations = (uint32_t *)(void *)(block + values_bytes);
        to->n_locations = m->n_location_id;
        memcpy(to->values, m->value, values_bytes);
        for (size_t i = 0; i < m->n_location_id; i++)
                if (!pg_ids_find(&r->locations, m->location_id[i], &to->locations[i]))
                        return pg_fail(err, PG_EDATA, "byte %zu: no location has id %llu", f->at,
                                       (unsigned long long)m->location_id[i]);
        return true;
}

/* Other producers' labels say nothing that we show. */
static bool fill_label(struct reader *r, const struct field *f, const Pprof__Sample *m,
                       struct pg_profile_sample *to, struct pg_error *err)
{
        for (size_t i = 0; i < m->n_label; i++) {
                const char *key = NULL;
                if (!get_text(r, f, m->label[i]->key, &key, err))
                        return false;
                if (m->label[i]->str && strcmp(key, "process") == 0 &&
                    !get_text(r, f, m->label[i]->str, &to->process, err))
                        return false;
        }
        return true;
}

static bool take_sample(struct reader *r, const struct field *f, struct pg_error *err)
{
        Pprof__Sample *m = open_message(r, &pprof__sample__descriptor, f, err);
        if (!m)
                return false;
        struct pg_profile_sample *to = &r->p->samples[r->p->n_samples++];
        bool ok = fill_sample(r, f, m, to, err) && fill_label(r, f, m, to, err);
        close_message(r, m);
        return ok;
}

static bool take_number(struct reader *r, const struct field *f, struct pg_error *err)
{
        int64_t *const to[N_FIELDS] = { [TIME] = &r->p->time_ns,
                                        [DURATION] = &r->p->duration_ns,
                                        [PERIOD] = &r->p->period,
                                        [DEFAULT_TYPE] = &r->default_type };
        if (f->number == TIME && r->p->time_ns != 0)
                return pg_fail(err, PG_EDATA, "byte %zu: a second profile begins in this file", f->at);
        *to[f->number] = (int64_t)f->value;
        return true;
}

static bool add_comment(struct reader *r, const struct field *f, int64_t number, struct pg_error *err)
{
        const char *text = NULL;
        if (!get_text(r, f, number, &text, err))
                return false;
        const char **grown = pg_arena_grow(r->p->arena, r->p->comments, r->p->n_comments, sizeof(*grown));
        if (!grown)
                return pg_fail_nomem(err);
        r->p->comments = grown;
        r->p->comments[r->p->n_comments++] = text;
        return true;
}

/* Either one number or, packed, several. */
static bool take_comment(struct reader *r, const struct field *f, struct pg_error *err)
{
        if (f->wire == VARINT)
                return add_comment(r, f, (int64_t)f->value, err);
        struct reader inner = { .data = f->bytes, .len = f->len };
        for (size_t at = 0; at < f->len;) {
                uint64_t number;
                if (!read_varint(&inner, &at, &number, err) || !add_comment(r, f, (int64_t)number, err))
                        return false;
        }
        return true;
}

/* ---- the walks ---- */

enum pass { TEXT, TABLES, LOCATIONS, SAMPLES, N_PASSES };

static const struct {
        enum pass pass;
        bool number, bytes; // how it may be encoded; neither: not looked at
        bool (*take)(struct reader *, const struct field *, struct pg_error *);
} fields[N_FIELDS] = {
        [SAMPLE_TYPE] = { TABLES, false, true, take_sample_type },
        [SAMPLE] = { SAMPLES, false, true, take_sample },
        [MAPPING] = { TABLES, false, true, take_mapping },
        [LOCATION] = { LOCATIONS, false, true, take_location },
        [FUNCTION] = { TABLES, false, true, take_function },
        [STRING] = { TEXT, false, true, take_string },
        [TIME] = { TABLES, true, false, take_number },
        [DURATION] = { TABLES, true, false, take_number },
        [PERIOD_TYPE] = { TABLES, false, true, take_period_type },
        [PERIOD] = { TABLES, true, false, take_number },
        [COMMENT] = { TABLES, true, true, take_comment },
        [DEFAULT_TYPE] = { TABLES, true, false, take_number },
};

/* Counts the records of each kind and checks that the whole file is made of fields. */
static bool count_fields(struct reader *r, struct pg_error *err)
{
        size_t records = 0;
        for (size_t at = 0; at < r->len;) {
                struct field f;
                if (!read_field(r, &at, &f, err))
                        return false;
                if (f.number == 0)
                        return pg_fail(err, PG_EDATA, "byte %zu: not a pprof profile (field number 0)", f.at);
                if (f.number >= N_FIELDS || !fields[f.number].take)
                        continue;
                if (!(f.wire == VARINT ? fields[f.number].number : f.wire == BYTES && fields[f.number].bytes))
                        return pg_fail(err, PG_EDATA, "byte %zu: not a pprof profile (field %u has type %u)",
                                       f.at, (unsigned)f.number, f.wire);
                if (++records > MAX_RECORDS)
                        return pg_fail(err, PG_EDATA, "more than %d records", MAX_RECORDS);
                r->seen[f.number]++;
        }
        if (r->seen[SAMPLE_TYPE] == 0 || r->seen[STRING] == 0)
                return pg_fail(err, PG_EDATA, "not a pprof profile: no %s",
                               r->seen[SAMPLE_TYPE] == 0 ? "sample types" : "text");
        return true;
}

static bool walk(struct reader *r, enum pass pass, struct pg_error *err)
{
        for (size_t at = 0; at < r->len;) {
                struct field f;
                if (!read_field(r, &at, &f, err))
                        return false;
                if (f.number < N_FIELDS && fields[f.number].take && fields[f.number].pass == pass &&
                    !fields[f.number].take(r, &f, err))
                        return false;
        }
        return true;
}

static bool make_tables(struct reader *r, struct pg_error *err)
{
        struct pg_profile *p = r->p;
        struct pg_arena *a = p->arena;
        p->sample_types = pg_arena_calloc(a, r->seen[SAMPLE_TYPE], sizeof(*p->sample_types));
        p->mappings = pg_arena_calloc(a, r->seen[MAPPING], sizeof(*p->mappings));
        p->functions = pg_arena_calloc(a, r->seen[FUNCTION], sizeof(*p->functions));
        p->locations = pg_arena_calloc(a, r->seen[LOCATION], sizeof(*p->locations));
        p->samples = pg_arena_calloc(a, r->seen[SAMPLE], sizeof(*p->samples));
        p->period_type = (struct pg_value_type){ "", "" };
        r->strings = calloc(r->seen[STRING], sizeof(*r->strings));
        r->mappings.items = calloc(r->seen[MAPPING] + 1, sizeof(*r->mappings.items));
        r->functions.items = calloc(r->seen[FUNCTION] + 1, sizeof(*r->functions.items));
        r->locations.items = calloc(r->seen[LOCATION] + 1, sizeof(*r->locations.items));
        return (p->sample_types && p->mappings && p->functions && p->locations && p->samples && r->strings &&
                r->mappings.items && r->functions.items && r->locations.items) ||
               pg_fail_nomem(err);
}

static bool sort_ids(struct pg_ids *ids, const char *what, struct pg_error *err)
{
        uint64_t bad = 0;
        return pg_ids_sort(ids, &bad) ||
               pg_fail(err, PG_EDATA, bad ? "two %ss have id %llu" : "a %s has id %llu", what,
                       (unsigned long long)bad);
}

/* The one that the file names, else the last, as pprof itself does. */
static bool find_default_type(struct reader *r, struct pg_error *err)
{
        const char *name = NULL;
        struct field nowhere = { .at = r->len };
        if (!get_text(r, &nowhere, r->default_type, &name, err))
                return false;
        r->p->default_type = (uint32_t)r->p->n_sample_types - 1;
        for (uint32_t i = 0; i < r->p->n_sample_types; i++)
                if (strcmp(r->p->sample_types[i].type, name) == 0)
                        r->p->default_type = i;
        return true;
}

static bool read_all(struct reader *r, struct pg_error *err)
{
        return count_fields(r, err) && make_tables(r, err) && walk(r, TEXT, err) && walk(r, TABLES, err) &&
               sort_ids(&r->mappings, "mapping", err) && sort_ids(&r->functions, "function", err) &&
               walk(r, LOCATIONS, err) && sort_ids(&r->locations, "location", err) && walk(r, SAMPLES, err) &&
               find_default_type(r, err);
}

static bool parse_plain(const void *bytes, size_t len, struct pg_profile **ret, struct pg_error *err)
{
        struct reader r = { .data = bytes, .len = len };
        r.allocator = (ProtobufCAllocator){ limited_alloc, limited_free, &r };
        if (len == 0)
                return pg_fail(err, PG_EDATA, "empty, expected a pprof profile");
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        r.p = a ? pg_arena_calloc(a, 1, sizeof(*r.p)) : NULL;
        if (!r.p)
                return pg_fail_nomem(err);
        r.p->arena = a;
        bool ok = read_all(&r, err);
        free(r.strings);
        free(r.mappings.items);
        free(r.functions.items);
        free(r.locations.items);
        if (!ok)
                return false;
        a = NULL;
        *ret = r.p;
        return true;
}

bool pg_pprof_parse(const void *bytes, size_t len, struct pg_profile **ret, struct pg_error *err)
{
        if (len > MAX_UNPACKED)
                return pg_fail(err, PG_EDATA, "larger than %d MiB", MAX_UNPACKED >> 20);
        if (!pg_is_gzip(bytes, len))
                return parse_plain(bytes, len, ret, err);
        PG_AUTO_BUF struct pg_buf plain = { 0 };
        return pg_gunzip(bytes, len, MAX_UNPACKED, &plain, err) &&
               parse_plain(plain.data, plain.len, ret, err);
}

bool pg_pprof_load(const char *path, struct pg_profile **ret, struct pg_error *err)
{
        PG_AUTO_FREE char *bytes = NULL;
        size_t len = 0;
        if (!pg_file_read(path, MAX_UNPACKED, &bytes, &len, err) || !pg_pprof_parse(bytes, len, ret, err))
                return pg_context(err, "profile '%s'", path);
        return true;
}
