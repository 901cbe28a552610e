// SPDX-License-Identifier: MIT
/*
 * test_cfi.c - rules from unwind information written by hand.
 *
 * Expected rules are derived by hand from DWARF 5, 6.4 and LSB core 5.0, 10.5-10.6. Bytes lie in heap blocks of
 * their exact size, so that address sanitizer sees any read outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/unwind/cfi.h"

/* Where the bytes stand, and the code that they are about. */
enum { BASE = 0x10000, CODE = 0x20000, CODE_SIZE = 0x100 };

/* ---- writing sections ---- */

struct bytes {
        uint8_t b[1024];
        size_t n;
};

static void put(struct bytes *s, uint64_t v, size_t width)
{
        assert_true(s->n + width <= sizeof(s->b));
        for (size_t i = 0; i < width; i++)
                s->b[s->n++] = (uint8_t)(v >> 8 * i);
}

static void put_text(struct bytes *s, const char *text, size_t n)
{
        for (size_t i = 0; i < n; i++)
                put(s, (uint8_t)text[i], 1);
}

static void set_u32(struct bytes *s, size_t at, uint64_t v)
{
        for (size_t i = 0; i < 4; i++)
                s->b[at + i] = (uint8_t)(v >> 8 * i);
}

/* Entries in either form; *_end writes the length of what came since. */
struct entry {
        size_t start;
        bool wide;
};

static struct entry entry_begin(struct bytes *s, bool wide)
{
        struct entry e = { s->n, wide };
        put(s, wide ? 0xffffffff : 0, 4);
        if (wide)
                put(s, 0, 8);
        return e;
}

static void entry_end(struct bytes *s, struct entry e)
{
        size_t at = e.start + (e.wide ? 4 : 0), body = at + (e.wide ? 8 : 4);
        set_u32(s, at, s->n - body);
}

/* What a test varies of a module; the rest is as compilers write it. */
struct module {
        const char *cie; // from version to the last of the augmentation data, default below
        size_t cie_size;
        const char *initial; // CIE instructions, default def_cfa r7 + 8; offset r16, CFA - 8
        size_t initial_size;
        uint8_t encoding; // of the FDE's addresses; 0: pcrel sdata4
        bool absolute;    // encoding 0 is meant: absptr
        bool wide, is_debug_frame;
        uint8_t table_encoding, count_encoding; // 0: datarel sdata4, udata4
        const char *fde;
        size_t fde_size;
};

#define TEXT(s) (s), sizeof(s) - 1

static const char plain_cie[] = "\1zR\0\1\x78\x10\1\x1b";
static const char plain_initial[] = "\x0c\x07\x08\x90\x01";

static size_t format_width(uint8_t encoding)
{
        switch (encoding & 0xf) {
        case 2:
        case 0xa:
                return 2;
        case 3:
        case 0xb:
                return 4;
        default:
                return 8;
        }
}

static void put_address(struct bytes *s, uint8_t encoding, uint64_t address)
{
        uint64_t relative = (encoding & 0x70) == 0x10 ? BASE + s->n : (encoding & 0x70) == 0x30 ? BASE : 0;
        put(s, address - relative, format_width(encoding));
}

static uint8_t encoding_of(const struct module *m)
{
        return m->encoding || m->absolute || m->is_debug_frame ? m->encoding : 0x1b;
}

static size_t put_cie(struct bytes *s, const struct module *m)
{
        struct entry e = entry_begin(s, m->wide);
        put(s, m->is_debug_frame ? ~0ull : 0, m->wide ? 8 : 4);
        put_text(s, m->cie ? m->cie : plain_cie, m->cie ? m->cie_size : sizeof(plain_cie) - 1);
        put_text(s, m->initial ? m->initial : plain_initial,
                 m->initial ? m->initial_size : sizeof(plain_initial) - 1);
        entry_end(s, e);
        return e.start;
}

static size_t put_fde(struct bytes *s, const struct module *m, size_t cie, uint64_t start, uint64_t size)
{
        struct entry e = entry_begin(s, m->wide);
        put(s, m->is_debug_frame ? cie : s->n - cie, m->wide ? 8 : 4);
        put_address(s, encoding_of(m), start);
        put(s, size, format_width(encoding_of(m)));
        if (!m->is_debug_frame)
                put(s, 0x3f3f02, 3); // augmentation data: two bytes that are no instructions
        put_text(s, m->fde, m->fde_size);
        entry_end(s, e);
        return e.start;
}

/* A search table for one FDE at BASE, its CIE and itself, a terminator. Returns the FDE's offset. */
static size_t put_module(struct bytes *s, const struct module *m)
{
        s->n = 0;
        uint8_t table = m->table_encoding ? m->table_encoding : 0x3b,
                count = m->count_encoding ? m->count_encoding : 3;
        put(s, 1 | 0x1b << 8 | count << 16 | (uint64_t)table << 24, 4);
        put(s, 16, 4); // .eh_frame starts 16 bytes behind this field
        put(s, 1, 4);
        put(s, CODE - BASE, 4);
        put(s, 0, 4);
        size_t cie = put_cie(s, m), fde = put_fde(s, m, cie, CODE, CODE_SIZE);
        set_u32(s, 16, fde);
        put(s, 0, 4);
        return fde;
}

/* The first n bytes alone in a heap block. */
static struct pg_cfi cut(const struct bytes *s, size_t n)
{
        uint8_t *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, s->b, n);
        return (struct pg_cfi){ .bytes = copy, .address = BASE, .size = n, .hdr_address = BASE };
}

static void drop(struct pg_cfi cfi)
{
        free((void *)(uintptr_t)cfi.bytes);
}

static pg_rule rule_at(const struct module *m, uint64_t address)
{
        struct bytes s;
        size_t fde = put_module(&s, m);
        struct pg_cfi cfi = cut(&s, s.n);
        pg_rule r = pg_cfi_rule_of(&cfi, fde, m->is_debug_frame, address);
        if (!m->is_debug_frame)
                assert_int_equal(pg_cfi_rule(&cfi, address), r);
        drop(cfi);
        return r;
}

/* ---- rows ---- */

