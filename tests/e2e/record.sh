#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# record.sh - perfgate record: what it writes, what the command sees of it, and what is said when something fails.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# row FUNCTION: its line in what `top` printed, blanks squeezed.
row() { grep -E " $1( |\$)" "$said/stdout" | tr -s ' '; }

pprof() {
	capture env HOME="$said" PPROF_TMPDIR="$said" PPROF_BINARY_PATH=/nonexistent GOFLAGS=-mod=mod GOPROXY=off go tool pprof "$@"
	((status == 0)) || fail "go tool pprof $*"
}

test_two_profiles_and_a_result() {
	expect_exit 0 -- perfgate record -o out -- "$toil" make 300 copy 70 parse 2000
	[[ $(cd out && echo *) == "cpu.pb.gz heap.pb.gz result.json" ]] || fail "three files in out, not $(ls out)"
	expect_stderr "out/heap.pb.gz: 370 allocations, 100.00 % of the stacks complete"
	expect_json out/result.json '.schema == "perfgate.result.v1" and .exit_code == 0'
	expect_json out/result.json '.benchmarks[0].profiles == { cpu: "cpu.pb.gz", heap: "heap.pb.gz" }'
	expect_json out/result.json '.benchmarks[0].engines | .allocation == "agent" and .cpu == "agent"'
	expect_json out/result.json '.benchmarks[0].stacks.allocation | .events == 370 and .complete == 370 and .truncated == 0 and .unknown == 0 and .other == 0'
	expect_json out/result.json '.benchmarks[0].stacks.cpu | .events > 0 and .complete >= .events * 0.9'
	expect_row allocations '.current == 370 and .status == "measured"' out/result.json
	expect_exit 0 -- perfgate top -s alloc_objects out/heap.pb.gz
	[[ $(row make_block) == " 300 81.08% "* && $(row main) == " 0 "* ]] || fail "300 allocations of make_block, none of main"
}

# One process for each pass: the command's own output comes twice, and once where only one profile is wanted.
test_one_process_for_each_pass() {
	expect_exit 0 -- perfgate record -o out -- sh -c 'echo here >>ran'
	[[ $(wc -l <ran) == 2 ]] || fail "two runs, not $(wc -l <ran)"
	expect_exit 0 -- perfgate record -o out --metrics cpu_share -- sh -c 'echo here >>ran'
	[[ $(wc -l <ran) == 3 ]] || fail "one more run"
	expect_exit 0 -- perfgate record -o out --metrics allocations,peak_heap -- sh -c 'echo here >>ran'
	[[ $(wc -l <ran) == 4 ]] || fail "one more run"
	expect_json out/result.json '.benchmarks[0].profiles == { heap: "heap.pb.gz" }'
}

test_the_streams_are_the_commands_own() {
	local code=0
	printf 'one\ntwo\n' >words
	perfgate record -q -o out -- sh -c 'cat; echo to-stderr >&2' <words >stdout 2>stderr || code=$?
	((code == 0)) || fail "exit status 0, not $code: $(cat stderr)"
	[[ $(cat stdout) == $'one\ntwo\none\ntwo' ]] || fail "standard input from its beginning in both passes, not $(cat stdout)"
	[[ $(cat stderr) == $'to-stderr\nto-stderr' ]] || fail "nothing else on standard error, but: $(cat stderr)"
	echo words | perfgate record -o out -- cat >stdout 2>stderr || code=$?
	((code == 0)) || fail "exit status 0 with a pipe"
	grep -q "standard input is a pipe" stderr || fail "a word about the pipe"
	[[ $(cat stdout) == words ]] || fail "what came through the pipe, once"
}

test_a_command_that_fails_was_profiled_all_the_same() {
	expect_exit 5 -- perfgate record -o out -- "$toil" make 300 status 3
	expect_stderr "exit status 3 in a counting run"
	expect_stderr "the profiles hold what it did until then"
	expect_exit 0 -- perfgate top -s alloc_objects out/heap.pb.gz
	[[ $(row make_block) == " 300 100.00% "* ]] || fail "300 allocations of make_block"
	expect_json out/result.json '.exit_code == 5 and .verdict == "error" and (.error | contains("exit status 3"))'
	expect_exit 5 -- perfgate record -o killed -- sh -c 'kill -9 $$'
	expect_stderr "signal 9"
	[[ -s killed/heap.pb.gz ]] || fail "a profile of what was killed"
	expect_exit 5 -- perfgate record -o none -- ./no-such-program
	expect_stderr "No such file or directory"
	expect_missing none/heap.pb.gz
}

