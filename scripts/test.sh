#!/usr/bin/env bash
# Runs the tests of a build directory with ctest and closes with the line "N passed, N failed".
# Fails when a test fails, when a test did not run, or when there are no tests.
#
#   scripts/test.sh [BUILD_DIR] [ctest arguments …]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
[ $# -eq 0 ] || shift

# What tests keep in files while they run, and what killed ones left, is in one place.
export TMPDIR=$PWD/$build/test-tmp
case $build in /*) TMPDIR=$build/test-tmp ;; esac
rm -rf "$TMPDIR"
mkdir -p "$TMPDIR"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
ctest --test-dir "$build" -j "${SKEP_TEST_JOBS:-2}" --output-on-failure --no-tests=error "$@" 2>&1 </dev/null | tee "$log"
status=${PIPESTATUS[0]}

# The closing line of ctest: "98% tests passed, 2 tests failed out of 100". Tests that were skipped or not run
# are not among its failures, so they are counted from its list and make the run fail.
summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+$' "$log" | tail -n 1)
failed=$(sed -E 's/.* ([0-9]+) tests failed out of .*/\1/' <<<"${summary:-0}")
total=$(sed -E 's/.* out of ([0-9]+)$/\1/' <<<"${summary:-0}")
skipped=$(sed -n '/^The following tests did not run:/,/^The following tests FAILED:/p' "$log" |
  grep -cE '^[[:space:]]*[0-9]+ - .*\((Skipped|Disabled|Not Run)\)$')
if [ -z "$summary" ] || [ "$total" -eq 0 ]; then
  echo "no test ran"
  [ "$status" -ne 0 ] || status=1
fi
if [ "$skipped" -gt 0 ]; then
  echo "$skipped tests were skipped, which counts as failure"
  failed=$((failed + skipped))
fi
[ "$failed" -eq 0 ] || [ "$status" -ne 0 ] || status=1
echo
echo "$((total - failed)) passed, $failed failed"
exit "$status"
