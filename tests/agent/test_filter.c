// SPDX-License-Identifier: MIT
/*
 * test_filter.c - seccomp filters, run over our own calls: what they let through, by hand.
 */
#include "tests/unit/assert_near.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "runner/agent/filter.h"

#define DATA(field)              offsetof(struct seccomp_data, field)
#define LOAD(offset)             BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define IF_EQUAL(k, then, other) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, then, other)
#define ALLOW                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define LENGTH(x)                (sizeof(x) / sizeof(*(x)))

static bool admits(uint32_t admitted, long number)
{
        filter_admitted = admitted;
        bool r = !filter_restricts() || filter_admits(number);
        filter_admitted = FILTER_ADMITS_ALL;
        return r;
}

static void filters_that_differ_by_nothing_we_do_are_seen_through(void **state)
{
        (void)state;
        const struct sock_filter all[] = { ALLOW };
        const struct sock_filter machine[] = { LOAD(DATA(arch)), IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0), KILL,
                                               ALLOW };
        const struct sock_filter blacklist[] = { LOAD(DATA(nr)), IF_EQUAL(SYS_ptrace, 0, 1), KILL, ALLOW };
        /* 4 * 2 + 1 - 3 = 6; 6 / 2 = 3; 3 << 4 = 48; 48 | 15 = 63; 63 & 33 = 33; 33 ^ 1 = 32; 32 >> 5 = 1; -1; stored,
         * loaded back, through x: all bits */
        const struct sock_filter arithmetic[] = {
                BPF_STMT(BPF_LD | BPF_IMM, 4),
                BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 2),
                BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
                BPF_STMT(BPF_LDX | BPF_IMM, 3),
                BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
                BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 2),
                BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4),
                BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 15),
                BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 33),
                BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1),
                BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 5),
                BPF_STMT(BPF_ALU | BPF_NEG, 0),
                BPF_STMT(BPF_ST, 15),
                BPF_STMT(BPF_LDX | BPF_MEM, 15),
                BPF_STMT(BPF_STX, 0),
                BPF_STMT(BPF_LD | BPF_MEM, 0),
                IF_EQUAL(0xffffffff, 0, 1),
                ALLOW,
                KILL,
        };
        /* the length of struct seccomp_data is 64 = 0x40 */
        const struct sock_filter jumps[] = {
                BPF_STMT(BPF_LD | BPF_LEN, 0),
                BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 64, 6, 0),
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 64, 0, 5),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40, 0, 4),
                BPF_STMT(BPF_MISC | BPF_TAX, 0),
                BPF_STMT(BPF_JMP | BPF_JA, 1),
                KILL,
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
                KILL,
                ALLOW,
        };
        /* x is 5 and a is 7; each is stored, and comes back as itself; then a is x, and what it says is done */
        const struct sock_filter registers[] = {
                BPF_STMT(BPF_LDX | BPF_IMM, 5),
                BPF_STMT(BPF_LD | BPF_IMM, 7),
                BPF_STMT(BPF_STX, 1),
                BPF_STMT(BPF_ST, 2),
                BPF_STMT(BPF_LD | BPF_MEM, 1),
                IF_EQUAL(5, 0, 5),
                BPF_STMT(BPF_LD | BPF_MEM, 2),
                IF_EQUAL(7, 0, 3),
                BPF_STMT(BPF_LDX | BPF_IMM, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_MISC | BPF_TXA, 0),
                BPF_STMT(BPF_RET | BPF_A, 0),
                KILL,
        };
        assert_int_equal(filter_lets_through(all, LENGTH(all)), FILTER_ADMITS_ALL);
        assert_int_equal(filter_lets_through(machine, LENGTH(machine)), FILTER_ADMITS_ALL);
        assert_int_equal(filter_lets_through(blacklist, LENGTH(blacklist)), FILTER_ADMITS_ALL);
        assert_int_equal(filter_lets_through(arithmetic, LENGTH(arithmetic)), FILTER_ADMITS_ALL);
        assert_int_equal(filter_lets_through(jumps, LENGTH(jumps)), FILTER_ADMITS_ALL);
        assert_int_equal(filter_lets_through(registers, LENGTH(registers)), FILTER_ADMITS_ALL);
}

