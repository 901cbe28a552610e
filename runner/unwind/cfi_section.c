// SPDX-License-Identifier: MIT
/*
 * cfi_section.c - the entries of .eh_frame and .debug_frame, and the table that finds the one for an address.
 *
 * Sources: LSB core 5.0, 10.5-10.6 (.eh_frame, .eh_frame_hdr); DWARF 5, 6.4.1 (.debug_frame).
 */
#include <dwarf.h>

#include "runner/unwind/cfi_bytes.h"
#include "runner/unwind/machine.h"

static uint64_t address_of(const struct pg_cfi *cfi, const uint8_t *p)
{
        return cfi->address + (uint64_t)(p - cfi->bytes);
}

static uint64_t take_format(struct pg_cursor *c, uint8_t format)
{
        switch (format) {
        case DW_EH_PE_absptr:
        case DW_EH_PE_udata8:
        case DW_EH_PE_sdata8:
                return pg_take_u64(c);
        case DW_EH_PE_uleb128:
                return pg_take_uleb(c);
        case DW_EH_PE_udata2:
                return pg_take_u16(c);
        case DW_EH_PE_udata4:
                return pg_take_u32(c);
        case DW_EH_PE_sleb128:
                return (uint64_t)pg_take_sleb(c);
        case DW_EH_PE_sdata2:
                return (uint64_t)(int16_t)pg_take_u16(c);
        case DW_EH_PE_sdata4:
                return (uint64_t)(int32_t)pg_take_u32(c);
        default:
                c->bad = true;
                return 0;
        }
}

uint64_t pg_take_encoded(struct pg_cursor *c, const struct pg_cfi *cfi, uint8_t encoding)
{
        uint64_t at = address_of(cfi, c->p);
        uint64_t value = take_format(c, encoding & PG_ENCODING_FORMAT);
        switch (encoding & ~PG_ENCODING_FORMAT) {
        case DW_EH_PE_absptr:
                return value;
        case DW_EH_PE_pcrel:
                return value + at;
        case DW_EH_PE_datarel:
                return value + cfi->hdr_address;
        default:
                c->bad = true;
                return 0;
        }
}

/* ---- entries ---- */

struct entry {
        size_t body, end; // behind the id, and behind all of it
        size_t cie;       // an FDE's CIE
        bool is_cie;
        bool is_empty; // a length of 0: the terminator of .eh_frame
};

static bool take_length(struct pg_cursor *c, uint64_t *ret, bool *ret_wide)
{
        uint64_t length = pg_take_u32(c);
        *ret_wide = length == 0xffffffff;
        if (*ret_wide)
                length = pg_take_u64(c);
        else if (length >= 0xfffffff0) // reserved
                return false;
        *ret = length;
        return !c->bad && length <= pg_cursor_left(c);
}

/* Both forms of length have an id of the same width, as binutils and elfutils read them. */
static bool read_entry(const struct pg_cfi *cfi, bool is_debug_frame, size_t offset, struct entry *ret)
{
        struct pg_cursor c = pg_cursor_at(cfi, offset, cfi->size);
        uint64_t length;
        bool wide;
        if (c.bad || !take_length(&c, &length, &wide))
                return false;
        size_t id_at = (size_t)(c.p - cfi->bytes);
        *ret = (struct entry){ .end = id_at + length, .is_empty = length == 0 };
        if (ret->is_empty)
                return true;
        c.end = c.p + length;
        uint64_t id = wide ? pg_take_u64(&c) : pg_take_u32(&c);
        ret->body = (size_t)(c.p - cfi->bytes);
        if (is_debug_frame) {
                ret->is_cie = id == (wide ? ~0ull : 0xffffffff);
                ret->cie = id;
        } else {
                ret->is_cie = id == 0;
                ret->cie = id_at - id;
        }
        return !c.bad && (ret->is_cie || ret->cie < cfi->size);
}

