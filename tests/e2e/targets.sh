#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# targets.sh - targets that cannot start, fail, never end, or misbehave: status 5 with the reason (or a measurement,
# where the misbehaviour is the target's own business), no process left, and no baseline written.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# The three passes, by a metric of each.
passes=(wall_time allocations cpu_share)

# failing PASS-METRIC TEXT -- COMMAND...: status 5 with TEXT; the old baseline stays, and no new one is made.
failing() {
	local metric=$1 text=$2
	shift 3
	echo '{}' >old.json
	remember old.json
	expect_exit 5 -- perfgate run --metrics "$metric" --runs 1 --warmup 0 --timeout "${timeout:-60s}" --save-baseline old.json -- "$@"
	expect_stderr "$text"
	unchanged old.json
	expect_json perfgate-out/result.json '.verdict == "error" and .exit_code == 5'
	no_process_left
	rm -r perfgate-out
	only_files "${kept[@]}" old.json
}
kept=()

# ---- cannot start ----

test_not_found() {
	local metric
	for metric in "${passes[@]}"; do
		failing "$metric" "./no-such-program" -- ./no-such-program --option
		expect_stderr "No such file or directory"
		failing "$metric" "no-such-program" -- no-such-program
	done
}

test_not_executable() {
	local metric
	printf '#!/bin/sh\n' >script
	kept=(script)
	for metric in "${passes[@]}"; do
		failing "$metric" "./script" -- ./script
		expect_stderr "not executable"
	done
}

test_not_a_program() {
	printf 'neither ELF nor script\n' >text
	chmod +x text
	kept=(text)
	failing wall_time "./text" -- ./text
	expect_stderr "neither a program for this machine nor a script"
	failing allocations "./text" -- ./text
	kept=(folder)
	rm text
	mkdir folder
	failing wall_time "./folder" -- ./folder
}

test_an_interpreter_that_is_missing() {
	printf '#!/no/such/interpreter\n' >script
	chmod +x script
	kept=(script)
	failing wall_time "./script" -- ./script
	expect_stderr "interpreter '/no/such/interpreter' does not exist"
}

test_folder_or_input_that_is_missing() {
	config "$(benchmark a cwd '"nowhere"' metrics '["wall_time"]' -- "$toil" make 1)"
	expect_exit 5 -- perfgate run
	expect_stderr "nowhere"
	config "$(benchmark a stdin '"nowhere"' metrics '["wall_time"]' -- "$toil" make 1)"
	expect_exit 5 -- perfgate run
	expect_stderr "nowhere"
}

# ---- end badly ----

test_exits_3() {
	local metric
	for metric in "${passes[@]}"; do
		failing "$metric" "exit status 3" -- "$act" exit 3
		expect_stderr "expected 0"
	done
}

# What it said last is in the message.
test_last_words() {
	failing wall_time "no more cheese" -- sh -c 'echo first line >&2; echo no more cheese >&2; exit 3'
	expect_no_stderr "first line"
}

test_dies_of_a_signal() {
	local metric
	for metric in "${passes[@]}"; do
		failing "$metric" "signal 11 (Segmentation fault)" -- "$act" raise 11
		failing "$metric" "signal 9 (Killed)" -- "$act" raise 9
	done
	failing wall_time "signal 6 (Aborted)" -- "$act" raise 6
}

# Its status is that of a shell that ran a dead child, and so it is expected like any other.
test_one_benchmark_fails_the_others_are_measured() {
	config "$(benchmark bad metrics '["wall_time"]' -- "$act" exit 3)" \
		"$(benchmark good metrics '["allocations"]' -- "$toil" make 5)"
	expect_exit 5 -- perfgate run
	expect_stderr "benchmark 'bad'"
	expect_json perfgate-out/result.json '.benchmarks | any(.name == "good")'
	expect_json perfgate-out/result.json '.verdict == "error"'
}

# ---- never end ----

# The time-out is short, but what is tested is who is killed, not when: all of these would run for 1,000 seconds.
test_time_out_kills_the_whole_group() {
	local metric
	local timeout=1s
	for metric in "${passes[@]}"; do
		failing "$metric" "no end after 1.00 s" -- "$act" sleep 1000000
	done
	failing wall_time "no end after" -- sh -c "sleep 1000 & sleep 1000 & sleep 1000"
	failing wall_time "no end after" -- sh -c "$act child 0 deafen 1 sleep 1000000" # ignores every signal it can
	failing allocations "no end after" -- setsid --fork --wait "$act" sleep 1000000 # leaves the group and the session
	failing wall_time "no end after" -- "$act" spread 20                             # forks on for ever
}

