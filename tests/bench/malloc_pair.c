// SPDX-License-Identifier: MIT
/*
 * malloc_pair.c - `bench_malloc_pair THREADS PAIRS`: each thread allocates and frees a 64-byte block PAIRS
 * times; the main thread does when THREADS is 0.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_THREADS = 64 };

static void *pairs(void *arg)
{
        for (long left = *(const long *)arg; left > 0; left--) {
                void *volatile block = malloc(64); // volatile: the pair must not be optimised away
                free(block);
        }
        return NULL;
}

int main(int argc, char **argv)
{
        int threads = argc == 3 ? atoi(argv[1]) : -1;
        long n = argc == 3 ? atol(argv[2]) : 0;
        if (threads < 0 || threads > MAX_THREADS || n < 1) {
                fputs("usage: bench_malloc_pair THREADS PAIRS\n", stderr);
                return 1;
        }
        pthread_t id[MAX_THREADS];
        if (threads == 0)
                pairs(&n);
        for (int i = 0; i < threads; i++)
                if (pthread_create(&id[i], NULL, pairs, &n) != 0)
                        return 1;
        for (int i = 0; i < threads; i++)
                pthread_join(id[i], NULL);
        return 0;
}
