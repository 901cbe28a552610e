# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# check.sh - the few words that the shell tests here are written in. To be sourced.
#
# Every check is named and counted; the script fails when one did, or when it ended without a check.
# shellcheck disable=SC2034 # for those who source this
tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
folder=$(mktemp -d "${TMPDIR:-/tmp}/perfgate test.XXXXXX") # a blank in every path
checks=0
failures=0

finish_checks() {
	local status=$?
	rm -rf -- "$folder"
	((status == 0)) || exit "$status"
	((checks > 0 && failures == 0)) || {
		echo "$failures of $checks checks failed"
		exit 1
	}
	echo "$checks checks passed"
}
trap finish_checks EXIT

# Runs COMMAND...; its output is in $output and its status in $status afterwards.
run() {
	status=0
	output=$("$@" 2>&1) || status=$?
}

report() {
	checks=$((checks + 1))
	if [[ $1 == yes ]]; then
		echo "ok: $2"
	else
		failures=$((failures + 1))
		echo "FAILED: $2 ($3)"
		printf '%s\n' "${output:-}" | sed 's/^/    | /'
	fi
}

# is WHAT GOT WANTED
is() { if [[ $2 == "$3" ]]; then report yes "$1"; else report no "$1" "got '$2', wanted '$3'"; fi; }
# has WHAT TEXT PART
has() { if [[ $2 == *"$3"* ]]; then report yes "$1"; else report no "$1" "no '$3' in it"; fi; }
# lacks WHAT TEXT PART
lacks() { if [[ $2 != *"$3"* ]]; then report yes "$1"; else report no "$1" "'$3' in it"; fi; }
# exists WHAT FILE
exists() { if [[ -e $2 ]]; then report yes "$1"; else report no "$1" "there is no $2"; fi; }
