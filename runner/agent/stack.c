// SPDX-License-Identifier: MIT
/*
 * stack.c - kept stacks, the walk that ends at one, and which memory may be read.
 *
 * A thread's memory belongs to its cell and goes to the cell's next thread, so a thread's end frees nothing.
 * Stacks of threads are known by their ends: the main thread's by the loader's mark, others' by the thread
 * block that libc puts on top. Any other stack (coroutines, alternate stacks) is asked of the kernel page by
 * page before it is read, each time anew, because it may go away while it is not in use.
 */
#include "runner/agent/stack.h"

#include <string.h>

#include "runner/agent/raw.h"
#include "runner/agent/rules.h"
#include "runner/agent/search.h"

/* Of a thread without a cell: a walk is always under way. */
static struct {
        struct stack_kept kept;
        const uint64_t *walking;
} nothing = { .walking = (const uint64_t *)&nothing };
_Static_assert(offsetof(struct stack_store, walking) == sizeof(struct stack_kept),
               "nothing begins like a store");
_Thread_local struct stack_kept *stack_self = &nothing.kept;

static struct stack_store *_Atomic stores[PG_CELLS_MAX]; // by cell

/* ---- the thread's memory ---- */

static struct stack_store *self_store(void)
{
        return stack_self == &nothing.kept ? NULL : (struct stack_store *)stack_self;
}

/* What a fork found in the middle of a walk is left alone: the walk may go on, in a child whose parent forked in a
 * signal handler, and the thread that was at it may be another one. */
static bool is_of_use(const struct stack_store *s)
{
        return s && (s->epoch == agent.epoch || !s->walking);
}

static struct stack_store *store_of(size_t cell)
{
        struct stack_store *s = atomic_load_explicit(&stores[cell], memory_order_acquire);
        if (!is_of_use(s)) {
                s = raw_map_private(sizeof(*s));
                if (!s)
                        return NULL;
                s->kept.outer = s->words;
                trie_start(&s->trie);
                s->epoch = agent.epoch;
                atomic_store_explicit(&stores[cell], s, memory_order_release);
        }
        if (s->epoch != agent.epoch) {
                trie_reset(&s->trie);
                s->epoch = agent.epoch;
        }
        return s;
}

/* Nothing in it is true any more: nodes are another slot's, or code lies elsewhere. O(1) but once in 65,536 times. */
static void void_memo(struct stack_store *s)
{
        if (++s->stamp == 0)
                memset(s->memo, 0, sizeof(s->memo));
}

/* Of a walk under way: what it was told before is not true any more. Frames are aligned. */
static inline const uint64_t *outdated(const uint64_t *frame)
{
        return (const uint64_t *)((uintptr_t)frame | 1);
}

static void forget(struct stack_store *s)
{
        stack_keep_nothing(s);
        void_memo(s);
}

void stack_adopt(const struct pg_cell *c)
{
        struct stack_store *s = c ? store_of((size_t)(c - agent.cells)) : NULL;
        if (s && stack_self == &s->kept && s->walking) { // in a signal handler that interrupted a walk
                s->walking = outdated(s->walking);
                return;
        }
        stack_self = s ? &s->kept : &nothing.kept;
        if (!s)
                return;
        s->walking = NULL; // its last thread may have ended in the middle
        forget(s);
        bounds_start(&s->bounds);
        s->kept.until_verify = agent.header->verify_every;
}

/* ---- one walk at a time ---- */

/*
 * A thread walks one stack at a time. A signal handler that comes in the middle of a walk and allocates is turned away:
 * frames, words and tree are half done. A handler may also jump out of a walk, which then never ends: after many were
 * turned away it is given up, and nothing that it left is used. Should it come back after all it notices.
 */
enum { TURNED_AWAY_MAX = 4096 };

static inline void walk_starts(struct stack_store *s, const uint64_t *frame)
{
        s->walking = frame;
        s->turned_away = 0;
        s->kept.pc = 0; // no handler may find it
        atomic_signal_fence(memory_order_seq_cst);
}

/* False: another walk is under way. */
static inline bool walk_begin(struct stack_store *s, const uint64_t *frame)
{
        if (__builtin_expect(s->walking != NULL, 0)) {
                if (++s->turned_away < TURNED_AWAY_MAX)
                        return false;
                forget(s);
        }
        walk_starts(s, frame);
        return true;
}

