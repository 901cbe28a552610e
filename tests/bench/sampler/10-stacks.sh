# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# Exact stacks of every allocation, live bytes sampled (the default), against heaptrack: what the program itself takes,
# and what everything takes until the profile is written.

# exact_stacks WHAT GOAL WHOLE_GOAL COMMAND...
exact_stacks() {
	local what=$1 goal=$2 whole_goal=$3 i own whole
	shift 3
	start_rows
	for ((i = 0; i < rounds; i++)); do
		spend alone "$@"
		record "" "$heap_metrics" -- "$@"
		under_heaptrack peer "$@"
		spend_peer peer-whole heaptrack -o "$out/heaptrack" "$@"
		spend alone "$@"
	done
	own=$(times_alone own) whole=$(times_alone whole)
	against "exact stacks: $what" "$(seconds "$(values alone cpu | median)")" "$(times "$own")" \
		"$(of_peer peer heaptrack peer_times peer)" "$goal x" "$own" "$goal"
	against "... with start, symbols and pprof written" "" "$(times "$whole")" \
		"$(of_peer peer-whole heaptrack peer_times peer-whole)" "$whole_goal x" "$whole" "$whole_goal"
}

exact_stacks "jq, 35 MB of JSON" 1.08 1.12 "${jq_program[@]}"
exact_stacks "clang++ -O1, <regex>" 1.15 1.3 "${clang_program[@]}"
