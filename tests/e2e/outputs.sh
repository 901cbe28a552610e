#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# outputs.sh - what a run writes, where, and in which form: perfgate-out, standard output and error, a terminal, a
# GitHub runner; and what it says when it cannot write.
# shellcheck disable=SC2016 # filters of jq and patterns are no shell
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# A baseline of 100 allocations in base.json.
baseline_of_100() { make_baseline base.json --metrics allocations,allocated_bytes -- "$toil" make 100; }

# red ARG...: a run that regressed by copy_block's 50 allocations.
red() { expect_exit 2 -- perfgate run --metrics allocations,allocated_bytes --baseline base.json "$@" -- "$toil" make 100 copy 50; }

# ---- result.json ----

# Names and values that scripts rely on, as the interface has them.
test_the_keys_of_result_json() {
	make_baseline base.json --runs 2 -- "$toil" make 100 parse 1000
	expect_exit 2 -- perfgate run --runs 2 --baseline base.json -- "$toil" make 100 copy 50 parse 1000
	local result=perfgate-out/result.json
	expect_json $result '.schema == "perfgate.result.v1" and .verdict == "fail" and .exit_code == 2'
	expect_json $result '.host | has("cpu_model") and has("cores") and has("kernel") and has("libc")'
	expect_json $result '.tool | .name == "perfgate" and has("version")'
	expect_json $result '.benchmarks | length == 1'
	expect_json $result '.benchmarks[0] | .name == "toil" and .verdict == "fail" and (.engines | type == "object") and (.profiles | type == "object")'
	expect_json $result '.benchmarks[0].engines.cpu == "agent"'
	expect_json $result '.benchmarks[0].metrics | all(has("metric") and has("unit") and has("kind") and has("status") and has("reason")
		and has("baseline") and has("current") and has("change") and has("interval") and has("limit") and has("verdict") and has("culprits"))'
	expect_json $result '.benchmarks[0].metrics[] | select(.metric == "allocations") | .culprits[0]
		| has("function") and has("file") and has("line") and has("module") and has("baseline") and has("current") and has("change")'
	expect_json $result '[.benchmarks[0].metrics[] | select(.metric == "cpu_share")] | length > 0 and all(.function | length > 0)'
	# The table of the interface.
	expect_json $result '[.benchmarks[0].metrics[] | { (.metric): .unit }] | add == { allocations: "count", allocated_bytes: "bytes",
		peak_heap: "bytes", leaked_bytes: "bytes", peak_rss: "bytes", cpu_share: "percentage points", cpu_time: "ns", wall_time: "ns" }'
	expect_json $result '[.benchmarks[0].metrics[] | select(.kind == "exact") | .metric] == ["allocations", "allocated_bytes", "peak_heap", "leaked_bytes"]'
}

test_profiles() {
	make_baseline base.json --runs 2 -- "$toil" make 100 parse 300
	expect_exit 0 -- perfgate run --runs 2 --metrics allocations,cpu_share --baseline base.json -- "$toil" make 100 parse 300
	expect_json perfgate-out/result.json '.benchmarks[0].profiles | .cpu == "toil/cpu.pb.gz" and .heap == "toil/heap.pb.gz"'
	gzip -t perfgate-out/toil/cpu.pb.gz perfgate-out/toil/heap.pb.gz || fail "two sound gzip files"
	# Without the metric there is no profile, also none of an earlier run that looks like one of this.
	expect_exit 0 -- perfgate run --metrics allocations --baseline base.json -- "$toil" make 100 parse 300
	expect_json perfgate-out/result.json '.benchmarks[0].profiles | has("cpu") | not'
}

test_equal_input_gives_equal_bytes() {
	make_baseline base.json --runs 2 -- "$toil" make 100 parse 300
	make_baseline head.json --runs 2 -- "$toil" make 150 parse 300
	expect_exit 2 -- perfgate compare --output one base.json head.json
	cp "$said/stdout" "$said/first"
	expect_exit 2 -- perfgate compare --output two base.json head.json
	cmp <(sed s/one/two/ "$said/first") "$said/stdout" || fail "the same bytes on standard output"
	cmp one/result.json two/result.json || fail "the same bytes in result.json"
	# The summary has the command that repeats it, and so the folder.
	cmp <(sed s/two/one/ two/summary.md) one/summary.md || fail "the same bytes in summary.md"
	# Another locale writes the same numbers.
	expect_exit 2 -- env LC_ALL=de_DE.UTF-8 "$PERFGATE" compare --output three base.json head.json
	cmp one/result.json three/result.json || fail "the same bytes in another locale"
}

