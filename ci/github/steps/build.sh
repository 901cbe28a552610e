#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# build.sh - an installation of perfgate in $PERFGATE_FOLDER, and its program on the PATH of later steps.
#
# One that is there already (from the cache) is used when it runs here; then only the libraries it needs are installed.
# The sources are built outside their own folder, and the build is removed: only the installation is cached.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=ci/github/steps/lib.sh
. "$here/lib.sh"
# shellcheck source=ci/lib.sh
. "$here/../../lib.sh"

runs() { "$PERFGATE_FOLDER/bin/perfgate" --version >/dev/null 2>&1; }

build() {
	local work=$RUNNER_TEMP/perfgate-build
	rm -rf -- "$PERFGATE_FOLDER" "$work"
	cmake -S "$pg_root" -B "$work" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPERFGATE_TESTS=OFF &&
		cmake --build "$work" -j "$(pg_cores)" &&
		cmake --install "$work" --strip --prefix "$PERFGATE_FOLDER" &&
		rm -rf -- "$work"
}

echo "::group::Build perfgate"
pg_install_packages run
if runs; then
	echo "using the build of an earlier run"
else
	pg_install_packages build
	build || {
		echo "::endgroup::"
		gh_error "perfgate could not be built; the log of this step says why. Nothing was measured."
		exit 1
	}
fi
echo "::endgroup::"
"$PERFGATE_FOLDER/bin/perfgate" --version
printf '%s\n' "$PERFGATE_FOLDER/bin" >>"$GITHUB_PATH"
