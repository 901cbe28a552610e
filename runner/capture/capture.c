// SPDX-License-Identifier: MIT
/*
 * capture.c - the runner's end of the memory file: make it, say where it is, read it.
 *
 * The file is sparse and as long as all its slots together; only pages that were written take memory. It is
 * read by pread, not mapped: holes stay holes, and nothing that a target does to the file can fault us.
 */
#include "runner/capture/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "runner/capture/decode.h"

struct pg_capture {
        int fd;
        enum pg_capture_mode mode;
        char value[256];
};

/* As many slots as the limit on file sizes admits. */
static uint32_t slots_within_limit(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
                return PG_SLOTS_MAX;
        uint64_t n =
                limit.rlim_cur < PG_CAPTURE_PAGE ? 0 : (limit.rlim_cur - PG_CAPTURE_PAGE) / PG_SLOT_BYTES;
        return n < PG_SLOTS_MAX ? (uint32_t)n : PG_SLOTS_MAX;
}

static bool fill(struct pg_capture *c, const struct pg_file_header *h, struct pg_error *err)
{
        off_t size = (off_t)(PG_CAPTURE_PAGE + (uint64_t)h->n_slots * PG_SLOT_BYTES);
        if (h->n_slots == 0)
                return pg_fail(err, PG_EOS,
                               "the limit on file sizes (ulimit -f) leaves no room for measuring");
        c->fd = memfd_create("perfgate", MFD_CLOEXEC);
        if (c->fd < 0)
                return pg_fail_os(err, "cannot create shared memory");
        if (ftruncate(c->fd, size) != 0 || pwrite(c->fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
                return pg_fail_os(err, "cannot size shared memory");
        return true;
}

static void describe(struct pg_capture *c, const struct pg_file_header *h)
{
        static const char *const modes[] = {
                [PG_MODE_COUNT] = "count", [PG_MODE_SAMPLE] = "sample", [PG_MODE_LOCK] = "lock"
        };
        snprintf(c->value, sizeof(c->value), "fd=/proc/%d/fd/%d,key=%016" PRIx64 ",mode=%s,rate=%u",
                 (int)getpid(), c->fd, h->key, modes[h->mode], h->rate_hz);
}

bool pg_capture_create(const struct pg_capture_request *request, struct pg_capture **ret,
                       struct pg_error *err)
{
        PG_AUTO_CAPTURE struct pg_capture *c = calloc(1, sizeof(*c));
        if (!c)
                return pg_fail_nomem(err);
        c->fd = -1;
        c->mode = request->mode;
        struct pg_file_header h = {
                .magic = PG_CAPTURE_MAGIC,
                .version = PG_CAPTURE_VERSION,
                .header_bytes = sizeof(h),
                .slot_size = PG_SLOT_BYTES,
                .n_slots = slots_within_limit(),
                .mode = request->mode,
                .rate_hz = request->rate_hz,
                .live = request->live,
                .verify_every = request->verify_every,
                .stack_interval_bytes = request->stack_interval_bytes,
        };
        if (getrandom(&h.key, sizeof(h.key), 0) != (ssize_t)sizeof(h.key))
                return pg_fail_os(err, "cannot get random bytes");
        if (!fill(c, &h, err))
                return false;
        describe(c, &h);
        *ret = c;
        c = NULL;
        return true;
}

void pg_capture_destroy(struct pg_capture *c)
{
        if (!c)
                return;
        if (c->fd >= 0)
                close(c->fd);
        free(c);
}

const char *pg_capture_agent_value(const struct pg_capture *c)
{
        return c->value;
}

static bool read_file(const struct pg_source *s, uint64_t offset, void *out, size_t n)
{
        ssize_t got;
        do {
                got = pread(s->fd, out, n, (off_t)offset);
        } while (got < 0 && errno == EINTR);
        return got == (ssize_t)n;
}

/* A file's end counts as data: what is behind it fails to be read. */
static uint64_t next_data_of_file(const struct pg_source *s, uint64_t offset)
{
        off_t found = lseek(s->fd, (off_t)offset, SEEK_DATA);
        if (found < 0 && errno == ENXIO)
                found = lseek(s->fd, 0, SEEK_END);
        return found < 0 ? offset : (uint64_t)found;
}

static bool read_memory(const struct pg_source *s, uint64_t offset, void *out, size_t n)
{
        if (offset > s->size || n > s->size - offset)
                return false;
        memcpy(out, s->bytes + offset, n);
        return true;
}

bool pg_capture_read(struct pg_capture *c, struct pg_arena *a, struct pg_captured **ret, struct pg_error *err)
{
        struct pg_source source = { .read = read_file, .next_data = next_data_of_file, .fd = c->fd };
        struct pg_captured *captured;
        struct pg_journal journal;
        if (!pg_decode(&source, a, &captured, &journal, err))
                return false;
        if (!pg_gaps_explain(captured, &journal, c->mode, a))
                return pg_fail_nomem(err);
        *ret = captured;
        return true;
}

bool pg_capture_decode(const void *bytes, size_t size, struct pg_arena *a, struct pg_captured **ret,
                       struct pg_error *err)
{
        struct pg_source source = { .read = read_memory, .bytes = bytes, .size = size };
        struct pg_journal journal;
        return pg_decode(&source, a, ret, &journal, err);
}
