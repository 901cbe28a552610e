# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables of ci/bench, which sources this, and of the groups
# SPDX-License-Identifier: MIT
#
# What the groups of this table share: its columns, its programs, its peers.
#
# Times are CPU times. A figure with "x" is how many times what the program takes alone: the median over the rounds of
# the quotient within a round, where the program runs alone before and after, so that a machine that slows down for a
# minute slows both. A peer that fails does not stop the table: its column says so.

header() { columns "what" "alone" "perfgate" "peer" "goal" ""; }
columns() { printf '%-46s %10s %12s %24s   %-10s %s\n' "$@"; }

# against WHAT ALONE OURS PEER GOAL [VALUE LIMIT]: met when VALUE <= LIMIT; without them nothing is asked. A limit that
# ends in "unknown" is that of a peer that failed.
against() {
	local judged=""
	if [[ ${7:-} == *unknown ]]; then
		judged="not compared"
	elif (($# >= 7)); then
		judged=$(verdict "$6" "$7")
	fi
	columns "$1" "$2" "$3" "$4" "$5" "$judged"
}

# ---- figures ----

seconds() { printf '%.2f s' "$(calc "$1 / 1e9")"; }
microseconds() { printf '%.1f us' "$(calc "$1 / 1e3")"; }
nanoseconds() { printf '%.1f ns' "$1"; }
megabytes() { printf '%.2f MB' "$(calc "$1 / 1e6")"; }
times() { printf '%.3f x' "$1"; }
percent() { printf '%.2f %%' "$1"; }

# times_alone SIDE: the median of what SIDE took by what "alone" took in the same round, on average of its two runs.
times_alone() {
	paste <(values "$1" cpu) <(values alone cpu | paste - -) | awk 'NF == 3 { print 2 * $1 / ($2 + $3) }' | median
}

# more_than_alone SIDE: the median of what SIDE took more than "alone" did in the same round, in ns of CPU time.
more_than_alone() {
	paste <(values "$1" cpu) <(values alone cpu | paste - -) | awk 'NF == 3 { print $1 - ($2 + $3) / 2 }' | median
}

# ---- sides ----

# start_rows: forgets the sides of the rows before.
start_rows() {
	rm -f -- "$out"/{alone,own,whole,peer,peer-whole,offline,peer-offline,start,peer-start}
	rm -rf -- "$out"/failed "$out/record"
}

# record PREFIX METRICS [OPTION...] -- COMMAND...: one perfgate record. "PREFIXown" gets what COMMAND took inside it,
# "PREFIXwhole" what all of it took.
record() {
	local prefix=$1 metrics=$2 options=()
	shift 2
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	spend "${prefix}whole" "$perfgate" record --quiet -o "$out/record" --metrics "$metrics" "${options[@]}" -- \
		"$bin/bench_spent" "$out/${prefix}own" "$@"
}

# spend_peer SIDE COMMAND...: like spend, but a failure is noted and passed over.
spend_peer() {
	local side=$1 status=0
	shift
	"$bin/bench_spent" "$out/$side" "$@" >"$out/output" 2>&1 </dev/null || status=$?
	((status == 0)) && return 0
	mkdir -p -- "$out/failed"
	printf 'failed, status %s' "$status" >"$out/failed/$side"
	pg_note "a peer failed with status $status: $*"
	tail -n 3 "$out/output" >&2
}

# of_peer SIDE NAME TEXT...: the peer's column: NAME and the output of TEXT, or that it failed.
of_peer() {
	local side=$1 name=$2
	shift 2
	if [[ -e $out/failed/$side ]]; then
		printf '%s %s' "$name" "$(cat "$out/failed/$side")"
	else
		printf '%s %s' "$name" "$("$@")"
	fi
}
peer_times() { times "$(times_alone "$1")"; }

# ---- peers and programs ----

# What heaptrack's script does to a program, without its second process: the program's own cost, data thrown away.
heaptrack_library=$(find /usr/lib -name libheaptrack_preload.so -print -quit)
under_heaptrack() { spend_peer "$1" env LD_PRELOAD="$heaptrack_library" DUMP_HEAPTRACK_OUTPUT=/dev/null "${@:2}"; }

tcmalloc_library=$(find /usr/lib -name 'libtcmalloc.so.4' -print -quit)

heap_metrics=allocations,allocated_bytes,peak_heap,leaked_bytes # of one pass
jq_program=(jq '[.[] | select(.status >= 500)] | length' "$out/events.json")
clang_program=(clang++ -O1 -c "$pg_root/tests/bench/uses_regex.cpp" -o "$out/uses_regex.o")
"$pg_root/fixtures/make-events" 172000 >"$out/events.json"