# ---- standard output and error ----

test_text() {
	baseline_of_100
	red
	# The verdict comes first, then the worst culprit, with old, new, change and limit.
	head -n 1 "$said/stdout" | grep -qi fail || fail "the verdict in the first line"
	expect_stdout "allocations"
	expect_stdout "copy_block"
	expect_stdout "100"
	expect_stdout "150"
	expect_stdout "+50.0 %"
	expect_stdout "+1 %"
	! grep -q $'\033' "$said/stdout" || fail "no colour where there is no terminal"
	# Not a terminal: one line for each benchmark.
	[[ $(grep -c 'measured in' "$said/stderr") == 1 ]] || fail "one line for one benchmark"
	! grep -q $'\r' "$said/stderr" || fail "no progress line where there is no terminal"
}

test_quiet() {
	baseline_of_100
	expect_exit 0 -- perfgate run --quiet --metrics allocations --baseline base.json -- "$toil" make 100
	expect_empty_stdout
	[[ ! -s $said/stderr ]] || fail "nothing on standard error"
	red --quiet
	expect_empty_stdout
	[[ $(wc -l <"$said/stderr") == 1 ]] || fail "the last line alone on standard error"
	red --quiet --format json
	expect_json "$said/stdout" '.verdict == "fail"'
}

test_formats() {
	baseline_of_100
	red --format json
	cmp "$said/stdout" perfgate-out/result.json || fail "result.json on standard output"
	red --format markdown
	cmp "$said/stdout" perfgate-out/summary.md || fail "summary.md on standard output"
	red --format github
	grep -q '^::error ' "$said/stdout" || fail "an annotation on standard output"
	expect_stdout copy_block
}

test_color() {
	baseline_of_100
	red --color always
	grep -q $'\033\\[' "$said/stdout" || fail "colour"
	red --color never
	! grep -q $'\033' "$said/stdout" || fail "no colour"
	TERM=xterm on_terminal 2
	grep -q $'\033\\[[0-9;]*m' "$said/terminal" || fail "colour on a terminal"
	TERM=xterm NO_COLOR=1 on_terminal 2
	! grep -q $'\033\\[[0-9;]*m' "$said/terminal" || fail "no colour with NO_COLOR"
}

# on_terminal CODE: a red run on a terminal of its own; what it showed is in $said/terminal.
on_terminal() {
	local code=0
	script -qec "stty cols 90; exec '$PERFGATE' run --metrics allocations,wall_time --runs 10 --baseline base.json -- '$toil' make 100 copy 50 parse 100" \
		"$said/terminal" >"$said/stdout" 2>"$said/stderr" </dev/null || code=$?
	((code == $1)) || fail "exit status $1 on a terminal, not $code: $(cat "$said/terminal")"
}

test_progress_on_a_terminal() {
	baseline_of_100
	TERM=xterm on_terminal 2
	grep -q $'\r.*\\[1/1\\] toil' "$said/terminal" || fail "a progress line"
	grep -q 'left' "$said/terminal" || fail "the time left"
	! grep -q 'measured in' "$said/terminal" || fail "no line for each benchmark"
}

test_summary() {
	baseline_of_100
	red
	expect_text perfgate-out/summary.md '`toil`'
	expect_text perfgate-out/summary.md '`copy_block`'
	expect_text perfgate-out/summary.md '+50.0 %'
	# The command that repeats it.
	expect_text perfgate-out/summary.md "perfgate run --metrics allocations,allocated_bytes --baseline base.json -- $toil make 100 copy 50"
}

