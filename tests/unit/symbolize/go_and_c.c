// SPDX-License-Identifier: MIT
/*
 * go_and_c.c - what is left of a Go program with parts in C when it is stripped: Go's own table of functions, which
 * knows main.work, and the dynamic symbols, which know c_part. Nothing here is ever run.
 *
 * The table is in the layout of Go 1.20; runner/symbolize/pclntab.c has where that is written.
 */
__asm__(".text\n"
        "go_part: .skip 16\n"
        "go_end:\n"
        ".globl c_part\n"
        ".type c_part, @function\n"
        "c_part: .skip 16\n"
        ".size c_part, 16\n"
        ".section .gopclntab, \"a\"\n"
        "table: .long 0xfffffff1\n"
        ".byte 0, 0, 1, 8\n"
        ".quad 1, 0, go_part, names - table, 0, 0, 0, list - table\n"
        "names: .asciz \"main.work\"\n"
        "list: .long 0, record - list\n"
        ".long go_end - go_part, 0\n"
        "record: .long 0, 0\n"
        ".text\n");
