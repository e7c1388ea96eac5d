#!/usr/bin/env bash
# Runs the tests of a build directory: with ctest, and those of packages/ with vitest against the servers of that build. Closes
# with the line "N passed, N failed", which counts all. Fails when a test fails, when a test did not run, or when there
# are no tests.
#
#   scripts/test.sh [BUILD_DIR]                       all
#   scripts/test.sh BUILD_DIR ctest arguments …       those of ctest that the arguments choose
#   scripts/test.sh BUILD_DIR packages                those of packages/
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
report=$(mktemp)
trap 'rm -f "$log" "$report"' EXIT
passed=0
failed=0
status=0

# The closing line of ctest: "98% tests passed, 2 tests failed out of 100". Tests that were skipped or not run
# are not among its failures, so they are counted from its list and make the run fail.
run_ctest() {
  local summary total failures skipped
  ctest --test-dir "$build" -j "${SKEP_TEST_JOBS:-2}" --output-on-failure --no-tests=error "$@" 2>&1 </dev/null | tee "$log"
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
  summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+$' "$log" | tail -n 1)
  failures=$(sed -E 's/.* ([0-9]+) tests failed out of .*/\1/' <<<"${summary:-0}")
  total=$(sed -E 's/.* out of ([0-9]+)$/\1/' <<<"${summary:-0}")
  skipped=$(sed -n '/^The following tests did not run:/,/^The following tests FAILED:/p' "$log" |
    grep -cE '^[[:space:]]*[0-9]+ - .*\((Skipped|Disabled|Not Run)\)$')
  if [ -z "$summary" ] || [ "$total" -eq 0 ]; then
    echo "no test of ctest ran"
    status=1
  fi
  [ "$skipped" -eq 0 ] || echo "$skipped tests were skipped, which counts as failure"
  failed=$((failed + failures + skipped))
  passed=$((passed + total - failures - skipped))
}

# Counts from vitest's report. A test file that could not be run has no tests in it, but counts as a failure; so does an error
# outside of tests.
run_packages() {
  local counts ran=0
  if ! npm run --silent build </dev/null; then
    echo "packages/ does not compile, which counts as failure"
    failed=$((failed + 1))
    status=1
    return
  fi
  SKEP_BUILD=$build npx --no-install vitest run --reporter=default --reporter=json --outputFile.json="$report" </dev/null || ran=$?
  counts=$(node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"));
    const other = report.numTotalTests - report.numPassedTests - report.numFailedTests;
    console.log(report.numPassedTests, report.numFailedTests + other + broken.length);' "$report") || counts="0 0"
  if [ "${counts%% *}" -eq 0 ]; then
    echo "no test of packages/ ran"
    status=1
  fi
  passed=$((passed + ${counts%% *}))
  failed=$((failed + ${counts##* }))
  if [ "$ran" -ne 0 ]; then
    status=1
    [ "${counts##* }" -ne 0 ] || failed=$((failed + 1))
  fi
}

case ${1:-} in
  packages) run_packages ;;
  "") run_ctest; run_packages ;;
  *) run_ctest "$@" ;;
esac

[ "$failed" -eq 0 ] || status=1
echo
echo "$passed passed, $failed failed"
exit "$status"
