#!/usr/bin/env bash
# Does the addon lose memory? Wakes actors WAKES times under LeakSanitizer, which needs no build of its own: it takes the
# place of malloc() and looks, when the process ends, for what nothing points to any more.
#
#   scripts/leaks.sh [BUILD]      WAKES=20000
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
wakes=${WAKES:-20000}
checker=$("${CC:-gcc}" -print-file-name=liblsan.so)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A checker that finds nothing must be one that would.
"${CC:-gcc}" -shared -fPIC -DNAPI_VERSION=9 -Inode_modules/node-api-headers/include \
  -o "$work/leaky.node" bindings/node/tests/leaky_addon.c
if LD_PRELOAD=$checker node -e "
    const { lose } = require('$work/leaky.node');
    for (let i = 0; i < 50; ++i) lose();" 2>"$work/leaky.log" || ! grep -q "leak of" "$work/leaky.log"; then
  echo "the leak checker does not find a leak that is there:" >&2
  cat "$work/leaky.log" >&2
  exit 1
fi

SKEP_NATIVE=${SKEP_NATIVE:-$build/bindings/node/skep.node} LD_PRELOAD=$checker \
  node --expose-gc bindings/node/bench/wakes.mjs "$wakes"
echo "no leak after $wakes wakes"
