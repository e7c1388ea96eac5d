#!/usr/bin/env bash
# Makes the npm packages: @skep/client, @skep/react, skep, and the one with the native part of this platform, which is put together
# from a build: the addon, stripped, and beside it the libraries that it needs and that not every system has.
#
#   scripts/pack.sh [BUILD_DIR] [OUT_DIR]
#
# BUILD_DIR is SKEP_BUILD, else build, when it is not given; OUT_DIR is BUILD_DIR/packages. SKEP_NATIVE names another addon than
# the build's.
#
# The TypeScript is expected to be compiled (npm run build).
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-${SKEP_BUILD:-build}}
out=${2:-$build/packages}
addon=$build/bindings/node/skep.node
[ -z "${SKEP_NATIVE:-}" ] || addon=$SKEP_NATIVE
[ -s "$addon" ] || { echo "pack: $addon is not there: build first" >&2; exit 1; }
for package in client react skep; do
  [ -s "packages/$package/dist/index.js" ] || { echo "pack: packages/$package is not compiled: npm run build" >&2; exit 1; }
done

name=core-$(node -p 'process.platform + "-" + process.arch')
[ -d "packages/$name" ] || { echo "pack: there is no package for this platform (packages/$name)" >&2; exit 1; }
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# Private in the repository, where it has no binary and must not be published by mistake.
sed '/"private": true/d' "packages/$name/package.json" >"$stage/package.json"
cp packages/"$name"/{README.md,LICENSE} "$stage"
mkdir "$stage/lib"
strip --strip-unneeded -o "$stage/skep.node" "$addon"

# Every system with glibc has these; two versions of them in one process would not do.
everywhere='^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+)\.)'
copy_licence() {
  local package
  package=$({ dpkg-query -S "$1" || dpkg-query -S "/usr$1" || dpkg-query -S "${1#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1)
  [ -z "$package" ] || cp "/usr/share/doc/$package/copyright" "$stage/lib/$package.copyright"
}
while read -r soname path; do
  [[ ! $soname =~ $everywhere ]] || continue
  [ -e "$path" ] || { echo "pack: $addon needs $soname, which is not here" >&2; exit 1; }
  cp "$(readlink -f "$path")" "$stage/lib/$soname"
  chmod 755 "$stage/lib/$soname"
  strip --strip-unneeded "$stage/lib/$soname"
  patchelf --force-rpath --set-rpath "\$ORIGIN" "$stage/lib/$soname"
  copy_licence "$(readlink -f "$path")"
done < <(ldd "$addon" | awk '{ n = split($1, part, "/"); print part[n], $3 }')
# Of the old kind, which counts for the libraries of libraries too.
patchelf --force-rpath --set-rpath "\$ORIGIN/lib" "$stage/skep.node"

npm pack --silent --ignore-scripts --pack-destination "$out" "$stage" ./packages/client ./packages/react ./packages/skep
