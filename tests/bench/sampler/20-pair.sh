# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# A malloc/free pair in a loop, with stacks, against gperftools' heap profiler. That one takes so long that its loop is
# shorter, and it dumps a profile whenever another GiB was allocated.

pair() {
	local pairs=16000000 peer_pairs=1000000 i alone own
	start_rows
	for ((i = 0; i < rounds; i++)); do
		spend alone "$bin/bench_malloc_pair" 1 "$pairs"
		record "" allocations -- "$bin/bench_malloc_pair" 1 "$pairs"
		spend_peer peer env LD_PRELOAD="$tcmalloc_library" HEAPPROFILE="$out/gperftools" \
			"$bin/bench_malloc_pair" 1 "$peer_pairs"
	done
	alone=$(calc "$(values alone cpu | median) / $pairs") own=$(calc "$(values own cpu | median) / $pairs")
	peer_pair() { nanoseconds "$(calc "$(values peer cpu | median) / $peer_pairs")"; }
	against "exact stacks: malloc/free pair" "$(nanoseconds "$alone")" "$(nanoseconds "$own")" \
		"$(of_peer peer gperftools peer_pair)" "+20 ns" "$(calc "$own - $alone")" 20
}

pair
