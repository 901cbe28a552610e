#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# gate.sh - what is red, what is green, and what is neither: verdicts and exit status of run, compare and baseline
# refresh.
#
# Counts are known by construction of the target, and a change is their quotient. Where times decide, they are either
# written into the files by hand or differ by a factor that no machine's noise comes near.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

exact=allocations,allocated_bytes,peak_heap,leaked_bytes

# gate CODE ARG...: `perfgate run` of exact metrics against base.json.
gate() {
	local code=$1
	shift
	expect_exit "$code" -- perfgate run --metrics "${metrics:-$exact}" --baseline base.json "$@"
}

# ---- green ----

test_an_unchanged_program_is_green_ten_times() {
	local i
	make_baseline base.json --metrics $exact -- "$toil" make 1000 keep 100 leak 3
	for ((i = 0; i < 10; i++)); do
		gate 0 -- "$toil" make 1000 keep 100 leak 3
		expect_json perfgate-out/result.json '.verdict == "pass" and .exit_code == 0'
		expect_json perfgate-out/result.json '.benchmarks[0].metrics | length == 4 and all(.change == 0 and .kind == "exact" and .status == "measured")'
	done
}

# The same for a program of somebody else that does more than a loop.
test_an_unchanged_foreign_program_is_green() {
	local i
	seq 20000 | jq -c '{n: ., s: tostring}' >input.json
	make_baseline base.json --metrics $exact -- jq -c .n input.json
	for ((i = 0; i < 3; i++)); do
		gate 0 -- jq -c .n input.json
		expect_json perfgate-out/result.json '.benchmarks[0].metrics | all(.change == 0)'
	done
	expect_row allocations '.current > 20000'
}

# ---- red ----

# 1,000 iterations with one allocation each, then with two: exactly 1,000 more, twice as many, by copy_block.
test_one_more_allocation_per_iteration() {
	make_baseline base.json --metrics $exact -- "$toil" make 1000
	gate 2 -- "$toil" make 1000 copy 1000
	expect_json perfgate-out/result.json '.verdict == "fail" and .exit_code == 2'
	expect_row allocations '.baseline == 1000 and .current == 2000 and .change == 1 and .verdict == "fail" and .kind == "exact"'
	expect_row allocations '.interval == [1, 1]'
	expect_row allocations '.culprits[0] | .function == "copy_block" and .baseline == 0 and .current == 1000 and .change == 1000'
	# 64,000 bytes, then 164,000.
	expect_row allocated_bytes '.baseline == 64000 and .current == 164000 and .verdict == "fail"'
	# One block at a time is live in both.
	expect_row leaked_bytes '.current == 0 and .verdict == "pass"'
	local line
	line=$(grep -n 'malloc(COPY_BYTES)' "$tree/fixtures/targets/toil.c" | cut -d: -f1)
	expect_row allocations ".culprits[0] | .line == $line and (.file | endswith(\"fixtures/targets/toil.c\")) and .module == \"toil\""
	expect_stdout copy_block
	expect_stdout "+100 %"
}

# The limit is 1 %: 1,010 of 1,000 keep it, 1,011 break it.
test_the_limit_itself_is_kept() {
	make_baseline base.json --metrics $exact -- "$toil" make 1000
	gate 0 -- "$toil" make 1010
	expect_row allocations '.change == 0.01 and .verdict == "pass"'
	gate 2 -- "$toil" make 1011
	expect_row allocations '.change == 0.011 and .verdict == "fail" and .limit == "+1 %"'
}

# 1,024 KiB at once, then 1,060 (3.5 % more) and 1,100 (7.4 % more); the limit is 5 %.
test_peak_heap() {
	make_baseline base.json --metrics peak_heap -- "$toil" keep 1024
	metrics=peak_heap gate 0 -- "$toil" keep 1060
	metrics=peak_heap gate 2 -- "$toil" keep 1100
	expect_row peak_heap '.verdict == "fail" and .change > 0.07 and .change < 0.08'
}

