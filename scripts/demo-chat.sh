#!/usr/bin/env bash
# The demo in C++: a server with sample actors on the embedded store, and a page with chat rooms. Runs until Ctrl-C;
# without a terminal it shows that everything answers, and ends.
#
#   SKEP_STORE    where the databases are kept (embedded:./demo-data)
#   SKEP_LISTEN   HOST:PORT or PORT (127.0.0.1:6420)
set -euo pipefail
cd "$(dirname "$0")/.."
export SKEP_STORE=${SKEP_STORE:-embedded:./demo-data}
export SKEP_PAGES=examples/chat/pages

log=$(mktemp)
build/examples/chat >"$log" 2>&1 &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -f "$log"
}
trap stop EXIT
trap 'exit 0' INT TERM

for _ in $(seq 100); do
  ! grep -q '^Skep listens on' "$log" || break
  kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
  sleep 0.1
done
url=$(sed -n 's/^Skep listens on //p' "$log")
[ -n "$url" ] || { echo "the server does not start:" >&2; cat "$log" >&2; exit 1; }

show() {
  printf '\n$ %s\n' "$1"
  eval "$1"
  echo
}
command -v curl >/dev/null && {
  show "curl -sS -X POST $url/actors/counter/my-counter/actions/increment -d '[5]'"
  show "curl -sS -X POST $url/actors/chatRoom/lobby/actions/send -d '[\"Welcome! Open this page in a second window.\"]'"
}

cat <<END

The databases are kept in $SKEP_STORE (SKEP_STORE chooses another place).
A chat room, in as many windows as you like:

    ${url/127.0.0.1/localhost}

END
if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
  echo "Ctrl-C ends the server; the rooms are there again when it starts the next time."
  wait "$server"
else
  command -v curl >/dev/null && curl -sSf "$url/" >/dev/null && echo "The page answers. There is no terminal, so the demo ends here."
fi
