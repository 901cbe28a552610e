#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# interrupt.sh - perfgate is told to stop, in every phase: it kills the target's whole tree, ends with status 1 and a
# word of it, and leaves the existing baseline and result as they were.
#
# Each target would run for 1,000 seconds, so it is not the clock that tells whether it was killed. Ten seconds are the
# limit for perfgate's own end, far above what it needs, so that a busy machine fails nothing.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

pid=

# start ARG...: perfgate in a process group of its own, as a shell with job control starts it; $pid leads it.
start() {
	set -m
	PERFGATE_TEST_MARK=$PWD "$PERFGATE" "$@" >"$said/stdout" 2>"$said/stderr" </dev/null &
	pid=$!
	set +m
}

# finish: waits for its end into $status; after ten seconds it is killed and the test has failed.
finish() {
	local watch
	(
		sleep 10
		touch "$said/too-late"
		kill -9 "$pid"
	) &
	watch=$!
	status=0
	wait "$pid" || status=$?
	# shellcheck disable=SC2046 # its sleep as well
	kill $(ps -o pid= --ppid "$watch") "$watch" 2>/dev/null || true
	wait "$watch" 2>/dev/null || true
	[[ ! -e $said/too-late ]] || fail "an end within ten seconds"
	! grep -qE 'Sanitizer|runtime error:' "$said/stderr" || fail "no complaint of a sanitizer"
}

# What a run before this one left: a baseline and results of a real run.
earlier_run() {
	perfgate run --quiet --metrics allocations --save-baseline base.json -- "$toil" make 5 2>"$said/stderr" || fail "an earlier run"
	remember base.json
	remember perfgate-out/result.json
	remember perfgate-out/summary.md
}

nothing_changed() {
	unchanged base.json
	unchanged perfgate-out/result.json
	unchanged perfgate-out/summary.md
	[[ -z $(find . -name '.*' ! -name .) ]] || fail "no temporary file, but there is $(find . -name '.*' ! -name .)"
	only_files base.json perfgate-out
}

# interrupted_by NAME: the end that an interruption has.
interrupted_by() {
	((status == 1)) || fail "exit status 1"
	expect_stderr "interrupted by signal "
	expect_stderr " ($1)"
	tail -n 1 "$said/stderr" | grep -qF 'exit status 1: interrupted' || fail "'exit status 1: interrupted' in the last line"
	expect_empty_stdout
}

# A target that says that it runs, then does not end.
lasting=(sh -c "echo running >\"\$0\"; \"\$@\"")

# stopped_in METRIC SIGNAL NAME COMMAND...: while the target of that metric's pass runs.
stopped_in() {
	local metric=$1 signal=$2 name=$3 mark=$said/running
	shift 3
	rm -f "$mark"
	earlier_run
	start run --metrics "$metric" --warmup "${warmup:-0}" --baseline base.json --save-baseline base.json -- "${lasting[@]}" "$mark" "$@"
	wait_for "$mark"
	kill "-$signal" "${to_group:+-}$pid"
	finish
	interrupted_by "$name"
	no_process_left
	nothing_changed
}

test_timing_pass() {
	stopped_in wall_time INT Interrupt "$act" sleep 1000000
	stopped_in wall_time TERM Terminated "$act" sleep 1000000
	stopped_in wall_time HUP Hangup "$act" sleep 1000000
}

test_warm_up() { warmup=1 stopped_in wall_time TERM Terminated "$act" sleep 1000000; }

test_counting_pass() {
	stopped_in allocations INT Interrupt "$act" sleep 1000000
	stopped_in allocations TERM Terminated "$act" sleep 1000000
}

test_profiling_pass() {
	stopped_in cpu_share INT Interrupt "$act" sleep 1000000
	stopped_in cpu_share TERM Terminated "$act" burn 1000000
}

# Ctrl-C reaches everybody in the terminal's foreground group: perfgate, its helper, and not the target.
test_the_whole_foreground_group() {
	to_group=yes stopped_in wall_time INT Interrupt "$act" sleep 1000000
	to_group=yes stopped_in allocations INT Interrupt "$act" sleep 1000000
}

test_targets_that_do_not_want_to_end() {
	stopped_in wall_time INT Interrupt "$act" deafen 0 sleep 1000000
	stopped_in wall_time INT Interrupt "$act" spread 20
	stopped_in allocations TERM Terminated setsid --fork --wait "$act" deafen 0 sleep 1000000
	stopped_in cpu_share TERM Terminated sh -c "$act sleep 1000000 & $act sleep 1000000 & wait"
}

test_baseline_refresh() {
	earlier_run
	config "$(benchmark toil metrics '["wall_time"]' -- "${lasting[@]}" "$said/running" "$act" sleep 1000000)"
	mv perfgate.json "$said/"
	start baseline refresh --config "$said/perfgate.json" --baseline base.json
	wait_for "$said/running"
	kill -TERM "$pid"
	finish
	interrupted_by Terminated
	no_process_left
	nothing_changed
}