test_folded_stacks() {
	expect_exit 0 -- perfgate record -o out --folded -- "$toil" make 300 copy 70 parse 2000
	# Outermost first, 300 blocks of 64 bytes. The call may stand more than once in make: compilers unroll the loop.
	local bytes
	bytes=$(awk '/;main;(make;)?make_block [0-9]+$/ { sum += $NF } END { print sum + 0 }' out/heap.folded)
	((bytes == 19200)) || fail "make_block with 19200 bytes: $(cat out/heap.folded)"
	grep -qE ';main;.*parse [0-9]+$' out/cpu.folded || fail "parse below main: $(cat out/cpu.folded)"
	! grep -vqE '^[^;]+(;[^;]+)* [0-9]+$' out/heap.folded || fail "only lines of stack and value"
}

# Two shells and what they run are told apart, and add up.
test_processes_are_told_apart() {
	expect_exit 0 -- perfgate record -o out --metrics allocations -- sh -c "'$toil' make 300; '$toil' make 40; true"
	pprof -top -sample_index=alloc_objects out/heap.pb.gz
	grep -qE '^ +340 .* make_block$' "$said/stdout" || fail "340 allocations of both"
	pprof -top -sample_index=alloc_objects -tagfocus=process=toil/1 out/heap.pb.gz
	grep -qE '^ +300 .* make_block$' "$said/stdout" || fail "300 of the first"
	pprof -top -sample_index=alloc_objects -tagfocus=process=toil/2 out/heap.pb.gz
	grep -qE '^ +40 .* make_block$' "$said/stdout" || fail "40 of the second"
	expect_exit 0 -- perfgate record -o one --metrics allocations -- "$toil" make 300
	pprof -tags one/heap.pb.gz
	! grep -q process "$said/stdout" || fail "no tag where there is one process"
}

# What is live at the peak: 1,000 KiB of one place, 20 blocks of 1,000 bytes that stay.
test_live_bytes() {
	expect_exit 0 -- perfgate record -o out --metrics peak_heap --live exact -- "$toil" leak 20 keep 1000
	expect_no_stderr "estimates"
	expect_exit 0 -- perfgate top -s inuse_objects out/heap.pb.gz
	expect_stdout "inuse_objects: 21 in"
	expect_stdout "from every block"
	[[ $(row leak) == " 20 "* && $(row keep) == " 1 "* ]] || fail "20 blocks of leak, one of keep"
	pprof -comments out/heap.pb.gz
	expect_stdout "live at the peak of toil"
	expect_stdout "from every block"
	grep -qE '^live at exit, all processes: 20[0-9]{3} bytes$' "$said/stdout" || fail "20 blocks of 1,000 bytes, rounded up, at exit"
	expect_exit 0 -- perfgate record -o off --metrics peak_heap --live off -- "$toil" leak 20 keep 1000
	expect_exit 0 -- perfgate top -s inuse_objects off/heap.pb.gz
	expect_stdout "inuse_objects: 0 in"
	expect_row peak_heap '.current > 1000000' off/result.json
}

test_verified_stacks() {
	expect_exit 0 -- perfgate record -o out --metrics allocations --verify-stacks 1 -- "$toil" make 3000 copy 700
	expect_json out/result.json '.benchmarks[0].stacks.allocation | .verified > 0 and .different == 0'
	expect_stderr "all were right"
}

# 60,000 stacks of several frames each do not fit into the small table of a program with 1 GiB of address space.
test_stacks_that_find_no_room_are_told() {
	expect_exit 0 -- perfgate record -o out --metrics allocations -- bash -c "ulimit -v 1048576; exec '$PERFGATE_FIXTURES/odd_stacks' many 60000"
	expect_json out/result.json '.benchmarks[0] | .stacks.allocation.other > 0 and .stacks.allocation.other < .stacks.allocation.events'
	expect_json out/result.json '.benchmarks[0].measured.notes | any(test("^[0-9]+[.][0-9]+ % of the allocations are in .other.: there was no more room for stacks$"))'
	expect_stderr " % of the allocations are in [other]: there was no more room for stacks"
	pprof -top -sample_index=alloc_objects out/heap.pb.gz
	expect_stdout "  [other]"
}

