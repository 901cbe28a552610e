// SPDX-License-Identifier: MIT
/*
 * steps.c - at every instruction of a program the unwound stack is the true one.
 *
 *     unwind_steps PROGRAM [SIGNAL_EVERY]
 *
 * Executes the program one instruction at a time from its entry (after the dynamic linker has loaded it) to its
 * end. Before each, the stack is unwound as an engine outside of the process does it, from registers and copied
 * stack memory, and must be the shadow stack's: every return address, the place that each lies in, and the
 * outermost frame. With SIGNAL_EVERY the program gets SIGUSR2 before every so manieth instruction, whose handler
 * must be installed: then the same code is unwound from signal frames, on whatever stack.
 *
 * A wrong frame fails. A marked stop is allowed where stops[] says why; others fail.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/unwind/walk.h"
#include "tests/unwind/shadow.h"
#include "tests/unwind/target.h"

/* ---- unwinding from outside ---- */

enum { WINDOW_BYTES = 1 << 16, WINDOWS = 4, RED_ZONE_BYTES = 128, CACHE_BITS = 12 };

/* Copies of stacks: each stays where it is for one whole walk, since registers of interrupted frames lie in them. */
struct reach {
        const struct target *t;
        const struct shadow *shadow; // tells where the stacks end, nothing else
        uint8_t (*windows)[WINDOW_BYTES];
        uint32_t used;
};

static bool reach_stack(void *context, uint64_t sp, struct pg_stack *ret)
{
        struct reach *r = context;
        const struct shadow_stack *stack = shadow_stack_of(r->shadow, sp);
        uint64_t lo = (sp - RED_ZONE_BYTES) & ~7ull;
        if (!stack || r->used == WINDOWS)
                return false;
        uint64_t hi = stack->hi - lo < WINDOW_BYTES ? stack->hi : lo + WINDOW_BYTES;
        uint8_t *copy = r->windows[r->used++];
        *ret = (struct pg_stack){ .lo = lo, .hi = hi & ~7ull, .shift = (uint64_t)(uintptr_t)copy - lo };
        return target_read(r->t, lo, copy, ret->hi - lo);
}

static pg_rule find_rule(void *context, uint64_t address)
{
        const struct reach *r = context;
        return target_rule(r->t, address);
}

/* The register file in the order of <sys/ucontext.h>. */
static void to_file_order(const struct user_regs_struct *u, uint64_t *ret)
{
        const uint64_t file[PG_GREGS] = { u->r8,  u->r9,  u->r10, u->r11, u->r12, u->r13,
                                          u->r14, u->r15, u->rdi, u->rsi, u->rbp, u->rbx,
                                          u->rdx, u->rax, u->rcx, u->rsp, u->rip };
        memcpy(ret, file, sizeof(file));
}

/* ---- counting ---- */

/* What stands between functions, to align the next one; in no function, so without CFI. */
#define PADDING "[padding]"

/* Where the unwinder may end in a marked stop: functions of this name, or with this in it behind a *. */
static const struct {
        const char *function;
        enum pg_stop why;
        const char *reason;
} allowed[] = {
        { "*_dl_runtime_resolve", PG_STOP_REGISTER,
          "its CFA is in rbx, which its callees have saved somewhere" },
        { "*longjmp", PG_STOP_UNSUPPORTED,
          "its rows say that the jump is made already: sp in one register, pc in another" },
        { "[static plt]", PG_STOP_NO_CFI, "the linker gives it none in static programs" },
        { "_init", PG_STOP_NO_CFI, "start file without CFI" },
        { "_fini", PG_STOP_NO_CFI, "start file without CFI" },
        { "frame_dummy", PG_STOP_NO_CFI, "start file without CFI" },
        { "register_tm_clones", PG_STOP_NO_CFI, "start file without CFI" },
        { "deregister_tm_clones", PG_STOP_NO_CFI, "start file without CFI" },
        { "__do_global_dtors_aux", PG_STOP_NO_CFI, "start file without CFI" },
        { PADDING, PG_STOP_NO_CFI, "glibc's __memcpy_chk runs through it into memcpy" },
};

