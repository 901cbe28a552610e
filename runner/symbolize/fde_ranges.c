// SPDX-License-Identifier: MIT
/*
 * fde_ranges.c - the binary search table of .eh_frame_hdr, as linkers write it: 4-byte offsets from its own
 * start.
 *
 * An entry names a function's first address and its record in .eh_frame. The record's length field is only
 * believed when its start, read as a 4-byte offset from itself, is the entry's: so no other encoding is
 * misread. Layout: Linux Standard Base Core, 10.6 (exception frames).
 */
#include "runner/symbolize/fde_ranges.h"

#include <string.h>

#include "runner/symbolize/elf_file.h"

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

void pg_fde_ranges_load(Elf *elf, struct pg_fde_ranges *ret)
{
        struct pg_fde_ranges r = { 0 };
        *ret = r;
        r.table = section_data(elf, ".eh_frame_hdr", &r.table_address);
        r.frames = section_data(elf, ".eh_frame", &r.frames_address);
        if (!r.table || !r.frames || r.table->d_size < HEADER_BYTES)
                return;
        const unsigned char *b = r.table->d_buf;
        if (b[0] != 1 || b[2] != UDATA4 || b[3] != DATAREL_SDATA4)
                return;
        uint32_t n = (uint32_t)read_offset(r.table, 8);
        if (n > (r.table->d_size - HEADER_BYTES) / ENTRY_BYTES)
                return;
        r.n = n;
        *ret = r;
}

static uint64_t start_of(const struct pg_fde_ranges *r, size_t i)
{
        return r->table_address + (uint64_t)(int64_t)read_offset(r->table, HEADER_BYTES + i * ENTRY_BYTES);
}

/* Bytes of entry i's function; 0 when its record cannot be read. */
static uint64_t length_of(const struct pg_fde_ranges *r, size_t i)
{
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
