#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# config.sh - perfgate.json in every wrong form: status 1, file:line:column and what was expected, and no target
# was started. Lines and columns are counted by hand in the text beside them.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# The target of all these configurations leaves a file behind: nothing wrong may ever start it.
started='"command": ["touch", "was-started"]'

# refused PLACE TEXT...: the configuration on standard input is refused at LINE:COLUMN with these words.
refused() {
	local place=$1 text
	shift
	cat >perfgate.json
	remember perfgate.json
	expect_exit 1 -- perfgate run --save-baseline new.json
	expect_stderr "perfgate.json:$place"
	for text; do expect_stderr "$text"; done
	expect_empty_stdout
	unchanged perfgate.json
	only_files perfgate.json
}

test_not_json() {
	refused 1:1 <<<'benchmarks: []'
	refused 1:1 "is empty" </dev/null
	refused 1:1 <<<'[]'
	# The object is never closed: the place is the end of the text, the start of line 2.
	refused 2:1 "end of the file" <<<'{ "benchmarks": ['
	refused 1:20 <<<'{ "thresholds": {},}'
	refused 1:16 <<<"{ \"benchmarks\" 1 }"
	printf '{ "benchmarks": [{ "name": "\377" }] }' | refused 1:2
}

test_what_follows_the_object() {
	refused 2:1 <<END
{ "benchmarks": [{ "name": "a", $started }] }
{}
END
}

test_unknown_keys_name_the_nearest() {
	refused 1:3 '"benchmark"' '"benchmarks"' <<<'{ "benchmark": [] }'
	refused 3:3 '"comand"' '"command"' <<'END'
{ "benchmarks": [{
  "name": "a",
  "comand": ["true"] }] }
END
	refused 2:20 '"max_incraese"' '"max_increase"' <<END
{ "thresholds": { "allocations":
                 { "max_incraese": "1%" } }, "benchmarks": [{ "name": "a", $started }] }
END
	refused 1:19 '"alocations"' '"allocations"' <<END
{ "thresholds": { "alocations": { "max": 1 } }, "benchmarks": [{ "name": "a", $started }] }
END
	# min_share belongs to cpu_share alone.
	refused 1:36 '"min_share"' <<END
{ "thresholds": { "allocations": { "min_share": "2%" } }, "benchmarks": [{ "name": "a", $started }] }
END
}

test_duplicates() {
	refused 3:13 'duplicate' '"same"' <<END
{ "benchmarks": [
  { "name": "same", $started },
  { "name": "same", $started } ] }
END
	refused 2:20 '"name"' <<END
{ "benchmarks": [{
      "name": "a", "name": "b", $started }] }
END
	refused 2:34 'duplicate metric "allocations"' <<END
{ "benchmarks": [{ "name": "a", $started,
      "metrics": ["allocations", "allocations"] }] }
END
}

test_missing_keys() {
	refused 1 '"benchmarks"' <<<'{ }'
	refused 1:17 'at least one benchmark' <<<'{ "benchmarks": [] }'
	refused 1:18 '"command"' <<<'{ "benchmarks": [{ "name": "a" }] }'
	refused 1:18 '"name"' <<<"{ \"benchmarks\": [{ $started }] }"
}

test_wrong_types() {
	refused 1:17 'array' <<<'{ "benchmarks": {} }'
	refused 1:28 'string' <<<"{ \"benchmarks\": [{ \"name\": 7, $started }] }"
	refused 1:44 'array' <<<'{ "benchmarks": [{ "name": "a", "command": "true -x" }] }'
	refused 1:44 'program' <<<'{ "benchmarks": [{ "name": "a", "command": [] }] }'
	refused 2:9 'number' <<END
{ "benchmarks": [{ "name": "a", $started,
"runs": "5" }] }
END
	refused 2:9 '1' <<END
{ "benchmarks": [{ "name": "a", $started,
"runs": 0 }] }
END
	refused 2:9 <<END
{ "benchmarks": [{ "name": "a", $started,
"runs": 1.5 }] }
END
	refused 2:8 'object' <<END
{ "benchmarks": [{ "name": "a", $started,
"env": ["A=1"] }] }
END
	refused 2:14 'string' <<END
{ "benchmarks": [{ "name": "a", $started,
"env": {"A": 1} }] }
END
	refused 2:16 '255' <<END
{ "benchmarks": [{ "name": "a", $started,
"expect_exit": 256 }] }
END
	refused 2:13 'alocations' 'did you mean "allocations"' <<END
{ "benchmarks": [{ "name": "a", $started,
"metrics": ["alocations"] }] }
END
}

# A name becomes a folder below perfgate-out.
test_names_that_would_leave_the_output_folder() {
	local name
	for name in ../up /etc a/b . ..; do
		refused 1:28 'name of a benchmark' <<<"{ \"benchmarks\": [{ \"name\": \"$name\", $started }] }"
	done
	refused 1:28 <<<"{ \"benchmarks\": [{ \"name\": \"\", $started }] }"
}

test_bad_units() {
	refused 2:12 "'5' is not a duration" <<END
{ "benchmarks": [{ "name": "a", $started,
"timeout": "5" }] }
END
	refused 2:12 'duration' <<END
{ "benchmarks": [{ "name": "a", $started,
"timeout": 5 }] }
END
	refused 2:12 "'5 parsecs'" <<END
{ "benchmarks": [{ "name": "a", $started,
"timeout": "5 parsecs" }] }
END
	limit_refused max '"150MiBB"' "150MiBB"
	limit_refused max_increase '"5%%"' "5%%"
	limit_refused max_increase '"five"' "five"
	limit_refused max_increase '""'
	limit_refused max_increase true
}