#define SP_8    .cfa = PG_CFA_SP, .cfa_offset = 8
#define BP_16   .cfa = PG_CFA_BP, .cfa_offset = 16
#define STOP(w) .cfa = PG_CFA_STOP, .cfa_offset = 8 * PG_STOP_##w // as pg_rule_stop lays it out

static const struct {
        const char *what;
        const char *fde;
        size_t fde_size;
        uint32_t at; // offset of the instruction in the function
        struct pg_rule_parts want;
} rows[] = {
        { "nothing said", TEXT(""), 5, { SP_8 } },
        { "padding", TEXT("\0\0\0"), 5, { SP_8 } },
        { "before an advance", TEXT("\x44\x0e\x10"), 3, { SP_8 } },
        { "at an advance", TEXT("\x44\x0e\x10"), 4, { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "push rbp",
          TEXT("\x41\x0e\x10\x86\x02"),
          1,
          { .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 } },
        { "mov rsp, rbp",
          TEXT("\x41\x0e\x10\x86\x02\x43\x0d\x06"),
          0xff,
          { BP_16, .bp = PG_BP_AT_CFA, .bp_offset = -16 } },
        { "behind leave", TEXT("\x41\x0e\x10\x86\x02\x43\x0d\x06\x50\xc6\x0c\x07\x08"), 0x14, { SP_8 } },
        { "advance_loc1", TEXT("\x02\x80\x0e\x10"), 0x80, { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "advance_loc1, before", TEXT("\x02\x80\x0e\x10"), 0x7f, { SP_8 } },
        { "advance_loc2", TEXT("\x03\x81\x00\x0e\x10"), 0x81, { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "advance_loc4",
          TEXT("\x04\x82\x00\x00\x00\x0e\x10"),
          0x82,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "advance far beyond", TEXT("\x04\xff\xff\xff\xff\x0e\x10"), 0xff, { SP_8 } },
        { "def_cfa_sf", TEXT("\x12\x07\x7d"), 0, { .cfa = PG_CFA_SP, .cfa_offset = 24 } },
        { "def_cfa_offset_sf", TEXT("\x13\x7c"), 0, { .cfa = PG_CFA_SP, .cfa_offset = 32 } },
        { "a negative number padded to ten bytes",
          TEXT("\x12\x07\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
          0,
          { .cfa = PG_CFA_SP, .cfa_offset = 24 } },
        { "number of two bytes", TEXT("\x0e\xa0\x01"), 0, { .cfa = PG_CFA_SP, .cfa_offset = 160 } },
        { "number padded to three bytes",
          TEXT("\x0e\x90\x80\x00"),
          0,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "offset_extended", TEXT("\x05\x06\x03"), 0, { SP_8, .bp = PG_BP_AT_CFA, .bp_offset = -24 } },
        { "offset_extended_sf", TEXT("\x11\x06\x7e"), 0, { SP_8, .bp = PG_BP_AT_CFA, .bp_offset = 16 } },
        { "negative_offset_extended",
          TEXT("\x2f\x06\x02"),
          0,
          { SP_8, .bp = PG_BP_AT_CFA, .bp_offset = 16 } },
        { "restore_extended", TEXT("\x86\x02\x06\x06"), 0, { SP_8 } },
        { "same_value", TEXT("\x86\x02\x08\x06"), 0, { SP_8 } },
        { "GNU_args_size", TEXT("\x2e\x20\x0e\x10"), 0, { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "other registers do not count", TEXT("\x83\x05\x8c\x04\x07\x0d\xc3\x09\x0f\x00"), 0, { SP_8 } },

        { "remember and restore",
          TEXT("\x0e\x10\x0a\x41\x0c\x06\x20\x86\x02\x41\x0b"),
          2,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "remembered",
          TEXT("\x0e\x10\x0a\x41\x0c\x06\x20\x86\x02\x41\x0b"),
          1,
          { .cfa = PG_CFA_BP, .cfa_offset = 32, .bp = PG_BP_AT_CFA, .bp_offset = -16 } },
        { "remember four deep",
          TEXT("\x0a\x0e\x10\x0a\x0e\x18\x0a\x0e\x20\x0a\x0e\x28\x0b\x0b\x0b"),
          0,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "remember five deep", TEXT("\x0a\x0a\x0a\x0a\x0a"), 0, { STOP(UNSUPPORTED) } },
        { "restore what was not remembered", TEXT("\x0b"), 0, { STOP(DAMAGED) } },

        { "caller's bp in rbx", TEXT("\x09\x06\x03"), 0, { SP_8, .bp = PG_BP_LOST } },
        { "caller's bp undefined", TEXT("\x07\x06"), 0, { SP_8, .bp = PG_BP_LOST } },
        { "caller's bp as CFA - 16", TEXT("\x14\x06\x02"), 0, { SP_8, .bp = PG_BP_LOST } },
        { "caller's bp as CFA + 16", TEXT("\x15\x06\x7e"), 0, { SP_8, .bp = PG_BP_LOST } },
        { "caller's bp by sp",
          TEXT("\x0e\x20\x10\x06\x02\x77\x08"),
          0,
          { .cfa = PG_CFA_SP, .cfa_offset = 32, .bp = PG_BP_AT_CFA, .bp_offset = -24 } },
        { "caller's bp by CFA",
          TEXT("\x10\x06\x02\x23\x08"),
          0,
          { SP_8, .bp = PG_BP_AT_CFA, .bp_offset = 8 } },
        { "caller's bp as value of a word",
          TEXT("\x16\x06\x03\x76\x10\x06"),
          0,
          { SP_8, .bp = PG_BP_AT_BP, .bp_offset = 16 } },
        { "caller's bp as value of bp", TEXT("\x16\x06\x02\x76\x00"), 0, { SP_8 } },
        { "caller's bp by rbx", TEXT("\x10\x06\x02\x73\x00"), 0, { SP_8, .bp = PG_BP_LOST } },
        { "caller's bp at the farthest",
          TEXT("\x05\x06\x80\x10"),
          0,
          { SP_8, .bp = PG_BP_AT_CFA, .bp_offset = -16384 } },
        { "caller's bp farther", TEXT("\x05\x06\x81\x10"), 0, { SP_8, .bp = PG_BP_LOST } },

        { "CFA by r10", TEXT("\x0c\x0a\x00"), 0, { .cfa = PG_CFA_REGISTER, .register_no = 10 } },
        { "CFA by xmm0", TEXT("\x0c\x11\x00"), 0, { STOP(UNSUPPORTED) } },
        { "CFA by pc", TEXT("\x0c\x10\x00"), 0, { STOP(UNSUPPORTED) } },
        { "CFA not a multiple of 8", TEXT("\x0e\x0c"), 0, { STOP(UNSUPPORTED) } },
        { "CFA 8 MiB away", TEXT("\x0e\x80\x80\x80\x04"), 0, { STOP(UNSUPPORTED) } },
        { "CFA almost 8 MiB away",
          TEXT("\x0e\xf8\xff\xff\x03"),
          0,
          { .cfa = PG_CFA_SP, .cfa_offset = (8 << 20) - 8 } },
        { "CFA beyond 32 bits", TEXT("\x0e\x88\x80\x80\x80\x10"), 0, { STOP(UNSUPPORTED) } },
        { "an impossible CFA that is replaced",
          TEXT("\x0e\x88\x80\x80\x80\x10\x41\x0c\x07\x10"),
          1,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        { "half a CFA over an expression", TEXT("\x0f\x03\x76\x78\x06\x0e\x10"), 0, { STOP(UNSUPPORTED) } },
        { "half a CFA over an expression, register",
          TEXT("\x0f\x03\x76\x78\x06\x0d\x06"),
          0,
          { STOP(UNSUPPORTED) } },

        /* GCC's realigned stack: word at bp - 8; bp saved where bp points. */
        { "realigned",
          TEXT("\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00"),
          0,
          { .cfa = PG_CFA_AT_BP, .cfa_offset = -8, .bp = PG_BP_AT_BP } },
        { "word at sp + 16, plus 8",
          TEXT("\x0f\x05\x77\x10\x06\x23\x08"),
          0,
          { .cfa = PG_CFA_AT_SP, .cfa_offset = 16, .add = 8 } },
        { "word at sp, plus 248",
          TEXT("\x0f\x06\x77\x00\x06\x23\xf8\x01"),
          0,
          { .cfa = PG_CFA_AT_SP, .add = 248 } },
        { "word at sp, plus 256", TEXT("\x0f\x06\x77\x00\x06\x23\x80\x02"), 0, { STOP(UNSUPPORTED) } },
        { "word at sp, plus 4", TEXT("\x0f\x05\x77\x00\x06\x23\x04"), 0, { STOP(UNSUPPORTED) } },
        { "word at sp, minus 8", TEXT("\x0f\x05\x77\x00\x06\x38\x1c"), 0, { STOP(UNSUPPORTED) } },
        { "word at a word", TEXT("\x0f\x04\x77\x00\x06\x06"), 0, { STOP(UNSUPPORTED) } },
        { "word at rbx", TEXT("\x0f\x03\x73\x00\x06"), 0, { STOP(UNSUPPORTED) } },
        { "word at an index",
          TEXT("\x0f\x0a\x77\x08\x79\x00\x38\x1e\x22\x06\x23\x08"),
          0,
          { .cfa = PG_CFA_AT_INDEX, .cfa_offset = 8, .register_no = 9 } },
        { "word at an index, plus 16",
          TEXT("\x0f\x0a\x77\x08\x79\x00\x38\x1e\x22\x06\x23\x10"),
          0,
          { STOP(UNSUPPORTED) } },
        { "word at an index of bp",
          TEXT("\x0f\x0a\x76\x08\x79\x00\x38\x1e\x22\x06\x23\x08"),
          0,
          { STOP(UNSUPPORTED) } },
        { "an index of 4 bytes",
          TEXT("\x0f\x0a\x77\x08\x79\x00\x34\x1e\x22\x06\x23\x08"),
          0,
          { STOP(UNSUPPORTED) } },
        { "two indexes",
          TEXT("\x0f\x0f\x77\x08\x79\x00\x38\x1e\x22\x7a\x00\x38\x1e\x22\x06\x23\x08"),
          0,
          { STOP(UNSUPPORTED) } },
        { "an index plus 4",
          TEXT("\x0f\x0a\x77\x08\x79\x04\x38\x1e\x22\x06\x23\x08"),
          0,
          { STOP(UNSUPPORTED) } },
        { "caller's bp at an index",
          TEXT("\x10\x06\x07\x77\x08\x79\x00\x38\x1e\x22"),
          0,
          { SP_8, .bp = PG_BP_LOST } },
        { "an index without a word", TEXT("\x0f\x07\x77\x08\x79\x00\x38\x1e\x22"), 0, { STOP(UNSUPPORTED) } },
        { "a number", TEXT("\x0f\x01\x38"), 0, { STOP(UNSUPPORTED) } },
        { "sp masked", TEXT("\x0f\x05\x77\x00\x09\xf0\x1a"), 0, { STOP(UNSUPPORTED) } },
        { "an operator too many", TEXT("\x0f\x03\x77\x08\x22"), 0, { STOP(UNSUPPORTED) } },
        { "an unknown operator", TEXT("\x0f\x03\x77\x08\xee"), 0, { STOP(UNSUPPORTED) } },
        { "an empty expression", TEXT("\x0f\x00"), 0, { STOP(UNSUPPORTED) } },
        { "an expression cut in a number", TEXT("\x0f\x02\x77\x88"), 0, { STOP(UNSUPPORTED) } },
        { "six numbers on a stack of five",
          TEXT("\x0f\x07\x77\x08\x30\x30\x30\x30\x30"),
          0,
          { STOP(UNSUPPORTED) } },

        /* The stub that ld writes: one word deeper from byte 11 of 16 on. */
        { "linkage stub, before its push",
          TEXT("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"),
          0x2a,
          { SP_8 } },
        { "linkage stub, behind its push",
          TEXT("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"),
          0x2b,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },
        /* The same with endbr64 before it: from byte 5 on. */
        { "IBT stub, before its push",
          TEXT("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x35\x2a\x33\x24\x22"),
          0x34,
          { SP_8 } },
        { "IBT stub, behind its push",
          TEXT("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x35\x2a\x33\x24\x22"),
          0x35,
          { .cfa = PG_CFA_SP, .cfa_offset = 16 } },

        { "outermost frame", TEXT("\x07\x10"), 0, { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
        { "outermost frame, CFA by an unknown operator",
          TEXT("\x0f\x01\xee\x07\x10"),
          0,
          { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
        { "vfork: return address in rdi",
          TEXT("\x09\x10\x05\x0e\x00"),
          0,
          { .cfa = PG_CFA_SP, .ra = PG_RA_REGISTER, .register_no = 5 } },
        { "return address in a register, CFA by another",
          TEXT("\x09\x10\x05\x0c\x03\x10"),
          0,
          { STOP(UNSUPPORTED) } },
        { "return address in a register, CFA in memory",
          TEXT("\x09\x10\x05\x0f\x03\x76\x78\x06"),
          0,
          { STOP(UNSUPPORTED) } },
        { "return address in xmm0", TEXT("\x09\x10\x11"), 0, { STOP(UNSUPPORTED) } },
        { "return address at CFA - 8, as expression", TEXT("\x10\x10\x02\x77\x00"), 0, { SP_8 } },
        { "return address elsewhere", TEXT("\x90\x02"), 0, { STOP(UNSUPPORTED) } },
        { "return address as value", TEXT("\x14\x10\x01"), 0, { STOP(UNSUPPORTED) } },
        { "return address the same", TEXT("\x08\x10"), 0, { STOP(UNSUPPORTED) } },
        { "caller's sp is the CFA", TEXT("\x14\x07\x00"), 0, { SP_8 } },
        { "caller's sp in a register", TEXT("\x09\x07\x08"), 0, { STOP(UNSUPPORTED) } },
        { "caller's sp saved", TEXT("\x87\x03"), 0, { STOP(UNSUPPORTED) } },
        { "an unknown instruction", TEXT("\x3f"), 0, { STOP(UNSUPPORTED) } },
        { "an unknown instruction behind the row", TEXT("\x41\x3f"), 0, { SP_8 } },
        { "cut in a number", TEXT("\x0e\x90"), 0, { STOP(DAMAGED) } },
        { "cut before a number", TEXT("\x0e"), 0, { STOP(DAMAGED) } },
        { "cut in an expression", TEXT("\x0f\x05\x77\x10"), 0, { STOP(DAMAGED) } },
};

static pg_rule wanted(struct pg_rule_parts p)
{
        return p.cfa == PG_CFA_STOP ? pg_rule_stop((enum pg_stop)(p.cfa_offset / 8)) : pg_rule_pack(p);
}

static void check(const char *what, pg_rule got, pg_rule want)
{
        if (got != want)
                fail_msg("%s: rule 0x%llx, not 0x%llx", what, (unsigned long long)got,
                         (unsigned long long)want);
}

static void test_rows(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct module m = { .fde = rows[i].fde, .fde_size = rows[i].fde_size };
                check(rows[i].what, rule_at(&m, CODE + rows[i].at), wanted(rows[i].want));
        }
}

/* Every operator on known numbers: sp plus what comes out. */
static void test_operators(void **state)
{
        static const struct {
                const char *what, *ops;
                size_t n;
                int64_t offset;
        } cases[] = {
                { "const1u", TEXT("\x08\xf8\x22"), 0xf8 },
                { "const1s", TEXT("\x09\xf8\x22"), -8 },
                { "const2u", TEXT("\x0a\xf8\xff\x22"), 0xfff8 },
                { "const2s", TEXT("\x0b\xf8\xff\x22"), -8 },
                { "const4u", TEXT("\x0c\x10\x00\x01\x00\x22"), 0x10010 },
                { "const4s", TEXT("\x0d\xf8\xff\xff\xff\x22"), -8 },
                { "const8u", TEXT("\x0e\x10\x00\x00\x00\x00\x00\x00\x00\x22"), 16 },
                { "const8s", TEXT("\x0f\xf8\xff\xff\xff\xff\xff\xff\xff\x22"), -8 },
                { "constu", TEXT("\x10\x88\x01\x22"), 136 },
                { "consts", TEXT("\x11\x78\x22"), -8 },
                { "lit31 plus lit1", TEXT("\x4f\x31\x22\x22"), 32 },
                { "minus", TEXT("\x48\x40\x1c\x22"), 8 },
                { "minus from sp", TEXT("\x38\x1c"), -8 },
                { "and", TEXT("\x4c\x38\x1a\x22"), 8 },
                { "or", TEXT("\x38\x40\x21\x22"), 24 },
                { "mul", TEXT("\x38\x33\x1e\x22"), 24 },
                { "shl", TEXT("\x31\x34\x24\x22"), 16 },
                { "shl by 64", TEXT("\x31\x08\x40\x24\x22"), 0 },
                { "shr", TEXT("\x08\x80\x33\x25\x22"), 16 },
                { "shr of a negative number is logical", TEXT("\x09\xff\x08\x3c\x25\x33\x24\x22"), 120 },
                { "ge", TEXT("\x35\x35\x2a\x33\x24\x22"), 8 },
                { "gt", TEXT("\x35\x35\x2b\x33\x24\x22"), 0 },
                { "le", TEXT("\x35\x36\x2c\x33\x24\x22"), 8 },
                { "lt of a negative number is signed", TEXT("\x09\xff\x30\x2d\x33\x24\x22"), 8 },
                { "eq", TEXT("\x35\x36\x29\x33\x24\x22"), 0 },
                { "ne", TEXT("\x35\x36\x2e\x33\x24\x22"), 8 },
                { "plus_uconst", TEXT("\x23\x90\x01"), 144 },
                { "number plus sp", TEXT("\x23\x00\x96\x23\x08"), 8 },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char fde[64] = { 0x0f, (char)(cases[i].n + 2), 0x77, 0 };
                memcpy(fde + 4, cases[i].ops, cases[i].n);
                struct module m = { .fde = fde, .fde_size = cases[i].n + 4 };
                check(cases[i].what, rule_at(&m, CODE),
                      pg_rule_pack(
                              (struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = cases[i].offset }));
        }
}

/* An operand order that the loop above cannot make: number first, then bregx 7. */
static void test_number_plus_register(void **state)
{
        (void)state;
        struct module m = { .fde = "\x0f\x05\x38\x92\x07\x08\x22", .fde_size = 7 };
        check("lit8 bregx 7, 8 plus", rule_at(&m, CODE),
              pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 16 }));
}

static void test_set_loc(void **state)
{
        (void)state;
        struct bytes s;
        char fde[] = "\1\0\0\0\0\x0e\x10";
        struct module m = { .fde = fde, .fde_size = sizeof(fde) - 1 };
        size_t at = put_module(&s, &m), instructions = s.n - 4 - m.fde_size;
        set_u32(&s, instructions + 1, CODE + 0x20 - (BASE + instructions + 1));
        struct pg_cfi cfi = cut(&s, s.n);
        check("before", pg_cfi_rule_of(&cfi, at, false, CODE + 0x1f), wanted((struct pg_rule_parts){ SP_8 }));
        check("behind", pg_cfi_rule_of(&cfi, at, false, CODE + 0x20),
              pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 16 }));
        drop(cfi);
}

/* ---- signal frames ---- */

#define WHERE(op, reg, n) op reg "\x03\x77" n        // DW_CFA_expression: saved at sp + n (two-byte number)
#define KERNEL_CFA        "\x0f\x04\x77\xa0\x01\x06" // word at sp + 160
#define KERNEL_BP         WHERE("\x10", "\x06", "\xf8\x00") // sp + 120
#define KERNEL_SP         WHERE("\x10", "\x07", "\xa0\x01") // sp + 160
#define KERNEL_PC         WHERE("\x10", "\x10", "\xa8\x01") // sp + 168

static void test_signal_frames(void **state)
{
        static const char cie[] = "\1zRS\0\1\x78\x10\1\x1b";
        static const struct {
                const char *what, *fde;
                size_t n;
                struct pg_rule_parts want;
        } cases[] = {
                { "the kernel's", TEXT(KERNEL_CFA KERNEL_BP KERNEL_SP KERNEL_PC), { .cfa = PG_CFA_SIGNAL } },
                { "without sp", TEXT(KERNEL_CFA KERNEL_BP KERNEL_PC), { .cfa = PG_CFA_SIGNAL } },
                { "without bp", TEXT(KERNEL_CFA KERNEL_SP KERNEL_PC), { STOP(UNSUPPORTED) } },
                { "without pc", TEXT(KERNEL_CFA KERNEL_BP KERNEL_SP), { STOP(UNSUPPORTED) } },
                { "CFA elsewhere",
                  TEXT("\x0f\x04\x77\xa8\x01\x06" KERNEL_BP KERNEL_SP KERNEL_PC),
                  { STOP(UNSUPPORTED) } },
                { "an ordinary row", TEXT(""), { STOP(UNSUPPORTED) } },
                { "outermost", TEXT("\x07\x10"), { .cfa = PG_CFA_SP, .ra = PG_RA_UNDEFINED } },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct module m = {
                        .cie = cie, .cie_size = sizeof(cie) - 1, .fde = cases[i].fde, .fde_size = cases[i].n
                };
                check(cases[i].what, rule_at(&m, CODE), wanted(cases[i].want));
                m.cie = NULL; // what is no signal frame by its letter is none
                if (cases[i].want.cfa == PG_CFA_SIGNAL)
                        check("no letter S", rule_at(&m, CODE), pg_rule_stop(PG_STOP_UNSUPPORTED));
        }
}

static void test_signal_return_code(void **state)
{
        static const uint8_t wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
        static const uint8_t narrow[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };
        static const uint8_t other[] = { 0x48, 0xc7, 0xc0, 0x0e, 0, 0, 0, 0x0f, 0x05 };
        (void)state;
        assert_true(pg_cfi_is_signal_return(wide, sizeof(wide)));
        assert_true(pg_cfi_is_signal_return(narrow, sizeof(narrow)));
        assert_false(pg_cfi_is_signal_return(other, sizeof(other)));
        assert_false(pg_cfi_is_signal_return(wide, sizeof(wide) - 1));
        assert_false(pg_cfi_is_signal_return(narrow, sizeof(narrow) - 1));
        assert_false(pg_cfi_is_signal_return(wide, 0));
}

/* ---- CIEs ---- */

static void test_cies(void **state)
{
        static const struct {
                const char *what, *cie;
                size_t n;
                struct pg_rule_parts want;
        } cases[] = {
                { "version 1", TEXT("\1zR\0\1\x78\x10\1\x1b"), { SP_8 } },
                { "version 3", TEXT("\3zR\0\1\x78\x10\1\x1b"), { SP_8 } },
                { "version 3, return address column of two bytes",
                  TEXT("\3zR\0\1\x78\x90\0\1\x1b"),
                  { SP_8 } },
                { "version 4", TEXT("\4zR\0\x08\0\1\x78\x10\1\x1b"), { SP_8 } },
                { "version 4, addresses of 4 bytes",
                  TEXT("\4zR\0\4\0\1\x78\x10\1\x1b"),
                  { STOP(UNSUPPORTED) } },
                { "version 4, segments", TEXT("\4zR\0\x08\1\1\x78\x10\1\x1b"), { STOP(UNSUPPORTED) } },
                { "version 2", TEXT("\2zR\0\1\x78\x10\1\x1b"), { STOP(UNSUPPORTED) } },
                { "version 5", TEXT("\5zR\0\1\x78\x10\1\x1b"), { STOP(UNSUPPORTED) } },
                { "personality and LSDA", TEXT("\1zPLR\0\1\x78\x10\7\x9b\1\2\3\4\x1b\x1b"), { SP_8 } },
                { "personality of 8 bytes",
                  TEXT("\1zPLR\0\1\x78\x10\x0b\0\1\2\3\4\5\6\7\x08\xff\x1b"),
                  { SP_8 } },
                { "no personality", TEXT("\1zPLR\0\1\x78\x10\3\xff\xff\x1b"), { SP_8 } },
                { "aligned personality",
                  TEXT("\1zPR\0\1\x78\x10\x0a\x50\0\0\0\0\0\0\0\0\x1b"),
                  { STOP(UNSUPPORTED) } },
                { "letters of another machine", TEXT("\1zRBG\0\1\x78\x10\1\x1b"), { SP_8 } },
                { "an unknown letter", TEXT("\1zRX\0\1\x78\x10\1\x1b"), { STOP(UNSUPPORTED) } },
                { "more augmentation data than letters", TEXT("\1zR\0\1\x78\x10\3\x1b\0\0"), { SP_8 } },
                { "less augmentation data than letters", TEXT("\1zRL\0\1\x78\x10\1\x1b"), { STOP(DAMAGED) } },
                { "more augmentation data than bytes", TEXT("\1zR\0\1\x78\x10\x7f\x1b"), { STOP(DAMAGED) } },
                { "GCC 2's letters", TEXT("\1eh\0\0\0\0\0\0\0\0\0\1\x78\x10"), { STOP(UNSUPPORTED) } },
                { "another return address column", TEXT("\1zR\0\1\x78\x0f\1\x1b"), { STOP(UNSUPPORTED) } },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct module m = { .cie = cases[i].cie, .cie_size = cases[i].n, .fde = "" };
                check(cases[i].what, rule_at(&m, CODE + 1), wanted(cases[i].want));
        }
}

/* Alignment factors: code 4, data -4. */
static void test_factors(void **state)
{
        (void)state;
        struct module m = { .cie = "\1zR\0\4\x7c\x10\1\x1b",
                            .cie_size = 9,
                            .initial = "\x0c\x07\x08\x90\x02",
                            .initial_size = 5,
                            .fde = "\x42\x0e\x10\x86\x04",
                            .fde_size = 5 };
        check("before", rule_at(&m, CODE + 7), wanted((struct pg_rule_parts){ SP_8 }));
        check("behind", rule_at(&m, CODE + 8),
              pg_rule_pack((struct pg_rule_parts){
                      .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 }));
}

static void test_initial_instructions(void **state)
{
        static const struct {
                const char *what, *initial;
                size_t n;
                struct pg_rule_parts want;
        } cases[] = {
                { "restored to",
                  TEXT("\x0c\x07\x10\x90\x01\x86\x02"),
                  { .cfa = PG_CFA_SP, .cfa_offset = 16, .bp = PG_BP_AT_CFA, .bp_offset = -16 } },
                { "no CFA", TEXT("\x90\x01"), { STOP(UNSUPPORTED) } },
                { "no return address", TEXT("\x0c\x07\x08"), { STOP(UNSUPPORTED) } },
                { "advancing", TEXT("\x0c\x07\x08\x90\x01\x41"), { STOP(DAMAGED) } },
                { "restoring", TEXT("\x0c\x07\x08\x90\x01\xc6"), { STOP(DAMAGED) } },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct module m = { .initial = cases[i].initial,
                                    .initial_size = cases[i].n,
                                    .fde = "\x86\x05\xc6",
                                    .fde_size = 3 };
                check(cases[i].what, rule_at(&m, CODE), wanted(cases[i].want));
        }
}

static void test_pointer_encodings(void **state)
{
        static const uint8_t good[] = { 0x00, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x13,
                                        0x14, 0x1b, 0x1c, 0x33, 0x3b, 0x34, 0x3c };
        static const uint8_t bad[] = { 0x20, 0x2b, 0x40, 0x50, 0x80, 0x9b, 0x05, 0x0d, 0x18 };
        char cie[] = "\1zR\0\1\x78\x10\1\x1b";
        (void)state;
        for (size_t i = 0; i < sizeof(good); i++) {
                cie[8] = (char)good[i];
                struct module m = {
                        .cie = cie, .cie_size = 9, .encoding = good[i], .absolute = true, .fde = ""
                };
                check("inside", rule_at(&m, CODE + CODE_SIZE - 1), wanted((struct pg_rule_parts){ SP_8 }));
                check("below", rule_at(&m, CODE - 1), pg_rule_stop(PG_STOP_NO_CFI));
                check("above", rule_at(&m, CODE + CODE_SIZE), pg_rule_stop(PG_STOP_NO_CFI));
        }
        for (size_t i = 0; i < sizeof(bad); i++) {
                cie[8] = (char)bad[i];
                struct module m = { .cie = cie, .cie_size = 9, .encoding = bad[i], .fde = "" };
                check("encoding", rule_at(&m, CODE), pg_rule_stop(PG_STOP_DAMAGED));
        }
}

/* LEB128 addresses, which put_address does not write: 0x20000 and 0x100. */
static void test_leb_addresses(void **state)
{
        (void)state;
        struct bytes s = { .n = 0 };
        struct module m = { .cie = "\1zR\0\1\x78\x10\1\1", .cie_size = 9 };
        size_t cie = put_cie(&s, &m);
        struct entry e = entry_begin(&s, false);
        put(&s, s.n - cie, 4);
        put_text(&s, TEXT("\x80\x80\x08\x80\x02\0"));
        entry_end(&s, e);
        struct pg_cfi cfi = cut(&s, s.n);
        check("inside", pg_cfi_rule_of(&cfi, e.start, false, CODE + 0xff),
              wanted((struct pg_rule_parts){ SP_8 }));
        check("above", pg_cfi_rule_of(&cfi, e.start, false, CODE + 0x100), pg_rule_stop(PG_STOP_NO_CFI));
        drop(cfi);
}

static void test_long_lengths(void **state)
{
        (void)state;
        struct module m = { .wide = true, .fde = "\x44\x0e\x10", .fde_size = 3 };
        check("wide", rule_at(&m, CODE + 4),
              pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 16 }));
}

static void test_debug_frame(void **state)
{
        static const char cie[] = "\4\0\x08\0\1\x78\x10";
        (void)state;
        for (int wide = 0; wide < 2; wide++) {
                struct module m = { .cie = cie,
                                    .cie_size = 7,
                                    .is_debug_frame = true,
                                    .wide = wide,
                                    .fde = "\x44\x0e\x10",
                                    .fde_size = 3 };
                check("debug", rule_at(&m, CODE + 3), wanted((struct pg_rule_parts){ SP_8 }));
                check("debug", rule_at(&m, CODE + 4),
                      pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 16 }));
        }
}

/* ---- searching and walking ---- */

enum { FUNCTIONS = 5 };

/* FUNCTIONS functions of 16 bytes, each 32 behind the one before; the function i has a CFA of sp + 8 * (i + 1). */
static void put_functions(struct bytes *s, uint8_t table_encoding, size_t *ret_frames)
{
        char fde[] = "\x0e\x08";
        struct module m = { .fde = fde, .fde_size = 2 };
        s->n = 0;
        put(s, 1 | 0x1b << 8 | 3 << 16 | (uint64_t)table_encoding << 24, 4);
        put(s, 4 + 4 + 8 * FUNCTIONS, 4);
        put(s, FUNCTIONS, 4);
        for (int i = 0; i < FUNCTIONS; i++) {
                put(s, (uint64_t)(CODE + 32 * i - BASE), 4);
                put(s, 0, 4);
        }
        size_t cie = put_cie(s, &m);
        *ret_frames = cie;
        for (int i = 0; i < FUNCTIONS; i++) {
                fde[1] = (char)(8 * (i + 1));
                set_u32(s, 16 + 8 * (size_t)i, put_fde(s, &m, cie, (uint64_t)(CODE + 32 * i), 16));
        }
        put(s, 0, 4);
}

static void check_functions(uint8_t table_encoding)
{
        struct bytes s;
        size_t frames;
        put_functions(&s, table_encoding, &frames);
        struct pg_cfi cfi = cut(&s, s.n);
        check("before the first", pg_cfi_rule(&cfi, CODE - 1), pg_rule_stop(PG_STOP_NO_CFI));
        check("at 0", pg_cfi_rule(&cfi, 0), pg_rule_stop(PG_STOP_NO_CFI));
        check("at the top", pg_cfi_rule(&cfi, UINT64_MAX), pg_rule_stop(PG_STOP_NO_CFI));
        for (int i = 0; i < FUNCTIONS; i++) {
                uint64_t start = (uint64_t)(CODE + 32 * i);
                pg_rule want =
                        pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = 8 * (i + 1) });
                check("first address", pg_cfi_rule(&cfi, start), want);
                check("last address", pg_cfi_rule(&cfi, start + 15), want);
                check("behind", pg_cfi_rule(&cfi, start + 16), pg_rule_stop(PG_STOP_NO_CFI));
                check("before the next", pg_cfi_rule(&cfi, start + 31), pg_rule_stop(PG_STOP_NO_CFI));
        }
        drop(cfi);
}

