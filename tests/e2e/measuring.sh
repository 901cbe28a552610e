#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# measuring.sh - what result.json says of targets whose figures are known by construction: fixtures/targets/toil.c
# says how.
# shellcheck disable=SC2016 # filters of jq and patterns are no shell
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# measure ARG...: `perfgate run` that needs no baseline.
measure() { expect_exit 0 -- perfgate run --save-baseline new.json "$@"; }

# ---- allocations ----

# Exactly N, and the next run exactly one more.
test_counts_are_exact() {
	local n
	for n in 0 1 2 1000 1001 1000000; do
		measure --metrics allocations,allocated_bytes -- "$toil" make $n
		expect_row allocations ".current == $n and .kind == \"exact\" and .unit == \"count\""
		expect_row allocated_bytes ".current == 64 * $n and .unit == \"bytes\"" # 64 bytes each
	done
}

test_two_call_sites() {
	measure --metrics allocations -- "$toil" make 300 copy 70
	expect_row allocations '.current == 370'
	expect_json perfgate-out/result.json '.benchmarks[0].measured.sites | map({ (.function): [.allocations, .allocated_bytes] }) | add == { "make_block": [300, 19200], "copy_block": [70, 7000] }'
}

# malloc(1 MiB) is a mapping of its own: at most a page of 4 KiB more than asked for.
test_peak_and_leaks() {
	measure --metrics peak_heap,leaked_bytes -- "$toil" keep 1024 keep 512
	expect_row peak_heap '.current >= 1048576 and .current <= 1048576 + 4096'
	expect_row leaked_bytes '.current == 0'
	# Three blocks of 1,000 bytes, each rounded up to at most 1,024.
	measure --metrics peak_heap,leaked_bytes -- "$toil" make 10 leak 3
	expect_row leaked_bytes '.current >= 3000 and .current <= 3 * 1024'
	expect_row peak_heap '.current >= 3000 and .current <= 3 * 1024'
}

# What the shell still holds when it becomes another program is gone with it, and leaked by nobody.
test_exec_leaks_nothing() {
	measure --metrics leaked_bytes -- sh -c 'exec "$0" make 5' "$toil"
	expect_row leaked_bytes '.current == 0'
}

# Counts survive an end without any clean-up.
test_ends_without_clean_up() {
	measure --metrics allocations -- "$toil" make 10 status 0 # _exit
	expect_row allocations '.current == 10'
	measure --metrics allocations -- sh -c "'$toil' make 10 die 9; '$toil' make 20 die 11; true"
	expect_json new.json '[.benchmarks[0].processes[] | select(.program == "toil") | .allocations] | sort == [10, 20]'
}

# The tree's sum, and each process listed.
test_process_trees() {
	measure --metrics allocations -- sh -c "'$toil' make 10; '$toil' make 20 & '$toil' make 30 & wait"
	expect_json new.json '[.benchmarks[0].processes[] | select(.program == "toil") | .allocations] | sort == [10, 20, 30]'
	expect_json new.json '.benchmarks[0] | ([.processes[].allocations] | add) == .metrics.allocations.samples[0]'
	# 60 by its three children, the rest by the shell itself.
	expect_row allocations '.current >= 60'
}

test_exec_keeps_what_was_counted_before() {
	measure --metrics allocations -- sh -c "exec '$toil' make 1000"
	expect_row allocations '.current >= 1000'
	expect_json new.json '[.benchmarks[0].processes[] | select(.program == "toil") | .allocations] == [1000]'
}

# ---- what cannot be counted is unavailable or right, never 0 ----

# right_or_unavailable N -- COMMAND...: N allocations or more are measured, or none with a reason; and where they are
# unavailable and the command line names the metric, the status is 4, or 0 where nobody asked for it.
right_or_unavailable() {
	local n=$1
	shift 2
	capture perfgate run --metrics allocations --save-baseline new.json -- "$@"
	check_last_line
	expect_row allocations "(.status == \"measured\" and .current >= $n) or (.status == \"unavailable\" and .current == null and (.reason | length > 10))"
	if ((status == 4)); then
		expect_row allocations '.status == "unavailable"'
		expect_stderr "nothing was evaluated"
		expect_exit 0 -- perfgate run --runs 1 --warmup 0 --save-baseline new.json -- "$@"
		expect_row allocations '.status == "unavailable"'
		expect_row wall_time '.status == "measured"'
	else
		((status == 0)) || fail "exit status 0 or 4"
		expect_row allocations '.status == "measured"'
	fi
}