static const char *const stop_names[PG_STOP_COUNT] = {
        [PG_STOP_NOT] = "goes on",     [PG_STOP_ROOT] = "outermost",
        [PG_STOP_NO_CFI] = "no CFI",   [PG_STOP_UNSUPPORTED] = "unsupported CFI",
        [PG_STOP_DAMAGED] = "damaged", [PG_STOP_REGISTER] = "register unknown",
        [PG_STOP_MEMORY] = "memory",   [PG_STOP_LOOP] = "no progress",
        [PG_STOP_DEPTH] = "too deep",
};

enum { PLACES = 64, RULE_KINDS = 16 };

struct place {
        char function[64];
        enum pg_stop why;
        uint64_t count, first;
};

struct account {
        uint64_t steps, frames, complete, wrong;
        uint64_t kinds[RULE_KINDS], return_in_register; // rules that were followed, by enum pg_rule_cfa
        struct place places[PLACES];
        uint32_t n_places;
};

/* A nop of several bytes (Intel SDM volume 2: 0f 1f /0), as assemblers fill gaps with. */
static bool is_padding(const struct target *t, uint64_t address)
{
        size_t n, i = 0;
        const uint8_t *code = target_code(t, address, &n);
        while (i < n && (code[i] == 0x66 || code[i] == 0x2e))
                i++;
        return n - i >= 2 && code[i] == 0x0f && code[i + 1] == 0x1f;
}

/* Stripped libraries have no names for what they do not export: then the caller's has to do. The outermost frame
 * has no caller (NULL). */
static void name_place(const struct target *t, uint64_t address, const struct shadow_frame *caller, char *ret,
                       size_t n)
{
        const char *name = target_symbol(t, address),
                   *calling = caller ? target_symbol(t, caller->pc - 1) : NULL;
        if (name || !calling)
                snprintf(ret, n, "%s", target_function(t, address));
        else
                snprintf(ret, n, "what %s calls", calling);
}

static void count_stop(struct account *a, const struct target *t, uint64_t address,
                       const struct shadow_frame *caller, enum pg_stop why)
{
        char function[sizeof(a->places[0].function)];
        uint32_t i = 0;
        if (why == PG_STOP_NO_CFI && is_padding(t, address))
                snprintf(function, sizeof(function), PADDING);
        else
                name_place(t, address, caller, function, sizeof(function));
        while (i < a->n_places && (a->places[i].why != why || strcmp(a->places[i].function, function) != 0))
                i++;
        if (i == PLACES) { // something is very wrong: the rest is counted with the last
                i--;
        } else if (i == a->n_places) {
                a->places[a->n_places++] = (struct place){ .why = why, .first = address };
                memcpy(a->places[i].function, function, sizeof(function));
        }
        a->places[i].count++;
}

/* Variants of one function differ in what stands around its name: _dl_runtime_resolve_xsavec, __longjmp, "what
 * siglongjmp calls". Start files' names are short and meant exactly. */
static bool is_named(const char *function, const char *name)
{
        return name[0] == '*' ? strstr(function, name + 1) != NULL : strcmp(function, name) == 0;
}

static const char *reason_to_allow(const struct place *p)
{
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                if (allowed[i].why == p->why && is_named(p->function, allowed[i].function))
                        return allowed[i].reason;
        return NULL;
}

/* ---- comparing ---- */

/* One frame, before it is left. */
struct here {
        uint32_t frame; // 0 is the innermost
        uint64_t address;
};

static bool wrong(struct account *a, const struct reach *reach, const struct here *h,
                  const struct pg_regs *got, const char *what)
{
        enum { SHOWN = 20 };
        const struct shadow *s = reach->shadow;
        if (a->wrong++ >= SHOWN)
                return false;
        printf("wrong at step %lu: from 0x%lx (%s), frame %u of %u: %s\n", a->steps, h->address,
               target_function(reach->t, h->address), h->frame, s->n, what);
        if (h->frame < s->n) {
                const struct shadow_frame *f = &s->frames[s->n - 1 - h->frame];
                printf("    true:    pc 0x%lx sp 0x%lx%s\n", f->pc, f->sp,
                       f->interrupted ? " interrupted" : "");
        }
        printf("    unwound: pc 0x%lx sp 0x%lx%s\n", got->pc, got->sp, got->exact ? " interrupted" : "");
        return false;
}

