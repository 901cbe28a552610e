# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench, which sources this
# SPDX-License-Identifier: MIT
#
# Locks: CPU time of a thread's lock and unlock of a mutex that is free, and of one that two threads fight for, in lock
# runs against bare ones.

lock_cost() {
	local what=$1 side=$2 goal_ns=$3 threads=$4 pairs=$5 i alone measured
	shift 5
	for ((i = 0; i < rounds; i++)); do
		spend "$side-alone" "$bin/bench_lock_pair" "$threads" "$pairs" "$@"
		under "$side-lock" lock_wait "$bin/bench_lock_pair" "$threads" "$pairs" "$@"
	done
	alone=$(calc "$(values "$side-alone" cpu | median) / $threads / $pairs")
	measured=$(calc "$(values "$side-lock" cpu | median) / $threads / $pairs")
	against "locks: $what" "$(nanoseconds "$alone")" "$(nanoseconds "$measured")" "" "+$goal_ns ns" \
		"$(calc "$measured - $alone")" "$goal_ns"
}

lock_cost "lock/unlock pair, free" lock-free 10 1 20000000
lock_cost "lock/unlock pair, two threads on one" lock-shared 300 2 2000000 shared 20