test_few_open_files_are_allowed() {
	expect_exit 1 -- bash -c "ulimit -n 8; exec '$PERFGATE' record -o out -- '$toil' make 1"
	expect_stderr "Too many open files"
}

test_one_of_a_thing() {
	expect_exit 0 -- perfgate record -o out --metrics allocations -- "$toil" make 1
	expect_stderr "heap.pb.gz: 1 allocation, 100.00 % of the stacks complete"
	expect_exit 0 -- perfgate top -s alloc_objects out/heap.pb.gz
	expect_stdout "alloc_objects: 1 in 1 distinct stack"
}

# The folder holds one recording: what record itself left there of another kind goes, once the new one is written.
test_an_older_recording_goes() {
	expect_exit 0 -- perfgate record -o out --folded -- "$toil" make 300 parse 2000
	touch out/mine.txt out/other.pb.gz
	expect_exit 1 -- perfgate record -o out --metrics nothing -- "$toil" make 1
	expect_exit 5 -- perfgate record -o out -- ./no-such-program
	[[ $(cd out && echo *) == "cpu.folded cpu.pb.gz heap.folded heap.pb.gz mine.txt other.pb.gz result.json" ]] || fail "all as it was, not $(ls out)"
	expect_exit 0 -- perfgate record -o out --metrics cpu_share -- "$toil" parse 2000
	[[ $(cd out && echo *) == "cpu.pb.gz mine.txt other.pb.gz result.json" ]] || fail "only the CPU profile, not $(ls out)"
	expect_exit 0 -- perfgate record -o out --metrics allocations -- "$toil" make 300
	[[ $(cd out && echo *) == "heap.pb.gz mine.txt other.pb.gz result.json" ]] || fail "only the heap profile, not $(ls out)"
	expect_exit 5 -- perfgate record -o out --metrics cpu_share -- "$toil" parse 2000 status 3
	[[ $(cd out && echo *) == "cpu.pb.gz mine.txt other.pb.gz result.json" ]] || fail "what was profiled until it failed, not $(ls out)"
}

# 20,000 blocks of 64 bytes are 1,280,000 bytes; a stack each 4 KiB gives about 312 samples, whose estimate is off by
# 1/sqrt(312) = 6 % on average: a third more or less will not be seen.
test_sampled_allocations() {
	expect_exit 0 -- perfgate record -o out --metrics allocations --allocations sampled:4KiB -- "$toil" make 20000
	expect_row allocations '.current == 20000' out/result.json
	expect_stderr "values of single stacks are estimates: allocations from a sample each 4.00 KiB, live bytes from a sample each 4.00 KiB"
	expect_exit 0 -- perfgate top -s alloc_space out/heap.pb.gz
	expect_stdout "alloc_objects and alloc_space: estimates from a sample each 4096 bytes"
	pprof -raw -sample_index=alloc_space out/heap.pb.gz
	pprof -comments out/heap.pb.gz
	expect_stdout "estimates from a sample each 4096 bytes"
	expect_exit 0 -- perfgate record -q --folded -o out --metrics allocations --allocations sampled:4KiB -- "$toil" make 20000
	awk '{ sum += $NF } END { exit !(sum > 850000 && sum < 1700000) }' out/heap.folded || fail "about 1,280,000 bytes: $(cat out/heap.folded)"
}

# 1,000 blocks of 1,000 bytes are live at the peak; with a stack each 16 KiB about 61 of them have theirs, and the
# estimate is off by 13 % on average: 45 % will not be seen. With a stack each 512 KiB most live blocks have none,
# which is no reason to call the numbers wrong.
test_sampled_allocations_that_live() {
	expect_exit 0 -- perfgate record -o out --metrics peak_heap --allocations sampled:16KiB -- "$toil" leak 1000
	pprof -raw out/heap.pb.gz
	expect_stdout "from a sample each 16384 bytes"
	awk '/^Locations/ { exit } $4 ~ /^[0-9]+:$/ { sum += $4 } END { exit !(sum > 550000 && sum < 1450000) }' "$said/stdout" ||
		fail "about 1,000,000 bytes live at the peak: $(head -20 "$said/stdout")"
	expect_exit 0 -- perfgate record -o out --metrics peak_heap --allocations sampled -- "$toil" leak 1000
	expect_row peak_heap '.current == 1000000' out/result.json
}

