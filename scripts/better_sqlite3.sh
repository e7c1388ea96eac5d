#!/usr/bin/env bash
# Builds better-sqlite3, beside which bindings/node/bench/sql.mjs measures, into build/better-sqlite3. It is fetched from npm, as
# the one in node_modules, whose SQLite the C++ build compiles in, runs on newer versions of Node.js only; it is compiled with the
# node-gyp that npm brings and the headers of the installed Node.js.
#
#   scripts/better_sqlite3.sh
#   NODE_PREFIX=/opt/node scripts/better_sqlite3.sh      headers elsewhere than beside `node`: NODE_PREFIX/include/node
set -euo pipefail
cd "$(dirname "$0")/.."
version=12.4.1
prefix=${NODE_PREFIX:-$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")}
[ -f "$prefix/include/node/node.h" ] || {
  echo "better_sqlite3: no headers of Node.js in $prefix/include/node; say where with NODE_PREFIX" >&2
  exit 1
}
gyp=$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js
target=build/better-sqlite3
rm -rf "$target"
mkdir -p "$target"
echo '{"private": true}' >"$target/package.json"
npm install --prefix "$target" --ignore-scripts --no-audit --no-fund "better-sqlite3@$version"
cd "$target/node_modules/better-sqlite3"
node "$gyp" rebuild --release --nodedir="$prefix"
node -e 'require(".")(":memory:").close()'
echo "better-sqlite3 $version is in $target"