# Unchanged benchmarks are folded into one line, unless --verbose unfolds them.
test_folding() {
	local i
	local -a all=()
	for i in 1 2 3 4 5 6; do all+=("$(benchmark "same-$i" metrics '["allocations"]' -- "$toil" make 5)"); done
	config "${all[@]}" "$(benchmark worse metrics '["allocations"]' -- "$toil" make 5)"
	make_baseline base.json
	config "${all[@]}" "$(benchmark worse metrics '["allocations"]' -- "$toil" make 10)"
	expect_exit 2 -- perfgate run --baseline base.json
	expect_stdout worse
	! grep -q 'same-3 .*allocations' "$said/stdout" || fail "no row for an unchanged benchmark"
	(($(grep -c 'same-' "$said/stdout") <= 1)) || fail "unchanged benchmarks in one line"
	expect_exit 2 -- perfgate run --verbose --baseline base.json
	expect_stdout same-3
	expect_stdout same-6
}

# ---- GitHub ----

# As a runner starts a step: the summary is appended to what other steps wrote, each regression is an annotation on
# the line of malloc(COPY_BYTES), and standard output stays what was asked for.
test_a_github_runner() {
	local line
	line=$(grep -n 'malloc(COPY_BYTES)' "$tree/fixtures/targets/toil.c" | cut -d: -f1)
	baseline_of_100
	echo 'from an earlier step' >"$said/summary"
	export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$said/summary GITHUB_WORKSPACE=$tree
	red
	cmp <(echo 'from an earlier step'; cat perfgate-out/summary.md) "$said/summary" || fail "the summary behind what was there"
	expect_stderr "::error file=fixtures/targets/toil.c,line=$line,title=toil"
	! grep -q '^::' "$said/stdout" || fail "no annotation among the table"
	tail -n 1 "$said/stderr" | grep -q 'exit status 2' || fail "the meaning in the last line"
	red --format json
	expect_json "$said/stdout" '.verdict == "fail"'
	red --format github
	[[ $(cat "$said/stdout" "$said/stderr" | grep -c '^::error file=') == $(grep -c '^::error file=' "$said/stdout") ]] || fail "each annotation once"
	# Nothing is wrong: no annotation.
	expect_exit 0 -- perfgate run --metrics allocations --baseline base.json -- "$toil" make 100
	expect_no_stderr "::"
}

# The source is not below the workspace: an annotation all the same, on no file.
test_annotations_outside_the_workspace() {
	baseline_of_100
	export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$said/summary GITHUB_WORKSPACE=$PWD
	red
	grep -q '^::error title=toil' "$said/stderr" || fail "an annotation without a file"
	[[ -s $said/summary ]] || fail "a step summary that did not exist"
}

test_warnings_and_failures_on_github() {
	baseline_of_100
	export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$said/summary GITHUB_WORKSPACE=$tree
	limits='{"allocations": {"action": "warn"}}' config "$(benchmark toil metrics '["allocations"]' -- "$toil" make 200)"
	expect_exit 0 -- perfgate run --baseline base.json
	expect_stderr "::warning "
	expect_no_stderr "::error"
	: >"$said/summary"
	expect_exit 5 -- perfgate run --baseline base.json -- "$act" exit 3
	expect_stderr "::error "
	[[ -s $said/summary ]] || fail "a step summary of a target that failed"
}

# A name from outside is neither a second annotation nor markup.
test_names_that_look_like_commands() {
	export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$said/summary GITHUB_WORKSPACE=$tree
	config "$(benchmark 'x,line=1::y|<b>' metrics '["allocations"]' -- "$toil" make 5)"
	make_baseline base.json
	config "$(benchmark 'x,line=1::y|<b>' metrics '["allocations"]' -- "$toil" make 10)"
	expect_exit 2 -- perfgate run --baseline base.json
	grep -qE '^::error .*title=x%2Cline=1%3A%3Ay' "$said/stderr" || fail "an escaped title"
	! grep -q '<b>' "$said/summary" || ! grep -v '`.*<b>.*`' "$said/summary" | grep -q '<b>' || fail "no markup from a name"
}

# A step summary that cannot be written is no reason to fail.
test_a_step_summary_that_cannot_be_written() {
	baseline_of_100
	export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$said/nowhere/summary GITHUB_WORKSPACE=$tree
	expect_exit 0 -- perfgate run --metrics allocations --baseline base.json -- "$toil" make 100
	expect_stderr "nowhere/summary"
}

# ---- where it cannot write ----