static void test_search(void **state)
{
        (void)state;
        check_functions(0x3b); // the table
        check_functions(0x1b); // another encoding: all entries
        check_functions(0xff); // no table
}

/* What lies behind the terminator is something else. */
static void test_search_ends_at_terminator(void **state)
{
        (void)state;
        struct bytes s;
        struct module m = { .table_encoding = 0xff, .fde = "" };
        put_module(&s, &m);
        put_fde(&s, &m, put_cie(&s, &m), CODE + 0x400, 16);
        struct pg_cfi cfi = cut(&s, s.n);
        check("behind the terminator", pg_cfi_rule(&cfi, CODE + 0x400), pg_rule_stop(PG_STOP_NO_CFI));
        drop(cfi);
}

static void test_damaged_headers(void **state)
{
        static const struct {
                const char *what;
                size_t at;
                uint8_t byte;
                enum pg_stop want;
        } cases[] = {
                { "another version", 0, 2, PG_STOP_UNSUPPORTED },
                { "no pointer to the frames", 1, 0xff, PG_STOP_UNSUPPORTED },
                { "an unknown encoding of the pointer", 1, 0x2b, PG_STOP_DAMAGED },
                { "an unknown encoding of the count", 2, 0x45, PG_STOP_DAMAGED },
                { "more rows than bytes", 10, 1, PG_STOP_DAMAGED },
                { "an FDE outside", 17, 0x7f, PG_STOP_DAMAGED },
                { "an FDE that is the CIE", 16, 52, PG_STOP_DAMAGED },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct bytes s;
                size_t frames;
                put_functions(&s, 0x3b, &frames);
                s.b[cases[i].at] = cases[i].byte;
                struct pg_cfi cfi = cut(&s, s.n);
                check(cases[i].what, pg_cfi_rule(&cfi, CODE), pg_rule_stop(cases[i].want));
                drop(cfi);
        }
}