# Nothing can be loaded into these two: they must be unavailable.
test_a_static_binary() {
	right_or_unavailable 1000 -- "$toil"_static make 1000
	expect_row allocations '.status == "unavailable" and (.reason | test("static"))'
	right_or_unavailable 0 -- "$PERFGATE_FIXTURES/tiny"
	expect_row allocations '.status == "unavailable"'
	# Found by a PATH that is relative to the benchmark's folder, as the kernel finds it.
	mkdir -p below/bin
	cp "$toil"_static below/bin/prog
	config "$(benchmark a cwd '"below"' env '{"PATH": "bin"}' metrics '["allocations"]' -- prog make 5)"
	expect_exit 4 -- perfgate run
	expect_row allocations '.status == "unavailable" and .reason == "statically linked"'
	# Also as a child: half a tree is no tree.
	right_or_unavailable 1000 -- sh -c "'${toil}_static' make 1000; true"
	expect_row allocations '.status == "unavailable" and (.reason | test("toil_static"))'
}

# Children that libc tells nobody of, half of the CPU time: the sampler inside does not get there, and knows it by the
# sum; who names no engine gets one that sees them.
test_children_by_other_doors() {
	local door
	for door in clones plain; do
		measure --metrics cpu_share --runs 2 --warmup 0 -- "$PERFGATE_FIXTURES/cpu_processes" $door 10 40
		expect_json perfgate-out/result.json '.benchmarks[0] | .engines.cpu != "agent" and
			([.metrics[] | select(.function == "in_child") | .current] | length == 1 and .[0] > 30)'
		perfgate run --metrics cpu_share --runs 2 --warmup 0 --engine agent -- "$PERFGATE_FIXTURES/cpu_processes" $door 10 40 >/dev/null 2>&1 || true
		expect_json perfgate-out/result.json '.benchmarks[0] | .engines.cpu == "agent" and
			(.measured.profile.doubt | test("a child that was not made by libc.s pthread_create or fork")) and
			([.metrics[] | select(.metric == "cpu_share") | .verdict] | all(. == "inconclusive"))'
	done
}

# Threads that a filter keeps the sampler from are most of this program's CPU time.
test_a_seccomp_filter() {
	local kind
	for kind in whitelist without-signals; do
		measure --metrics cpu_share --runs 2 --warmup 0 -- "$PERFGATE_FIXTURES/guest_filter" $kind 50000
		expect_json perfgate-out/result.json '.benchmarks[0] | .engines.cpu != "agent" and
			([.metrics[] | select(.function == "work") | .current] | length == 1 and .[0] > 90)'
		perfgate run --metrics cpu_share --runs 2 --warmup 0 --engine agent -- "$PERFGATE_FIXTURES/guest_filter" $kind 50000 >/dev/null 2>&1 || true
		expect_json perfgate-out/result.json '.benchmarks[0] | .engines.cpu == "agent" and
			(.measured.profile.doubt | test("seccomp filter keeps some threads from being sampled"))'
	done
}

# A script around a static program: most of the CPU time is where the agent does not get. Who names no engine gets one
# that sees all of it; who names the agent is told what is missing.
test_the_cpu_time_of_a_static_child() {
	perfgate run --metrics cpu_share --runs 2 --save-baseline new.json -- sh -c "'${toil}_static' parse 2000; true" >/dev/null 2>&1 || true
	expect_json perfgate-out/result.json '.benchmarks[0].engines.cpu != "agent"'
	expect_json perfgate-out/result.json '.benchmarks[0].measured | .profile.doubt == null and (.profile | (.user_ns | length) == (.samples | length) and .user_ns[0] > 0 and (.system_ns | length) == (.samples | length))'
	expect_json perfgate-out/result.json '.benchmarks[0].measured.notes | any(test("a child ran without the agent"))'
	perfgate run --metrics cpu_share --runs 2 --engine agent -- sh -c "'${toil}_static' parse 2000; true" >/dev/null 2>&1 || true
	expect_json perfgate-out/result.json '.benchmarks[0] | .engines.cpu == "agent" and (.measured.profile.doubt | test("a child ran without the agent"))'
}

