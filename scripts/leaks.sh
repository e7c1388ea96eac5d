#!/usr/bin/env bash
# Runs bindings/node/tests/leaks.mjs, a few thousand wakes, calls, events, connections and failures, under the leak sanitizer, and
# fails when anything is left that has a place in skep.node among its callers. Needs `npm run build` and a C compiler.
#
#   scripts/leaks.sh                      the addon of build/: leaks only
#   scripts/leaks.sh build/asan           that of the preset asan: wrong accesses too
#   WAKES=20000 scripts/leaks.sh
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
addon=$PWD/$build/bindings/node/skep.node
case $build in /*) addon=$build/bindings/node/skep.node ;; esac
[ -f "$addon" ] || { echo "leaks: there is no $addon; build skep_node" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The checker says nothing when there is nothing, or when it did not run. So it is given something to find.
cat >"$folder/control.c" <<'END'
#include <stdlib.h>
static void* volatile block;
__attribute__((constructor)) static void leakOnPurpose(void) {
  for (int i = 0; i < 4; ++i) block = malloc(4242);
  block = NULL;
}
END
"${CC:-cc}" -O0 -g -shared -fPIC -o "$folder/control.so" "$folder/control.c" || exit 1

if nm -D "$addon" | grep -q __asan_init; then library=libasan.so; else library=liblsan.so; fi
preload=$(readlink -f "$("${CC:-cc}" -print-file-name=$library)")
# The control's leak would decide the status. Stacks are walked in full, as the release build has no frame pointers.
if [ $library = libasan.so ]; then
  export ASAN_OPTIONS="detect_leaks=1:exitcode=23:fast_unwind_on_malloc=0:malloc_context_size=40"
else
  export LSAN_OPTIONS="exitcode=23:fast_unwind_on_malloc=0:malloc_context_size=40"
fi
LD_PRELOAD=$preload:$folder/control.so SKEP_NATIVE=$addon \
  node bindings/node/tests/leaks.mjs "${WAKES:-3000}" 2>"$folder/report"
status=$?
if [ "$status" -ne 23 ] || ! grep -q "in leakOnPurpose" "$folder/report" || grep -q "ERROR: AddressSanitizer" "$folder/report"; then
  cat "$folder/report" >&2
  echo "leaks: the run failed, or the leak checker did not run (status $status)" >&2
  exit 1
fi
awk -v RS= '/(Direct|Indirect) leak of/ && !/in leakOnPurpose/ { if (/skep\.node/) { ++ours; print $0 "\n" } else ++others }
  END { printf "%d leaks with the addon among their callers, %d without\n", ours, others; exit ours > 0 }' "$folder/report"
