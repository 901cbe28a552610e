# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib.sh - what the end-to-end tests are written in. To be sourced, first.
#
# A test is a function test_*; `run_tests "$@"` at the end of a file runs all of them, or those that are named, each
# in an empty folder of its own that is gone afterwards. The first expectation that is not met ends the test and
# shows what the program said.
#
# From the environment: PERFGATE, the program; PERFGATE_FIXTURES, the folder of the target programs.
set -euo pipefail

: "${PERFGATE:?names the program to test}" "${PERFGATE_FIXTURES:?names the folder of the target programs}"
# shellcheck disable=SC2034 # these are for those who source this
tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
export LC_ALL=C.UTF-8
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY GITHUB_WORKSPACE LD_PRELOAD NO_COLOR

# A sanitizer's complaint must not look like an exit status of perfgate.
export ASAN_OPTIONS=exitcode=86 LSAN_OPTIONS=exitcode=86 UBSAN_OPTIONS=exitcode=86:print_stacktrace=1

# The targets, for short.
# shellcheck disable=SC2034
toil=$PERFGATE_FIXTURES/toil act=$PERFGATE_FIXTURES/act

# Where a test's captured output and its status go, beside its folder.
said=
status=

# ---- running ----

# perfgate ARG...: the program; whatever it starts carries a mark by which no_process_left finds it.
perfgate() { PERFGATE_TEST_MARK=$PWD "$PERFGATE" "$@"; }

fail() {
	printf '    expected %s\n' "$*"
	if [[ -n $status ]]; then
		printf '    exit status %s\n' "$status"
		sed 's/^/    stdout| /' "$said/stdout" | tail -n 40
		sed 's/^/    stderr| /' "$said/stderr" | tail -n 40
	fi
	exit 1
}

# capture COMMAND...: its exit status, standard output and standard error, kept for what comes behind.
capture() {
	status=0
	"$@" >"$said/stdout" 2>"$said/stderr" </dev/null || status=$?
	if grep -qE 'Sanitizer|runtime error:' "$said/stderr"; then fail "no complaint of a sanitizer"; fi
}

# The words that the last line on standard error must have for each exit status (interface: "says the code's meaning
# in words when it is not 0").
meaning=([1]='error' [2]='regression' [3]='warning' [4]='nothing was evaluated' [5]='target failed')

check_last_line() {
	local last
	last=$(tail -n 1 "$said/stderr")
	if ((status == 0)); then
		[[ $last != *"exit status"* ]] || fail "no exit status on standard error"
	else
		[[ $last == *"exit status $status"*${meaning[status]}* ]] ||
			fail "'exit status $status ... ${meaning[status]}' in the last line on standard error"
	fi
}

# expect_exit CODE -- COMMAND...: runs it; it must end with CODE and say what that means.
expect_exit() {
	local code=$1
	shift 2
	capture "$@"
	((status == code)) || fail "exit status $code of: $*"
	check_last_line
}

# ---- looking ----

expect_stdout() { grep -qF -- "$1" "$said/stdout" || fail "on standard output: $1"; }
expect_stderr() { grep -qF -- "$1" "$said/stderr" || fail "on standard error: $1"; }
expect_no_stderr() { ! grep -qF -- "$1" "$said/stderr" || fail "not on standard error: $1"; }
expect_empty_stdout() { [[ ! -s $said/stdout ]] || fail "nothing on standard output"; }

# expect_text FILE TEXT
expect_text() { grep -qF -- "$2" "$1" || fail "in $1: $2, but it has: $(head -c 2000 "$1")"; }

# expect_json FILE FILTER: the jq filter must give true (and not null or false) on the file.
expect_json() {
	jq -e "$2" "$1" >"$said/jq" 2>&1 ||
		fail "of $1: $2, but it gives $(head -c 500 "$said/jq"); it has: $(jq -c 'del(.functions, .sites)' "$1" | head -c 3000)"
}

# The row of METRIC in the first benchmark of perfgate-out/result.json (or FILE) must satisfy the jq filter.
expect_row() { expect_json "${3:-perfgate-out/result.json}" ".benchmarks[0].metrics[] | select(.metric == \"$1\") | $2"; }

expect_missing() { [[ ! -e $1 && ! -L $1 ]] || fail "that there is no $1"; }

# remember FILE, then unchanged FILE: the same bytes in the same place.
remember() { sha256sum -- "$1" >"$said/sum.${1//\//,}"; }
unchanged() { sha256sum --status -c "$said/sum.${1//\//,}" || fail "that $1 is as it was"; }