# The same, but in the second run only: what the agent missed in the first one was seen by the next engine as well.
test_notes_of_an_engine_that_was_replaced() {
	# shellcheck disable=SC2016
	perfgate run --metrics cpu_share --runs 2 --warmup 0 --save-baseline new.json -- sh -c '
		"$0" parse 300; "$0_static" parse $([ -e second ] && echo 800 || echo 1); : >second' "$toil" >/dev/null 2>&1 || true
	expect_json perfgate-out/result.json '.benchmarks[0].engines.cpu != "agent"'
	expect_json perfgate-out/result.json '.benchmarks[0].measured.notes | any(test("a child ran without the agent")) and all(test("^not sampled: ") | not)'
}

test_its_own_allocator() {
	right_or_unavailable 1000 -- "$PERFGATE_FIXTURES/own_heap" 1000
	right_or_unavailable 1000 -- sh -c "'$PERFGATE_FIXTURES/own_heap' 1000; true"
}

# As root the program belongs to somebody else, so that it really changes user; for anybody else it changes nothing.
test_a_setuid_target() {
	cp "$toil" setuid
	chmod 755 .
	((EUID != 0)) || chown 65534 setuid
	chmod u+s setuid
	right_or_unavailable 1000 -- ./setuid make 1000
	right_or_unavailable 1000 -- sh -c './setuid make 1000; true'
}

test_a_cleared_environment() {
	right_or_unavailable 1000 -- env -i "$toil" make 1000
	right_or_unavailable 1000 -- sh -c "env -i '$toil' make 1000; true"
	right_or_unavailable 1000 -- sh -c "unset LD_PRELOAD; '$toil' make 1000; true"
}

# ---- peak memory ----

# The target has 3 MiB of its own, and what libc and the loader need: well below 8 MiB.
test_peak_rss_is_the_targets_own() {
	expect_exit 0 -- "$PERFGATE_FIXTURES/heavy" 700 "$PERFGATE" run --metrics peak_rss --runs 3 --save-baseline new.json -- "$toil" fill 3
	expect_json new.json '.benchmarks[0].metrics.peak_rss.samples | length == 3 and all(. >= 3 * 1048576 and . < 8 * 1048576)'
}

test_a_big_benchmark_before_a_small_one() {
	config "$(benchmark big metrics '["peak_rss"]' -- "$toil" fill 300)" "$(benchmark small metrics '["peak_rss"]' -- "$toil" fill 3)"
	measure
	expect_json new.json '.benchmarks[0].metrics.peak_rss.samples[0] >= 300 * 1048576'
	expect_json new.json '.benchmarks[1].metrics.peak_rss.samples[0] | . >= 3 * 1048576 and . < 8 * 1048576'
}

# The highest of any one process, not their sum: 40 MiB twice, one after the other and side by side.
test_peak_rss_of_a_tree() {
	measure --metrics peak_rss --runs 1 -- sh -c "'$toil' fill 40; '$toil' fill 40 & '$toil' fill 10; wait"
	expect_row peak_rss '.current >= 40 * 1048576 and .current < 60 * 1048576'
}

# ---- time ----

# Lower bounds hold on any machine: a sleep is no shorter, and CPU time that was burnt is counted.
test_times() {
	measure --metrics wall_time,cpu_time --runs 2 --warmup 0 -- "$act" sleep 300
	expect_row wall_time '.current >= 300e6 and .unit == "ns" and .kind == "statistical"'
	expect_row cpu_time '.current < 300e6'
	measure --metrics wall_time,cpu_time --runs 2 --warmup 0 -- "$act" burn 200
	# The kernel counts by its own clock: 10 ms are left to it.
	expect_row cpu_time '.current >= 190e6'
}

# ---- shares ----

