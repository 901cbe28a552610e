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

#include "runner/agent/bounds.h"
#include "runner/agent/private_stack.h"
#include "runner/agent/raw.h"
#include "runner/agent/rules.h"
#include "runner/agent/trie.h"

enum { WORDS_MAX = 4 * PG_STACK_MAX };

/* A frame found by walking. Its step read the next `words` of fresh_words. */
struct fresh_frame {
        uint64_t pc, sp, bp;
        pg_place place;
        uint32_t hash; // of its path, when that is known
        uint16_t words;
        bool uses_bp;    // the caller's place depends on bp
        bool reloads_bp; // the caller's bp is the last word that was read; else it is the same one
};

struct stack_store {
        struct stack_kept kept;
        struct trie trie;
        struct bounds bounds;
        uint32_t epoch;          // agent.epoch whose slot the nodes are in
        uint32_t turned_away;    // walks that came in the middle of the one under way
        const uint64_t *walking; // frame of the walk under way; NULL: none
        uint32_t depth;
        uint32_t stamp; // of valid entries in memo
        struct memo_set memo[1 << MEMO_BITS];
        uint8_t recent[1 << MEMO_BITS]; // which way of a set was used last
        struct stack_frame frames[PG_STACK_MAX];
        struct stack_word words[WORDS_MAX + 2]; // one more is written for speed
        struct fresh_frame fresh[PG_STACK_MAX];
        struct stack_word fresh_words[WORDS_MAX + 2];
        struct pg_walked walked[PG_STACK_MAX];
        _Alignas(16) unsigned char private_stack[PRIVATE_STACK_BYTES]; // of the signal handler
};

static const struct stack_frame no_frame; // pc 0 equals no caller
static struct stack_kept nothing_kept = { .top = &no_frame };
_Thread_local struct stack_kept *stack_self = &nothing_kept;

static struct stack_store *_Atomic stores[PG_CELLS_MAX]; // by cell

/* ---- the thread's memory ---- */

static struct stack_store *self_store(void)
{
        return stack_self == &nothing_kept ? NULL : (struct stack_store *)stack_self;
}

