#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# key.sh - names the build: a hash over the sources, the system and its release. Equal names are equal builds.
#
# outputs: key, and folder: where the build is or will be, in the job's temporary folder
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=ci/github/steps/lib.sh
. "$here/lib.sh"

sources_hash() {
	cd -- "$here/../../.."
	find CMakeLists.txt CMakePresets.json runner baseline compare ci -type f -print0 |
		LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-32
}

# shellcheck source=/dev/null
system=$(. /etc/os-release && printf '%s%s' "${ID:-linux}" "${VERSION_ID:-}")
gh_output key "perfgate-$system-$(uname -m)-$(sources_hash)"
gh_output folder "$RUNNER_TEMP/perfgate"
