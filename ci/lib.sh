# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib.sh - what the scripts of perfgate share: where the tree is, packages, calm messages. To be sourced.
#
# Sourcing changes nothing but variables and functions whose names begin with pg_. Messages go to standard error;
# colours only when that is a terminal and NO_COLOR is unset.

# The file that defines this function is always $root/ci/lib.sh, wherever the caller stands.
pg_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
	pg_bold=$'\e[1m' pg_dim=$'\e[2m' pg_red=$'\e[31m' pg_green=$'\e[32m' pg_plain=$'\e[0m'
else
	pg_bold='' pg_dim='' pg_red='' pg_green='' pg_plain=''
fi

pg_say() { printf '%s\n' "$*" >&2; }
pg_title() { printf '\n%s%s%s\n' "$pg_bold" "$*" "$pg_plain" >&2; }
pg_note() { printf '%s%s%s\n' "$pg_dim" "$*" "$pg_plain" >&2; }
pg_good() { printf '%s%s%s\n' "$pg_green" "$*" "$pg_plain" >&2; }
pg_bad() { printf '%s%s%s\n' "$pg_red" "$*" "$pg_plain" >&2; }
pg_die() {
	pg_bad "${0##*/}: $*"
	exit 1
}

# Cores that this process may use.
pg_cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

# pg_packages_wanted SECTION...: the entries of packages.txt in these sections, one a line, each once.
pg_packages_wanted() {
	awk -v wanted=" $* " '
		{ sub(/#.*/, ""); gsub(/[ \t]+/, "") }
		/^\[.*\]$/ { on = index(wanted, " " substr($0, 2, length($0) - 2) " ") > 0; next }
		on && $0 != "" && !seen[$0]++ { print }
	' "$pg_root/ci/packages.txt"
}

pg_package_is_installed() {
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# pg_package_is_met ENTRY: is one of its packages installed, or its command there?
pg_package_is_met() {
	local entry=$1 names command="" name
	names=${entry%%:*}
	[[ $entry == *:* ]] && command=${entry#*:}
	[[ -n $command ]] && command -v "$command" >/dev/null 2>&1 && return 0
	IFS='|' read -ra names <<<"$names"
	for name in "${names[@]}"; do
		pg_package_is_installed "$name" && return 0
	done
	return 1
}

# pg_package_pick ENTRY: the first of its names that this release of Debian or Ubuntu has.
pg_package_pick() {
	local names name
	IFS='|' read -ra names <<<"${1%%:*}"
	for name in "${names[@]}"; do
		if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
			printf '%s\n' "$name"
			return 0
		fi
	done
	pg_die "apt-get offers none of: ${names[*]}; ci/packages.txt says what it is for"
}

pg_as_root() {
	if ((EUID == 0)); then
		env DEBIAN_FRONTEND=noninteractive "$@"
	else
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	fi
}

# pg_install_packages SECTION...: installs what is missing. Asks apt-get nothing when nothing is.
pg_install_packages() {
	local entry missing=() packages=() log
	while IFS= read -r entry; do
		pg_package_is_met "$entry" || missing+=("$entry")
	done < <(pg_packages_wanted "$@")
	((${#missing[@]} == 0)) && return 0

	command -v apt-get >/dev/null 2>&1 ||
		pg_die "these are missing and there is no apt-get to install them with: ${missing[*]%%[:|]*}"
	((EUID == 0)) || command -v sudo >/dev/null 2>&1 ||
		pg_die "these Debian packages are missing; install them as root (there is no sudo): ${missing[*]%%[:|]*}"

	pg_say "Installing ${#missing[@]} missing Debian packages: ${missing[*]%%[:|]*}"
	log=$(mktemp)
	if ! pg_as_root apt-get update >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		pg_die "apt-get update failed (full output: $log)"
	fi
	for entry in "${missing[@]}"; do
		packages+=("$(pg_package_pick "$entry")") || exit 1
	done
	if ! pg_as_root apt-get install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		pg_die "apt-get install failed (full output: $log)"
	fi
	rm -f "$log"
}
