#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# baseline_files.sh - baselines that are damaged, foreign or out of reach: status 1, the file and the place, no target
# started, and every file left as it was. And what baseline show and verify say of a good one.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# A good baseline in base.json: two runs of each pass, sites and functions.
good_baseline() { make_baseline base.json --runs 2 --warmup 0 -- "$toil" make 5 copy 7 parse 100; }

# Every command that reads a baseline refuses base.json with these words, measures nothing, and leaves it alone. The
# target would leave a file behind.
refused() {
	local text
	remember base.json
	for command in "run --baseline base.json -- touch was-started" "baseline verify --baseline base.json" \
		"baseline show --baseline base.json" "compare base.json base.json" \
		"baseline refresh --baseline base.json -- touch was-started"; do
		# shellcheck disable=SC2086 # words
		expect_exit 1 -- perfgate $command
		for text in "base.json" "$@"; do expect_stderr "$text"; done
		expect_empty_stdout
		unchanged base.json
		expect_missing was-started
		expect_missing perfgate-out
	done
}

# ---- damaged ----

# A prefix of a file is never a smaller file: cut at every one of its bytes where keys and values meet (the first 300,
# the last 60), and at forty places between.
test_truncated_at_any_byte() {
	good_baseline
	local size cut
	size=$(stat -c %s base.json)
	for cut in $(seq 0 7 300) $(seq 301 $((size / 40)) $((size - 60))) $(seq $((size - 60)) 3 $((size - 2))); do
		head -c "$cut" base.json >cut.json
		expect_exit 1 -- perfgate baseline verify --baseline cut.json
		grep -qE '^perfgate: cut\.json:[0-9]+:[0-9]+: ' "$said/stderr" || fail "file, line and column at $cut bytes"
	done
	# Without its last byte, the newline, it is still whole.
	head -c $((size - 1)) base.json >cut.json
	expect_exit 0 -- perfgate baseline verify --baseline cut.json
}

test_truncated_for_every_command() {
	good_baseline
	truncate -s 500 base.json
	refused "base.json:" " end"
}

test_empty_file() {
	: >base.json
	refused "base.json:1:1"
}

test_bytes_that_are_no_text() {
	good_baseline
	printf '\0' >>base.json
	refused "base.json:"
	head -c 4096 /bin/ls >base.json
	refused "base.json:1:1"
}

# ---- foreign ----

test_wrong_schema() {
	good_baseline
	edit base.json '.schema = "somebody.elses.v1"'
	refused '"somebody.elses.v1"' 'perfgate.baseline.v1'
	edit base.json 'del(.schema)'
	refused '"schema"'
	edit base.json '.schema = 1'
	refused "schema" "a string"
}

# Refused by name, whatever else is new in it.
test_newer_version() {
	good_baseline
	edit base.json '.schema = "perfgate.baseline.v2" | .benchmarks = "moved elsewhere"'
	refused "perfgate.baseline.v2" "newer"
}

test_unknown_and_missing_keys() {
	good_baseline
	edit base.json '.extra = 1'
	refused '"extra"'
	edit base.json 'del(.extra, .host)'
	refused '"host"'
}

# ---- numbers ----

# with_sample TEXT: the first sample of the allocations (12, from 5 + 7) becomes TEXT, by hand, as jq writes no NaN.
with_sample() {
	good_baseline
	tr -d '\n' <base.json | sed -E "s/(\"allocations\": *\{[^}]*\"samples\": *\[ *)12/\1$1/" >edited.json
	! cmp -s base.json edited.json || fail "that the sample was found"
	grep -qF -- "$1" edited.json || fail "that the sample was replaced"
	mv edited.json base.json
}

test_numbers_that_are_none() {
	local number
	for number in NaN Infinity -Infinity null '"12"' 1e400 012 0x12 true; do
		with_sample "$number"
		refused "base.json:1:"
	done
}

test_numbers_out_of_range() {
	with_sample -1
	refused "base.json:1:" "-1"
	with_sample 9223372036854775808 # 2^63
	refused "base.json:1:" "9223372036854775808"
	with_sample 18446744073709551616 # 2^64
	refused "base.json:1:" "18446744073709551616"
	with_sample 12.5
	refused "base.json:1:" "12.5"
	# The largest number that there may be.
	with_sample 9223372036854775807 # 2^63 - 1
	expect_exit 0 -- perfgate baseline verify --baseline base.json
}

# ---- out of reach ----

# Far above what is read: refused by its size, before it is read.
test_200_megabytes() {
	good_baseline
	truncate -s 200M base.json
	refused "200 MiB"
	# The same from a pipe, whose size nobody knows beforehand.
	expect_exit 1 -- perfgate baseline verify --baseline <(head -c 200M /dev/zero | tr '\0' ' ')
	expect_stderr "MiB"
}

test_a_directory() {
	mkdir base.json
	for command in "run --baseline base.json -- touch was-started" "baseline verify --baseline base.json" \
		"baseline refresh --baseline base.json -- touch was-started" "compare base.json base.json"; do
		# shellcheck disable=SC2086 # words
		expect_exit 1 -- perfgate $command
		expect_stderr "base.json: is a directory"
		only_files base.json
	done
}

test_a_device() {
	expect_exit 1 -- perfgate baseline verify --baseline /dev/zero
	expect_stderr "/dev/zero"
}

