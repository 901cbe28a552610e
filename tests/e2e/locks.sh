#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# locks.sh - lock_wait, its profiles and its culprits, on targets that make a known number of waits of a known least
# length (fixtures/targets/lock_waits.c says how): from 3 rounds of 20 ms on no machine makes less than 60 ms.
# shellcheck disable=SC2016 # filters of jq and patterns are no shell
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

waits=$PERFGATE_FIXTURES/lock_waits

# sum_of PROFILE SAMPLE_INDEX: all of it, in the unit of the samples; go tool pprof is the judge of the format.
sum_of() {
	PPROF_BINARY_PATH=/nonexistent go tool pprof -raw -sample_index="$2" "$1" 2>"$said/pprof-err" >"$said/pprof" ||
		fail "that go tool pprof reads $1: $(<"$said/pprof-err")"
	[[ ! -s $said/pprof-err ]] || fail "no complaint of go tool pprof: $(<"$said/pprof-err")"
	awk -v index_="$2" '
		/^contentions\/count delay\/nanoseconds/ { types = 1 }
		/^Samples:/ { on = 1; next } /^Locations/ { on = 0 }
		on && types && $1 ~ /^[0-9]+$/ { sub(":", "", $2); sum += index_ == "contentions" ? $1 : $2 }
		END { print types ? sum + 0 : "no such types" }' "$said/pprof"
}

test_nobody_asks_for_it_by_default() {
	expect_exit 0 -- perfgate run --save-baseline new.json --runs 1 -- "$toil" make 5
	expect_json perfgate-out/result.json '[.benchmarks[0].metrics[] | select(.metric == "lock_wait")] == []'
	expect_missing perfgate-out/toil/locks.pb.gz
}

test_waits_and_holders_have_their_profiles() {
	local n
	expect_exit 0 -- perfgate run --save-baseline new.json --metrics lock_wait --runs 2 -- "$waits" mutex 3 20
	expect_row lock_wait '.current >= 60e6 and .unit == "ns" and .kind == "statistical"'
	expect_json perfgate-out/result.json '.benchmarks[0] | .engines.lock == "agent" and
		.profiles.locks == "lock_waits/locks.pb.gz" and .profiles.lock_holders == "lock_waits/lock_holders.pb.gz"'
	for n in locks lock_holders; do
		[[ $(sum_of "perfgate-out/lock_waits/$n.pb.gz" contentions) == 6 ]] || fail "3 contentions in each of 2 runs"
		(($(sum_of "perfgate-out/lock_waits/$n.pb.gz" delay) >= 120000000)) || fail "120 ms in $n"
	done
	# Both runs of the file are what lock_wait says of each.
	[[ $(sum_of perfgate-out/lock_waits/locks.pb.gz delay) == $(jq '.benchmarks[0].metrics.lock_wait.samples | add' new.json) ]] ||
		fail "that locks.pb.gz holds what lock_wait says"
	expect_exit 0 -- perfgate top perfgate-out/lock_waits/locks.pb.gz
	expect_stdout pthread_mutex_lock
	expect_stdout wait_here
	expect_exit 0 -- perfgate top perfgate-out/lock_waits/lock_holders.pb.gz
	expect_stdout pthread_mutex_unlock
	expect_stdout release_here
	# The place in the program: the line, whose number the compiler knows.
	expect_json new.json '.benchmarks[0].lock_sites | length == 1 and .[0].contentions == 3 and
		.[0].delay_ns >= 60e6 and (.[0].file | endswith("lock_waits.c"))'
}

test_a_rise_names_who_held_the_lock() {
	expect_exit 0 -- perfgate run --save-baseline base.json --metrics lock_wait --runs 3 -- "$waits" writer 3 10
	expect_exit 2 -- perfgate run --baseline base.json --threshold lock_wait=50% --runs 3 -- "$waits" writer 3 200
	expect_stdout lock_wait
	expect_stdout lock_waits.c
	expect_row lock_wait '.verdict == "fail" and (.culprits | length == 1) and .culprits[0].change > 400e6 and
		(.culprits[0].function == "release_here" or .culprits[0].function == "call")'
}

# A worker that waits longer for its work is no regression.
test_idling_on_a_condition_is_no_contention() {
	expect_exit 0 -- perfgate run --save-baseline base.json --metrics lock_wait --runs 2 -- "$waits" condition 3 1
	expect_row lock_wait '.current == 0'
	expect_exit 0 -- perfgate run --baseline base.json --threshold lock_wait=1ms --runs 2 -- "$waits" condition 3 100
	expect_row lock_wait '.current == 0 and .verdict == "pass"'
	(($(sum_of perfgate-out/lock_waits/locks.pb.gz delay) >= 600000000)) || fail "that the profile has the waits: 2 runs, 3 of 100 ms"
}

test_what_cannot_be_measured_is_no_pass() {
	expect_exit 4 -- perfgate run --save-baseline new.json --metrics lock_wait --runs 1 -- "${toil}_static" make 5
	expect_row lock_wait '.status == "unavailable" and .reason == "statically linked"'
}

# Three waits in two programs that a shell starts one after the other.
test_all_processes_of_the_tree_count() {
	expect_exit 0 -- perfgate run --save-baseline new.json --metrics lock_wait --runs 1 -- sh -c '"$0" mutex 2 20; "$0" reader 1 20' "$waits"
	expect_row lock_wait '.current >= 60e6'
	[[ $(sum_of perfgate-out/sh/locks.pb.gz contentions) == 3 && $(sum_of perfgate-out/sh/lock_holders.pb.gz contentions) == 3 ]] ||
		fail "3 contentions in both"
}

test_record() {
	expect_exit 0 -- perfgate record -o out --metrics lock_wait -- "$waits" reader 2 20
	[[ $(sum_of out/locks.pb.gz contentions) == 2 && $(sum_of out/lock_holders.pb.gz contentions) == 2 ]] ||
		fail "2 contentions in both"
	expect_stderr locks.pb.gz
}

run_tests "$@"
