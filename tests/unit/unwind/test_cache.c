// SPDX-License-Identifier: MIT
/*
 * test_cache.c - rules by address: what was put is found, what was torn or replaced is not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runner/unwind/cache.h"

enum { BITS = 4, ENTRIES = 1 << BITS };

static struct pg_rule_entry entries[ENTRIES];
static const struct pg_rule_cache cache = { entries, BITS };

static int empty(void **state)
{
        (void)state;
        memset(entries, 0, sizeof(entries));
        return 0;
}

/* An address of the same entry as first. */
static uint64_t rival_of(uint64_t first)
{
        const struct pg_rule_entry *e = pg_rule_cache_entry(&cache, pg_rule_cache_hash(first));
        uint64_t rival = first + 1;
        while (pg_rule_cache_entry(&cache, pg_rule_cache_hash(rival)) != e)
                rival++;
        return rival;
}

static void what_was_put_is_found(void **state)
{
        (void)state;
        static const uint64_t addresses[] = { 1, 0x401000, 0x7ffff7dd5fff, UINT64_MAX };
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(pg_rule_cache_get(&cache, addresses[i]), 0);
                pg_rule_cache_put(&cache, addresses[i], 0x1234 + i);
                assert_int_equal(pg_rule_cache_get(&cache, addresses[i]), 0x1234 + i);
        }
}

/* Address 0 must not match an empty entry in any other way than "not there". */
static void an_empty_cache_knows_nothing(void **state)
{
        (void)state;
        assert_int_equal(pg_rule_cache_get(&cache, 0), 0);
        assert_int_equal(pg_rule_cache_get(&cache, 0x401000), 0);
}

static void the_later_of_two_rivals_stays(void **state)
{
        (void)state;
        uint64_t a = 0x401000, b = rival_of(a);
        pg_rule_cache_put(&cache, a, 2);
        pg_rule_cache_put(&cache, b, 3);
        assert_int_equal(pg_rule_cache_get(&cache, a), 0);
        assert_int_equal(pg_rule_cache_get(&cache, b), 3);
}

static pg_rule frame_of(int64_t bytes)
{
        return pg_rule_pack((struct pg_rule_parts){ .cfa = PG_CFA_SP, .cfa_offset = bytes });
}

/* Two writers met: one's check, the other's rule. No address may get either of them, least of all the one that
 * differs from the first writer's as the rules do. */
static void torn_halves_are_a_miss(void **state)
{
        (void)state;
        uint64_t a = 0x401000, b = rival_of(a), unlucky;
        struct pg_rule_entry *e = pg_rule_cache_entry(&cache, pg_rule_cache_hash(a));
        int64_t bytes = 16;
        do
                unlucky = a ^ frame_of(8) ^ frame_of(bytes += 8);
        while (pg_rule_cache_entry(&cache, pg_rule_cache_hash(unlucky)) != e);
        pg_rule_cache_put(&cache, a, frame_of(8));
        uint64_t check = e->check;
        pg_rule_cache_put(&cache, b, frame_of(bytes));
        e->check = check;
        assert_int_equal(pg_rule_cache_get(&cache, a), 0);
        assert_int_equal(pg_rule_cache_get(&cache, b), 0);
        assert_int_equal(pg_rule_cache_get(&cache, unlucky), 0);
}

static void cleared_is_empty(void **state)
{
        (void)state;
        for (uint64_t address = 1; address < 1000; address++)
                pg_rule_cache_put(&cache, address, address);
        pg_rule_cache_clear(&cache);
        for (uint64_t address = 0; address < 1000; address++)
                assert_int_equal(pg_rule_cache_get(&cache, address), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(what_was_put_is_found, empty),
                cmocka_unit_test_setup(an_empty_cache_knows_nothing, empty),
                cmocka_unit_test_setup(the_later_of_two_rivals_stays, empty),
                cmocka_unit_test_setup(torn_halves_are_a_miss, empty),
                cmocka_unit_test_setup(cleared_is_empty, empty),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
