// SPDX-License-Identifier: MIT
/*
 * search.c - walking until a kept frame, and what is kept of the walk.
 *
 * Nearly all steps are by short rules, with everything in registers. O(fresh frames + words above the one
 * that is met).
 */
#include "runner/agent/search.h"

#include "runner/agent/rules.h"

/* ---- walking until a kept frame ---- */

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

/* What the step depended on, where that is easily told: it counts from sp, and leaves bp alone or reads it
 * from where the CFA says, as the last word. Of others all is taken to matter. */
static inline void note_bp(struct fresh_frame *f, pg_rule rule)
{
        const bool from_sp = pg_rule_cfa(rule) == PG_CFA_SP && pg_rule_ra(rule) == PG_RA_AT_CFA;
        const bool from_bp = pg_rule_cfa(rule) == PG_CFA_BP && pg_rule_ra(rule) == PG_RA_AT_CFA;
        if ((from_sp || from_bp) && (pg_rule_bp(rule) == PG_BP_SAME || pg_rule_bp(rule) == PG_BP_AT_CFA)) {
                f->uses_bp = from_bp;
                f->reloads_bp = pg_rule_bp(rule) == PG_BP_AT_CFA;
        }
}

/* Any rule; tells why there is no caller. */
static __attribute__((noinline)) enum pg_stop step_any(struct search *w)
{
        struct pg_words words;
        uint64_t address = pg_regs_lookup(&w->regs);
        pg_rule rule = rules_find(address);
        struct fresh_frame *f = add_fresh(w, address, pg_rule_owner(rule));
        enum pg_stop why = pg_step(rule, &w->regs, &w->stack, &words);
        if (is_no_frame(why, w->n_fresh)) {
                w->n_fresh--;
                return why;
        }
        for (uint32_t i = 0; i < words.n; i++)
                w->store->fresh_words[w->n_words++] = (struct stack_word){ words.address[i], words.value[i] };
        f->words = (uint16_t)words.n;
        if (why != PG_STOP_NOT) {
                f->uses_bp = pg_rule_ra(rule) != PG_RA_UNDEFINED;
                return why;
        }
        note_bp(f, rule);
        if (w->regs.exact) {
                w->switched = true;
                w->kept = 0;
                bounds_foreign(&w->stack, w->regs.sp);
        }
        return PG_STOP_NOT;
}

static inline bool is_full(const struct search *w)
{
        return w->n_fresh == PG_STACK_MAX || w->n_words > STACK_WORDS_MAX - 4;
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

void search_walk(struct search *w)
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
               w->kept + w->n_fresh <= PG_STACK_MAX && words + w->n_words <= STACK_WORDS_MAX;
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
 * Code without frame pointers has anything in bp: where no rule further out uses it, its word need not hold,
 * and a frame is the same with any bp. Two words are copied for one, which short rules have one or two of.
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

/* The innermost kept frame is the caller's. */
static inline void kept_is(struct stack_store *s, const struct stack_frame *top)
{
        s->kept.sp = top->sp;
        s->kept.bp = top->bp;
        s->kept.uses_bp = top->uses_bp;
        s->kept.node = top->node;
        s->kept.n_inner = 0;
        s->kept.n_outer = top->words;
        s->kept.pc = top->pc;
}

uint32_t search_keep(struct search *w, uint32_t root)
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
        if (!fits || s->depth == 0 || node == PG_NODE_OTHER) // of which each is counted
                stack_keep_nothing(s);
        else if (s->bounds.own)
                kept_is(s, k.frame - 1);
        return node;
}