# Closed streams stay what they were to the target: not one of our files.
test_closed_standard_streams() {
	perfgate record -q -o out --metrics allocations -- sh -c 'readlink /proc/self/fd/0 /proc/self/fd/1 >seen' <&- >&- || fail "exit status 0, not $?"
	[[ $(<seen) == "/dev/null"* ]] || fail "no file of ours: $(<seen)"
	perfgate record -q -o out --metrics allocations -- sh -c '! echo lost 2>why && test -s why' >&- || fail "a write that fails, as without perfgate"
}

test_the_engine_is_as_asked() {
	expect_exit 0 -- perfgate record -o out --metrics cpu_share --engine agent -- "$toil" parse 2000
	expect_json out/result.json '.benchmarks[0].engines.cpu == "agent"'
	expect_exit 1 -- perfgate record -o out --engine crystal -- "$toil" make 1
	expect_stderr "auto, agent, perf, ptrace"
	expect_exit 0 -- perfgate record -o out --metrics cpu_share --rate 4999 -- "$toil" parse 2000
	expect_json out/result.json '.benchmarks[0].measured.profile.rate_hz == 4999'
}

# A program that cannot be counted: nothing was measured, and why.
test_nothing_to_record() {
	printf '#include <unistd.h>\nint main(void) { return 0; }\n' >s.c
	cc -static -o static s.c
	expect_exit 4 -- perfgate record -o out --metrics allocations -- ./static
	expect_stderr "statically linked"
	expect_missing out/heap.pb.gz
	expect_json out/result.json '.exit_code == 4'
}

# A profile that holds next to nothing of what the kernel counted is written with the reason, and is nothing measured.
test_a_profile_that_fails_its_check() {
	expect_exit 4 -- perfgate record -o out --metrics cpu_share --engine agent -- sh -c "'${toil}_static' parse 2000; true"
	expect_stderr "doubtful CPU profile: samples stand for"
	expect_stderr "--engine perf may see all of it"
	[[ -s out/cpu.pb.gz ]] || fail "the profile is there"
	expect_json out/result.json '.exit_code == 4'
}

test_wrong_usage() {
	expect_exit 1 -- perfgate record -- "$toil" make 1
	expect_stderr "-o DIR is missing"
	expect_exit 1 -- perfgate record -o out
	expect_stderr "a command is missing"
	expect_exit 1 -- perfgate record -o out "$toil" make 1
	expect_stderr "stands behind --"
	expect_exit 1 -- perfgate record -o out --metrics speed -- "$toil" make 1
	expect_stderr "unknown metric 'speed'"
	expect_exit 1 -- perfgate record -o out --allocations often -- "$toil" make 1
	expect_stderr "exact, sampled, sampled:SIZE"
	expect_exit 1 -- perfgate record -o out --allocations sampled:0 -- "$toil" make 1
	expect_stderr "--allocations"
	expect_exit 1 -- perfgate record -o out --rate 200000 -- "$toil" make 1
	expect_stderr "at most 100000"
	expect_exit 1 -- perfgate record -o out --rate 0 -- "$toil" make 1
	expect_missing out
	: >file
	expect_exit 1 -- perfgate record -o file -- "$toil" make 1
	expect_stderr "file"
}

# V8 writes down what its compilers made: the function that blocks the event loop is named, with its file.
test_jit_code_has_names() {
	cat >busy.js <<'END'
function burn(n) {
  let x = 0;
  for (let i = 0; i < n; i++) x = (x * 31 + i) % 1000003;
  return x;
}
function main() {
  let sum = 0;
  for (let i = 0; i < 40; i++) sum += burn(4000000);
  console.log(sum);
}
require('fs').writeFileSync('pid', String(process.pid));
main();
END
	expect_exit 0 -- perfgate record -o out --metrics cpu_share -- node --perf-basic-prof busy.js
	rm -f "/tmp/perf-$(cat pid).map"
	expect_exit 0 -- perfgate top out/cpu.pb.gz
	[[ $(row burn) == *"burn $PWD/busy.js" ]] || fail "a row of burn in busy.js"
	row burn | awk '{ exit !($3 > 50) }' || fail "more than half of the time in burn"
}

run_tests "$@"
