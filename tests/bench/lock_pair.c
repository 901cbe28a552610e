// SPDX-License-Identifier: MIT
/*
 * lock_pair.c - `bench_lock_pair THREADS PAIRS [shared [NS]]`: each thread locks and unlocks a mutex PAIRS
 * times: its own, or one for all (and then works about NS nanoseconds with and without it).
 *
 * Prints nanoseconds of wall time for each pair of a thread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_THREADS = 64 };

static long n_pairs, work_ns;
static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;

static double now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void work(void)
{
        for (volatile long i = 0; i < work_ns; i++)
                ;
}

static void *pairs(void *is_shared)
{
        struct {
                _Alignas(64) pthread_mutex_t mutex;
                char rest[64];
        } own = { .mutex = PTHREAD_MUTEX_INITIALIZER };
        pthread_mutex_t *m = is_shared ? &shared : &own.mutex;
        for (long i = 0; i < n_pairs; i++) {
                pthread_mutex_lock(m);
                work();
                pthread_mutex_unlock(m);
                work();
        }
        return NULL;
}

int main(int argc, char **argv)
{
        int threads = argc >= 3 ? atoi(argv[1]) : 0;
        n_pairs = argc >= 3 ? atol(argv[2]) : 0;
        work_ns = argc >= 5 ? atol(argv[4]) : 0;
        if (threads < 1 || threads > MAX_THREADS || n_pairs < 1) {
                fputs("usage: bench_lock_pair THREADS PAIRS [shared [NS]]\n", stderr);
                return 1;
        }
        pthread_t id[MAX_THREADS];
        double start_ns = now_ns();
        for (int i = 0; i < threads; i++)
                if (pthread_create(&id[i], NULL, pairs, argc >= 4 ? &shared : NULL) != 0)
                        return 1;
        for (int i = 0; i < threads; i++)
                pthread_join(id[i], NULL);
        printf("%.1f ns a pair\n", (now_ns() - start_ns) / (double)n_pairs);
        return 0;
}