test_limits_of_the_configuration() {
	make_baseline base.json --metrics $exact -- "$toil" make 100 leak 1
	# The highest value allowed is broken although nothing rose.
	limits='{"allocations": {"max": 100}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100 leak 1)"
	expect_exit 2 -- perfgate run --baseline base.json
	expect_row allocations '.change == 0 and .current == 101 and .verdict == "fail"'
	limits='{"allocations": {"max": 101}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100 leak 1)"
	expect_exit 0 -- perfgate run --baseline base.json
	# Three more are allowed, four are not.
	limits='{"allocations": {"max_increase": 3}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 103 leak 1)"
	expect_exit 0 -- perfgate run --baseline base.json
	limits='{"allocations": {"max_increase": 3}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 104 leak 1)"
	expect_exit 2 -- perfgate run --baseline base.json
	# Leaks have no limit but one that is asked for.
	limits='{"leaked_bytes": {"max_increase": "0%"}}' config "$(benchmark toil metrics '["leaked_bytes"]' -- "$toil" make 100 leak 2)"
	expect_exit 2 -- perfgate run --baseline base.json
	expect_row leaked_bytes '.change == 1'
}

# A leak where there was none has no ratio.
test_a_rise_from_zero() {
	make_baseline base.json --metrics leaked_bytes -- "$toil" make 5
	limits='{"leaked_bytes": {"max_increase": "5%"}}' config "$(benchmark toil metrics '["leaked_bytes"]' -- "$toil" make 5 leak 1)"
	expect_exit 2 -- perfgate run --baseline base.json
	expect_row leaked_bytes '.baseline == 0 and .change == null and .verdict == "fail" and (.reason | test("baseline is 0"))'
}

test_own_limits_override_the_files_and_options_override_both() {
	make_baseline base.json --metrics allocations -- "$toil" make 100
	limits='{"allocations": {"max_increase": "5%"}}' \
		config "$(benchmark toil metrics '["allocations"]' thresholds '{"allocations": {"max_increase": "50%"}}' -- "$toil" make 140)"
	expect_exit 0 -- perfgate run --baseline base.json
	expect_row allocations '.limit == "+50 %" and .change == 0.4'
	expect_exit 2 -- perfgate run --baseline base.json --threshold allocations=30%
	expect_exit 0 -- perfgate run --baseline base.json --threshold allocations=30% --threshold allocations=45%
	expect_exit 0 -- perfgate run --baseline base.json --threshold allocations=+100%
}

# ---- warnings ----

test_actions() {
	local one
	make_baseline base.json --metrics allocations -- "$toil" make 100
	one=$(benchmark toil metrics '["allocations"]' -- "$toil" make 200)
	limits='{"allocations": {"action": "warn"}}' config "$one"
	expect_exit 0 -- perfgate run --baseline base.json
	expect_json perfgate-out/result.json '.verdict == "warn" and .exit_code == 0'
	expect_exit 3 -- perfgate run --baseline base.json --fail-on-warn
	expect_json perfgate-out/result.json '.verdict == "warn" and .exit_code == 3'
	limits='{"allocations": {"action": "ignore"}, "allocated_bytes": {"max_increase": "5%"}}' \
		config "$(benchmark toil metrics '["allocations", "peak_heap"]' -- "$toil" make 200)"
	make_baseline base.json --metrics allocations,peak_heap -- "$toil" make 100
	expect_exit 0 -- perfgate run --baseline base.json --fail-on-warn
	expect_json perfgate-out/result.json '.verdict == "pass"'
}

test_new_and_gone_benchmarks_warn() {
	local one two three
	one=$(benchmark one metrics '["allocations"]' -- "$toil" make 5)
	two=$(benchmark two metrics '["allocations"]' -- "$toil" make 5)
	three=$(benchmark three metrics '["allocations"]' -- "$toil" make 5)
	config "$one" "$two"
	make_baseline base.json
	config "$one" "$three"
	expect_exit 0 -- perfgate run --baseline base.json
	expect_json perfgate-out/result.json '.verdict == "warn"'
	expect_json perfgate-out/result.json '[.benchmarks[] | [.name, .verdict]] == [["one", "pass"], ["three", "warn"], ["two", "warn"]]'
	expect_json perfgate-out/result.json '.benchmarks[1].reason | test("new")'
	expect_json perfgate-out/result.json '.benchmarks[2].reason | test("gone")'
	expect_stdout three
	expect_stdout two
	expect_exit 3 -- perfgate run --baseline base.json --fail-on-warn
	# What --filter leaves out is no news.
	config "$three"
	expect_exit 4 -- perfgate run --baseline base.json
	expect_json perfgate-out/result.json '.verdict == "inconclusive" and .exit_code == 4'
	expect_json perfgate-out/result.json '.reason | test("in common")'
}

