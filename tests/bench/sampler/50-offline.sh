# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# From the captured stacks of clang's allocations to a profile, against heaptrack_print on heaptrack's file: CPU time of
# perfgate outside the program, so with its start and what it does meanwhile. The peer's other process, which made that
# file while the program ran, is not counted.

heap_offline() {
	local i ours theirs=unknown
	start_rows
	spend_peer peer-whole heaptrack -o "$out/heaptrack-print" "${clang_program[@]}"
	for ((i = 0; i < rounds; i++)); do
		record "" "$heap_metrics" -- "${clang_program[@]}"
		# shellcheck disable=SC2016 # the inner shell expands it
		spend_peer peer-offline sh -c 'heaptrack_print -f "$1" >/dev/null' - "$(heaptrack_file)"
	done
	ours=$(paste <(values whole cpu) <(values own cpu) | awk '{ print $1 - $2 }' | median)
	peer_offline() { seconds "$(values peer-offline cpu | median)"; }
	[[ -e $out/failed/peer-offline ]] || theirs=$(values peer-offline cpu | median)
	against "capture to profile: clang, allocations" "" "$(seconds "$ours")" \
		"$(of_peer peer-offline "heaptrack_print" peer_offline)" "peer" "$ours" "$theirs"
}

# Its ending depends on what it finds to compress with.
heaptrack_file() { find "$out" -maxdepth 1 -name 'heaptrack-print.*' -print -quit; }

heap_offline
