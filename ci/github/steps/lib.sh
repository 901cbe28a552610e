# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib.sh - how the action's steps talk to the runner. To be sourced; needs GITHUB_OUTPUT.

# gh_output NAME VALUE: sets an output. The delimiter is random, so that no value can end early and set others.
gh_output() {
	local mark
	mark=perfgate-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	printf '%s<<%s\n%s\n%s\n' "$1" "$mark" "$2" "$mark" >>"$GITHUB_OUTPUT"
}

# gh_error MESSAGE: an annotation without a source line. Line ends and per cent signs are escaped as the runner expects.
gh_error() {
	local text=$1
	text=${text//'%'/%25}
	text=${text//$'\r'/%0D}
	text=${text//$'\n'/%0A}
	printf '::error title=perfgate::%s\n' "$text"
}