/* Nobody gave it up meanwhile, and the thread still works with this memory. */
static inline bool walk_is_mine(const struct stack_store *s, const uint64_t *frame)
{
        atomic_signal_fence(memory_order_seq_cst);
        return *(const uint64_t *const volatile *)&s->walking == frame && stack_self == &s->kept;
}

static inline void walk_end(struct stack_store *s, const uint64_t *frame)
{
        if (walk_is_mine(s, frame)) {
                s->walking = NULL;
                return;
        }
        forget(s);
        if (s->walking == outdated(frame))
                s->walking = NULL;
}

static uint32_t note_other(uint32_t node)
{
        if (node == PG_NODE_OTHER)
                atomic_fetch_add_explicit(&agent.slot->stacks_other, 1, memory_order_relaxed);
        return node;
}

/* ---- whole walks ---- */

/* The walk from regs, as a node. */
static uint32_t walk_all(struct stack_store *s, struct pg_regs *regs, struct pg_stack *stack,
                         enum pg_stop *ret_end)
{
        uint32_t n = pg_walk(&rules_all, regs, stack, s->walked, PG_STACK_MAX, ret_end);
        n -= is_no_frame(*ret_end, n);
        uint32_t node = root_for(*ret_end), hash = node;
        while (n-- > 0) {
                pg_place place = rules_place(s->walked[n].address, pg_rule_owner(s->walked[n].rule));
                hash = trie_hash(hash, place);
                node = trie_child(&s->trie, node, place, hash);
        }
        return node;
}

/* A full walk beside a stack that was partly or wholly reused. */
static void stack_verify_regs(struct stack_store *s, const struct pg_regs *from, uint32_t node)
{
        struct pg_regs regs = *from;
        struct pg_stack stack;
        enum pg_stop end;
        s->kept.until_verify = agent.header->verify_every;
        bounds_stack(&s->bounds, regs.sp, &stack);
        atomic_fetch_add_explicit(&agent.slot->stacks_verified, 1, memory_order_relaxed);
        if (walk_all(s, &regs, &stack, &end) != node)
                atomic_fetch_add_explicit(&agent.slot->stacks_different, 1, memory_order_relaxed);
}

/* A stack that is not the thread's own may have gone in part: what kept frames would read is asked first. */
static void trust_only_readable(struct stack_store *s, uint64_t sp)
{
        uint64_t last = sp;
        for (uint32_t i = 0, n = s->depth ? s->frames[s->depth - 1].words : 0; i < n; i++)
                if (s->words[i].address > last)
                        last = s->words[i].address;
        if (s->depth && !bounds_readable(sp, last + 8))
                stack_keep_nothing(s);
}

static struct pg_regs regs_of_caller(const uint64_t *frame)
{
        return (struct pg_regs){ .pc = frame[1], .sp = (uint64_t)(uintptr_t)(frame + 2), .bp = frame[0] };
}

/* Field by field: it is read again at once, and not in the pieces that a copy would be written in. */
static inline void search_start(struct search *w, struct stack_store *s, const uint64_t *frame)
{
        w->store = s;
        w->regs.pc = frame[1];
        w->regs.sp = (uint64_t)(uintptr_t)(frame + 2);
        w->regs.bp = frame[0];
        w->regs.all = NULL;
        w->regs.exact = w->regs.bp_lost = false;
        bounds_stack(&s->bounds, w->regs.sp, &w->stack);
        w->kept = s->depth;
        w->n_fresh = w->n_words = 0;
        w->switched = false;
        w->end = PG_STOP_NOT;
}

static void walk_without_kept(struct search *w, const uint64_t *frame)
{
        search_start(w, w->store, frame);
        w->kept = 0;
        search_walk(w);
}

static __attribute__((noinline)) void verify_walked(struct stack_store *s, const uint64_t *frame,
                                                    uint32_t node)
{
        const struct pg_regs regs = regs_of_caller(frame);
        if (--s->kept.until_verify == 0)
                stack_verify_regs(s, &regs, node);
}

/* ---- walks that were made before ---- */

