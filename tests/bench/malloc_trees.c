// SPDX-License-Identifier: MIT
/*
 * malloc_trees.c - `bench_malloc_trees THREADS BLOCKS`: each thread makes and drops trees until it allocated
 * BLOCKS blocks.
 *
 * As a parser works: arrays hold objects and objects hold arrays, with an odd one now and then, up to 10 deep, and all
 * functions allocate at every depth, some 3,000 stacks of 12 frames on average; blocks of
 * 16 bytes to 8 KiB, most of them small, some of them grown by realloc. Little else is done, so most of the time is
 * the allocator's. The same trees in each run.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        MAX_THREADS = 64,
        DEPTH = 10,
        CHILDREN = 4,
        SMALL_BYTES = 160,
        LARGE_BYTES = 8192,
        LARGE_ONE_IN = 64,
        ODD_ONE_IN = 256
};

struct node {
        struct node *children[CHILDREN];
        void *text;
};

struct work {
        uint64_t state;
        long left; // blocks still to be allocated
};

static struct node *make_value(struct work *w, unsigned depth);

static uint64_t next_random(struct work *w)
{
        w->state ^= w->state << 13;
        w->state ^= w->state >> 7;
        return w->state ^= w->state << 17;
}

static void *checked(struct work *w, void *block)
{
        if (!block)
                abort();
        w->left--;
        return block;
}

__attribute__((noinline)) static void *make_text(struct work *w)
{
        uint64_t r = next_random(w);
        size_t bytes = 16 + r % (r % LARGE_ONE_IN ? SMALL_BYTES : LARGE_BYTES);
        char *text = checked(w, malloc(bytes));
        text[0] = (char)r;
        return text;
}

__attribute__((noinline)) static struct node *make_string(struct work *w)
{
        struct node *n = checked(w, calloc(1, sizeof(*n)));
        n->text = make_text(w);
        return n;
}

__attribute__((noinline)) static struct node *make_array(struct work *w, unsigned depth)
{
        struct node *n = checked(w, calloc(1, sizeof(*n)));
        for (unsigned i = 0; i < CHILDREN && w->left > 0; i++)
                n->children[i] = make_value(w, depth - 1);
        return n;
}

__attribute__((noinline)) static struct node *make_object(struct work *w, unsigned depth)
{
        struct node *n = checked(w, calloc(1, sizeof(*n)));
        n->text = make_text(w);
        for (unsigned i = 0; i < CHILDREN / 2 && w->left > 0; i++)
                n->children[i] = make_value(w, depth - 1);
        n->text = checked(w, realloc(n->text, 2 * SMALL_BYTES));
        return n;
}

__attribute__((noinline)) static struct node *make_value(struct work *w, unsigned depth)
{
        uint64_t r = next_random(w);
        bool is_odd_one = r / 8 % ODD_ONE_IN == 0;
        struct node *n;
        if (depth < 2 || r % 8 < 3)
                n = make_string(w);
        else
                n = depth % 2 == is_odd_one ? make_array(w, depth) : make_object(w, depth);
        return n;
}

static void drop(struct node *n)
{
        for (unsigned i = 0; i < CHILDREN; i++)
                if (n->children[i])
                        drop(n->children[i]);
        free(n->text);
        free(n);
}

static void *work(void *arg)
{
        struct work w = *(struct work *)arg;
        while (w.left > 0)
                drop(make_value(&w, DEPTH));
        return NULL;
}

int main(int argc, char **argv)
{
        int threads = argc == 3 ? atoi(argv[1]) : 0;
        long n = argc == 3 ? atol(argv[2]) : 0;
        if (threads < 1 || threads > MAX_THREADS || n < 1) {
                fputs("usage: bench_malloc_trees THREADS BLOCKS\n", stderr);
                return 1;
        }
        pthread_t id[MAX_THREADS];
        struct work works[MAX_THREADS];
        for (int i = 0; i < threads; i++) {
                works[i] = (struct work){ .state = 88172645463325252u + (uint64_t)i, .left = n };
                if (pthread_create(&id[i], NULL, work, &works[i]) != 0)
                        return 1;
        }
        for (int i = 0; i < threads; i++)
                pthread_join(id[i], NULL);
        return 0;
}
