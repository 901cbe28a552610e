/* SPDX-License-Identifier: MIT */
/*
 * rows_written.S - unwind information that compilers do not make but assembler does: each instruction and each
 * kind of rule at least once. Only compared, never run, so that the code is no more than room for the rows.
 */
        .section .note.GNU-stack,"",@progbits
        .cfi_sections .eh_frame, .debug_frame
        .text

        .macro begin name
        .globl \name
        .type \name, @function
\name:  .cfi_startproc
        nop
        .endm
        .macro finish name
        nop
        .cfi_endproc
        .size \name, . - \name
        .endm

        /* The usual, in the instructions' long and signed forms, and with distances that need each advance. */
        begin rows_long_forms
        .cfi_escape 0x0c, 0x87, 0x00, 0x90, 0x00                /* def_cfa r7, 16, padded numbers */
        nop
        .cfi_escape 0x05, 0x06, 0x02                            /* offset_extended r6, 2 */
        .skip 100, 0x90
        .cfi_escape 0x12, 0x07, 0x7d                            /* def_cfa_sf r7, -3 */
        .skip 1000, 0x90
        .cfi_escape 0x13, 0x78                                  /* def_cfa_offset_sf -8 */
        .skip 100000, 0x90
        .cfi_escape 0x11, 0x06, 0x05                            /* offset_extended_sf r6, 5 */
        nop
        .cfi_escape 0x2f, 0x06, 0x03                            /* GNU_negative_offset_extended r6, 3 */
        nop
        .cfi_escape 0x2e, 0x10                                  /* GNU_args_size 16 */
        .cfi_escape 0x06, 0x06                                  /* restore_extended r6 */
        nop
        .cfi_escape 0x0e, 0x08, 0x00                            /* def_cfa_offset 8 */
        finish rows_long_forms

        begin rows_remembered
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        nop
        .cfi_remember_state
        .cfi_def_cfa_register %rbp
        nop
        .cfi_remember_state
        .cfi_def_cfa %rbx, 32
        .cfi_same_value %rbp
        nop
        .cfi_restore_state
        nop
        .cfi_restore_state
        nop
        .cfi_restore %rbp
        .cfi_def_cfa_offset 8
        finish rows_remembered

        /* Where the caller's bp may be. */
        begin rows_bp
        .cfi_register %rbp, %rbx
        nop
        .cfi_undefined %rbp
        nop
        .cfi_escape 0x10, 0x06, 0x02, 0x76, 0x00                /* expression r6: bp + 0 */
        nop
        .cfi_escape 0x10, 0x06, 0x02, 0x77, 0x18                /* expression r6: sp + 24 */
        nop
        .cfi_escape 0x10, 0x06, 0x02, 0x23, 0x08                /* expression r6: CFA + 8 */
        nop
        .cfi_escape 0x10, 0x06, 0x02, 0x73, 0x00                /* expression r6: bx + 0 */
        nop
        .cfi_escape 0x16, 0x06, 0x02, 0x76, 0x00                /* val_expression r6: bp + 0 */
        nop
        .cfi_escape 0x16, 0x06, 0x03, 0x76, 0x10, 0x06          /* val_expression r6: word at bp + 16 */
        nop
        .cfi_escape 0x14, 0x06, 0x02                            /* val_offset r6, 2 */
        nop
        .cfi_escape 0x15, 0x06, 0x7e                            /* val_offset_sf r6, -2 */
        nop
        .cfi_offset %rbp, -16384
        nop
        .cfi_offset %rbp, -16392
        nop
        .cfi_escape 0x10, 0x06, 0x02, 0x77, 0x14                /* expression r6: sp + 20 */
        finish rows_bp

        /* CFAs: other registers, words on the stack, plain numbers. */
        begin rows_cfa
        .cfi_def_cfa %r15, 8
        nop
        .cfi_def_cfa %rsp, 8388600
        nop
        .cfi_def_cfa %rsp, 8388608
        nop
        .cfi_def_cfa %rsp, 12
        nop
        .cfi_def_cfa %rsp, 0x100000008
        nop
        .cfi_escape 0x0f, 0x03, 0x76, 0x78, 0x06                /* word at bp - 8 */
        nop
        .cfi_escape 0x0f, 0x05, 0x77, 0x10, 0x06, 0x23, 0x08    /* word at sp + 16, plus 8 */
        nop
        .cfi_escape 0x0f, 0x06, 0x77, 0x10, 0x06, 0x23, 0xf8, 0x01 /* the same plus 248 */
        nop
        .cfi_escape 0x0f, 0x06, 0x77, 0x10, 0x06, 0x23, 0x80, 0x02 /* the same plus 256: too much */
        nop
        .cfi_escape 0x0f, 0x03, 0x73, 0x10, 0x06                /* word at bx + 16: not on the stack */
        nop
        .cfi_escape 0x0f, 0x0a, 0x77, 0x08, 0x79, 0x00, 0x38, 0x1e, 0x22, 0x06, 0x23, 0x08 /* index r9 */
        nop
        .cfi_escape 0x0f, 0x04, 0x77, 0x08, 0x40, 0x1a          /* sp + 8 and 16: no rule */
        nop
        .cfi_escape 0x0f, 0x05, 0x77, 0x28, 0x38, 0x1c, 0x96    /* sp + 40 - 8, nop */
        nop
        .cfi_escape 0x0f, 0x06, 0x92, 0x07, 0x08, 0x08, 0x10, 0x22 /* bregx 7, const1u */
        finish rows_cfa

        /* What depends on pc, as in linkage tables; every operator on known numbers. */
        begin rows_pc
        .cfi_escape 0x0f, 0x0b, 0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22
        .skip 33, 0x90
        .cfi_escape 0x0f, 0x0f, 0x77, 0x08, 0x80, 0x00, 0x34, 0x25, 0x31, 0x1a, 0x31, 0x21, 0x38, 0x1e, 0x22, 0x96, 0x96
        .skip 33, 0x90
        .cfi_escape 0x0f, 0x0d, 0x77, 0x10, 0x80, 0x00, 0x0a, 0xff, 0x00, 0x1a, 0x3b, 0x2d, 0x33, 0x24, 0x22
        .skip 33, 0x90
        finish rows_pc

        /* Return addresses. */
        begin rows_ra
        .cfi_register %rip, %rdi
        .cfi_def_cfa_offset 0
        nop
        .cfi_register %rip, %r15
        .cfi_def_cfa %rbp, 16
        nop
        .cfi_def_cfa %rbx, 16
        nop
        .cfi_def_cfa %rsp, 16
        .cfi_escape 0x10, 0x10, 0x02, 0x77, 0x08                /* expression: sp + 8, which is CFA - 8 */
        nop
        .cfi_escape 0x10, 0x10, 0x02, 0x77, 0x10                /* expression: sp + 16 */
        nop
        .cfi_offset %rip, -16
        nop
        .cfi_undefined %rip
        nop
        .cfi_restore %rip
        finish rows_ra

        /* A caller whose sp is not the CFA has no rule; one that says so needlessly has. */
        begin rows_sp
        .cfi_escape 0x14, 0x07, 0x00                            /* val_offset r7, 0 */
        nop
        .cfi_escape 0x14, 0x07, 0x01                            /* val_offset r7, 1 */
        nop
        .cfi_register %rsp, %r8
        nop
        .cfi_offset %rsp, -24
        nop
        .cfi_restore %rsp
        finish rows_sp

        /* Signal frames: the kernel's is checked in libc; another one has no rule. */
        begin rows_signal
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 16
        nop
        .cfi_undefined %rip
        finish rows_signal