/* The data of the letters in a CIE's augmentation. One that is not known might change what the rest means. */
static enum pg_stop take_augmentation(struct pg_cursor *c, const uint8_t *letters, struct pg_cie *cie)
{
        for (; *letters; letters++) {
                uint8_t encoding;
                switch (*letters) {
                case 'R':
                        cie->encoding = pg_take_u8(c);
                        break;
                case 'L':
                        pg_take_u8(c);
                        break;
                case 'P':
                        encoding = pg_take_u8(c);
                        if (encoding == DW_EH_PE_aligned)
                                return PG_STOP_UNSUPPORTED;
                        if (encoding != PG_ENCODING_OMIT)
                                take_format(c, encoding & PG_ENCODING_FORMAT);
                        break;
                case 'S':
                        cie->is_signal_frame = true;
                        break;
                case 'B': // AArch64: pointer authentication with key B
                case 'G': // AArch64: memory tagging
                        break;
                default:
                        return PG_STOP_UNSUPPORTED;
                }
        }
        return PG_STOP_NOT;
}

static const uint8_t *take_string(struct pg_cursor *c)
{
        const uint8_t *s = c->p;
        while (pg_take_u8(c))
                ;
        return s;
}

/* From the version to the return address column: what a CIE of this machine must say. */
static enum pg_stop take_cie_head(struct pg_cursor *c, const uint8_t **ret_letters, struct pg_cie *cie)
{
        uint8_t version = pg_take_u8(c);
        if (version != 1 && version != 3 && version != 4)
                return c->bad ? PG_STOP_DAMAGED : PG_STOP_UNSUPPORTED;
        *ret_letters = take_string(c);
        uint16_t sizes = version == 4 ? pg_take_u16(c) : sizeof(uint64_t); // of addresses, of segments
        if (sizes != sizeof(uint64_t))
                return c->bad ? PG_STOP_DAMAGED : PG_STOP_UNSUPPORTED;
        cie->code_align = pg_take_uleb(c);
        cie->data_align = pg_take_sleb(c);
        uint64_t ra_column = version == 1 ? pg_take_u8(c) : pg_take_uleb(c);
        if (c->bad)
                return PG_STOP_DAMAGED;
        return ra_column == PG_DWARF_RA ? PG_STOP_NOT : PG_STOP_UNSUPPORTED;
}

static enum pg_stop read_cie(const struct pg_cfi *cfi, bool is_debug_frame, size_t offset, struct pg_cie *ret)
{
        struct entry e;
        if (!read_entry(cfi, is_debug_frame, offset, &e) || e.is_empty || !e.is_cie)
                return PG_STOP_DAMAGED;
        struct pg_cursor c = pg_cursor_at(cfi, e.body, e.end), data;
        const uint8_t *letters;
        enum pg_stop why = take_cie_head(&c, &letters, ret);
        if (why != PG_STOP_NOT)
                return why;
        ret->encoding = DW_EH_PE_absptr;
        ret->is_signal_frame = false;
        ret->has_augmentation = *letters == 'z';
        if (ret->has_augmentation) {
                letters++;
                uint64_t length = pg_take_uleb(&c);
                data = c;
                pg_take(&c, length);
                data.end = c.p;
                why = take_augmentation(&data, letters, ret);
                c.bad |= data.bad;
        } else {
                why = take_augmentation(&c, letters, ret);
        }
        ret->instructions = c;
        return c.bad ? PG_STOP_DAMAGED : why;
}

/* The addresses that an FDE covers; c is behind its CIE pointer. */
static void take_range(struct pg_cursor *c, const struct pg_cfi *cfi, uint8_t encoding, uint64_t *ret_start,
                       uint64_t *ret_size)
{
        *ret_start = pg_take_encoded(c, cfi, encoding);
        *ret_size = take_format(c, encoding & PG_ENCODING_FORMAT);
}

enum pg_stop pg_fde_read(const struct pg_cfi *cfi, bool is_debug_frame, size_t offset, struct pg_fde *ret)
{
        struct entry e;
        if (!read_entry(cfi, is_debug_frame, offset, &e) || e.is_empty || e.is_cie)
                return PG_STOP_DAMAGED;
        enum pg_stop why = read_cie(cfi, is_debug_frame, e.cie, &ret->cie);
        if (why != PG_STOP_NOT)
                return why;
        struct pg_cursor c = pg_cursor_at(cfi, e.body, e.end);
        take_range(&c, cfi, ret->cie.encoding, &ret->start, &ret->size);
        if (ret->cie.has_augmentation)
                pg_take(&c, pg_take_uleb(&c));
        ret->instructions = c;
        return c.bad ? PG_STOP_DAMAGED : PG_STOP_NOT;
}

