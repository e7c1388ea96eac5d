#!/usr/bin/env bash
# Installs Skep into a fresh directory, builds examples against that alone, calls an actor of one of them, and
# runs the test of the other, which has Skep's test kit.
#
#   outside_project.sh BUILD_DIRECTORY EXAMPLES_DIRECTORY
set -euo pipefail
build=$1
examples=$2
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
if grep -rl "$build" "$work/prefix/lib/cmake"; then
  echo "the package names its build directory" >&2
  exit 1
fi
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
for example in counter reminders; do
  cp -r "$examples/$example" "$work/$example-source"
  cmake -S "$work/$example-source" -B "$work/$example" -DCMAKE_PREFIX_PATH="$work/prefix" "${launcher[@]}" >"$work/configure.log"
  cmake --build "$work/$example"
done

"$work/reminders/reminders_test"

"$work/counter/counter" --store memory: --listen 127.0.0.1:0 >"$work/output" &
server=$!
for _ in $(seq 300); do
  port=$(sed -n 's|.*http://127.0.0.1:\([0-9]*\).*|\1|p' "$work/output")
  [ -z "$port" ] || break
  sleep 0.1
done
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'POST /actors/counter/a/actions/increment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[5]' >&3
reply=$(cat <&3)
[ "${reply##*$'\n'}" = 5 ] || { echo "the actor answered: $reply" >&2; exit 1; }
kill -TERM "$server"
wait "$server"
server=
