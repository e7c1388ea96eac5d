#!/usr/bin/env bash
# Installs what building and testing Skep needs and this machine lacks: Debian packages through apt-get, and
# the SQLite sources and the tools of packages/ through npm. Does nothing, and needs no rights and no network,
# when all is there.
#
#   scripts/setup.sh build    what building needs (the default)
#   scripts/setup.sh test     and what the tests need: a PostgreSQL server to start private clusters with, a browser, what packing
#                             needs, and all that package-lock.json pins
#   scripts/setup.sh npm      and all that package-lock.json pins
#   scripts/setup.sh pack     and patchelf, to make the npm packages
#   scripts/setup.sh fuzz     and clang, for the fuzz targets
#   scripts/setup.sh format   clang-format alone
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}

build_packages=(
  build-essential cmake ninja-build pkg-config ccache mold
  libboost1.81-dev libboost-context1.81-dev libboost-url1.81-dev libssl-dev libuv1-dev
  librocksdb-dev libpq-dev libzstd-dev libxxhash-dev
  libcctz-dev tzdata libcli11-dev nlohmann-json3-dev libspdlog-dev libedit-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
case $what in
  build) packages=("${build_packages[@]}") ;;
  npm) packages=("${build_packages[@]}") ;;
  pack) packages=("${build_packages[@]}" patchelf) ;;
  test) packages=("${build_packages[@]}" postgresql libsqlite3-0 patchelf chromium) ;;
  fuzz) packages=("${build_packages[@]}" clang) ;;
  format) packages=(clang-format) ;;
  *) echo "usage: scripts/setup.sh [build|npm|pack|test|fuzz|format]" >&2; exit 2 ;;
esac

has_package() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif ! command -v sudo >/dev/null; then
    echo "setup: root rights are needed to run: $*" >&2
    return 1
  elif [ -t 0 ] && [ -z "${CI:-}" ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

install_packages() {
  echo "setup: installing $*" >&2
  local log
  log=$(mktemp)
  # The log is shown only when something failed.
  if ! { as_root apt-get update -qq &&
         as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
       } >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    echo "setup: could not install: $*" >&2
    exit 1
  fi
  rm -f "$log"
}

wanted=()
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  for package in "${packages[@]}"; do
    has_package "$package" || wanted+=("$package")
  done
else
  echo "setup: this is not a Debian system; these packages (or their like) must be there: ${packages[*]}" >&2
fi
[ "$what" = format ] || command -v npm >/dev/null || wanted+=(nodejs npm)
if [ ${#wanted[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "setup: please install: ${wanted[*]}" >&2; exit 1; }
  install_packages "${wanted[@]}"
fi
[ "$what" != format ] || exit 0

# From npm: for a build the SQLite sources, of exactly the version that package-lock.json pins; for tests all of it. What is
# installed bears the sum of the package-lock.json that it was installed from.
version_in() { sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' "$1" 2>/dev/null | head -n 1; }
pinned=$(sed -n '/"node_modules\/better-sqlite3": {/,/}/s/.*"version": *"\([^"]*\)".*/\1/p' package-lock.json)
lock=$(sha256sum <package-lock.json)
stamp=node_modules/.skep-lock
has_sqlite() {
  [ "$(version_in node_modules/better-sqlite3/package.json || true)" = "$pinned" ] &&
    [ -s node_modules/better-sqlite3/deps/sqlite3/sqlite3.c ]
}
has_all() {
  [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && [ -d testing/react-18/node_modules/react ]
}
case $what in npm|pack|test) needs_all=1 ;; *) needs_all=0 ;; esac
if ! has_sqlite || { [ "$needs_all" = 1 ] && ! has_all; }; then
  echo "setup: fetching npm packages (the SQLite sources in better-sqlite3 $pinned, the tools of packages/)" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >&2
  echo "$lock" >"$stamp"
fi
if [ "$needs_all" = 1 ]; then
  node -e 'const [major] = process.versions.node.split(".").map(Number);
    if (major < 18) { console.error(`setup: packages/ need Node.js 18 or newer, this is ${process.version}`); process.exit(1); }'
fi