/* In its upper bits what no address has: entries of other stamps are not found. */
static inline uint64_t memo_key(const struct stack_store *s, uint64_t pc)
{
        return pc ^ (uint64_t)s->stamp << 48;
}

static inline bool memo_holds(const struct stack_store *s, const struct memo_entry *e, const uint64_t *frame)
{
        const struct stack_frame *b = &s->frames[e->base - 1];
        if (e->key != memo_key(s, frame[1]) || e->sp != (uint64_t)(uintptr_t)(frame + 2) ||
            e->base > s->depth || b->node != e->base_node || b->pc == 0 || b->sp != e->sp + e->base_above ||
            (e->uses_bp && e->bp != frame[0]) || (b->uses_bp && b->bp != e->base_bp))
                return false;
        __builtin_prefetch(&agent.nodes[e->node], 1);
        return stack_words_hold(e->words, e->n_words) && stack_words_hold(s->words, b->words);
}

/* The stack of the last event is the entry's; kept frames stay. */
static inline void memo_take(struct stack_store *s, const struct memo_entry *e, uint64_t pc)
{
        s->kept.sp = e->sp;
        s->kept.bp = e->bp;
        s->kept.uses_bp = e->uses_bp;
        s->kept.node = e->node;
        s->kept.inner = e->words;
        s->kept.n_inner = e->n_words;
        s->kept.n_outer = s->frames[e->base - 1].words;
        s->kept.pc = pc;
}

/* The walk that was just kept: from its innermost frame to the base-th one. */
static inline void memo_put(struct stack_store *s, uint32_t base)
{
        const struct stack_frame *top = &s->frames[s->depth - 1], *b = &s->frames[base - 1];
        uint32_t n = top->words - b->words;
        if (n > MEMO_WORDS || top->pc == 0 || b->sp - top->sp > UINT32_MAX)
                return;
        uint32_t set = memo_set_of(top->pc, top->sp);
        struct memo_entry *e = &s->memo[set].entries[s->recent[set] ^= 1];
        e->key = 0; // a signal handler may jump out of here
        atomic_signal_fence(memory_order_seq_cst);
        e->sp = top->sp;
        e->bp = top->bp;
        e->base_above = (uint32_t)(b->sp - top->sp);
        e->base_bp = b->bp;
        e->node = top->node;
        e->base_node = b->node;
        e->base = (uint16_t)base;
        e->n_words = (uint8_t)n;
        e->uses_bp = (uint8_t)top->uses_bp;
        for (uint32_t i = 0; i < n; i++)
                e->words[i] = s->words[b->words + i];
        atomic_signal_fence(memory_order_seq_cst);
        e->key = memo_key(s, top->pc);
}

static __attribute__((noinline)) uint32_t walk_from(struct stack_store *s, const uint64_t *frame,
                                                    uint32_t root)
{
        const uint64_t sp = (uint64_t)(uintptr_t)(frame + 2);
        struct search w;
        if (__builtin_expect(!bounds_contain(&s->bounds, sp), 0) && !bounds_find(&s->bounds, sp))
                stack_keep_nothing(s);
        if (!s->bounds.own)
                trust_only_readable(s, sp);
        search_start(&w, s, frame);
        search_walk(&w);
        if (__builtin_expect(w.kept + w.n_fresh > PG_STACK_MAX, 0))
                walk_without_kept(&w, frame); // the innermost frames, below [truncated]
        if (__builtin_expect(!walk_is_mine(s, frame), 0))
                return PG_NODE_OTHER;
        uint32_t met_at = w.kept, node = search_keep(&w, root);
        if (met_at && s->depth > met_at && s->kept.pc != 0)
                memo_put(s, met_at);
        if (__builtin_expect(s->kept.until_verify != 0, 0) && met_at)
                verify_walked(s, frame, node);
        return node;
}

