// SPDX-License-Identifier: MIT
/*
 * work.c - a target for the tests of the CI parts: `ci_work N` allocates N blocks of 64 bytes, and frees
 * them.
 *
 * Its allocations are N and nothing else: it uses neither stdio nor anything of libc that allocates.
 */
#include <stdlib.h>

int main(int argc, char **argv)
{
        long n = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
        for (long i = 0; i < n; i++) {
                void *volatile block = malloc(64);
                free(block);
        }
        return argc > 2 ? atoi(argv[2]) : 0;
}