# only_files NAME...: the current folder holds these and nothing else, so no temporary file was left.
only_files() {
	local got want
	got=$(find . -mindepth 1 -maxdepth 1 -printf '%P\n' | sort)
	want=$(printf '%s\n' "$@" | sort)
	[[ $got == "$want" ]] || fail "only these files here: ${want//$'\n'/ }; there are: ${got//$'\n'/ }"
}

# ---- processes ----

# The processes that perfgate started from this folder and that still run.
marked_processes() {
	# What ends while it is looked at is no error.
	{ grep -lzxF "PERFGATE_TEST_MARK=$PWD" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d / -f 3
}

no_process_left() {
	local left i
	for ((i = 0; i < 50; i++)); do
		left=$(marked_processes)
		[[ -n $left ]] || return 0
		sleep 0.1
	done
	# shellcheck disable=SC2086 # a list
	left="$(ps -o pid=,args= -p ${left//$'\n'/,} | tr '\n' ';'; kill -9 $left 2>/dev/null)"
	fail "no process left of the target; there are: $left"
}

# wait_for FILE: until it is there and not empty.
wait_for() {
	local i
	for ((i = 0; i < 1000; i++)); do
		[[ ! -s $1 ]] || return 0
		sleep 0.02
	done
	fail "that $1 appears"
}

# ---- other users ----

# A copy of the program that everybody may run; its path is in $shared afterwards.
share_program() {
	local folder
	folder=$(dirname -- "$PERFGATE")
	mkdir -p "$said/program"
	cp "$PERFGATE" "$folder/perfgate-helper" "$folder"/libperfgate-*.so "$PERFGATE_FIXTURES/toil" "$said/program/"
	chmod -R a+rX "$said"
	chmod a+w "$said/stdout" "$said/stderr"
	# shellcheck disable=SC2034
	shared=$said/program/perfgate
}

# as_user COMMAND...: as an ordinary user, whom the permissions of files stop.
as_user() {
	if ((EUID == 0)); then
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
	else
		"$@"
	fi
}

# ---- configurations and baselines ----

# config BENCHMARK...: perfgate.json with these benchmarks, each a JSON object; the rest of it in $limits.
limits=
config() {
	local IFS=,
	printf '{ "benchmarks": [ %s ]%s }\n' "$*" "${limits:+, \"thresholds\": $limits}" >perfgate.json
}

# benchmark NAME [KEY JSON]... -- COMMAND...: one such object, measured as quickly as can be.
benchmark() {
	local name=$1 keys='{"runs": 1, "warmup": 0}'
	shift
	while [[ $1 != -- ]]; do
		keys=$(jq -cn --argjson o "$keys" --arg k "$1" --argjson v "$2" '$o + { ($k): $v }')
		shift 2
	done
	shift
	jq -cn --arg name "$name" --argjson o "$keys" '$o + { name: $name, command: $ARGS.positional }' --args -- "$@"
}

# make_baseline FILE ARG...: what `perfgate run --save-baseline` makes, for tests of what is done with it.
make_baseline() {
	local file=$1
	shift
	perfgate run --quiet --output "$said/baseline-out" --save-baseline "$file" "$@" >"$said/stdout" 2>"$said/stderr" </dev/null ||
		fail "a baseline from: run $*, but: $(cat "$said/stderr")"
}

# edit FILE FILTER: what jq makes of it, in place.
edit() {
	jq "$2" "$1" >"$said/edited"
	cat "$said/edited" >"$1"
}

# ---- the runner ----

# run_one FOLDER TEST: in a shell of its own, which the first failure ends.
run_one() (
	set -euo pipefail
	cd "$1/case"
	"$2"
)

run_tests() {
	local folder n=0 failed=0 code t began_us took_ms
	local -a names=("$@")
	((${#names[@]})) || mapfile -t names < <(declare -F | awk '$3 ~ /^test_/ { print $3 }')
	((${#names[@]})) || {
		echo "no tests"
		exit 1
	}
	for t in "${names[@]}"; do
		folder=$(mktemp -d "${TMPDIR:-/tmp}/perfgate-e2e.XXXXXX")
		chmod 755 "$folder"
		said=$folder/said
		mkdir "$folder/case" "$said"
		touch "$said/stdout" "$said/stderr"
		code=0
		began_us=${EPOCHREALTIME/./}
		set +e
		run_one "$folder" "$t"
		code=$?
		set -e
		took_ms=$(((${EPOCHREALTIME/./} - began_us) / 1000))
		rm -rf -- "$folder"
		n=$((n + 1))
		if ((code == 0)); then
			echo "ok: $t ($took_ms ms)"
		else
			echo "FAILED: $t ($took_ms ms)"
			failed=$((failed + 1))
		fi
	done
	echo "$((n - failed)) of $n tests passed"
	((failed == 0)) || exit 1
}
