# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of ci/bench, which sources this
# SPDX-License-Identifier: MIT
#
# After the measurement: symbols of a large program, and the comparison of large results.

# The libraries that clang loads: all of its code is in two of them.
clang_libraries() { ldd "$(readlink -f "$(command -v clang)")" | sed -n 's/.*=> \(.*lib\(LLVM\|clang-cpp\)[^ ]*\) .*/\1/p'; }

symbols() {
	local files size i
	mapfile -t files < <(clang_libraries)
	((${#files[@]} > 0)) || pg_die "clang here is no program with libLLVM and libclang-cpp"
	size=$(stat -L -c %s "${files[@]}" | awk '{ sum += $1 } END { printf "%.0f", sum / 1e6 }')
	for ((i = 0; i < rounds; i++)); do
		spend symbols "$bin/bench_symbolize" "$((10000 / ${#files[@]}))" "${files[@]}"
	done
	row "symbols of 10,000 addresses of clang, $size MB" "$(printf '%.2f s' "$(calc "$(values symbols wall | median) / 1e9")")" \
		- - "2 s" "$(values symbols wall | median)" 2e9
}

# Every tenth benchmark is 20 % worse: the comparison has something to find and to explain, and its status is 2.
comparison() {
	local i
	"$bin/bench_snapshot" "$out/base.json" 0
	"$bin/bench_snapshot" "$out/head.json" 20
	for ((i = 0; i < rounds; i++)); do
		# shellcheck disable=SC2016 # the inner shell expands it
		spend comparison sh -c '"$1" compare "$2" "$3"; test $? -eq 2' - "$perfgate" "$out/base.json" "$out/head.json"
	done
	row "compare 1,000 benchmarks of 200 functions" "$(printf '%.2f s' "$(calc "$(values comparison wall | median) / 1e9")")" \
		- - "1 s" "$(values comparison wall | median)" 1e9
}

symbols
comparison
