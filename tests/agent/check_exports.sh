#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check_exports.sh LIBRARY LIST - fails, showing the difference, unless the library defines exactly the dynamic
# symbols of the list, and needs libc alone.
set -eu
nm -D --defined-only "$1" | awk '{ print $NF }' | LC_ALL=C sort | diff -u "$2" -
needed=$(readelf -d "$1" | awk '/\(NEEDED\)/ { print $NF }' | tr '\n' ' ')
[ "$needed" = '[libc.so.6] ' ] || { echo "needs $needed" >&2; exit 1; }