/* NULL: no such walk is known. */
static inline const struct memo_entry *memo_find(struct stack_store *s, const uint64_t *frame)
{
        uint32_t set = memo_set_of(frame[1], (uint64_t)(uintptr_t)(frame + 2)), way = s->recent[set];
        const struct memo_entry *e = &s->memo[set].entries[way];
        __builtin_prefetch(e->words);
        __builtin_prefetch(&s->memo[set].entries[way ^ 1]);
        __builtin_prefetch((const void *)&rules_short[rules_index(frame[1] - 1)]); // if there is none
        if (memo_holds(s, e, frame))
                return e;
        e = &s->memo[set].entries[way ^ 1];
        if (!memo_holds(s, e, frame))
                return NULL;
        s->recent[set] = (uint8_t)(way ^ 1);
        return e;
}

/* The rest of stack_find(), each with calls of its own. */

PG_SLOW_PATH static uint32_t find_turned_away(const uint64_t *frame)
{
        struct stack_store *s = self_store();
        if (!s || !walk_begin(s, frame))
                return note_other(PG_NODE_OTHER);
        uint32_t node = note_other(walk_from(s, frame, PG_NODE_ROOT));
        walk_end(s, frame);
        return node;
}

PG_SLOW_PATH static uint32_t find_by_walk(struct stack_store *s, const uint64_t *frame)
{
        uint32_t node = note_other(walk_from(s, frame, PG_NODE_ROOT));
        walk_end(s, frame);
        return node;
}

PG_SLOW_PATH static uint32_t find_given_up(struct stack_store *s, const uint64_t *frame, uint32_t node)
{
        walk_end(s, frame);
        return node;
}

PG_SLOW_PATH static uint32_t find_and_verify(struct stack_store *s, const uint64_t *frame, uint32_t node)
{
        verify_walked(s, frame, node);
        walk_end(s, frame);
        return node;
}

/* A walk that is known is found without a call, so that no register is saved for it. */
uint32_t stack_find(const uint64_t *frame)
{
        struct stack_store *s = (struct stack_store *)stack_self;
        if (__builtin_expect(s->walking != NULL, 0))
                return find_turned_away(frame);
        walk_starts(s, frame);
        const struct memo_entry *e = memo_find(s, frame);
        if (__builtin_expect(!e, 0))
                return find_by_walk(s, frame);
        uint32_t node = e->node;
        memo_take(s, e, frame[1]);
        if (__builtin_expect(s->kept.until_verify != 0, 0))
                return find_and_verify(s, frame, node);
        if (__builtin_expect(!walk_is_mine(s, frame), 0))
                return find_given_up(s, frame, node);
        s->walking = NULL;
        return node;
}

PG_SLOW_PATH uint32_t stack_walk(const uint64_t *frame, uint32_t root)
{
        struct stack_store *s = self_store();
        if (!s || !walk_begin(s, frame))
                return note_other(PG_NODE_OTHER);
        if (root != PG_NODE_ROOT) // kept nodes hang below the root
                stack_keep_nothing(s);
        uint32_t node = walk_from(s, frame, root);
        if (root != PG_NODE_ROOT)
                stack_keep_nothing(s);
        walk_end(s, frame);
        return note_other(node);
}

static uint32_t walk_context(const void *registers)
{
        const uint64_t *all = registers;
        struct stack_store *s = self_store();
        struct pg_regs regs = {
                .pc = all[PG_GREG_PC], .sp = all[PG_GREG_SP], .bp = all[PG_GREG_BP], .all = all, .exact = true
        };
        struct pg_stack stack;
        enum pg_stop end;
        if (!bounds_contain(&s->bounds, regs.sp))
                bounds_find(&s->bounds, regs.sp);
        bounds_stack(&s->bounds, regs.sp, &stack);
        uint32_t node = walk_all(s, &regs, &stack, &end);
        note_end(end);
        return note_other(node);
}

uint32_t stack_of_context(const uint64_t *all)
{
        struct stack_store *s = self_store();
        if (!s)
                return note_other(PG_NODE_OTHER);
        return private_stack_call(s->private_stack + PRIVATE_STACK_BYTES, walk_context, all);
}

PG_SLOW_PATH void stack_verify(const uint64_t *frame, uint32_t node)
{
        struct stack_store *s = self_store();
        uint64_t pc = s->kept.pc;
        struct pg_regs regs = regs_of_caller(frame);
        if (!walk_begin(s, frame))
                return;
        stack_verify_regs(s, &regs, node);
        s->kept.pc = pc;
        walk_end(s, frame);
}