static void test_header_outside(void **state)
{
        (void)state;
        struct bytes s;
        size_t frames;
        put_functions(&s, 0x3b, &frames);
        struct pg_cfi cfi = cut(&s, s.n);
        for (uint64_t at = BASE - 5; at < BASE; at++) {
                cfi.hdr_address = at;
                check("below", pg_cfi_rule(&cfi, CODE), pg_rule_stop(PG_STOP_DAMAGED));
        }
        cfi.hdr_address = BASE + s.n;
        check("above", pg_cfi_rule(&cfi, CODE), pg_rule_stop(PG_STOP_DAMAGED));
        drop(cfi);
}

static void test_walk(void **state)
{
        (void)state;
        struct bytes s;
        size_t frames, offset = 0, n = 0;
        put_functions(&s, 0x3b, &frames);
        memmove(s.b, s.b + frames, s.n -= frames); // the section alone; addresses are relative, so they move
        struct pg_cfi cfi = cut(&s, s.n);
        cfi.address = BASE + frames;
        struct pg_cfi_entry e;
        for (; pg_cfi_next(&cfi, false, &offset, &e); n++) {
                assert_int_equal(e.start, CODE + 32 * n);
                assert_int_equal(e.end, e.start + 16);
                check("walked to", pg_cfi_rule_of(&cfi, e.fde_offset, false, e.start + 3),
                      pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP,
                                                           .cfa_offset = 8 * (int64_t)(n + 1) }));
        }
        assert_int_equal(n, FUNCTIONS);
        assert_int_equal(offset, s.n); // to the end, terminator and all
        drop(cfi);
}

