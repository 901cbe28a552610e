// SPDX-License-Identifier: MIT
/*
 * shadow.c - the instructions that matter to a call stack, told by their opcodes (Intel SDM volume 2).
 */
#include "tests/unwind/shadow.h"

#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

enum kind { OTHER, CALL, RETURN, INDIRECT_JUMP, SYSTEM_CALL };

static bool is_prefix(uint8_t b)
{
        return b == 0xf2 || b == 0xf3 || b == 0x66 || b == 0x67 || b == 0x3e || b == 0x2e || b == 0x64 ||
               b == 0x65 || (b & 0xf0) == 0x40;
}

static enum kind kind_of(const struct target *t, uint64_t pc)
{
        size_t n, i = 0;
        const uint8_t *code = target_code(t, pc, &n);
        while (i < n && is_prefix(code[i]))
                i++;
        if (n - i < 2)
                return i < n && code[i] == 0xc3 ? RETURN : OTHER;
        switch (code[i]) {
        case 0xe8:
                return CALL;
        case 0xc2:
        case 0xc3:
                return RETURN;
        case 0xff:
                return (code[i + 1] >> 3 & 7) == 2   ? CALL
                       : (code[i + 1] >> 3 & 7) == 4 ? INDIRECT_JUMP
                                                     : OTHER;
        case 0x0f:
                return code[i + 1] == 0x05 ? SYSTEM_CALL : OTHER;
        default:
                return OTHER;
        }
}

static bool lost(const struct target *t, const struct user_regs_struct *regs, const char *why)
{
        printf("the truth is lost at 0x%llx (%s): %s\n", regs->rip, target_function(t, regs->rip), why);
        return false;
}

void shadow_start(struct shadow *s, const struct user_regs_struct *regs)
{
        *s = (struct shadow){ .main = { regs->rsp - (1 << 20), regs->rsp + 64 } };
}

const struct shadow_stack *shadow_stack_of(const struct shadow *s, uint64_t sp)
{
        if (sp >= s->alternate.lo && sp <= s->alternate.hi && s->alternate.hi)
                return &s->alternate;
        return sp >= s->main.lo && sp <= s->main.hi ? &s->main : NULL;
}

static bool push(struct shadow *s, uint64_t pc, uint64_t sp, bool interrupted)
{
        if (s->n == SHADOW_DEPTH)
                return false;
        s->frames[s->n++] = (struct shadow_frame){ pc, sp, interrupted };
        return true;
}

static bool enter_handler(struct shadow *s, const struct target *t, const struct user_regs_struct *before,
                          const struct user_regs_struct *after)
{
        s->signals++;
        if (!push(s, before->rip, before->rsp, true) ||
            !push(s, target_word(t, after->rsp), after->rsp + 8, false))
                return lost(t, after, "deeper than expected");
        return true;
}

static bool do_return(struct shadow *s, const struct target *t, const struct user_regs_struct *before,
                      const struct user_regs_struct *after)
{
        const struct shadow_frame *f = s->n ? &s->frames[s->n - 1] : NULL;
        if (!f || f->interrupted || f->sp != before->rsp + 8 || f->pc != after->rip)
                return lost(t, before, "a return to where nobody called");
        s->n--;
        s->returns++;
        return true;
}

static bool is_alive(const struct shadow *s, const struct shadow_frame *f, uint64_t sp)
{
        return !f->interrupted && f->sp - 8 >= sp && shadow_stack_of(s, f->sp - 8) == shadow_stack_of(s, sp);
}

/* A jump may leave frames behind: those on another stack, and those below the stack pointer that it arrives
 * with. Nothing jumps between a handler's return and the return from the signal. */
static void do_jump(struct shadow *s, uint64_t sp)
{
        uint32_t before = s->n;
        while (s->n && !is_alive(s, &s->frames[s->n - 1], sp))
                s->n--;
        s->long_jumps += s->n != before;
}

static bool do_system_call(struct shadow *s, const struct target *t, const struct user_regs_struct *before,
                           const struct user_regs_struct *after)
{
        stack_t alternate;
        switch (before->rax) {
        case SYS_rt_sigaction: // the kernel's struct starts with the handler
                if (before->rsi && before->rdi < SHADOW_SIGNALS)
                        s->handlers[before->rdi] = target_word(t, before->rsi);
                return true;
        case SYS_sigaltstack:
                if (before->rdi && target_read(t, before->rdi, &alternate, sizeof(alternate)))
                        s->alternate =
                                (struct shadow_stack){ (uintptr_t)alternate.ss_sp,
                                                       (uintptr_t)alternate.ss_sp + alternate.ss_size };
                return true;
        case SYS_vfork:
                s->vforks++;
                return true;
        case SYS_rt_sigreturn:
                if (!s->n || !s->frames[s->n - 1].interrupted || s->frames[s->n - 1].sp != after->rsp ||
                    s->frames[s->n - 1].pc != after->rip)
                        return lost(t, before, "a signal return to what no signal interrupted");
                s->n--;
                return true;
        default:
                return true;
        }
}

bool shadow_step(struct shadow *s, const struct target *t, int signal, const struct user_regs_struct *before,
                 const struct user_regs_struct *after)
{
        if (signal && s->handlers[signal] > 1 && after->rip == s->handlers[signal])
                return enter_handler(s, t, before, after);
        switch (kind_of(t, before->rip)) {
        case CALL:
                s->calls++;
                return push(s, target_word(t, after->rsp), after->rsp + 8, false) ||
                       lost(t, before, "deeper than expected");
        case RETURN:
                return do_return(s, t, before, after);
        case INDIRECT_JUMP:
                do_jump(s, after->rsp);
                return true;
        case SYSTEM_CALL:
                return do_system_call(s, t, before, after);
        default:
                return true;
        }
}
