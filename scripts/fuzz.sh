#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS, with clang's fuzzer and the sanitizers. New inputs go to
# the build folder, not into the corpus. Usage: scripts/fuzz.sh BUILD
set -eu

build=$1
seconds=${FUZZ_SECONDS:-60}
cd "$(dirname "$0")/.."

[ -e "$build/build.ninja" ] || CC=clang meson setup "$build" -Dfuzzer=true \
	-Db_sanitize=address,undefined -Db_lundef=false \
	-Dbuildtype=debugoptimized
for source in fuzz/fuzz_*.c; do
	target=$(basename "$source" .c)
	ninja -C "$build" "fuzz/$target"
	mkdir -p "$build/found/$target"
	echo "== $target for $seconds s"
	UBSAN_OPTIONS=halt_on_error=1 "$build/fuzz/$target" -max_total_time="$seconds" \
		-print_final_stats=1 -artifact_prefix="$build/found/$target-" \
		"$build/found/$target" "fuzz/corpus/${target#fuzz_}"
done
