# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench, which sources this
# SPDX-License-Identifier: MIT
#
# Counting and sampling inside the target: CPU time with the agent against CPU time without it.
# CPU time over all threads, so that the number of cores does not matter; linear means the same cost in 8 threads as in 1.

pair_cost() {
	local threads=$1 pairs=$((16000000 / $1)) i alone counted
	for ((i = 0; i < rounds; i++)); do
		spend "alone-$threads" "$bin/bench_malloc_pair" "$threads" "$pairs"
		under "counted-$threads" allocations "$bin/bench_malloc_pair" "$threads" "$pairs"
	done
	alone=$(calc "$(values "alone-$threads" cpu | median) / 16e6")
	counted=$(calc "$(values "counted-$threads" cpu | median) / 16e6")
	row "counting: malloc/free pair, $threads thread(s)" "$(printf '%.1f ns' "$counted")" "$(printf '%.1f ns' "$alone")" \
		"$(printf '%.2f' "$(calc "$counted / $alone")")" "+15 ns" "$(calc "$counted - $alone")" 15
}

# program_cost WHAT GOAL_PERCENT METRICS COMMAND...
program_cost() {
	local what=$1 goal=$2 metrics=$3 i alone with
	shift 3
	rm -f -- "$out/alone" "$out/with"
	for ((i = 0; i < rounds; i++)); do
		spend alone "$@"
		under with "$metrics" "$@"
		spend alone "$@"
	done
	alone=$(values alone cpu | median) with=$(values with cpu | median)
	row "$what" "$(printf '%.3f s' "$(calc "$with / 1e9")")" "$(printf '%.3f s' "$(calc "$alone / 1e9")")" \
		"$(printf '%.3f' "$(calc "$with / $alone")")" "+$goal % CPU" "$(calc "$with / $alone")" "$(calc "1 + $goal / 100")"
}

"$pg_root/fixtures/make-events" 188000 >"$out/35MB.json"
for threads in 1 2 4 8; do
	pair_cost "$threads"
done
program_cost "counting: jq, 35 MB of JSON" 5 allocations jq '[.[] | select(.status >= 500)] | length' "$out/35MB.json"
program_cost "sampling at 997 Hz: jq, 35 MB of JSON" 1 cpu_share jq '[.[] | select(.status >= 500)] | length' "$out/35MB.json"