static void keep_nothing(struct stack_store *s)
{
        s->depth = 0;
        s->kept.top = &no_frame;
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
                s->kept.words = s->words;
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

void stack_adopt(const struct pg_cell *c)
{
        struct stack_store *s = c ? store_of((size_t)(c - agent.cells)) : NULL;
        if (s && stack_self == &s->kept && s->walking) // in a signal handler that interrupted a walk
                return;
        stack_self = s ? &s->kept : &nothing_kept;
        if (!s)
                return;
        s->walking = NULL; // its last thread may have ended in the middle
        keep_nothing(s);
        s->stamp++;
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

static inline bool walk_begin(struct stack_store *s, const uint64_t *frame)
{
        if (__builtin_expect(s->walking != NULL, 0)) {
                if (++s->turned_away < TURNED_AWAY_MAX)
                        return false;
                keep_nothing(s);
        }
        s->walking = frame;
        s->turned_away = 0;
        s->kept.top = &no_frame; // no handler may find it
        atomic_signal_fence(memory_order_seq_cst);
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
        if (walk_is_mine(s, frame))
                s->walking = NULL;
        else
                keep_nothing(s);
}

/* ---- ends ---- */

/* The frame that stands for what could not be found. */
static uint32_t root_for(enum pg_stop end)
{
        if (end == PG_STOP_ROOT)
                return PG_NODE_ROOT;
        return end == PG_STOP_MEMORY || end == PG_STOP_DEPTH ? PG_NODE_TRUNCATED : PG_NODE_UNKNOWN;
}

static void note_end(enum pg_stop end)
{
        atomic_fetch_add_explicit(&agent.slot->stops[end], 1, memory_order_relaxed);
}

static uint32_t note_other(uint32_t node)
{
        if (node == PG_NODE_OTHER)
                atomic_fetch_add_explicit(&agent.slot->stacks_other, 1, memory_order_relaxed);
        return node;
}

/* ---- whole walks ---- */

/* A caller where no code is, is no frame. */
static inline bool is_no_frame(enum pg_stop end, uint32_t n_frames)
{
        return end == PG_STOP_NO_CFI && n_frames > 1;
}

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

/* ---- walking until a kept frame ---- */

/* A walk under way. */
struct search {
        struct stack_store *store;
        struct pg_regs regs;
        struct pg_stack stack;
        uint32_t kept; // frames[0, kept) may still be met
        uint32_t n_fresh, n_words;
        bool switched; // a signal frame led to another stack: nothing of this may be kept
        enum pg_stop end;
};

static inline struct fresh_frame *add_fresh(struct search *w, uint64_t address, uint32_t owner)
{
        struct fresh_frame *f = &w->store->fresh[w->n_fresh++];
        f->pc = w->regs.bp_lost || w->regs.exact ? 0 : w->regs.pc; // 0 is met by none
        f->sp = w->regs.sp;
        f->bp = w->regs.bp;
        f->place = rules_place(address, owner);
        f->words = 0;
        f->uses_bp = true;
        f->reloads_bp = false;
        return f;
}

/* Any rule; tells why there is no caller. */
static __attribute__((noinline)) enum pg_stop step_any(struct search *w)
{
        struct pg_words words;
        uint64_t address = pg_regs_lookup(&w->regs);
        pg_rule rule = rules_find(address);
        struct fresh_frame *f = add_fresh(w, address, pg_rule_owner(rule));
        enum pg_stop why = pg_step(rule, &w->regs, &w->stack, &words);
        if (why != PG_STOP_NOT) {
                w->n_fresh -= is_no_frame(why, w->n_fresh);
                f->uses_bp = pg_rule_ra(rule) != PG_RA_UNDEFINED;
                return why;
        }
        for (uint32_t i = 0; i < words.n; i++)
                w->store->fresh_words[w->n_words++] = (struct stack_word){ words.address[i], words.value[i] };
        f->words = words.n;
        if (w->regs.exact) {
                w->switched = true;
                w->kept = 0;
                bounds_foreign(&w->stack, w->regs.sp);
        }
        return PG_STOP_NOT;
}

static inline bool is_full(const struct search *w)
{
        return w->n_fresh == PG_STACK_MAX || w->n_words > WORDS_MAX - 4;
}

/* Why a run of short steps ended. */
enum run_end { RUN_MET, RUN_LONG, RUN_ROOT };

/*
 * Steps by short rules, which are nearly all, with everything in registers: until a kept frame is met (its words were
 * not looked at yet), a rule is long or leads out of the stack, or the frame was the outermost one.
 */
static inline enum run_end run_short(struct search *w)
{
        struct stack_store *s = w->store;
        struct fresh_frame *f = s->fresh + w->n_fresh, *const full = s->fresh + PG_STACK_MAX;
        struct stack_word *word = s->fresh_words + w->n_words;
        const struct stack_frame *kept = s->frames + w->kept, *const none = s->frames;
        uint64_t pc = w->regs.pc, sp = w->regs.sp, bp = w->regs.bp;
        const uint64_t hi = w->stack.hi;
        enum run_end end = RUN_LONG;
        while (!w->regs.exact && !w->regs.bp_lost) {
                while (kept != none && kept[-1].sp < sp)
                        kept--;
                if (kept != none && kept[-1].sp == sp && kept[-1].pc == pc &&
                    (!kept[-1].uses_bp || kept[-1].bp == bp)) {
                        end = RUN_MET;
                        break;
                }
                uint32_t rule;
                if (f == full || !rules_find_short(pc - 1, &rule))
                        break;
                uint64_t cfa = (rule & RULE_FROM_BP ? bp : sp) + rules_short_cfa_offset(rule);
                uint64_t saved = cfa - rules_short_bp_below(rule);
                if (cfa <= sp || saved < sp || cfa > hi || cfa & 7)
                        break;
                uint64_t caller = *(const volatile uint64_t *)(uintptr_t)(cfa - 8);
                *f = (struct fresh_frame){
                        .pc = pc,
                        .sp = sp,
                        .bp = bp,
                        .place = rules_place(pc - 1, rule & RULE_MODULE_MAX),
                        .words = 1,
                        .uses_bp = rule & RULE_FROM_BP,
                };
                *word++ = (struct stack_word){ cfa - 8, caller };
                if (rule & RULE_SAVES_BP) {
                        bp = *(const volatile uint64_t *)(uintptr_t)saved;
                        *word++ = (struct stack_word){ saved, bp };
                        f->words = 2;
                        f->reloads_bp = true;
                }
                f++;
                pc = caller;
                sp = cfa;
                if (__builtin_expect(pc == 0, 0)) {
                        end = RUN_ROOT;
                        break;
                }
        }
        w->n_fresh = (uint32_t)(f - s->fresh);
        w->n_words = (uint32_t)(word - s->fresh_words);
        w->kept = (uint32_t)(kept - none);
        w->regs.pc = pc;
        w->regs.sp = sp;
        w->regs.bp = bp;
        return end;
}

/* Hashes of the fresh frames' paths, and the trie's entries for them on their way. */
static inline void hash_fresh(struct search *w, uint32_t above)
{
        struct stack_store *s = w->store;
        for (uint32_t i = w->n_fresh; i-- > 0;) {
                above = trie_hash(above, s->fresh[i].place);
                s->fresh[i].hash = above;
                trie_prefetch_entry(&s->trie, above);
        }
}

/* When the entries are there: their nodes. */
static inline void expect_nodes(const struct search *w)
{
        const struct stack_store *s = w->store;
        for (uint32_t i = w->n_fresh; i-- > 0;)
                trie_prefetch_node(&s->trie, s->fresh[i].hash);
}

/* Words from the outermost inwards that hold, at most n. */
static inline uint32_t words_that_hold(const struct stack_word *words, uint32_t n)
{
        uint32_t i = 0;
        for (; i + 4 <= n; i += 4)
                if (!stack_word_holds(words + i) || !stack_word_holds(words + i + 1) ||
                    !stack_word_holds(words + i + 2) || !stack_word_holds(words + i + 3))
                        break;
        while (i < n && stack_word_holds(words + i))
                i++;
        return i;
}

/* The frame that was met is still what it was; else further in there is nothing to meet any more. */
static inline bool words_of_met_hold(struct search *w)
{
        const struct stack_store *s = w->store;
        uint32_t kept = w->kept, n = words_that_hold(s->words, s->frames[kept - 1].words);
        while (kept > 0 && s->frames[kept - 1].words > n)
                kept--;
        bool all = kept == w->kept;
        w->kept = kept;
        return all;
}

static void search_ends(struct search *w, enum pg_stop why)
{
        w->end = why;
        w->kept = 0;
        note_end(why);
}

static inline void search(struct search *w)
{
        while (w->end == PG_STOP_NOT) {
                enum run_end run = run_short(w);
                if (run == RUN_MET) {
                        hash_fresh(w, w->store->frames[w->kept - 1].hash); // while words are compared
                        if (words_of_met_hold(w)) {
                                expect_nodes(w);
                                return;
                        }
                } else if (run == RUN_ROOT) {
                        search_ends(w, PG_STOP_ROOT);
                } else if (is_full(w)) {
                        search_ends(w, PG_STOP_DEPTH);
                } else {
                        enum pg_stop why = step_any(w);
                        if (why != PG_STOP_NOT)
                                search_ends(w, why);
                }
        }
}

/* ---- what is kept of it ---- */

/* Only frames that later ones may rely on: all words inside this stack, registers known. */
static bool may_be_kept(const struct search *w, uint32_t words)
{
        return !w->switched && w->end != PG_STOP_MEMORY && w->end != PG_STOP_DEPTH &&
               w->kept + w->n_fresh <= PG_STACK_MAX && words + w->n_words <= WORDS_MAX;
}

/* Where the frames of a whole walk hang, and the hash of that path: below the root that was asked for lies one more
 * frame when the stack is not complete. */
static uint32_t bottom_of(struct search *w, uint32_t root, uint32_t *ret_hash)
{
        uint32_t missing = root_for(w->end);
        if (root == PG_NODE_ROOT || missing == PG_NODE_ROOT)
                return *ret_hash = root == PG_NODE_ROOT ? missing : root;
        pg_place place = PG_PLACE(PG_MODULE_NONE, missing);
        *ret_hash = trie_hash(root, place);
        return trie_child(&w->store->trie, root, place, *ret_hash);
}

/* Where fresh frames become kept ones, from the outermost inwards. */
struct keeper {
        struct stack_frame *frame;
        struct stack_word *to;         // behind the words that are kept
        const struct stack_word *from; // behind the fresh ones that are left
        bool uses_bp;                  // some rule further out depends on bp
};

/*
 * Code without frame pointers has anything in bp: where no rule further out uses it, its word need not hold, and a frame
 * is the same with any bp. Two words are copied for one, which short rules have one or two of.
 */
static inline void keep_frame(struct keeper *k, const struct stack_store *s, const struct fresh_frame *f,
                              uint32_t node)
{
        uint32_t n = f->words - (f->reloads_bp && !k->uses_bp);
        k->from -= f->words;
        k->to[0] = k->from[0];
        k->to[1] = k->from[1];
        for (uint32_t i = 2; __builtin_expect(i < n, 0); i++)
                k->to[i] = k->from[i];
        k->to += n;
        k->uses_bp = f->uses_bp || (!f->reloads_bp && k->uses_bp);
        k->frame->pc = f->pc;
        k->frame->sp = f->sp;
        k->frame->bp = f->bp;
        k->frame->node = node;
        k->frame->words = (uint32_t)(k->to - s->words);
        k->frame->hash = f->hash;
        k->frame->uses_bp = k->uses_bp;
        k->frame++;
}

static uint32_t keep(struct search *w, uint32_t root)
{
        struct stack_store *s = w->store;
        const struct stack_frame *above = w->kept ? &s->frames[w->kept - 1] : NULL;
        uint32_t hash = 0, node = above ? above->node : bottom_of(w, root, &hash);
        const bool fits = may_be_kept(w, above ? above->words : 0);
        struct keeper k = { .frame = s->frames + w->kept,
                            .to = s->words + (above ? above->words : 0),
                            .from = s->fresh_words + w->n_words,
                            .uses_bp = above && above->uses_bp };
        if (!above)
                hash_fresh(w, hash);
        for (const struct fresh_frame *f = s->fresh + w->n_fresh; f-- != s->fresh;) {
                node = trie_child(&s->trie, node, f->place, f->hash);
                if (fits)
                        keep_frame(&k, s, f, node);
        }
        s->depth = (uint32_t)(k.frame - s->frames);
        if (!fits || s->depth == 0)
                keep_nothing(s);
        else
                s->kept.top = s->bounds.own ? k.frame - 1 : &no_frame;
        return node;
}

/* A stack that is not the thread's own may have gone in part: what kept frames would read is asked first. */
static void trust_only_readable(struct stack_store *s, uint64_t sp)
{
        uint64_t last = sp;
        for (uint32_t i = 0, n = s->depth ? s->frames[s->depth - 1].words : 0; i < n; i++)
                if (s->words[i].address > last)
                        last = s->words[i].address;
        if (s->depth && !bounds_readable(sp, last + 8))
                keep_nothing(s);
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
        search(w);
}

static void verify_walked(struct stack_store *s, const uint64_t *frame, uint32_t node)
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
            e->base > s->depth || b->node != e->base_node || b->sp != e->sp + e->base_above ||
            (e->uses_bp && e->bp != frame[0]) || (b->uses_bp && b->bp != e->base_bp))
                return false;
        __builtin_prefetch(&agent.nodes[e->node], 1);
        return stack_words_hold(e->words, e->n_words) && stack_words_hold(s->words, b->words);
}