# Better by 95 %, and nothing at all: neither is a silent pass. 100 instead of 1,000 is exactly 90 % and believed.
test_a_collapsed_metric_warns() {
	make_baseline base.json --metrics allocations -- "$toil" make 1000
	metrics=allocations gate 0 -- "$toil" make 50
	expect_row allocations '.verdict == "warn" and (.reason | test("suspicious"))'
	expect_stdout suspicious
	metrics=allocations gate 3 --fail-on-warn -- "$toil" make 50
	metrics=allocations gate 3 --fail-on-warn -- "$toil"
	expect_row allocations '.current == 0 and .verdict == "warn"'
	metrics=allocations gate 0 --fail-on-warn -- "$toil" make 100
}

# ---- nothing to compare with ----

# The message has the command that makes the baseline: running it as it stands must.
test_a_missing_baseline() {
	expect_exit 4 -- perfgate run --metrics allocations --baseline 'my base.json' -- "$toil" make 5
	expect_stderr "baseline 'my base.json' does not exist"
	expect_missing 'my base.json'
	expect_missing perfgate-out
	local command
	command=$(grep -o 'perfgate run --save-baseline .*' "$said/stderr")
	expect_exit 0 -- bash -c "perfgate() { '$PERFGATE' \"\$@\"; }; $command"
	expect_exit 0 -- perfgate run --metrics allocations --baseline 'my base.json' -- "$toil" make 5
}

test_a_missing_baseline_that_is_allowed() {
	expect_exit 0 -- perfgate run --metrics allocations --baseline base.json --allow-missing-baseline -- "$toil" make 5
	expect_stderr "does not exist"
	expect_missing base.json
	expect_json perfgate-out/result.json '.verdict == "warn" and .exit_code == 0'
	expect_row allocations '.current == 5 and .baseline == null'
	expect_exit 3 -- perfgate run --metrics allocations --baseline base.json --allow-missing-baseline --fail-on-warn -- "$toil" make 5
	# A highest value needs no baseline.
	limits='{"allocations": {"max": 4}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 5)"
	expect_exit 2 -- perfgate run --baseline base.json --allow-missing-baseline
}

test_no_baseline_named() {
	expect_exit 4 -- perfgate run --metrics allocations -- "$toil" make 5
	expect_stderr "--save-baseline"
	expect_exit 0 -- perfgate run --metrics allocations --save-baseline base.json -- "$toil" make 5
}

# Only an unavailable metric is named, or nothing but metrics without a limit is there: never green.
test_metrics_that_are_unavailable() {
	expect_exit 4 -- perfgate run --metrics allocations --save-baseline base.json -- "$toil"_static make 5
	expect_row allocations '.status == "unavailable" and .current == null and (.reason | length > 0)'
	make_baseline base.json -- "$toil" make 5
	expect_exit 4 -- perfgate run --metrics instructions,allocations --baseline base.json -- "$toil" make 5
	expect_row instructions '.status == "unavailable" and (.reason | length > 0)'
	metrics=leaked_bytes gate 4 -- "$toil" make 5
	# A limit names it as well.
	limits='{"instructions": {"max_increase": "1%"}}' config "$(benchmark toil -- "$toil" make 5)"
	cp base.json named.json
	expect_exit 4 -- perfgate run --baseline base.json --metrics instructions
}

# ---- which status wins: 1, 5, 2, 4, 3, 0 ----

