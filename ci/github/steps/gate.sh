#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# gate.sh - `perfgate run` with the action's inputs; outputs verdict, exit-code, result and summary.
#
# The inputs come as INPUT_* variables and are only ever used as words of an argument list or as a folder's name. The
# exit status is perfgate's own, with one exception: a pass that left no result gated nothing and fails.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=ci/github/steps/lib.sh
. "$here/lib.sh"

# finish VERDICT EXIT_CODE RESULT SUMMARY
finish() {
	gh_output verdict "$1"
	gh_output exit-code "$2"
	gh_output result "$3"
	gh_output summary "$4"
	exit "$2"
}

refuse() {
	gh_error "$1"
	finish error 1 '' ''
}

# read_args: splits INPUT_ARGS into extra[]. xargs knows quotes and backslashes and nothing else of the shell.
read_args() {
	local words
	words=$(mktemp "$RUNNER_TEMP/perfgate-args.XXXXXX")
	printf '%s' "${INPUT_ARGS:-}" | xargs -r printf '%s\0' >"$words" ||
		refuse "input args: a quote is not closed on its line: ${INPUT_ARGS:-}"
	mapfile -d '' -t extra <"$words"
	rm -f -- "$words"
}

# output_folder ARG...: where perfgate will write, by its options.
output_folder() {
	local folder=perfgate-out
	while (($# > 0)); do
		case $1 in
		--output=*) folder=${1#*=} ;;
		-o | --output) folder=${2:-$folder} ;;
		esac
		shift
	done
	[[ $folder == /* ]] || folder=$PWD/$folder
	printf '%s\n' "$folder"
}

# stamp FILE: differs when the file was written again; empty when there is none.
stamp() { stat -c '%i %y %s' -- "$1" 2>/dev/null || true; }

# written FILE STAMP_BEFORE: the file's name when this run wrote it.
written() { [[ -z $(stamp "$1") || $(stamp "$1") == "$2" ]] || printf '%s\n' "$1"; }

# verdict_of RESULT: the verdict in it, "error" when there is no result to be read.
verdict_of() {
	local verdict=''
	[[ -z $1 ]] || verdict=$(jq -r '.verdict // ""' <"$1" 2>/dev/null) || true
	case $verdict in
	pass | warn | fail | inconclusive) printf '%s\n' "$verdict" ;;
	*) echo error ;;
	esac
}

main() {
	local extra=() options=() folder=${INPUT_WORKING_DIRECTORY:-.} out result summary before_result before_summary status=0

	[[ $folder == /* ]] || folder=./$folder
	cd -- "$folder" 2>/dev/null ||
		refuse "input working-directory: no such folder: ${INPUT_WORKING_DIRECTORY:-}"
	read_args
	[[ -z ${INPUT_CONFIG:-} ]] || options+=(--config "$INPUT_CONFIG")
	[[ -z ${INPUT_BASELINE:-} ]] || options+=(--baseline "$INPUT_BASELINE")
	case ${INPUT_FAIL_ON_WARN:-false} in
	true) options+=(--fail-on-warn) ;;
	false) ;;
	*) refuse "input fail-on-warn: expected true or false, not: $INPUT_FAIL_ON_WARN" ;;
	esac

	out=$(output_folder "${extra[@]}")
	before_result=$(stamp "$out/result.json")
	before_summary=$(stamp "$out/summary.md")
	"$PERFGATE_FOLDER/bin/perfgate" run "${options[@]}" "${extra[@]}" || status=$?

	result=$(written "$out/result.json" "$before_result")
	summary=$(written "$out/summary.md" "$before_summary")
	if ((status == 0)) && [[ -z $result ]]; then
		refuse "perfgate ended well but wrote no $out/result.json: nothing was gated"
	fi
	finish "$(verdict_of "$result")" "$status" "$result" "$summary"
}

main