/* The caller's frame becomes the innermost kept one; those between it and the base are not told apart. */
static inline void memo_take(struct stack_store *s, const struct memo_entry *e, uint64_t pc)
{
        uint32_t n_words = s->frames[e->base - 1].words;
        for (uint32_t i = 0; i < e->n_words; i++)
                s->words[n_words + i] = e->words[i];
        n_words += e->n_words;
        s->depth = e->base + 1u;
        s->frames[e->base] = (struct stack_frame){
                .pc = pc,
                .sp = e->sp,
                .bp = e->bp,
                .node = e->node,
                .words = n_words,
                .hash = e->hash,
                .uses_bp = e->uses_bp,
        };
        s->kept.top = &s->frames[e->base];
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
        e->key = memo_key(s, top->pc);
        e->sp = top->sp;
        e->bp = top->bp;
        e->base_above = (uint32_t)(b->sp - top->sp);
        e->base_bp = b->bp;
        e->node = top->node;
        e->hash = top->hash;
        e->base_node = b->node;
        e->base = (uint16_t)base;
        e->n_words = (uint8_t)n;
        e->uses_bp = (uint8_t)top->uses_bp;
        for (uint32_t i = 0; i < n; i++)
                e->words[i] = s->words[b->words + i];
}

static __attribute__((noinline)) uint32_t walk_from(struct stack_store *s, const uint64_t *frame,
                                                    uint32_t root)
{
        const uint64_t sp = (uint64_t)(uintptr_t)(frame + 2);
        struct search w;
        if (__builtin_expect(!bounds_contain(&s->bounds, sp), 0) && !bounds_find(&s->bounds, sp))
                keep_nothing(s);
        if (!s->bounds.own)
                trust_only_readable(s, sp);
        search_start(&w, s, frame);
        search(&w);
        if (__builtin_expect(w.kept + w.n_fresh > PG_STACK_MAX, 0))
                walk_without_kept(&w, frame); // the innermost frames, below [truncated]
        if (__builtin_expect(!walk_is_mine(s, frame), 0))
                return PG_NODE_OTHER;
        uint32_t met_at = w.kept, node = keep(&w, root);
        if (met_at && s->depth > met_at && s->kept.top != &no_frame)
                memo_put(s, met_at);
        if (__builtin_expect(s->kept.until_verify != 0, 0) && met_at)
                verify_walked(s, frame, node);
        return node;
}

