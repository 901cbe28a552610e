#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# culprits.sh - who is named for a rise: the line of the target's own code, whatever stands between it and malloc.
#
# Each target says how many allocations its verbs make; the line of a verb is the one that carries its name as a
# comment.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

wrapped=$PERFGATE_FIXTURES/wrapped contained=$PERFGATE_FIXTURES/contained

# line_of FILE VERB: where it allocates.
line_of() { grep -n "// $2\$" "$tree/fixtures/targets/$1" | cut -d: -f1; }

# red METRIC [OPTION...] -- COMMAND...: the gate against base.json is red.
red() {
	local metric=$1
	shift
	expect_exit 2 -- perfgate run --metrics "$metric" --threshold "$metric=0%" --baseline base.json "$@"
}

# names METRIC FUNCTION FILE VERB FILTER: of one culprit, which is on the verb's line.
names() {
	expect_row "$1" '.culprits | length == 1'
	expect_row "$1" ".culprits[0] | .function == \"$2\" and .line == $(line_of "$3" "$4")"
	expect_row "$1" ".culprits[0] | (.file | endswith(\"fixtures/targets/$3\")) and .module == \"${3%%.*}\""
	expect_row "$1" ".culprits[0] | $5"
}

# A stack each 256 bytes: a block of 64 is in the sample with p = 1 - exp(-64/256) = 0.22, so the estimate for 6,000 has a
# standard deviation of sqrt(6000 * (1 - p) / p) = 145; 750 are five. Counts are exact all the same.
test_sampled_stacks_name_the_culprit_too() {
	make_baseline base.json --metrics allocations -- "$wrapped" parse 3000 lose 5
	red allocations --allocations sampled:256 -- "$wrapped" parse 6000 lose 5
	expect_row allocations '.baseline == 3005 and .current == 6005'
	expect_row allocations '.culprits | length == 1'
	expect_row allocations ".culprits[0] | .function == \"parse\" and .line == $(line_of wrapped.c parse) and .change > 2250 and .change < 3750"
	expect_stdout "~"
	expect_exit 1 -- perfgate run --allocations some -- "$wrapped" parse 1
	expect_stderr "--allocations: 'some' is none of exact, sampled, sampled:SIZE"
}

# ---- C ----

test_xmalloc_is_passed_over() {
	make_baseline base.json --metrics allocations -- "$wrapped" parse 1000 lose 5
	red allocations -- "$wrapped" parse 1500 lose 5
	names allocations parse wrapped.c parse '.baseline == 1000 and .current == 1500 and .change == 500'
	expect_row allocations '.culprits[0].freed_at_once == true'
	expect_stdout '1,000 -> 1,500 (+500, freed at once)'
}

test_an_inlined_wrapper_is_passed_over() {
	make_baseline base.json --metrics allocations -- "$wrapped" parse 1000 node 10
	red allocations -- "$wrapped" parse 1000 node 700
	names allocations node wrapped.c node '.baseline == 10 and .current == 700'
}

test_strdup_is_passed_over() {
	make_baseline base.json --metrics allocations,allocated_bytes -- "$wrapped" parse 1000
	red allocations -- "$wrapped" parse 1000 name 300
	names allocations name wrapped.c name '.baseline == 0 and .current == 300'
}

test_a_project_names_its_own_wrappers() {
	make_baseline base.json --metrics allocations -- "$wrapped" pool 100
	red allocations -- "$wrapped" pool 200
	expect_row allocations '.culprits[0] | .function == "pool_take" and .change == 100'

	config "$(benchmark wrapped metrics '["allocations"]' allocator_wrappers '["pool_*"]' -- "$wrapped" pool 200)"
	# The baseline was made without that name.
	expect_exit 2 -- perfgate run --baseline base.json
	expect_row allocations '.culprits == [] and (.reason | contains("by other rules"))'

	config "$(benchmark wrapped metrics '["allocations"]' allocator_wrappers '["pool_*"]' -- "$wrapped" pool 100)"
	expect_exit 0 -- perfgate baseline refresh --baseline base.json
	config "$(benchmark wrapped metrics '["allocations"]' allocator_wrappers '["pool_*"]' -- "$wrapped" pool 200)"
	expect_exit 2 -- perfgate run --baseline base.json
	names allocations pool wrapped.c pool '.change == 100'
}

# 100 blocks of 4,096 bytes, then 150; what is live is known from a sample. Beside them the array of their addresses.
test_the_peak_has_its_culprit() {
	make_baseline base.json --metrics peak_heap,allocations -- "$wrapped" parse 5000 cache 100
	red peak_heap -- "$wrapped" parse 9000 cache 150
	expect_row peak_heap '.culprits[0].function == "cache"'
	expect_row peak_heap ".culprits[0].line == $(line_of wrapped.c cache)"
	expect_row peak_heap '.culprits[0] | .change > 0.9 * 50 * 4096 and .change < 1.1 * 50 * 4112'
	expect_row peak_heap '[.culprits[].function] | index("parse") == null'
}

# 1,000 blocks of 64 bytes that nobody gives back, where there were none.
test_a_leak_has_its_culprit() {
	make_baseline base.json --metrics leaked_bytes -- "$wrapped" parse 5000 cache 100
	red leaked_bytes -- "$wrapped" parse 5000 cache 100 lose 1000
	names leaked_bytes lose wrapped.c lose '.baseline == 0 and .change > 0.9 * 64000 and .change < 1.2 * 72000'
}

# A baseline from before call sites knew of live bytes, and of wrappers.
test_an_older_baseline_names_nobody_and_says_so() {
	make_baseline base.json --metrics peak_heap -- "$wrapped" cache 100
	edit base.json 'del(.benchmarks[].site_quality) | del(.benchmarks[].sites[]? | .peak_bytes, .leaked_bytes, .temporary)'
	red peak_heap -- "$wrapped" cache 150
	expect_row peak_heap '.culprits == [] and (.reason | contains("no culprit is named"))'
	expect_stdout "no culprit is named"
}

# ---- C++ ----

test_containers_are_passed_over() {
	local verb function
	make_baseline base.json --metrics allocations -- "$contained" vector 10 string 10 shared 10 callback 10
	while read -r verb function; do
		red allocations -- "$contained" vector 10 string 10 shared 10 callback 10 "$verb" 500
		expect_row allocations '.culprits | length == 1'
		expect_row allocations ".culprits[0] | (.function | contains(\"$function\")) and .line == $(line_of contained.cc "$verb")"
		expect_row allocations '.culprits[0] | .baseline == 10 and .current == 510'
	done <<-'END'
		vector fill_vectors
		string make_strings
		shared share_objects
		callback call_back
	END
}

run_tests "$@"