/* What a step from h said against the truth; true when there is another frame to leave. */
static bool check_step(struct account *a, const struct reach *reach, const struct here *h,
                       const struct pg_regs *r, enum pg_stop why)
{
        const struct shadow *s = reach->shadow;
        const struct shadow_frame *f = h->frame < s->n ? &s->frames[s->n - 1 - h->frame] : NULL;
        if (why == PG_STOP_ROOT && !f) {
                a->complete++;
                return false;
        }
        if (why == PG_STOP_ROOT)
                return wrong(a, reach, h, r, "taken for the outermost frame");
        if (why != PG_STOP_NOT) {
                count_stop(a, reach->t, h->address, f, why);
                return false;
        }
        if (!f)
                return wrong(a, reach, h, r, "beyond the outermost frame");
        a->frames++;
        return (r->pc == f->pc && r->sp == f->sp && r->exact == f->interrupted) ||
               wrong(a, reach, h, r, "another frame");
}

static void count_rule(struct account *a, pg_rule rule)
{
        a->kinds[pg_rule_cfa(rule)]++;
        a->return_in_register += pg_rule_cfa(rule) != PG_CFA_STOP && pg_rule_ra(rule) == PG_RA_REGISTER;
}

/* One stack by single steps, each compared; pg_walk must see the same addresses. */
static void compare(struct account *a, struct pg_unwinder *u, struct reach *reach,
                    const struct user_regs_struct *now)
{
        static struct pg_walked walked[SHADOW_DEPTH + 1];
        uint64_t file[PG_GREGS];
        struct pg_stack stack, again;
        enum pg_stop why, end;
        to_file_order(now, file);
        struct pg_regs r = { .pc = now->rip, .sp = now->rsp, .bp = now->rbp, .all = file, .exact = true },
                       r2 = r;
        reach->used = 0;
        if (!reach_stack(reach, now->rsp, &stack))
                target_die("the stack pointer is in no stack");
        again = stack;
        uint32_t n_walked = pg_walk(u, &r2, &again, walked, SHADOW_DEPTH + 1, &end);
        reach->used = 1;
        for (struct here h = { 0 };; h.frame++) {
                struct pg_words words;
                h.address = pg_regs_lookup(&r);
                pg_rule rule = pg_unwinder_rule(u, h.address);
                count_rule(a, rule);
                if (h.frame >= n_walked || walked[h.frame].address != h.address ||
                    walked[h.frame].rule != rule) {
                        wrong(a, reach, &h, &r, "pg_walk saw another frame");
                        return;
                }
                why = pg_step(rule, &r, &stack, &words);
                if (why == PG_STOP_NOT && r.exact && !reach_stack(reach, r.sp, &stack))
                        why = PG_STOP_MEMORY;
                if (!check_step(a, reach, &h, &r, why))
                        break;
        }
        if (why != end && why != PG_STOP_NOT)
                target_die("pg_walk ended for another reason");
}

/* ---- the run ---- */

struct run {
        struct target t;
        struct shadow shadow;
        struct account account;
        struct reach reach;
        struct pg_unwinder unwinder;
        uint64_t signal_every; // 0: never
        uint64_t until_signal;
        uint32_t in_handler; // depth at which the last injected signal came, 0: none
};

/* SIGUSR2 when its time has come and none is being handled. What was interrupted is executed before the next. */
static int next_signal(struct run *r, int waiting)
{
        bool returned = r->in_handler && r->shadow.n < r->in_handler;
        if (returned)
                r->in_handler = 0;
        if (waiting || returned || !r->signal_every || r->in_handler || r->shadow.handlers[SIGUSR2] <= 1 ||
            --r->until_signal > 0)
                return waiting;
        r->until_signal = r->signal_every;
        r->in_handler = r->shadow.n + 1;
        return SIGUSR2;
}