static __attribute__((noinline)) void verify_memo(struct stack_store *s, const uint64_t *frame, uint32_t node)
{
        verify_walked(s, frame, node);
}

/* 0: no such walk is known. */
static inline uint32_t walk_again(struct stack_store *s, const uint64_t *frame)
{
        uint32_t set = memo_set_of(frame[1], (uint64_t)(uintptr_t)(frame + 2)), way = s->recent[set];
        const struct memo_entry *e = &s->memo[set].entries[way];
        __builtin_prefetch(e->words);
        __builtin_prefetch(&s->memo[set].entries[way ^ 1]);
        __builtin_prefetch((const void *)&rules_short[rules_index(frame[1] - 1)]); // if there is none
        if (!memo_holds(s, e, frame)) {
                e = &s->memo[set].entries[way ^ 1];
                if (!memo_holds(s, e, frame))
                        return 0;
                s->recent[set] = (uint8_t)(way ^ 1);
        }
        uint32_t node = e->node;
        memo_take(s, e, frame[1]);
        if (__builtin_expect(s->kept.until_verify != 0, 0))
                verify_memo(s, frame, node);
        return node;
}

PG_SLOW_PATH uint32_t stack_find(const uint64_t *frame)
{
        struct stack_store *s = self_store();
        if (!s || !walk_begin(s, frame))
                return note_other(PG_NODE_OTHER);
        uint32_t node = walk_again(s, frame);
        if (__builtin_expect(node == 0, 0))
                node = note_other(walk_from(s, frame, PG_NODE_ROOT));
        walk_end(s, frame);
        return node;
}

PG_SLOW_PATH uint32_t stack_walk(const uint64_t *frame, uint32_t root)
{
        struct stack_store *s = self_store();
        if (!s || !walk_begin(s, frame))
                return note_other(PG_NODE_OTHER);
        if (root != PG_NODE_ROOT) // kept nodes hang below the root
                keep_nothing(s);
        uint32_t node = walk_from(s, frame, root);
        if (root != PG_NODE_ROOT)
                keep_nothing(s);
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
        const struct stack_frame *top = s->kept.top;
        struct pg_regs regs = regs_of_caller(frame);
        if (!walk_begin(s, frame))
                return;
        stack_verify_regs(s, &regs, node);
        s->kept.top = top;
        walk_end(s, frame);
}
