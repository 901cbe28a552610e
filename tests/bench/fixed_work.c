// SPDX-License-Identifier: MIT
/*
 * fixed_work.c - the same number of rounds of the same work each time: fixed_work ROUNDS (a microsecond
 * each).
 */
#include "fixtures/targets/spin.h"

SPINNER(work)

int main(int argc, char **argv)
{
        work(argc > 1 ? atol(argv[1]) : 300000);
        return 0;
}