test_the_first_of_1_5_2_4_3_0() {
	local good worse missing failing warned
	good=$(benchmark good metrics '["allocations"]' -- "$toil" make 5)
	worse=$(benchmark worse metrics '["allocations"]' -- "$toil" make 10)
	missing=$(benchmark missing metrics '["allocations"]' -- "$toil"_static make 5)
	failing=$(benchmark failing metrics '["wall_time"]' -- "$act" exit 3)
	warned=$(benchmark warned metrics '["allocations"]' thresholds '{"allocations": {"action": "warn"}}' -- "$toil" make 10)
	config "$good" "$(jq -c '.command[2] = "5"' <<<"$worse")" "$(jq -c '.command[2] = "5"' <<<"$warned")" \
		"$(jq -c '.metrics = ["wall_time"]' <<<"$missing")" "$(jq -c '.command[2] = "0"' <<<"$failing")"
	make_baseline base.json
	local -A set=(
		["good"]=0 ["good warned"]=3 ["good warned missing"]=4 ["good missing"]=4 ["worse missing warned"]=2
		["failing worse missing"]=5 ["failing"]=5 ["failing good"]=5
	)
	local names name
	for names in "${!set[@]}"; do
		local -a all=()
		for name in $names; do all+=("${!name}"); done
		config "${all[@]}"
		# shellcheck disable=SC2086 # words
		jq --argjson n "$(jq -n '$ARGS.positional' --args ${names})" '.benchmarks |= map(select(.name as $x | $n | index($x)))' base.json >"$said/part.json"
		expect_exit "${set[$names]}" -- perfgate run --baseline "$said/part.json" --fail-on-warn
		expect_json perfgate-out/result.json ".exit_code == ${set[$names]}"
	done
	# A file that cannot be read is 1, whatever the targets would have done.
	config "$failing" "$worse"
	echo '{' >broken.json
	expect_exit 1 -- perfgate run --baseline broken.json
}

# ---- CPU shares ----

# A quarter of the work is parse's. Then parse does ten times as much, and render the same: parse's share rises from
# 20 to 71 %, and its CPU time with it. The limit lies in the middle.
test_a_share_that_rises_with_its_time() {
	make_baseline base.json --runs 3 --metrics cpu_share -- "$toil" parse 500 render 2000
	expect_exit 2 -- perfgate run --runs 3 --metrics cpu_share --baseline base.json --threshold cpu_share=25pp -- "$toil" parse 5000 render 2000
	expect_json perfgate-out/result.json '[.benchmarks[0].metrics[] | select(.verdict == "fail") | .function] == ["parse"]'
	expect_json perfgate-out/result.json '.benchmarks[0].metrics[] | select(.function == "parse") | .baseline > 10 and .baseline < 30 and .current > 60 and .current < 80'
	expect_json perfgate-out/result.json '.benchmarks[0].metrics[] | select(.function == "parse") | .culprits[0] | .function == "parse" and (.file | endswith("toil.c")) and .line > 0'
	expect_stdout parse
}

# render does a fortieth of its work, parse the same: parse's share rises from 20 to 91 % because something else got
# faster. Only three times its CPU time would break the limit of 40 points.
test_a_share_that_rises_because_the_rest_got_faster() {
	make_baseline base.json --runs 3 --metrics cpu_share -- "$toil" parse 750 render 3000
	expect_exit 0 -- perfgate run --runs 3 --metrics cpu_share --baseline base.json --threshold cpu_share=40pp -- "$toil" parse 750 render 75
	expect_json perfgate-out/result.json '.benchmarks[0].metrics[] | select(.function == "parse") | .change > 50 and .verdict == "pass" and (.reason | test("got faster"))'
}

# ---- compare: times by hand ----

# times FILE METRIC SAMPLES: these samples of it, in nanoseconds.
times() { edit "$1" ".benchmarks[0].metrics.$2.samples = $3"; }

# two_files: base.json and head.json with five times of 100 ms each.
two_files() {
	make_baseline base.json --runs 5 --warmup 0 --metrics wall_time,cpu_time,peak_rss -- "$toil" make 5
	times base.json wall_time '[100000000, 100000000, 100000000, 100000000, 100000000]'
	times base.json cpu_time '[100000000, 100000000, 100000000, 100000000, 100000000]'
	times base.json peak_rss '[1000000, 1000000, 1000000, 1000000, 1000000]'
	cp base.json head.json
}

