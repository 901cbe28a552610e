# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench, which sources this
# SPDX-License-Identifier: MIT
#
# perfgate's own share: timing runs against hyperfine, start-up of the agent, memory while measuring.

timing_runs() {
	local i ours theirs
	for ((i = 0; i < rounds; i++)); do
		spend timing "$perfgate" run --output "$out/perfgate-out" --allow-missing-baseline \
			--metrics wall_time --runs 200 --warmup 0 -- true
		spend hyperfine hyperfine -N --runs 200 --warmup 0 true
	done
	ours=$(values timing wall | median) theirs=$(values hyperfine wall | median)
	row "200 timing runs of true; hyperfine -N" "$(printf '%.0f ms' "$(calc "$ours / 1e6")")" \
		"$(printf '%.0f ms' "$(calc "$theirs / 1e6")")" "$(printf '%.2f' "$(calc "$ours / $theirs")")" "2 times" \
		"$(calc "$ours / $theirs")" 2
}

agent_start() {
	local i alone with
	for ((i = 0; i < 10 * rounds; i++)); do
		spend true-alone true
		under true-counted allocations true
		spend true-alone true
	done
	alone=$(values true-alone wall | median) with=$(values true-counted wall | median)
	row "agent start-up: true" "$(printf '%.2f ms' "$(calc "$with / 1e6")")" "$(printf '%.2f ms' "$(calc "$alone / 1e6")")" \
		"$(printf '%.2f' "$(calc "$with / $alone")")" "+1 ms" "$(calc "($with - $alone) / 1e6")" 1
}

own_memory() {
	local peak
	[[ -s $out/35MB.json ]] || "$pg_root/fixtures/make-events" 188000 >"$out/35MB.json"
	spend memory --peak "$perfgate" run --output "$out/perfgate-out" --allow-missing-baseline --runs 2 --warmup 0 \
		-- jq '[.[] | select(.status >= 500)] | length' "$out/35MB.json"
	peak=$(values memory peak | median)
	row "memory of perfgate while it measures jq" "$(printf '%.1f MB' "$(calc "$peak / 1e6")")" - - "40 MB" "$peak" 40e6
}

timing_runs
agent_start
own_memory
