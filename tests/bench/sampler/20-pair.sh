# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# A malloc/free pair in a loop, with stacks, against gperftools' heap profiler. That one takes so long that its loop is
# shorter, and it dumps a profile whenever another GiB was allocated.

# pair WHERE THREADS: threads are 0 for the main thread of a process that has no other.
pair() {
	local where=$1 threads=$2 pairs=16000000 peer_pairs=500000 i alone more
	start_rows
	for ((i = 0; i < rounds; i++)); do
		spend alone "$bin/bench_malloc_pair" "$threads" "$pairs"
		record "" "$heap_metrics" -- "$bin/bench_malloc_pair" "$threads" "$pairs"
		spend_peer peer env LD_PRELOAD="$tcmalloc_library" HEAPPROFILE="$out/gperftools" \
			"$bin/bench_malloc_pair" "$threads" "$peer_pairs"
		spend alone "$bin/bench_malloc_pair" "$threads" "$pairs"
	done
	alone=$(calc "$(values alone cpu | median) / $pairs") more=$(calc "$(more_than_alone own) / $pairs")
	peer_pair() { nanoseconds "$(calc "$(values peer cpu | median) / $peer_pairs")"; }
	against "exact stacks: malloc/free pair, $where" "$(nanoseconds "$alone")" "+$(nanoseconds "$more")" \
		"$(of_peer peer gperftools peer_pair)" "+20 ns" "$more" 20
}

pair "main thread" 0
pair "another thread" 1