# The first benchmark is done; what it measured is no result.
test_between_benchmarks() {
	earlier_run
	config "$(benchmark first metrics '["allocations"]' -- "$toil" make 5)" \
		"$(benchmark second metrics '["allocations"]' -- "${lasting[@]}" "$said/running" "$act" sleep 1000000)"
	mv perfgate.json "$said/"
	start run --config "$said/perfgate.json" --baseline base.json --save-baseline base.json
	wait_for "$said/running"
	kill -INT "$pid"
	finish
	interrupted_by Interrupt
	no_process_left
	nothing_changed
}

# Before anything was started: it waits for its configuration, which comes from a pipe that stays silent.
test_before_measuring() {
	earlier_run
	mkfifo "$said/config"
	exec 7<>"$said/config"
	start run --config "$said/config" --baseline base.json --save-baseline base.json
	wait_until_reading "$said/config"
	kill -INT "$pid"
	exec 7>&-
	finish
	((status != 0)) || fail "an exit status that is not 0"
	no_process_left
	nothing_changed
}

# Until the program has opened the file.
wait_until_reading() {
	local i
	for ((i = 0; i < 500; i++)); do
		! find "/proc/$pid/fd" -lname "$1" 2>/dev/null | grep -q . || return 0
		sleep 0.02
	done
	fail "that $1 is opened"
}

# After the last target: the report goes to a pipe that nobody empties.
test_while_reporting() {
	mkfifo "$said/full"
	exec 8<>"$said/full"
	# A pipe takes 64 KiB; what is left of it must be less than the report.
	dd if=/dev/zero of="$said/full" bs=65536 count=1 oflag=nonblock status=none
	set -m
	PERFGATE_TEST_MARK=$PWD "$PERFGATE" run --metrics allocations --save-baseline new.json -- "$toil" make 5 >"$said/full" 2>"$said/stderr" </dev/null &
	pid=$!
	set +m
	wait_for perfgate-out/result.json
	sleep 0.2
	kill -TERM "$pid"
	finish
	exec 8>&-
	((status == 1)) || fail "exit status 1"
	no_process_left
	expect_missing new.json
	expect_json perfgate-out/result.json .schema
}

# At any moment: a run is told to stop after 0, 15, 30 ... ms. Whatever the moment is, it ended whole or said that it
# was interrupted, and all files are whole, old or new. (Killed by the signal itself only before it minds signals.)
test_any_moment() {
	local delay
	earlier_run
	cp -r . "$said/earlier"
	for delay in $(seq 0 15 600); do
		start run --baseline base.json --save-baseline base.json --runs 2 --warmup 0 -- "$toil" make 5 parse 200
		sleep "$(printf '0.%03d' "$delay")"
		kill -TERM "$pid" 2>/dev/null || true
		finish
		case $status in
		0) ;;
		1) expect_stderr "interrupted" ;;
		143) [[ ! -s $said/stderr ]] || fail "nothing said when the signal came first" ;;
		*) fail "exit status 0, 1 or 143 after $delay ms" ;;
		esac
		if ((status != 0)) && ! grep -q 'baseline written' "$said/stderr"; then unchanged base.json; fi
		expect_json base.json '.schema == "perfgate.baseline.v1"'
		expect_json perfgate-out/result.json '.schema == "perfgate.result.v1"'
		[[ -z $(find . -name '.*' ! -name .) ]] || fail "no temporary file after $delay ms: $(find . -name '.*' ! -name .)"
		no_process_left
		rm -r base.json perfgate-out
		cp -r "$said/earlier/." .
	done
}

# Nobody can clean up after SIGKILL but the kernel and the helper: no process and no half-written file all the same.
test_killed() {
	earlier_run
	start run --metrics wall_time --warmup 0 --baseline base.json --save-baseline base.json -- "${lasting[@]}" "$said/running" "$act" sleep 1000000
	wait_for "$said/running"
	kill -KILL "$pid"
	finish 2>/dev/null
	no_process_left
	nothing_changed
}

# Who starts it with nohup means it.
test_nohup_is_respected() {
	earlier_run
	set -m
	PERFGATE_TEST_MARK=$PWD nohup "$PERFGATE" run --metrics wall_time --runs 1 --warmup 0 --output "$said/out" --save-baseline new.json -- \
		sh -c "echo running >'$said/running'; sleep 0.5" >"$said/stdout" 2>"$said/stderr" </dev/null &
	pid=$!
	set +m
	wait_for "$said/running"
	kill -HUP "$pid"
	finish
	((status == 0)) || fail "exit status 0"
	expect_json new.json .schema
}

run_tests "$@"
