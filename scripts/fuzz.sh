#!/usr/bin/env bash
# Runs every fuzz target of build/fuzz for SECONDS_EACH seconds (default 60) on its corpus in fuzz/corpus.
# What it finds is left in the working copy of the corpus under build/fuzz/corpus; a crash fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
shopt -s nullglob
programs=(build/fuzz/fuzz/*_fuzz)
[ ${#programs[@]} -gt 0 ] || { echo "fuzz: there is no fuzz target in build/fuzz/fuzz" >&2; exit 1; }
for program in "${programs[@]}"; do
  name=$(basename "$program" _fuzz)
  work=build/fuzz/corpus/$name
  mkdir -p "$work"
  seeds=()
  [ ! -d "fuzz/corpus/$name" ] || seeds=("fuzz/corpus/$name")
  echo "== $name"
  "$program" -max_total_time="$seconds" -print_final_stats=0 -artifact_prefix="$work/" "$work" ${seeds[@]+"${seeds[@]}"}
done