static void test_walk_stops_at_nonsense(void **state)
{
        (void)state;
        struct bytes s = { .n = 0 };
        struct module m = { .fde = "" };
        size_t cie = put_cie(&s, &m), offset = 0;
        put_fde(&s, &m, cie, CODE, 16);
        size_t bad = s.n;
        put(&s, 0x1000, 4); // longer than the section
        put(&s, 0, 4);
        struct pg_cfi cfi = cut(&s, s.n);
        struct pg_cfi_entry e;
        assert_true(pg_cfi_next(&cfi, false, &offset, &e));
        assert_int_equal(offset, bad);
        assert_false(pg_cfi_next(&cfi, false, &offset, &e));
        assert_int_equal(offset, bad);
        drop(cfi);
}

static void test_walk_skips_what_it_cannot_use(void **state)
{
        (void)state;
        struct bytes s = { .n = 0 };
        struct module old = { .cie = "\2zR\0\1\x78\x10\1\x1b", .cie_size = 9, .fde = "" }, m = { .fde = "" };
        put_fde(&s, &old, put_cie(&s, &old), CODE, 16);
        put_fde(&s, &m, put_cie(&s, &m), CODE + 16, 16);
        struct pg_cfi cfi = cut(&s, s.n);
        struct pg_cfi_entry e;
        size_t offset = 0;
        assert_true(pg_cfi_next(&cfi, false, &offset, &e));
        assert_int_equal(e.start, CODE + 16);
        assert_false(pg_cfi_next(&cfi, false, &offset, &e));
        assert_int_equal(offset, s.n);
        drop(cfi);
}