static void each_call_is_asked_for(void **state)
{
        (void)state;
        const struct sock_filter no_gettid[] = { LOAD(DATA(nr)), IF_EQUAL(SYS_gettid, 0, 1), KILL, ALLOW };
        const struct sock_filter only_gettid[] = { LOAD(DATA(nr)), IF_EQUAL(SYS_gettid, 1, 0), KILL, ALLOW };
        uint32_t without = filter_lets_through(no_gettid, LENGTH(no_gettid));
        uint32_t alone = filter_lets_through(only_gettid, LENGTH(only_gettid));
        assert_false(admits(without, SYS_gettid));
        assert_true(admits(without, SYS_getpid) && admits(without, SYS_mmap));
        assert_true(filter_lets_signals(without));
        assert_false(admits(without, SYS_openat)); // of use with others only, and something is forbidden
        assert_true(admits(alone, SYS_gettid));
        assert_false(admits(alone, SYS_getpid) || admits(alone, SYS_reboot));
        assert_false(filter_lets_signals(alone));
        assert_false(filter_lets_signals(filter_strict_mode())); // masks cannot be set
}

/* Errors, what somebody else is asked about, and what no kernel knows are no leave; nor is it when it is the
 * accumulator's. */
static void only_allow_is_leave(void **state)
{
        (void)state;
        const uint32_t actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                     SECCOMP_RET_ERRNO | 1,    SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_TRACE,
                                     SECCOMP_RET_LOG,          SECCOMP_RET_ALLOW - 1,   0xffff0000 };
        for (size_t i = 0; i < LENGTH(actions); i++) {
                const struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, actions[i]) };
                const struct sock_filter by_a[] = { BPF_STMT(BPF_LD | BPF_IMM, actions[i]),
                                                    BPF_STMT(BPF_RET | BPF_A, 0) };
                assert_false(admits(filter_lets_through(code, 1), SYS_getpid));
                assert_false(admits(filter_lets_through(by_a, 2), SYS_getpid));
        }
}

static void arguments_count_where_they_are_known(void **state)
{
        (void)state;
        const struct sock_filter no_code[] = { LOAD(DATA(args[2])), IF_EQUAL(PROT_READ | PROT_WRITE, 1, 0),
                                               KILL, ALLOW };
        uint32_t admitted = filter_lets_through(no_code, LENGTH(no_code));
        assert_true(admits(admitted, SYS_mmap));
        assert_false(admits(admitted, SYS_munmap));
}

static void what_the_kernel_refuses_is_no_leave(void **state)
{
        (void)state;
        const struct {
                const char *what;
                struct sock_filter code[3];
                uint32_t n;
        } rows[] = {
                { "nothing", { ALLOW }, 0 },
                { "no end", { LOAD(0) }, 1 },
                { "a jump over the end", { BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ALLOW }, 2 },
                { "place of the call", { LOAD(DATA(instruction_pointer)), ALLOW }, 2 },
                { "beyond the data", { LOAD(sizeof(struct seccomp_data)), ALLOW }, 2 },
                { "between words", { LOAD(2), ALLOW }, 2 },
                { "a division by nothing", { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW }, 2 },
                { "a wide shift", { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW }, 2 },
                { "memory beyond the last word", { BPF_STMT(BPF_ST, BPF_MEMWORDS), ALLOW }, 2 },
                { "... read", { BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS), ALLOW }, 2 },
                { "data into x", { BPF_STMT(BPF_LDX | BPF_W | BPF_ABS, 0), ALLOW }, 2 },
                { "an unknown way to load", { BPF_STMT(BPF_LD | BPF_MSH, 0), ALLOW }, 2 },
                { "an unknown operation", { BPF_STMT(BPF_ALU | 0xf0, 0), ALLOW }, 2 },
                { "an unknown jump", { BPF_STMT(BPF_JMP | 0xf0, 0), ALLOW }, 2 },
                { "an unknown return", { BPF_STMT(BPF_RET | BPF_X, SECCOMP_RET_ALLOW) }, 1 },
        };
        for (size_t i = 0; i < LENGTH(rows); i++)
                if (admits(filter_lets_through(rows[i].code, rows[i].n), SYS_getpid))
                        fail_msg("%s", rows[i].what);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(filters_that_differ_by_nothing_we_do_are_seen_through),
                cmocka_unit_test(each_call_is_asked_for),
                cmocka_unit_test(only_allow_is_leave),
                cmocka_unit_test(arguments_count_where_they_are_known),
                cmocka_unit_test(what_the_kernel_refuses_is_no_leave),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
