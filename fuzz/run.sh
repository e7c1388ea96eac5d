#!/bin/sh
# Runs fuzz targets and adds what they find to their corpora.
#
#   fuzz/run.sh [seconds for each, default 60] [target …, default all]
#
# The new inputs that reach more code, if they are small, go to fuzz/corpus/<target>/found.lines. A crash stops the
# script; its input is then in build/fuzz/. Give it a name and a comment in the corpus, and fix what it found.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(ls fuzz/corpus)

cmake --preset fuzz >/dev/null
ninja -C build/fuzz fuzz_corpus_tool "$@"
programs=$PWD/build/fuzz/fuzz_targets
cd build/fuzz
for target in "$@"; do
  work=corpus/$target
  rm -rf "$work"
  mkdir -p "$work/all" "$work/kept"
  "$programs/fuzz_corpus_tool" unpack "../../fuzz/corpus/$target" "$work/all"
  "$programs/$target" -max_total_time="$seconds" -max_len=9000 -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 "$work/all"
  find "$work/all" -type f -size +160c -delete
  "$programs/fuzz_corpus_tool" unpack "../../fuzz/corpus/$target" "$work/all"
  "$programs/$target" -merge=1 "$work/kept" "$work/all"
  "$programs/fuzz_corpus_tool" pack "$work/kept" "../../fuzz/corpus/$target"
done
