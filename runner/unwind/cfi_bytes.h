// SPDX-License-Identifier: MIT
/*
 * cfi_bytes.h - reading DWARF's bytes inside known bounds, and what the cfi_*.c files share.
 *
 * A cursor that was asked for more than there is turns bad, gives zeros from then on, and stands at its end, so
 * loops finish and one check at the end of a step is enough. Everything here runs in signal handlers: no call of
 * libc, not even the copies that a compiler makes of large structs.
 */
#ifndef PG_UNWIND_CFI_BYTES_H
#define PG_UNWIND_CFI_BYTES_H

#include "runner/unwind/cfi.h"

struct pg_cursor {
        const uint8_t *p, *end;
        bool bad;
};

/* The bytes [offset, end) of a module. Offsets outside make a bad cursor. */
static inline struct pg_cursor pg_cursor_at(const struct pg_cfi *cfi, size_t offset, size_t end)
{
        if (end > cfi->size || offset > end)
                return (struct pg_cursor){ .p = cfi->bytes, .end = cfi->bytes, .bad = true };
        return (struct pg_cursor){ .p = cfi->bytes + offset, .end = cfi->bytes + end };
}

static inline size_t pg_cursor_left(const struct pg_cursor *c)
{
        return (size_t)(c->end - c->p);
}

/* The next n bytes, skipped; NULL when there are fewer. */
static inline const uint8_t *pg_take(struct pg_cursor *c, uint64_t n)
{
        const uint8_t *at = c->p;
        if (__builtin_expect(n > pg_cursor_left(c), 0)) {
                c->bad = true;
                c->p = c->end;
                return NULL;
        }
        c->p += n;
        return at;
}

/* Unaligned little-endian words, which is what this machine loads. */
struct pg_unaligned_16 {
        uint16_t v;
} __attribute__((packed, may_alias));
struct pg_unaligned_32 {
        uint32_t v;
} __attribute__((packed, may_alias));
struct pg_unaligned_64 {
        uint64_t v;
} __attribute__((packed, may_alias));

static inline uint8_t pg_take_u8(struct pg_cursor *c)
{
        const uint8_t *at = pg_take(c, 1);
        return at ? *at : 0;
}
static inline uint16_t pg_take_u16(struct pg_cursor *c)
{
        const uint8_t *at = pg_take(c, 2);
        return at ? ((const struct pg_unaligned_16 *)at)->v : 0;
}
static inline uint32_t pg_take_u32(struct pg_cursor *c)
{
        const uint8_t *at = pg_take(c, 4);
        return at ? ((const struct pg_unaligned_32 *)at)->v : 0;
}
static inline uint64_t pg_take_u64(struct pg_cursor *c)
{
        const uint8_t *at = pg_take(c, 8);
        return at ? ((const struct pg_unaligned_64 *)at)->v : 0;
}

/* LEB128; bits beyond the 64th are dropped. */
static inline uint64_t pg_take_uleb(struct pg_cursor *c)
{
        uint64_t value = 0;
        for (uint32_t shift = 0;; shift += 7) {
                uint8_t byte = pg_take_u8(c);
                if (shift < 64)
                        value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80))
                        return value;
        }
}
static inline int64_t pg_take_sleb(struct pg_cursor *c)
{
        uint64_t value = 0;
        for (uint32_t shift = 0;;) {
                uint8_t byte = pg_take_u8(c);
                if (shift < 64)
                        value |= (uint64_t)(byte & 0x7f) << shift;
                shift += 7;
                if (byte & 0x80)
                        continue;
                if (byte & 0x40 && shift < 64)
                        value |= ~0ull << shift;
                return (int64_t)value;
        }
}

/* ---- cfi_section.c: entries, and where the one for an address is ---- */

enum { PG_ENCODING_OMIT = 0xff, PG_ENCODING_FORMAT = 0x0f };

/* A pointer with one of the DW_EH_PE encodings (LSB core, 10.5.1). datarel is relative to .eh_frame_hdr; textrel,
 * funcrel, aligned and indirect ones make the cursor bad. */
uint64_t pg_take_encoded(struct pg_cursor *c, const struct pg_cfi *cfi, uint8_t encoding);

struct pg_cie {
        uint64_t code_align;
        int64_t data_align;
        struct pg_cursor instructions;
        uint8_t encoding;      // of pointers in its FDEs
        bool has_augmentation; // its FDEs have augmentation data of known length
        bool is_signal_frame;
};
struct pg_fde {
        uint64_t start, size; // addresses covered
        struct pg_cursor instructions;
        struct pg_cie cie;
};

/* PG_STOP_NOT on success. */
enum pg_stop pg_fde_read(const struct pg_cfi *cfi, bool is_debug_frame, size_t offset, struct pg_fde *ret);

/* Offset of the FDE that may cover address by .eh_frame_hdr; PG_STOP_NO_CFI when none can. */
enum pg_stop pg_fde_find(const struct pg_cfi *cfi, uint64_t address, size_t *ret_offset);

/* ---- cfi_expression.c: DWARF expressions with registers as unknowns ---- */

/* In struct pg_value: the register that stands for the CFA. */
enum { PG_VALUE_CFA = 64 };

struct pg_value {
        enum pg_value_kind {
                PG_VALUE_CONSTANT, // offset
                PG_VALUE_REGISTER, // register + 8 * index + offset
                PG_VALUE_EIGHT,    // 8 * register, to become an index
                PG_VALUE_WORD,     // word at (register + 8 * index + offset), plus add
                PG_VALUE_UNKNOWN,  // nothing that a rule can hold
        } kind;
        uint16_t register_no; // DWARF number or PG_VALUE_CFA
        uint16_t index;       // 1 + DWARF number, or 0: none
        int64_t offset, add;
};

/* The value of the expression at c for an instruction at pc. first: what lies on the stack at the beginning,
 * NULL for nothing. Operators that are not known, and results that no struct pg_value can hold, are
 * PG_VALUE_UNKNOWN. */
struct pg_value pg_cfi_evaluate(struct pg_cursor c, const struct pg_value *first, uint64_t pc);

#endif