test_times_that_rose() {
	two_files
	expect_exit 0 -- perfgate compare base.json head.json
	# Every run of 120 ms or more against 100 ms, the median 20 % up: only a warning, unless it is told otherwise.
	times head.json wall_time '[120000000, 121000000, 120000000, 125000000, 120000000]'
	expect_exit 0 -- perfgate compare --output out base.json head.json
	expect_row wall_time '.verdict == "warn" and .change == 0.2 and .kind == "statistical"' out/result.json
	expect_exit 3 -- perfgate compare --fail-on-warn base.json head.json
	limits='{"wall_time": {"max_increase": "10%", "action": "fail"}}' config "$(benchmark toil -- "$toil" make 5)"
	expect_exit 2 -- perfgate compare base.json head.json
	limits='{"wall_time": {"max_increase": "25%", "action": "fail"}}' config "$(benchmark toil -- "$toil" make 5)"
	expect_exit 0 -- perfgate compare --fail-on-warn base.json head.json
}

# The median doubled, but a run of the baseline took as long: noise decides nothing, and is green only when not asked.
test_times_within_the_noise() {
	two_files
	limits='{"wall_time": {"max_increase": "10%", "action": "fail"}}' config "$(benchmark toil -- "$toil" make 5)"
	times base.json wall_time '[100000000, 100000000, 100000000, 100000000, 300000000]'
	times head.json wall_time '[200000000, 200000000, 200000000, 200000000, 200000000]'
	expect_exit 0 -- perfgate compare --output out base.json head.json
	expect_row wall_time '.verdict == "inconclusive" and .change == 1 and (.reason | test("noise"))' out/result.json
	expect_exit 4 -- perfgate compare --strict base.json head.json
}

# The same times from another machine only warn; memory and counts are not the machine's.
test_times_of_another_machine() {
	two_files
	limits='{"wall_time": {"max_increase": "10%", "action": "fail"}, "peak_rss": {"max_increase": "10%", "action": "fail"}}' \
		config "$(benchmark toil -- "$toil" make 5)"
	times head.json wall_time '[200000000, 200000000, 200000000, 200000000, 200000000]'
	expect_exit 2 -- perfgate compare base.json head.json
	edit base.json '.host.cpu_model = "Another CPU 9000"'
	expect_exit 0 -- perfgate compare --output out base.json head.json
	expect_row wall_time '.verdict == "warn" and (.reason | test("another machine"))' out/result.json
	times head.json peak_rss '[2000000, 2000000, 2000000, 2000000, 2000000]'
	expect_exit 2 -- perfgate compare base.json head.json
}

# Exact metrics whose repeats differ are judged by their medians, and the report says so.
test_a_demoted_metric() {
	make_baseline base.json --metrics allocations -- "$toil" make 100
	cp base.json head.json
	edit head.json '.benchmarks[0].metrics.allocations |= (.samples = [100, 102, 101] | .demoted = true | .reason = "its repeats differ, judged statistically")'
	expect_exit 0 -- perfgate compare --output out base.json head.json
	expect_row allocations '.kind == "statistical" and (.reason | test("repeats differ"))' out/result.json
	# One allocation more with every run of the target: 1, 2, 3 ... are no repeats. The shell's own come on top.
	expect_exit 0 -- perfgate run --metrics allocations --save-baseline new.json -- sh -c "echo >>n; exec '$toil' make \$(wc -l <n)"
	expect_json new.json '.benchmarks[0].metrics.allocations | .demoted == true and (.samples | length > 2)'
	expect_row allocations '.kind == "statistical" and (.reason | test("repeats differ"))'
}

# ---- compare: the same verdict as the run ----

# same_verdict CODE: comparing what the run stored says the same, row by row.
same_verdict() {
	expect_exit "$1" -- perfgate compare --output again base.json perfgate-out/result.json
	jq -S '.benchmarks | map({name, verdict, metrics})' perfgate-out/result.json >"$said/run"
	jq -S '.benchmarks | map({name, verdict, metrics})' again/result.json >"$said/compare"
	cmp -s "$said/run" "$said/compare" || fail "the same rows: $(diff "$said/run" "$said/compare" | head -20)"
	expect_json again/result.json ".verdict == $(jq .verdict perfgate-out/result.json) and .exit_code == $1"
}