test_time_out_of_the_configuration() {
	config "$(benchmark slow timeout '"500ms"' metrics '["wall_time"]' -- "$act" sleep 1000000)"
	expect_exit 5 -- perfgate run
	expect_stderr "benchmark 'slow': no end after 500 ms"
	expect_stderr '"timeout"'
	no_process_left
}

# The target is done but a child of it is not: it is ended after a second, and the result says so.
test_a_child_that_outlives_the_target() {
	expect_exit 0 -- perfgate run --metrics wall_time --runs 1 --warmup 0 --save-baseline new.json -- "$act" orphan 0 sleep 1000000
	no_process_left
	expect_json new.json '.benchmarks[0].notes | any(test("1 process outlived the target"))'
}

# ---- misbehave ----

# measured -- COMMAND...: it is measured in all passes, with a good end.
measured() {
	shift
	expect_exit 0 -- perfgate run --runs 1 --warmup 0 --save-baseline new.json -- "$@"
	no_process_left
	mv new.json "$said/new.json"
	rm -r perfgate-out
}

# 64 MiB on each stream: nothing blocks, nothing of it reaches ours.
test_floods_its_output() {
	measured -- sh -c 'head -c 64M /dev/zero | tr "\0" x; head -c 64M /dev/zero | tr "\0" y >&2'
	(($(stat -c %s "$said/stdout") < 20000)) || fail "less than 20,000 bytes on standard output"
	(($(stat -c %s "$said/stderr") < 20000)) || fail "less than 20,000 bytes on standard error"
	failing wall_time "the end" -- "$act" flood 65536 exit 3
}

# Also descriptors that it did not open: a 4,096 times close() as daemons do.
test_closes_every_descriptor() {
	measured -- "$act" close-all 0 burn 300
	expect_json "$said/new.json" '.benchmarks[0].metrics | [.wall_time, .allocations, .cpu_share] | all(.status == "measured")'
	expect_json "$said/new.json" '.benchmarks[0].functions | length > 0'
	failing allocations "exit status 3" -- "$act" close-all 0 exit 3
}

# At most 64 files, no core, 64 MiB of address space from here on: the counts are as without.
test_changes_its_limits() {
	measured -- "$act" limit 64 burn 100
	expect_exit 0 -- perfgate run --metrics allocations --save-baseline new.json -- bash -c "ulimit -n 10; ulimit -v 100000; exec '$toil' make 1000"
	expect_json new.json '[.benchmarks[0].processes[] | .allocations] | any(. == 1000)'
}

# A build that finishes while the program runs: names of the new file are not names of what ran.
test_is_replaced_while_it_runs() {
	# shellcheck disable=SC2016
	expect_exit 0 -- perfgate run --metrics allocations,cpu_share --runs 1 --warmup 0 --save-baseline new.json -- sh -c '
		cp "$0" prog; cp "$1" next; ./prog make 100 parse 1000 &
		until [ "$(readlink "/proc/$!/exe")" = "$PWD/prog" ]; do sleep 0.01; done; sleep 0.1; mv next prog; wait' "$toil" "$PERFGATE_FIXTURES/heavy"
	expect_json new.json '[.benchmarks[0].functions[] | select(.module == "prog").function] | length > 0 and all(startswith("prog (replaced)+0x"))'
}

test_ignores_its_children_and_signals() {
	measured -- "$act" ignore-children 0 deafen 0 burn 100
}

# It gets no input but what is configured: a target that reads its terminal ends at once, and finds nothing.
test_reads_standard_input() {
	local code=0
	perfgate run --metrics wall_time --runs 1 --warmup 0 --save-baseline new.json -- "$toil" make 1 <<<"x" >"$said/stdout" 2>"$said/stderr" || code=$?
	((code == 0)) || fail "exit status 0"
	perfgate run --metrics wall_time --runs 1 --warmup 0 --save-baseline new.json -- grep . <<<"not for the target" >"$said/stdout" 2>"$said/stderr" || code=$?
	((code == 5)) || fail "exit status 5: grep finds no line" # grep ends with 1
}

run_tests "$@"
