#!/bin/sh
# Installs the missing packages of the named groups (scripts/packages.txt); says nothing and asks
# nothing when none is missing. Usage: scripts/deps.sh build [test] [lint]
set -eu

list=$(dirname "$0")/packages.txt
missing=
for group in "$@"; do
	for package in $(sed -n "s/^$group //p" "$list"); do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: these Debian packages (or what your system calls them) are missing:$missing" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: run as root, or install sudo: apt-get install$missing" >&2
		exit 1
	fi
	as_root="sudo -n"
fi

echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
if ! $as_root apt-get -q update; then
	echo "deps: apt-get update failed: is there a network? Missing:$missing" >&2
	exit 1
fi
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
	$missing; then
	echo "deps: apt-get could not install$missing" >&2
	exit 1
fi
