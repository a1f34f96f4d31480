#!/bin/bash
# Builds the fuzzers and runs them for SECONDS of one processor in all, as many at a time as there are processors, from the
# corpus that is checked in. What they find on the way stays in build/fuzz/corpus for the next run; an input that fails
# stays in build/fuzz/findings and is named. ALLOCLINE_JOBS=N runs N at a time.
#
#   tests/fuzz/run_fuzz.sh [SECONDS] [BUILD_DIRECTORY]
#
# Exit status: 0 no finding, 1 a finding, 2 the fuzzers could not be built.
set -euo pipefail

seconds=${1:-60}
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${2:-$root/build/fuzz}

mkdir -p "$build"
if ! cmake -S "$root" --preset fuzz -B "$build" -DALLOCLINE_UNITY=ON >"$build/configure.log" 2>&1; then
  cat "$build/configure.log" >&2
  exit 2
fi
cmake --build "$build" --target fuzzers -- --quiet || exit 2

fuzzers=("$build"/bin/*_fuzz)
each=$((seconds / ${#fuzzers[@]}))
[ "$each" -gt 0 ] || each=1
jobs=${ALLOCLINE_JOBS:-$(nproc)}

fuzz() {  # FUZZER: what it says goes to its log
  local name seeds corpus findings
  name=$(basename "$1" _fuzz)
  seeds=$root/tests/fuzz/corpus/$name corpus=$build/corpus/$name findings=$build/findings/$name
  mkdir -p "$corpus" "$findings"
  "$1" -max_total_time="$each" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$findings/" "$corpus" "$seeds" >"$build/$name.log" 2>&1
}

failed=0 running=0 processes=()
for fuzzer in "${fuzzers[@]}"; do
  if [ "$running" -ge "$jobs" ]; then
    wait -n || true  # how each ended is asked for below
    running=$((running - 1))
  fi
  printf 'fuzzing %s for %s s\n' "$(basename "$fuzzer" _fuzz)" "$each"
  fuzz "$fuzzer" &
  processes+=($!) running=$((running + 1))
done
for i in "${!fuzzers[@]}"; do
  name=$(basename "${fuzzers[i]}" _fuzz)
  if wait "${processes[i]}"; then
    printf '%s:\n' "$name"
    grep -E 'number_of_executed_units|peak_rss_mb' "$build/$name.log" || true
  else
    tail -n 40 "$build/$name.log" >&2
    printf 'the input of %s that failed: %s\n' "$name" "$build/findings/$name" >&2
    failed=1
  fi
done
exit "$failed"
