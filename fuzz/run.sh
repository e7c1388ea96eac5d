#!/bin/sh
# Runs fuzz targets and adds what they find to their corpora.
#
#   fuzz/run.sh [seconds for each, default 120] [target …, default all]
#
# New inputs that reach new code are minimised and added to fuzz/corpus/<target>/ as hex text, if they are small.
# A crash stops the script; libFuzzer leaves the input in build/fuzz/.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-120}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(ls fuzz/corpus)

cmake --preset fuzz >/dev/null
ninja -C build/fuzz fuzz_corpus_tool "$@"
for target in "$@"; do
  work=build/fuzz/corpus/$target
  rm -rf "$work"
  mkdir -p "$work/all" "$work/small"
  build/fuzz/fuzz/fuzz_corpus_tool unpack "fuzz/corpus/$target" "$work/all"
  (cd build/fuzz && "fuzz/$target" -max_total_time="$seconds" -max_len=9000 -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 "corpus/$target/all")
  # Keeps the committed inputs, and of the new ones those of at most 300 bytes that reach something new.
  build/fuzz/fuzz/fuzz_corpus_tool unpack "fuzz/corpus/$target" "$work/small"
  find "$work/all" -type f -size +300c -delete
  "build/fuzz/fuzz/$target" -merge=1 "$work/small" "$work/all"
  build/fuzz/fuzz/fuzz_corpus_tool pack "$work/small" "fuzz/corpus/$target"
done