# limit_refused KEY JSON TEXT...: as a limit of peak_heap. The value stands in line 2 behind {"peak_heap":{"KEY":, which
# is 17 characters and the key's.
limit_refused() {
	local key=$1 value=$2
	shift 2
	refused 2:$((18 + ${#key})) "$@" <<END
{ "benchmarks": [{ "name": "a", $started }], "thresholds":
{"peak_heap":{"$key":$value}} }
END
}

# Whatever could be read as a ratio is refused with the two things that may have been meant.
test_ratios_where_a_worsening_belongs() {
	limit_refused max_increase '"1.05"' '"5%"'
	limit_refused max_increase '1.05' '"5%"'
	limit_refused max_increase '"105%"' '"+105%"' '"5%"'
	limit_refused max_increase '"-5%"'
}

test_points_belong_to_shares() {
	limit_refused max_increase '"5pp"' "pp"
	refused 2:30 <<END
{ "benchmarks": [{ "name": "a", $started }], "thresholds":
{"cpu_share":{"max_increase":"5%"}} }
END
}

test_the_file_itself() {
	expect_exit 1 -- perfgate run --config nowhere.json
	expect_stderr "nowhere.json: cannot open"
	mkdir perfgate.json
	expect_exit 1 -- perfgate run
	expect_stderr "perfgate.json: is a directory"
	rmdir perfgate.json
	truncate -s 5M perfgate.json # more than any configuration
	expect_exit 1 -- perfgate run
	expect_stderr "perfgate.json"
	expect_stderr "MiB"
	only_files perfgate.json
}

test_unreadable_file() {
	share_program
	echo '{}' >perfgate.json
	chmod 000 perfgate.json
	expect_exit 1 -- as_user "$shared" run
	expect_stderr "perfgate.json"
	expect_stderr "Permission denied"
}

# Paths are relative to the file's folder, not to where perfgate is started; "cwd" too.
test_paths_are_relative_to_the_file() {
	mkdir -p project/bin project/inner elsewhere
	cp "$toil" project/bin/
	echo 'input' >project/input
	cat >project/perfgate.json <<'END'
{ "benchmarks": [{
  "name": "a", "command": ["sh", "-c", "cat >out && exec ../bin/toil make 5"],
  "cwd": "inner", "stdin": "input", "runs": 1, "warmup": 0, "metrics": ["wall_time"] },
  { "name": "b", "command": ["./bin/toil", "make", "5"], "runs": 1, "warmup": 0, "metrics": ["wall_time"] }] }
END
	cd elsewhere
	expect_exit 0 -- perfgate run --config ../project/perfgate.json --save-baseline here.json
	[[ $(cat ../project/inner/out) == input ]] || fail "that standard input is the configured file"
	only_files here.json perfgate-out
}

test_environment_and_expected_exit() {
	cat >perfgate.json <<'END'
{ "benchmarks": [{ "name": "a", "command": ["sh", "-c", "exit $CODE"], "env": {"CODE": "7"}, "expect_exit": 7,
                   "runs": 1, "warmup": 0, "metrics": ["wall_time"] }] }
END
	expect_exit 0 -- perfgate run --save-baseline new.json
	sed -i 's/"expect_exit": 7/"expect_exit": 8/' perfgate.json
	expect_exit 5 -- perfgate run --save-baseline new.json
	expect_stderr "exit status 7"
	expect_stderr "expected 8"
}

# The words of the command line lie over those of the file.
test_options_override_the_file() {
	config "$(benchmark a runs 7 metrics '["wall_time", "allocations"]' -- "$toil" make 5)" \
		"$(benchmark b -- "$toil" make 5)"
	expect_exit 0 -- perfgate run --save-baseline new.json --runs 3 --metrics wall_time --filter 'a*'
	expect_json new.json '[.benchmarks[].name] == ["a"]'
	expect_json new.json '.benchmarks[0].metrics | keys == ["wall_time"]'
	expect_json new.json '.benchmarks[0].metrics.wall_time.samples | length == 3'
	# A part must not replace the whole.
	expect_exit 0 -- perfgate run --save-baseline whole.json --runs 1 --metrics wall_time
	remember whole.json
	expect_exit 1 -- perfgate run --save-baseline whole.json --runs 1 --metrics wall_time --filter 'a*'
	expect_stderr "holds 'b'"
	unchanged whole.json
	expect_exit 4 -- perfgate run --filter 'nothing-like-this'
	expect_stderr "--filter"
	# A lone command is no choice.
	expect_exit 1 -- perfgate run --filter 'a*' -- "$toil" make 1
	expect_stderr "--filter chooses from perfgate.json"
}

# A limit on a metric that nobody measures would always be kept: it asks for its metric.
test_a_limit_asks_for_its_metric() {
	make_baseline base.json --runs 1 --metrics wall_time -- "$toil" make 5
	edit base.json '.benchmarks[0].name = "a"'
	limits='{"instructions": {"max_increase": "1%"}}' config "$(benchmark a -- "$toil" make 5)"
	expect_exit 4 -- perfgate run --baseline base.json
	expect_row instructions '.status == "unavailable"'
	config "$(benchmark a -- "$toil" make 5)"
	expect_exit 0 -- perfgate run --baseline base.json
	expect_exit 4 -- perfgate run --baseline base.json --threshold instructions=1%
	expect_exit 0 -- perfgate run --baseline base.json --metrics wall_time --threshold instructions=1%
}

run_tests "$@"