# parse and render have the same instructions, three times as many in render: a quarter and three quarters. Half of
# these is left to chance, a machine under load, and what the program does besides.
test_shares() {
	measure --metrics cpu_share --runs 3 -- "$toil" parse 1000 render 3000
	expect_json new.json '.benchmarks[0] | (.profile.samples | add) > 200'
	expect_json new.json '.benchmarks[0] | ([.functions[] | { (.function): (.self_ns | add) }] | add) as $f
		| (.profile.total_ns | add) as $all | $f.parse / $all > 0.125 and $f.parse / $all < 0.375 and $f.render / $all > 0.625'
	expect_json new.json '.benchmarks[0].profile | has("doubt") | not'
	expect_json perfgate-out/result.json '[.benchmarks[0].metrics[] | select(.metric == "cpu_share") | .function] | contains(["parse", "render"])'
	expect_json perfgate-out/result.json '.benchmarks[0].metrics | all(.unit == "percentage points")'
}

# ---- passes ----

# Which processes see what: a timing pass carries nothing of ours. A warm-up and two runs; two counts; two profiles.
test_each_kind_of_number_has_its_own_pass() {
	measure --runs 2 --warmup 1 -- sh -c "env >>'$said/seen'; echo ---- >>'$said/seen'; exec '$toil' make 5"
	[[ $(grep -c -- ---- "$said/seen") == 7 ]] || fail "1 + 2 + 2 + 2 runs, not $(grep -c -- ---- "$said/seen")"
	[[ $(grep -c '^LD_PRELOAD=' "$said/seen") == 4 ]] || fail "LD_PRELOAD in four of them"
	rm "$said/seen"
	measure --runs 3 --warmup 0 --metrics wall_time -- sh -c "env >>'$said/seen'; echo ---- >>'$said/seen'"
	[[ $(grep -c -- ---- "$said/seen") == 3 ]] || fail "three runs"
	! grep -qE '^(LD_PRELOAD=|PERFGATE_AGENT=)' "$said/seen" || fail "nothing of perfgate in a timing pass"
	rm "$said/seen"
	measure --runs 3 --warmup 1 --metrics allocations -- sh -c "echo ---- >>'$said/seen'"
	[[ $(grep -c -- ---- "$said/seen") == 2 ]] || fail "two runs that agree"
}

test_a_target_that_has_a_preload_of_its_own() {
	config "$(benchmark toil env '{"LD_PRELOAD": "libm.so.6"}' metrics '["allocations"]' -- "$toil" make 5)"
	measure
	expect_row allocations '.current == 5'
}

# Paths with blanks, quotes and colons: of the program, the folder and the benchmark.
test_awkward_paths() {
	mkdir 'a folder: "quoted"'
	cp "$toil" 'a folder: "quoted"/to il'
	cd 'a folder: "quoted"'
	measure --runs 1 -- './to il' make 5
	expect_row allocations '.current == 5'
	expect_json new.json '.benchmarks[0].name == "to il"'
	expect_missing "perfgate-out/to il/nothing"
	[[ -s 'perfgate-out/to il/heap.pb.gz' ]] || fail "a profile in 'perfgate-out/to il'"
}

# A name that is no UTF-8: the line that repeats the run is a shell's way to write those bytes.
test_the_line_that_repeats_a_run_of_a_name_that_is_no_utf8() {
	cp "$toil" $'\xff\xfe'
	expect_exit 0 -- perfgate run --save-baseline new.json --runs 1 --metrics allocations -- ./$'\xff\xfe' make 5
	expect_stdout "-- \$'./\\377\\376' make 5"
}

# The program itself in such a place: the agent cannot be named in LD_PRELOAD as it stands.
test_perfgate_in_an_awkward_place() {
	local folder
	folder=$(dirname -- "$PERFGATE")
	mkdir 'per fgate:1'
	cp "$PERFGATE" "$folder/perfgate-helper" "$folder"/libperfgate-*.so 'per fgate:1/'
	expect_exit 0 -- './per fgate:1/perfgate' run --save-baseline new.json --runs 1 -- "$toil" make 5 parse 100
	expect_row allocations '.current == 5'
	expect_row cpu_share '.status == "measured"'
	rm 'per fgate:1/perfgate-helper'
	expect_exit 1 -- './per fgate:1/perfgate' run --save-baseline new.json --runs 1 -- "$toil" make 5
	expect_stderr "perfgate-helper is missing"
}

run_tests "$@"
