#!/usr/bin/env bash
# Runs every benchmark program of a build. Arguments go to each of them (--benchmark_filter=…).
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob
programs=(build/bench/*_bench)
[ ${#programs[@]} -gt 0 ] || { echo "bench: there is no benchmark in build/bench" >&2; exit 1; }
for program in "${programs[@]}"; do
  echo "== $(basename "$program")"
  "$program" "$@"
done