# Found out before anything is measured.
test_an_output_folder_that_is_a_file() {
	echo 'mine' >perfgate-out
	remember perfgate-out
	expect_exit 1 -- perfgate run --save-baseline new.json -- touch was-started
	expect_stderr "perfgate-out"
	unchanged perfgate-out
	only_files perfgate-out
	expect_exit 1 -- perfgate run --output perfgate-out/below --save-baseline new.json -- touch was-started
	expect_stderr "perfgate-out"
	only_files perfgate-out
}

test_a_read_only_output_folder() {
	share_program
	mkdir out
	echo '{"old": true}' >out/result.json
	remember out/result.json
	chmod 555 out
	expect_exit 1 -- as_user "$shared" run --output out --save-baseline "$said/new.json" -- touch "$said/was-started"
	expect_stderr "out"
	expect_stderr "Permission denied"
	chmod 755 out
	unchanged out/result.json
	[[ $(ls -A out) == result.json ]] || fail "only result.json in out"
	expect_missing "$said/was-started"
}

test_a_deep_output_folder_is_made() {
	expect_exit 0 -- perfgate run --metrics allocations --output a/b/c --save-baseline new.json -- "$toil" make 5
	expect_json a/b/c/result.json .schema
	[[ -s a/b/c/summary.md ]] || fail "a summary"
}

# disk COMMAND...: runs it where file systems may be mounted that nobody else sees: by root, or in a user namespace.
disk() {
	if unshare --mount mount -t tmpfs tmpfs out 2>/dev/null; then
		unshare --mount "$@"
	else
		unshare --map-root-user --mount "$@"
	fi
}

# full COMMAND...: runs it where ./out and ./kept have no byte left. With the right to mount they are a small disk;
# else no file may become larger than one block, wherever it is.
full() {
	if disk mount -t tmpfs tmpfs out 2>/dev/null; then
		# shellcheck disable=SC2016 # the inner shell expands it
		disk bash -euc '
			mount -t tmpfs -o size=256k tmpfs out
			cp kept/base.json out/base.json
			dd if=/dev/zero of=out/rest bs=1k status=none 2>/dev/null || true
			code=0
			"$@" || code=$?
			rm -f out/rest
			mkdir -p after
			cp -a out/. after/
			exit $code' full "$@"
	else
		cp kept/base.json out/base.json
		local code=0
		(
			ulimit -f 1
			"$@"
		) || code=$?
		mkdir -p after
		cp -a out/. after/
		return $code
	fi
}

# Enough benchmarks that the result is larger than one block.
test_a_full_disk() {
	mkdir kept out
	make_baseline kept/base.json --metrics wall_time --runs 500 --warmup 0 -- "$toil"
	remember kept/base.json
	# The results find no place.
	expect_exit 1 -- full "$PERFGATE" run --metrics wall_time --runs 500 --warmup 0 --baseline kept/base.json --output out -- "$toil"
	expect_stderr "out/"
	grep -qE 'No space left on device|File too large' "$said/stderr" || fail "the reason"
	expect_missing after/result.json
	[[ $(ls -A after) == base.json ]] || fail "only base.json on the disk, not: $(ls -A after)"
	# The old baseline stays when the new one finds none.
	rm -r after
	expect_exit 1 -- full "$PERFGATE" run --metrics wall_time --runs 500 --warmup 0 --save-baseline out/base.json --output "$said/out" -- "$toil"
	grep -qE 'out/(base|result)\.json' "$said/stderr" || fail "the file"
	cmp kept/base.json after/base.json || fail "the old baseline"
	[[ $(ls -A after) == base.json ]] || fail "only base.json on the disk, not: $(ls -A after)"
	unchanged kept/base.json
}

# A report that nobody could read is no success, but the files are there.
test_standard_output_that_is_full_or_closed() {
	baseline_of_100
	capture bash -c "'$PERFGATE' run --metrics allocations --baseline base.json -- '$toil' make 100 >/dev/full"
	((status == 1)) || fail "exit status 1"
	expect_stderr "No space left on device"
	expect_json perfgate-out/result.json .schema
	# Whoever reads only the first line is no error of ours to die from.
	capture bash -c "'$PERFGATE' run --metrics allocations --baseline base.json -- '$toil' make 100 | true; exit \${PIPESTATUS[0]}"
	((status == 0 || status == 1)) || fail "exit status 0 or 1, no signal"
}

run_tests "$@"
