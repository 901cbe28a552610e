# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# 8 threads that do little but allocate, at many depths: the CPU time that exact stacks add, against what heaptrack adds.

# added SIDE: at least a millisecond, in ns.
added() { more_than_alone "$1" | awk '{ print ($1 > 1e6 ? $1 : 1e6) }'; }

threads() {
	local i ours cheaper=unknown
	start_rows
	for ((i = 0; i < rounds; i++)); do
		spend alone "$bin/bench_malloc_trees" 8 500000
		record "" "$heap_metrics" -- "$bin/bench_malloc_trees" 8 500000
		under_heaptrack peer "$bin/bench_malloc_trees" 8 500000
		spend alone "$bin/bench_malloc_trees" 8 500000
	done
	ours=$(added own)
	[[ -e $out/failed/peer ]] || cheaper=$(printf '%.1f' "$(calc "$(added peer) / $ours")")
	peer_added() { printf '+%s' "$(seconds "$(added peer)")"; }
	against "exact stacks: 8 threads, 4 M allocations" "$(seconds "$(values alone cpu | median)")" "+$(seconds "$ours")" \
		"$(of_peer peer heaptrack peer_added)" ""
	against "... times cheaper than the peer" "" "$cheaper" "" "20" 20 "$cheaper"
}

threads
