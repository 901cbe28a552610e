#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# top.sh - perfgate top on our profiles, on one that a Go program wrote, and on files that are none; and what
# `go tool pprof` says of ours.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Two profiles in perfgate-out/toil: 300 and 70 allocations; parse has all of the CPU time that matters.
our_profiles() {
	expect_exit 0 -- perfgate run --runs 2 --metrics allocations,cpu_share --save-baseline new.json -- "$toil" make 300 copy 70 parse 400
}

# row FUNCTION: its line, blanks squeezed.
row() { grep -E "[ .]$1( |\$)" "$said/stdout" | tr -s ' '; }

test_our_heap_profile() {
	our_profiles
	expect_exit 0 -- perfgate top --sample-type alloc_objects perfgate-out/toil/heap.pb.gz
	expect_stdout "alloc_objects: 370"
	# 300 of 370 are 81.08 %, 70 are 18.92 %.
	[[ $(row make_block) == " 300 81.08% 81.08% 300 81.08% make_block"* ]] || fail "300 allocations of make_block"
	[[ $(row copy_block) == " 70 18.92% 100.00% 70 18.92% copy_block"* ]] || fail "70 allocations of copy_block"
	expect_exit 0 -- perfgate top --sample-type alloc_space --limit 1 perfgate-out/toil/heap.pb.gz
	# 19,200 of 26,200 bytes.
	[[ $(row make_block) == *" 73.28% "* ]] || fail "73.28 % of the bytes for make_block"
	expect_stdout "more, --limit 0 shows all"
}

# main makes no allocation itself and calls what makes all 370.
test_cumulative_values() {
	our_profiles
	expect_exit 0 -- perfgate top --sample-type alloc_objects --sort cum perfgate-out/toil/heap.pb.gz
	[[ $(row main) == " 0 0.00% "*" 370 100.00% main"* ]] || fail "370 allocations below main"
	# Sorted by that column, make_block stands behind all of its callers.
	[[ $(sed -n 4p "$said/stdout" | tr -s ' ') == *" 370 100.00% "* ]] || fail "a caller of everything on top"
	expect_exit 1 -- perfgate top --sort nonsense perfgate-out/toil/heap.pb.gz
	expect_stderr "self, cum"
}

test_our_cpu_profile() {
	our_profiles
	expect_exit 0 -- perfgate top --limit 1 perfgate-out/toil/cpu.pb.gz
	row parse | grep -q parse || fail "parse on top"
	expect_stdout "toil.c"
}

# Not a word of complaint, and the same sums.
test_go_tool_pprof_reads_ours() {
	our_profiles
	expect_pprof -top -sample_index=alloc_objects perfgate-out/toil/heap.pb.gz
	grep -qE '^ +300 81\.08% .*make_block' "$said/stdout" || fail "300 allocations of make_block"
	expect_pprof -raw perfgate-out/toil/cpu.pb.gz
	expect_pprof -top -diff_base perfgate-out/toil/cpu.pb.gz perfgate-out/toil/cpu.pb.gz
}

expect_pprof() {
	capture env HOME="$said" PPROF_TMPDIR="$said" PPROF_BINARY_PATH=/nonexistent GOFLAGS=-mod=mod GOPROXY=off go tool pprof "$@"
	((status == 0)) || fail "go tool pprof $*"
	! grep -vE '^(Generating|Fetched|Saved|Main binary|Type:|Time:|Duration:)' "$said/stderr" | grep -q . || fail "no complaint of go tool pprof"
}

# A profile in the form that Go's runtime writes: made by a Go program, 1,000 blocks of 4,096 bytes in main.keep.
test_a_profile_of_a_go_program() {
	cat >main.go <<'END'
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

var kept [][]byte

//go:noinline
func keep() { kept = append(kept, make([]byte, 4096)) }

func main() {
	runtime.MemProfileRate = 1
	for i := 0; i < 1000; i++ {
		keep()
	}
	f, err := os.Create("go.pb.gz")
	if err != nil {
		panic(err)
	}
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		panic(err)
	}
	f.Close()
}
END
	capture env HOME="$said" GOCACHE="${PERFGATE_GO_CACHE:-$said/go-cache}" GOFLAGS=-mod=mod GOPROXY=off GO111MODULE=off go run main.go
	((status == 0)) || fail "that the Go program runs"
	expect_exit 0 -- perfgate top --sample-type inuse_space go.pb.gz
	row main.keep | grep -q 'main\.keep' || fail "a row of main.keep"
	# 1,000 blocks of 4,096 bytes are 3.91 MiB.
	[[ $(row main.keep) == *" 3.9"*MiB* ]] || fail "at least 3.9 MiB in main.keep"
	expect_exit 1 -- perfgate top --sample-type nonsense go.pb.gz
	expect_stderr "inuse_space"
}

test_bad_files() {
	our_profiles
	local size cut
	expect_exit 1 -- perfgate top
	expect_stderr "top takes one file"
	expect_exit 1 -- perfgate top nowhere.pb.gz
	expect_stderr "nowhere.pb.gz"
	expect_stderr "No such file or directory"
	expect_exit 1 -- perfgate top .
	expect_stderr "directory"
	: >empty
	expect_exit 1 -- perfgate top empty
	expect_stderr "empty"
	expect_exit 1 -- perfgate top "$tree/README.md" "$tree/LICENSE"
	expect_exit 1 -- perfgate top "$tree/LICENSE"
	expect_stderr "LICENSE"
	expect_empty_stdout
	size=$(stat -c %s perfgate-out/toil/heap.pb.gz)
	for cut in 1 5 10 20 $((size / 2)) $((size - 1)); do
		head -c "$cut" perfgate-out/toil/heap.pb.gz >cut.pb.gz
		expect_exit 1 -- perfgate top cut.pb.gz
		expect_stderr "cut.pb.gz"
	done
	# Names of functions come from outside: what they hold must not reach the terminal.
	! grep -q $'\033' "$said/stderr" || fail "no control characters"
}

run_tests "$@"