test_compare_says_what_the_run_said() {
	make_baseline base.json --runs 3 -- "$toil" make 1000 parse 400
	expect_exit 0 -- perfgate run --runs 3 --metrics $exact --baseline base.json -- "$toil" make 1000 parse 400
	same_verdict 0
	expect_exit 2 -- perfgate run --runs 3 --baseline base.json -- "$toil" make 1000 copy 1000 parse 400
	same_verdict 2
	# A result as base, and a result with itself.
	expect_exit 2 -- perfgate compare --threshold allocations=1% base.json perfgate-out/result.json
	expect_exit 0 -- perfgate compare perfgate-out/result.json perfgate-out/result.json
}

# ---- saving and refreshing ----

test_a_regressed_run_is_not_saved() {
	make_baseline base.json --metrics allocations -- "$toil" make 100
	remember base.json
	metrics=allocations gate 2 --save-baseline base.json -- "$toil" make 200
	expect_stderr "'base.json' was not written"
	unchanged base.json
	metrics=allocations gate 0 --save-baseline base.json -- "$toil" make 101
	expect_json base.json '.benchmarks[0].metrics.allocations.samples == [101, 101]'
}

test_refresh_makes_a_first_baseline() {
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100)"
	remember perfgate.json
	expect_exit 0 -- perfgate baseline refresh
	expect_json main.json '.benchmarks[0].metrics.allocations.samples == [100, 100]'
	unchanged perfgate.json
	only_files main.json perfgate.json
}

# A file that is not there cannot be left as it is.
test_refresh_without_a_result_says_what_became_of_the_file() {
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100 status 3)"
	expect_exit 5 -- perfgate baseline refresh
	expect_stderr "main.json was not written: a target failed"
	config "$(benchmark toil metrics '["allocations"]' -- "${toil}_static" make 100)"
	expect_exit 4 -- perfgate baseline refresh
	expect_stderr "main.json was not written: a metric that the configuration names"
	only_files perfgate.json
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100)"
	expect_exit 0 -- perfgate baseline refresh
	remember main.json
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100 status 3)"
	expect_exit 5 -- perfgate baseline refresh
	expect_stderr "main.json was left as it is: a target failed"
	unchanged main.json
}

test_refresh_refuses_a_regression_without_a_reason() {
	local why='New index: "faster" look-ups; see #12'
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100)"
	expect_exit 0 -- perfgate baseline refresh
	remember main.json
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 200)"
	remember perfgate.json
	expect_exit 2 -- perfgate baseline refresh
	expect_stderr "main.json was left as it is"
	expect_stderr "--accept"
	unchanged main.json
	expect_exit 0 -- perfgate baseline refresh --accept "$why"
	expect_json main.json '.benchmarks[0].metrics.allocations.samples == [200, 200]'
	expect_json main.json ".accepted | length == 1 and (.[0].reason == $(jq -n --arg w "$why" '$w')) and (.[0].summary | test(\"toil allocations\"))"
	unchanged perfgate.json
	expect_exit 0 -- perfgate baseline show
	expect_stdout "$why"
	# The reason stays when there is nothing to accept any more.
	expect_exit 0 -- perfgate baseline refresh
	expect_json main.json '.accepted | length == 1'
	expect_exit 0 -- perfgate run --baseline main.json
}

test_refresh_of_a_target_that_fails() {
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100)"
	expect_exit 0 -- perfgate baseline refresh
	remember main.json
	config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 100 status 3)"
	expect_exit 5 -- perfgate baseline refresh --accept "whatever"
	unchanged main.json
	config "$(benchmark toil metrics '["allocations"]' -- "$toil"_static make 100)"
	expect_exit 4 -- perfgate baseline refresh --accept "whatever"
	unchanged main.json
	expect_exit 1 -- perfgate baseline refresh --filter 'toil'
	unchanged main.json
	# One command is not all that the file holds.
	expect_exit 1 -- perfgate baseline refresh --metrics wall_time --runs 1 -- true
	expect_stderr "holds 'toil'"
	unchanged main.json
}

run_tests "$@"
