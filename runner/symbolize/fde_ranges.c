// SPDX-License-Identifier: MIT
/*
 * fde_ranges.c - the binary search table of .eh_frame_hdr, as linkers write it: 4-byte offsets from its own
 * start. Without one, all entries of .eh_frame, sorted.
 *
 * An entry names a function's first address and its record in .eh_frame. The record's length field is only
 * believed when its start, read as a 4-byte offset from itself, is the entry's: so no other encoding is
 * misread. Layout: Linux Standard Base Core, 10.6 (exception frames).
 */
#include "runner/symbolize/fde_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "runner/symbolize/elf_file.h"
#include "runner/unwind/cfi.h"

enum {
        HEADER_BYTES = 12, // version, three encodings, pointer to .eh_frame, count
        ENTRY_BYTES = 8,
        UDATA4 = 0x03,
        DATAREL_SDATA4 = 0x3b,
        FDE_START = 8, // behind length and CIE pointer
        FDE_LENGTH = 12,
};

static Elf_Data *section_data(Elf *elf, const char *name, uint64_t *ret_address)
{
        GElf_Shdr h;
        Elf_Scn *s = pg_elf_section(elf, name, &h);
        if (!s || h.sh_type == SHT_NOBITS)
                return NULL;
        *ret_address = h.sh_addr;
        Elf_Data *d = elf_getdata(s, NULL);
        return d && d->d_buf ? d : NULL;
}

static int32_t read_offset(const Elf_Data *d, size_t at)
{
        int32_t v;
        memcpy(&v, (const char *)d->d_buf + at, sizeof(v));
        return v;
}

/* Entries of the table; 0 when it is none that we can read. */
static size_t table_entries(const struct pg_fde_ranges *r)
{
        if (!r->table || r->table->d_size < HEADER_BYTES)
                return 0;
        const unsigned char *b = r->table->d_buf;
        if (b[0] != 1 || b[2] != UDATA4 || b[3] != DATAREL_SDATA4)
                return 0;
        uint32_t n = (uint32_t)read_offset(r->table, 8);
        return n <= (r->table->d_size - HEADER_BYTES) / ENTRY_BYTES ? n : 0;
}

static int by_start(const void *a, const void *b)
{
        const struct pg_fde_range *x = a, *y = b;
        return (x->start > y->start) - (x->start < y->start);
}

/* Until the end of the section or where it makes no sense; entries of the size 0 cover nothing. */
static bool read_section(struct pg_fde_ranges *r)
{
        const struct pg_cfi cfi = { .bytes = r->frames->d_buf,
                                    .address = r->frames_address,
                                    .size = r->frames->d_size };
        struct pg_cfi_entry e;
        size_t room = 0;
        for (size_t offset = 0; pg_cfi_next(&cfi, false, &offset, &e);) {
                if (r->n == room) {
                        room = room ? 2 * room : 256;
                        struct pg_fde_range *all = reallocarray(r->read, room, sizeof(*all));
                        if (!all) {
                                pg_fde_ranges_deinit(r);
                                return false;
                        }
                        r->read = all;
                }
                r->read[r->n++] = (struct pg_fde_range){ e.start, e.end };
        }
        if (r->n)
                qsort(r->read, r->n, sizeof(*r->read), by_start);
        return true;
}

bool pg_fde_ranges_load(Elf *elf, struct pg_fde_ranges *ret)
{
        struct pg_fde_ranges r = { 0 };
        r.table = section_data(elf, ".eh_frame_hdr", &r.table_address);
        r.frames = section_data(elf, ".eh_frame", &r.frames_address);
        bool ok = true;
        if (r.frames && !(r.n = table_entries(&r)))
                ok = read_section(&r);
        *ret = r;
        return ok;
}

void pg_fde_ranges_deinit(struct pg_fde_ranges *r)
{
        free(r->read);
        *r = (struct pg_fde_ranges){ 0 };
}

static uint64_t start_of(const struct pg_fde_ranges *r, size_t i)
{
        if (r->read)
                return r->read[i].start;
        return r->table_address + (uint64_t)(int64_t)read_offset(r->table, HEADER_BYTES + i * ENTRY_BYTES);
}

/* Bytes of entry i's function; 0 when its record cannot be read. */
static uint64_t length_of(const struct pg_fde_ranges *r, size_t i)
{
        if (r->read)
                return r->read[i].end - r->read[i].start;
        uint64_t record = r->table_address +
                          (uint64_t)(int64_t)read_offset(r->table, HEADER_BYTES + i * ENTRY_BYTES + 4);
        uint64_t at = record - r->frames_address; // wraps to a huge number when in front of the section
        if (r->frames->d_size < FDE_LENGTH + 4 || at > r->frames->d_size - (FDE_LENGTH + 4))
                return 0;
        uint64_t start = record + FDE_START + (uint64_t)(int64_t)read_offset(r->frames, at + FDE_START);
        return start == start_of(r, i) ? (uint32_t)read_offset(r->frames, at + FDE_LENGTH) : 0;
}

bool pg_fde_ranges_find(const struct pg_fde_ranges *r, uint64_t address, uint64_t *ret_start)
{
        size_t low = 0, high = r->n; // the last entry that starts at or before address is low - 1
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (start_of(r, mid) <= address)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (low == 0 || address - start_of(r, low - 1) >= length_of(r, low - 1))
                return false;
        *ret_start = start_of(r, low - 1);
        return true;
}