test_unreadable() {
	good_baseline
	chmod 000 base.json
	share_program
	expect_exit 1 -- as_user "$shared" baseline verify --baseline base.json
	expect_stderr "base.json"
	expect_stderr "Permission denied"
	expect_exit 1 -- as_user "$shared" run --baseline base.json --output "$said/out" -- touch "$said/was-started"
	expect_stderr "Permission denied"
	expect_missing "$said/was-started"
}

# A link that leads nowhere is no file either; and one that leads in a circle is an error, not a missing baseline.
test_links() {
	ln -s nowhere.json base.json
	expect_exit 4 -- perfgate run --baseline base.json -- touch was-started
	ln -sf loop.json loop.json
	expect_exit 1 -- perfgate run --baseline loop.json -- touch was-started
	expect_stderr "loop.json"
	expect_missing was-started
}

# ---- writing ----

# A symbolic link stays one, and its target gets the new bytes.
test_a_link_is_written_through() {
	mkdir kept
	good_baseline
	mv base.json kept/real.json
	ln -s kept/real.json base.json
	edit kept/real.json '.commit = "0000000000000000000000000000000000000000"'
	expect_exit 0 -- perfgate baseline refresh --runs 1 --warmup 0 --metrics allocations --baseline base.json -- "$toil" make 5
	[[ -L base.json ]] || fail "that base.json is still a link"
	expect_json kept/real.json '.commit != "0000000000000000000000000000000000000000"'
	only_files base.json kept
	[[ $(ls kept) == real.json ]] || fail "no temporary file in kept"
}

test_a_baseline_that_cannot_be_written() {
	expect_exit 1 -- perfgate run --metrics wall_time --runs 1 --save-baseline nowhere/base.json -- "$toil" make 5
	expect_stderr "nowhere/base.json"
	expect_stderr "No such file or directory"
	mkdir base.json
	expect_exit 1 -- perfgate run --metrics wall_time --runs 1 --save-baseline base.json -- "$toil" make 5
	expect_stderr "base.json"
	only_files base.json perfgate-out
}

test_a_read_only_folder() {
	share_program
	mkdir closed "$said/out"
	chmod 777 "$said/out"
	echo '{}' >closed/base.json
	remember closed/base.json
	chmod 555 closed
	expect_exit 1 -- as_user "$shared" run --metrics wall_time --runs 1 --output "$said/out" --save-baseline closed/base.json -- true
	expect_stderr "closed/base.json"
	expect_stderr "Permission denied"
	unchanged closed/base.json
	chmod 755 closed
	[[ $(ls -A closed) == base.json ]] || fail "no temporary file in closed"
}

# ---- good ones ----

test_show_and_verify() {
	good_baseline
	remember base.json
	expect_exit 0 -- perfgate baseline verify --baseline base.json
	expect_stdout "base.json is a sound baseline: 1 benchmark,"
	expect_exit 0 -- perfgate baseline show --baseline base.json
	expect_stdout "base.json: made "
	expect_stdout "allocations"
	expect_stdout "12"
	expect_stdout "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	unchanged base.json
	# main.json is the default.
	mv base.json main.json
	expect_exit 0 -- perfgate baseline verify
	expect_stdout "main.json is a sound baseline"
}

test_verify_of_a_missing_file() {
	expect_exit 1 -- perfgate baseline verify
	expect_stderr "main.json"
	expect_stderr "No such file or directory"
}

# Complete on its own: schema, tool, time, host, the command, and every sample of every metric.
test_what_a_baseline_holds() {
	make_baseline base.json --runs 3 --warmup 1 -- "$toil" make 5 copy 7 parse 100
	expect_json base.json '.schema == "perfgate.baseline.v1"'
	expect_json base.json '.tool.name == "perfgate" and (.tool.version | length > 0)'
	expect_json base.json '.created | test("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")'
	expect_json base.json '.host | .cores >= 1 and ([.cpu_model, .kernel, .libc] | all(length > 0))'
	expect_json base.json '.benchmarks | length == 1'
	expect_json base.json '.benchmarks[0].name == "toil"'
	expect_json base.json ".benchmarks[0].command == [\"$toil\", \"make\", \"5\", \"copy\", \"7\", \"parse\", \"100\"]"
	# Three runs, without the warm-up; exact metrics twice (interface: "measured at least twice").
	expect_json base.json '.benchmarks[0].metrics | [.wall_time, .cpu_time, .peak_rss] | all(.samples | length == 3)'
	expect_json base.json '.benchmarks[0].metrics.allocations.samples == [12, 12]'
	# 5 blocks of 64 bytes and 7 of 100.
	expect_json base.json '.benchmarks[0].metrics.allocated_bytes.samples == [1020, 1020]'
	expect_json base.json '.benchmarks[0].sites | map({ (.function): .allocations }) | add | .make_block == 5 and .copy_block == 7'
	expect_json base.json '.benchmarks[0].functions | any(.function == "parse" and (.self_ns | length == 3))'
}

# Moved to another folder, without the program: it still gates and shows.
test_a_baseline_moves() {
	mkdir there
	cp "$toil" program
	make_baseline base.json --metrics allocations -- ./program make 5
	mv base.json there/
	rm program
	expect_exit 0 -- perfgate compare there/base.json there/base.json
	expect_exit 0 -- perfgate baseline show --baseline there/base.json
}

run_tests "$@"
