# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench and 00-common.sh
# SPDX-License-Identifier: MIT
#
# A CPU profile of clang at 997 Hz with full stacks, in the target and from outside, against perf record --call-graph
# dwarf (its stack copies are 8 KiB unless told otherwise): CPU time added to the program, what is written, how many
# stacks are complete, how long the start and the end take beyond the program (wall time), and the time from there to
# something readable.
#
# One per cent of a program's CPU time drowns in the noise of a shared machine. So bench_sampling also takes what one
# sample costs, at 20 times the rate, and from that what 997 of them take of a second. What the agent costs without any
# sample is hardly in that.

perf_record=(perf record --quiet --event cpu-clock --freq 997 --call-graph dwarf --output "$out/perf.data")

# percent_added SIDE
percent_added() { calc "100 * ($(times_alone "$1") - 1)"; }
# difference SIDE SIDE cpu|wall: the median of the first less the second, run by run.
difference() { paste <(values "$1" "$3") <(values "$2" "$3") | awk '{ print $1 - $2 }' | median; }

# The share of stacks that are complete, in per cent: of the last perfgate record.
complete() { jq -r '.benchmarks[0].stacks.cpu | 100 * .complete / .events' "$out/$1/result.json"; }
# ... and of the last perf record: those that reach where a program or a thread begins.
perf_complete() {
	perf script --no-inline --input "$out/perf.data" --fields ip,sym 2>/dev/null | awk '
		NF { last = $0; next }
		last != "" { all++; if (last ~ / (_start|__clone3?|clone3?|_dl_start_user|_dl_start)$/) whole++; last = "" }
		END { printf "%.2f", all ? 100 * whole / all : 0 }'
}
written() { stat -c %s -- "$@" | awk '{ sum += $1 } END { print sum }'; }

# The most shared memory that a recording had, in bytes, seen ten times a second: one run that no figure else comes from.
shared_memory() {
	local pid seen=0 now
	"$perfgate" record --quiet -o "$out/record" "$@" -- "${clang_program[@]}" >"$out/output" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		now=$(find "/proc/$pid/fd" -lname '/memfd:perfgate*' -exec stat -L -c '%b' {} + 2>/dev/null |
			awk '{ sum += 512 * $1 } END { print sum + 0 }')
		((now > seen)) && seen=$now
		sleep 0.1
	done
	wait "$pid"
	printf '%s' "$seen"
}

# What one sample of clang's stacks costs the program, in ns.
sample_ns() {
	"$bin/bench_sampling" "$pg_root/build/release/libperfgate-sampler.so" event "$rounds" \
		"$(command -v "${clang_program[0]}")" "${clang_program[@]:1}" | sed -n 's/^event: \(-\{0,1\}[0-9]*\) ns a sample.*/\1/p'
}

cpu_rounds() {
	local i
	start_rows
	for ((i = 0; i < rounds; i++)); do
		spend alone "${clang_program[@]}"
		record "" cpu_share -- "${clang_program[@]}"
		rm -rf -- "$out/agent-record" && mv -- "$out/record" "$out/agent-record"
		spend_peer peer-whole "${perf_record[@]}" -- "$bin/bench_spent" "$out/peer" "${clang_program[@]}"
		record perf- cpu_share --engine perf -- "${clang_program[@]}"
		rm -rf -- "$out/perf-record" && mv -- "$out/record" "$out/perf-record"
		# shellcheck disable=SC2016 # the inner shell expands it
		spend_peer peer-offline sh -c 'perf report --stdio --no-inline --input "$1" >/dev/null' - "$out/perf.data"
		spend alone "${clang_program[@]}"
	done
}

cpu_profile() {
	local size sample
	rm -f -- "$out"/perf-{own,whole}
	cpu_rounds
	peer_added() { printf '%+.2f %%' "$(percent_added peer)"; }
	against "CPU profile at 997 Hz, clang: CPU added" "$(seconds "$(values alone cpu | median)")" \
		"$(printf '%+.2f %%' "$(percent_added own)")" "$(of_peer peer-whole perf peer_added)" "1 %" "$(percent_added own)" 1
	sample=$(sample_ns)
	against "... samples alone, $(microseconds "$sample") each" "" "$(percent "$(calc "$sample * 997 / 1e7")")" "" ""
	against "... with --engine perf" "" "$(printf '%+.2f %%' "$(percent_added perf-own)")" "" ""
	size=$(written "$out"/agent-record/*)
	peer_size() { megabytes "$(written "$out/perf.data")"; }
	against "... written (profile and result.json)" "" "$(megabytes "$size")" "$(of_peer peer-whole perf peer_size)" \
		"2 MB" "$size" 2e6
	against "... with --engine perf" "" "$(megabytes "$(written "$out"/perf-record/*)")" "" ""
	against "... shared memory while it runs" "" "$(megabytes "$(shared_memory --metrics cpu_share)")" "" ""
	peer_complete() { percent "$(perf_complete)"; }
	against "... complete stacks" "" "$(percent "$(complete agent-record)")" "$(of_peer peer-whole perf peer_complete)" \
		"99 %" "-$(complete agent-record)" -99
	against "... with --engine perf" "" "$(percent "$(complete perf-record)")" "" ""
	peer_ends() { seconds "$(difference peer-whole peer wall)"; }
	against "... start and end, wall time" "" "$(seconds "$(difference whole own wall)")" \
		"$(of_peer peer-whole perf peer_ends)" ""
	against "... with --engine perf" "" "$(seconds "$(difference perf-whole perf-own wall)")" "" ""
}

# CPU time of perfgate outside the program, so with its start and what it does meanwhile; of perf only its report.
cpu_offline() {
	local ours theirs=unknown
	ours=$(difference whole own cpu)
	peer_offline() { seconds "$(values peer-offline cpu | median)"; }
	[[ -e $out/failed/peer-offline ]] || theirs=$(values peer-offline cpu | median)
	against "capture to profile: clang, CPU" "" "$(seconds "$ours")" "$(of_peer peer-offline "perf report" peer_offline)" \
		"peer" "$ours" "$theirs"
}

cpu_profile
cpu_offline