/* From entry to end; returns the exit status, or -1 when the truth was lost. */
static int step_through(struct run *r)
{
        struct user_regs_struct before, after;
        struct target_stop stop = { 0 };
        target_registers(&r->t, &before);
        shadow_start(&r->shadow, &before);
        for (;;) {
                compare(&r->account, &r->unwinder, &r->reach, &before);
                r->account.steps++;
                int signal = next_signal(r, stop.signal);
                stop = target_step(&r->t, signal);
                if (stop.exited)
                        return stop.exit_code;
                target_registers(&r->t, &after);
                if (stop.signal == 0 && !shadow_step(&r->shadow, &r->t, signal, &before, &after))
                        return -1;
                before = after;
        }
}

/* The program does everything that it is there for, and every kind of rule was met. */
static bool is_worth_something(const struct account *a, const struct shadow *s)
{
        static const enum pg_rule_cfa kinds[] = { PG_CFA_SP,    PG_CFA_BP,    PG_CFA_REGISTER,
                                                  PG_CFA_AT_SP, PG_CFA_AT_BP, PG_CFA_AT_INDEX,
                                                  PG_CFA_SIGNAL };
        bool ok = s->long_jumps >= 4 && s->vforks == 1 && s->signals >= 14 && a->return_in_register > 0;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                ok = ok && a->kinds[kinds[i]] > 0;
        if (!ok)
                printf("the program did not do all that it should\n");
        return ok;
}

static bool report(const struct account *a, const struct shadow *s, int exit_code)
{
        bool ok = a->wrong == 0 && exit_code == 0 && is_worth_something(a, s);
        printf("%lu instructions, %lu frames compared, %lu stacks complete, %lu wrong; "
               "%u calls, %u signals, %u long jumps, %u vforks\n",
               a->steps, a->frames, a->complete, a->wrong, s->calls, s->signals, s->long_jumps, s->vforks);
        printf("frames by rule: sp %lu, bp %lu, register %lu, word at sp %lu, word at bp %lu, word by index "
               "%lu, signal %lu; "
               "return address in a register %lu\n",
               a->kinds[PG_CFA_SP], a->kinds[PG_CFA_BP], a->kinds[PG_CFA_REGISTER], a->kinds[PG_CFA_AT_SP],
               a->kinds[PG_CFA_AT_BP], a->kinds[PG_CFA_AT_INDEX], a->kinds[PG_CFA_SIGNAL],
               a->return_in_register);
        for (uint32_t i = 0; i < a->n_places; i++) {
                const struct place *p = &a->places[i];
                const char *reason = reason_to_allow(p);
                printf("%lu marked stops in %s, %s: %s (first at 0x%lx)\n", p->count, p->function,
                       stop_names[p->why], reason ? reason : "NOT EXPECTED", p->first);
                ok = ok && reason;
        }
        if (exit_code != 0)
                printf("the program ended with %d\n", exit_code);
        return ok;
}

int main(int argc, char **argv)
{
        static struct run r;
        if (argc < 2 || argc > 3)
                return 2;
        r.signal_every = r.until_signal = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
        r.reach = (struct reach){ &r.t, &r.shadow, malloc((size_t)WINDOWS * WINDOW_BYTES), 0 };
        r.unwinder =
                (struct pg_unwinder){ .find = find_rule, .switch_stack = reach_stack, .context = &r.reach };
        r.unwinder.cache.bits = CACHE_BITS;
        r.unwinder.cache.entries = calloc(1u << CACHE_BITS, sizeof(struct pg_rule_entry));
        errno = 0;
        if (!r.reach.windows || !r.unwinder.cache.entries)
                target_die("memory");
        target_start(&r.t, argv[1]);
        int exit_code = step_through(&r);
        bool ok = report(&r.account, &r.shadow, exit_code);
        target_end(&r.t);
        free(r.reach.windows);
        free(r.unwinder.cache.entries);
        return !ok;
}