/* ---- hostile bytes ---- */

/* Cut anywhere, a module has the rule that it has whole, or a stop. */
static void test_cut_anywhere(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct module m = { .fde = rows[i].fde, .fde_size = rows[i].fde_size };
                struct bytes s;
                size_t fde = put_module(&s, &m);
                pg_rule whole = rule_at(&m, CODE + rows[i].at);
                for (size_t n = 0; n < s.n; n++) {
                        struct pg_cfi cfi = cut(&s, n);
                        pg_rule by_table = pg_cfi_rule(&cfi, CODE + rows[i].at);
                        pg_rule by_fde = pg_cfi_rule_of(&cfi, fde, false, CODE + rows[i].at);
                        if (by_table != whole && pg_rule_cfa(by_table) != PG_CFA_STOP)
                                fail_msg("%s, cut to %zu: another rule", rows[i].what, n);
                        if (by_fde != whole)
                                assert_int_equal(by_fde, pg_rule_stop(PG_STOP_DAMAGED));
                        struct pg_cfi_entry e;
                        for (size_t offset = 0, steps = 0; pg_cfi_next(&cfi, false, &offset, &e); steps++)
                                assert_true(steps < n);
                        drop(cfi);
                }
        }
}

/* Any one byte replaced: nothing is read outside and everything ends. What comes out may be any rule. */
static void test_any_byte_replaced(void **state)
{
        static const uint8_t values[] = { 0x00, 0x01, 0x0a, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0xc6, 0xff };
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct module m = { .fde = rows[i].fde, .fde_size = rows[i].fde_size };
                struct bytes s;
                size_t fde = put_module(&s, &m);
                for (size_t at = 0; at < s.n * sizeof(values); at++) {
                        struct pg_cfi cfi = cut(&s, s.n);
                        ((uint8_t *)(uintptr_t)cfi.bytes)[at / sizeof(values)] = values[at % sizeof(values)];
                        assert_int_not_equal(pg_cfi_rule(&cfi, CODE + rows[i].at), 0);
                        assert_int_not_equal(pg_cfi_rule_of(&cfi, fde, false, CODE + rows[i].at), 0);
                        assert_int_not_equal(pg_cfi_rule_of(&cfi, fde, true, CODE + rows[i].at), 0);
                        drop(cfi);
                }
        }
}