bool pg_cfi_next(const struct pg_cfi *cfi, bool is_debug_frame, size_t *offset, struct pg_cfi_entry *ret)
{
        struct entry e;
        for (; *offset < cfi->size; *offset = e.end) {
                if (!read_entry(cfi, is_debug_frame, *offset, &e))
                        return false;
                if (e.is_empty || e.is_cie)
                        continue;
                struct pg_fde fde;
                enum pg_stop why = pg_fde_read(cfi, is_debug_frame, *offset, &fde);
                if (why == PG_STOP_UNSUPPORTED) // its neighbours may be of use
                        continue;
                if (why != PG_STOP_NOT)
                        return false;
                *ret = (struct pg_cfi_entry){ fde.start, fde.start + fde.size, *offset };
                *offset = e.end;
                return true;
        }
        return false;
}

/* ---- .eh_frame_hdr ---- */

/* A row of the table: both relative to the table's own section (datarel, sdata4). */
struct row {
        int32_t start, fde;
} __attribute__((packed, may_alias));

static enum pg_stop search_table(const struct pg_cfi *cfi, struct pg_cursor *c, uint64_t n, uint64_t address,
                                 size_t *ret_offset)
{
        if (n > pg_cursor_left(c) / sizeof(struct row))
                return PG_STOP_DAMAGED;
        const struct row *rows = (const struct row *)c->p;
        int64_t want = (int64_t)(address - cfi->hdr_address);
        uint64_t lo = 0; // rows before lo start at or below address, those from lo + n on above it
        while (n > 0) {
                uint64_t half = n / 2;
                bool right = rows[lo + half].start <= want;
                lo = right ? lo + half + 1 : lo;
                n = right ? n - half - 1 : half;
        }
        if (lo == 0)
                return PG_STOP_NO_CFI;
        *ret_offset = (size_t)(cfi->hdr_address + (uint64_t)(int64_t)rows[lo - 1].fde - cfi->address);
        return PG_STOP_NOT;
}

/* Without a table that can be searched: all entries up to the terminator. */
static enum pg_stop search_all(const struct pg_cfi *cfi, size_t offset, uint64_t address, size_t *ret_offset)
{
        struct entry e;
        for (; offset < cfi->size; offset = e.end) {
                if (!read_entry(cfi, false, offset, &e))
                        return PG_STOP_DAMAGED;
                if (e.is_empty)
                        return PG_STOP_NO_CFI;
                struct pg_fde fde;
                if (e.is_cie || pg_fde_read(cfi, false, offset, &fde) != PG_STOP_NOT ||
                    address - fde.start >= fde.size)
                        continue;
                *ret_offset = offset;
                return PG_STOP_NOT;
        }
        return PG_STOP_NO_CFI;
}

enum pg_stop pg_fde_find(const struct pg_cfi *cfi, uint64_t address, size_t *ret_offset)
{
        struct pg_cursor c = pg_cursor_at(cfi, cfi->hdr_address - cfi->address, cfi->size);
        uint8_t version = pg_take_u8(&c), frame_encoding = pg_take_u8(&c);
        uint8_t count_encoding = pg_take_u8(&c), table_encoding = pg_take_u8(&c);
        if (c.bad || version != 1)
                return c.bad ? PG_STOP_DAMAGED : PG_STOP_UNSUPPORTED;
        if (frame_encoding == PG_ENCODING_OMIT)
                return PG_STOP_UNSUPPORTED;
        uint64_t frame = pg_take_encoded(&c, cfi, frame_encoding);
        if (count_encoding == PG_ENCODING_OMIT || table_encoding != (DW_EH_PE_datarel | DW_EH_PE_sdata4))
                return c.bad ? PG_STOP_DAMAGED : search_all(cfi, frame - cfi->address, address, ret_offset);
        uint64_t n = pg_take_encoded(&c, cfi, count_encoding);
        return c.bad ? PG_STOP_DAMAGED : search_table(cfi, &c, n, address, ret_offset);
}
