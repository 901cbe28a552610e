#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# doctor.sh - what perfgate doctor says of the machine, and that --interference tells a command that is disturbed
# from one that is not: a preloaded library disturbs on purpose, in each way that is looked for.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

test_the_machine() {
	expect_exit 0 -- perfgate doctor
	expect_stdout "agent, event clock"
	expect_stdout "ptrace"
	# the tick that the kernel was built with is one of these
	grep -qE 'at most (100|250|300|1000) times a second' "$said/stdout" || fail "the kernel's tick"
	grep -qE '^  noise +[0-9.]+ %  ' "$said/stdout" || fail "a figure for the noise"
	grep -qE '^(What to change|Nothing needs to be changed)' "$said/stdout" || fail "what to change"
}

test_usage() {
	expect_exit 1 -- perfgate doctor true
	expect_stderr "the command stands behind --"
	expect_exit 1 -- perfgate doctor -- true
	expect_stderr "doctor --interference -- COMMAND"
	expect_exit 1 -- perfgate doctor --interference
	expect_stderr "a command is missing"
	expect_exit 1 -- perfgate doctor --interference --timeout 5 -- true
}

# undisturbed COMMAND...: nothing differs, and something was compared.
undisturbed() {
	expect_exit 0 -- perfgate doctor --interference -- "$@"
	expect_stdout "The command does not notice"
	grep -qE '^exit status +same ' "$said/stdout" || fail "exit statuses that were compared"
}

test_commands_that_notice_nothing() {
	undisturbed "$PERFGATE_FIXTURES/alloc_tree" fork-exec 1000
	undisturbed "$PERFGATE_FIXTURES/cpu_signals" handlers
	undisturbed "$PERFGATE_FIXTURES/cpu_signals" waits
	undisturbed "$PERFGATE_FIXTURES/alloc_threads" pairs 8 1000
	undisturbed jq -n '[range(10000)] | add'
	undisturbed sqlite3 :memory: 'select sum(value) from (with recursive c(value) as (select 1 union all select value + 1 from c limit 1000) select value from c)'
	undisturbed sh -c 'seq 2000 | sort -n | tail -n 1; (sleep 0.01 &) ; exec cat /etc/passwd'
}

# disturbed WAY,... [SECONDS]: the library disturbs in these ways a target that sleeps so long. (A sanitized perfgate is
# preloaded with it as well, and must not mind.)
disturbed() {
	ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 CLUMSY=$1 LD_PRELOAD=$PERFGATE_FIXTURES/libclumsy.so \
		expect_exit 1 -- perfgate doctor --interference -- sh -c 'cat /dev/null; sleep '"${2-0}"'; exec sort /dev/null'
	expect_stdout "The command notices"
	expect_stderr "exit status 1: error: the command is not what it is without perfgate"
}

# rows WORD CHECK...: what the rows of these checks say of each pass.
rows() {
	local word=$1 check
	shift
	for check; do
		grep -qE "^$check( +$word){4}\$" "$said/stdout" || fail "the row: $check $word"
	done
}

# A shell keeps its environment in blocks: names of the libraries in different lengths would be other sizes.
test_a_shell_notices_nothing() {
	expect_exit 0 -- perfgate doctor --interference -- bash -c 'export x=1; echo hi'
	rows same 'block sizes' environment 'standard output'
}

# The probe asks the kernel more than this program's own filter allows: that is not said of the program.
test_a_filter_that_forbids_the_probe() {
	expect_exit 5 -- perfgate doctor --interference -- "$PERFGATE_FIXTURES/guest_filter" few
	expect_stderr "with only the probe in it; its seccomp filter may forbid what the probe asks"
}

test_each_disturbance_is_told() {
	disturbed descriptor,signal,output
	rows DIFFERS 'descriptor numbers' 'open at the end' signals 'standard output'
	rows same errno 'block sizes' environment 'standard error' threads 'programs run' 'interrupted calls' 'exit status'
	grep -qE '^ +bare +3$' "$said/stdout" || fail "the first free number is 3 in a bare run"
	disturbed errno,size,error-output
	rows DIFFERS errno 'block sizes' 'standard error'
	rows same 'descriptor numbers' 'open at the end' signals 'standard output' threads 'programs run' 'exit status'
	disturbed thread,variable
	rows DIFFERS threads environment
	rows same 'descriptor numbers' errno signals 'programs run' 'exit status'
	disturbed program
	rows DIFFERS 'programs run'
	disturbed interrupt 0.2
	rows DIFFERS 'interrupted calls'
	disturbed status
	rows DIFFERS 'exit status'
}

# A process number is another one each time.
test_what_varies_by_itself_is_not_judged() {
	expect_exit 0 -- perfgate doctor --interference -- sh -c 'echo $$'
	grep -qE '^standard output +varies +varies +varies' "$said/stdout" || fail "output that varies"
	expect_stdout "so it is not judged"
}

test_commands_that_nothing_gets_into() {
	expect_exit 4 -- perfgate doctor --interference -- "$PERFGATE_FIXTURES/toil_static" make 1
	expect_stdout "statically linked"
}

test_commands_that_fail_bare() {
	expect_exit 5 -- perfgate doctor --interference -- sh -c 'exit 3'
	expect_stderr "exit status 3 without perfgate in it"
	# shellcheck disable=SC2016
	expect_exit 5 -- perfgate doctor --interference -- sh -c 'kill -9 $$'
	expect_stderr "signal 9"
	expect_exit 5 -- perfgate doctor --interference -- ./nowhere
	expect_exit 5 -- perfgate doctor --interference --timeout 300ms -- sleep 60
	expect_stderr "raise --timeout"
	no_process_left
}

run_tests "$@"