/* ---- the packing that rules come in ---- */

static void test_packing(void **state)
{
        static const struct pg_rule_parts parts[] = {
                { .cfa = PG_CFA_SP, .cfa_offset = -(8 << 20) },
                { .cfa = PG_CFA_BP,
                  .cfa_offset = (8 << 20) - 8,
                  .bp = PG_BP_AT_CFA,
                  .bp_offset = -(16 << 10) },
                { .cfa = PG_CFA_REGISTER, .register_no = 15, .bp = PG_BP_AT_BP, .bp_offset = (16 << 10) - 8 },
                { .cfa = PG_CFA_AT_SP, .cfa_offset = -8, .add = 248 },
                { .cfa = PG_CFA_AT_INDEX, .cfa_offset = 8, .register_no = 9, .bp = PG_BP_LOST },
                { .cfa = PG_CFA_SP, .ra = PG_RA_REGISTER, .register_no = 5 },
        };
        (void)state;
        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
                struct pg_rule_parts p = parts[i];
                pg_rule r = pg_rule_with_owner(pg_rule_pack(p), 0xabcd);
                assert_int_equal(pg_rule_cfa(r), p.cfa);
                assert_int_equal(pg_rule_ra(r), p.ra);
                assert_int_equal(pg_rule_bp(r), p.bp);
                assert_int_equal(pg_rule_cfa_offset(r), p.cfa_offset);
                assert_int_equal(pg_rule_bp_offset(r), p.bp_offset);
                assert_int_equal(pg_rule_owner(r), 0xabcd);
                if (p.cfa == PG_CFA_AT_SP)
                        assert_int_equal(pg_rule_add(r), p.add);
                else
                        assert_int_equal(pg_rule_register(r), p.register_no);
        }
        assert_int_equal(pg_rule_add(pg_rule_pack(parts[4])), 8);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_operators),
                cmocka_unit_test(test_number_plus_register),
                cmocka_unit_test(test_set_loc),
                cmocka_unit_test(test_signal_frames),
                cmocka_unit_test(test_signal_return_code),
                cmocka_unit_test(test_cies),
                cmocka_unit_test(test_factors),
                cmocka_unit_test(test_initial_instructions),
                cmocka_unit_test(test_pointer_encodings),
                cmocka_unit_test(test_leb_addresses),
                cmocka_unit_test(test_long_lengths),
                cmocka_unit_test(test_debug_frame),
                cmocka_unit_test(test_search),
                cmocka_unit_test(test_search_ends_at_terminator),
                cmocka_unit_test(test_damaged_headers),
                cmocka_unit_test(test_header_outside),
                cmocka_unit_test(test_walk),
                cmocka_unit_test(test_walk_stops_at_nonsense),
                cmocka_unit_test(test_walk_skips_what_it_cannot_use),
                cmocka_unit_test(test_cut_anywhere),
                cmocka_unit_test(test_any_byte_replaced),
                cmocka_unit_test(test_packing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
