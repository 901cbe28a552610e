#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage.sh - words and options that are wrong: each is status 1, names the word and what was expected, and nothing is
# measured or written.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# refused TEXT -- ARG...: status 1, TEXT on standard error, nothing on standard output, no file made.
refused() {
	local text=$1
	shift 2
	expect_exit 1 -- perfgate "$@"
	expect_stderr "$text"
	expect_empty_stdout
	[[ -z $(ls -A) ]] || fail "that no file was made by: $*"
}

test_missing_command_shows_the_commands() {
	refused "a command is missing" --
	expect_stderr "perfgate run"
}

# One letter wrong, two swapped, one missing: the nearest command is named.
test_unknown_command_names_the_nearest() {
	refused "unknown command 'rum', did you mean 'run'?" -- rum
	refused "unknown command 'comapre', did you mean 'compare'?" -- comapre a b
	refused "unknown command 'basline', did you mean 'baseline'?" -- basline show
	refused "unknown command 'xylophone'" -- xylophone
	expect_stderr "perfgate help"
}

test_unknown_option_names_the_nearest() {
	refused "unknown option '--basline', did you mean '--baseline'?" -- run --basline x -- true
	refused "unknown option '--fail-on-warm', did you mean '--fail-on-warn'?" -- run --fail-on-warm -- true
	refused "unknown option '--treshold', did you mean '--threshold'?" -- compare --treshold=1% a b
	refused "unknown option '--acept', did you mean '--accept'?" -- baseline refresh --acept why
	refused "unknown option '--xylophone'" -- run --xylophone -- true
	refused "'-Z'" -- run -Z -- true
}

test_an_option_in_front_of_the_command() {
	refused "--baseline" -- --baseline x run
	expect_stderr "perfgate COMMAND"
}

test_options_that_lack_or_refuse_a_value() {
	refused "--baseline needs a value" -- run --baseline
	refused "--strict takes no value" -- run --strict=yes -- true
	refused "--baseline: expected FILE" -- run --baseline= -- true
}

test_values_of_a_wrong_kind() {
	refused "--runs" -- run --runs many -- true
	refused "--runs" -- run --runs 0 -- true
	refused "--runs" -- run --runs -1 -- true
	refused "--runs" -- run --runs 4294967296 -- true # 2^32
	refused "--timeout: '5' is not a duration" -- run --timeout 5 -- true
	refused "--timeout" -- run --timeout 0s -- true
	refused "--format: 'yaml' is none of text, json" -- run --format yaml -- true
	refused "--color" -- run --color blue -- true
	refused "--engine" -- run --engine steam -- true
	refused "--metrics: unknown metric 'alocations', did you mean 'allocations'?" -- run --metrics alocations -- true
	refused "--metrics" -- run --metrics "" -- true
}

test_thresholds_on_the_command_line() {
	refused "alocations" -- run --threshold alocations=5% -- true
	expect_stderr 'did you mean "allocations"?'
	refused "--threshold" -- run --threshold allocations -- true
	# 1.05 and 105% could be ratios: the message says what to write instead.
	refused "+105%" -- run --threshold allocations=105% -- true
	refused "5%" -- run --threshold wall_time=1.05 -- true
	refused "--threshold" -- run --threshold peak_heap=5parsecs -- true
}

test_words_that_are_too_many_or_too_few() {
	refused "unexpected word './program'" -- run ./program
	expect_stderr "behind --"
	refused "a command is missing behind --" -- run --
	refused "compare takes two files, got 0" -- compare
	refused "compare takes two files, got 1" -- compare a
	refused "compare takes two files, got 3" -- compare a b c
	refused "an action is missing" -- baseline
	refused "unknown action 'refrehs', did you mean 'refresh'?" -- baseline refrehs
	refused "unexpected word 'x'" -- baseline verify x
}

test_run_without_configuration_or_command() {
	refused "there is no perfgate.json here" -- run
	refused "--config" -- run --config perfgate.json -- true
}

test_help_and_version() {
	local command
	expect_exit 0 -- perfgate help
	expect_stdout "perfgate COMMAND"
	expect_exit 0 -- perfgate --help
	expect_stdout "perfgate COMMAND"
	for command in run compare baseline top doctor; do
		expect_exit 0 -- perfgate "$command" --help
		expect_stdout "usage: perfgate $command"
		expect_exit 0 -- perfgate help "$command"
		expect_stdout "usage: perfgate $command"
	done
	expect_exit 0 -- perfgate --version
	# The version is the one of the build description.
	expect_stdout "perfgate $(sed -n 's/^project(perfgate VERSION \([0-9.]*\).*/\1/p' "$tree/CMakeLists.txt")"
	refused "unknown command 'rum', did you mean 'run'?" -- help rum
}

# A full disk behind standard output is no success.
test_output_that_does_not_arrive() {
	capture sh -c "'$PERFGATE' help >/dev/full"
	((status == 1)) || fail "exit status 1"
	expect_stderr "cannot write to standard output"
	expect_stderr "No space left on device"
}

run_tests "$@"
