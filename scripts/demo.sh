#!/usr/bin/env bash
# The demo: examples/workspace, five small programs in TypeScript in one server with one page. Runs until Ctrl-C; without a
# terminal it shows that everything answers, and ends.
#
#   SKEP_STORE    where the databases are kept (embedded:./workspace-data)
#   SKEP_LISTEN   HOST:PORT or PORT (127.0.0.1:6420)
set -euo pipefail
cd "$(dirname "$0")/.."
export SKEP_STORE=${SKEP_STORE:-embedded:./workspace-data}
export SKEP_NATIVE=${SKEP_NATIVE:-$PWD/build/bindings/node/skep.node}
export SKEP_LOG_LEVEL=${SKEP_LOG_LEVEL:-warn}

log=$(mktemp)
# In a process group of its own: Ctrl-C is for this script, which tells the server once.
set -m
node --import tsx examples/workspace/server.ts >"$log" 2>&1 &
server=$!
set +m
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -f "$log"
}
trap stop EXIT
trap 'exit 0' INT TERM

for _ in $(seq 200); do
  ! grep -q '^The workspace is at' "$log" || break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
url=$(sed -n 's/^The workspace is at //p' "$log")
[ -n "$url" ] || { echo "the server does not start:" >&2; cat "$log" >&2; exit 1; }

# call ACTOR ACTION ARGUMENTS
call() { node -e '
  const [url, actor, action, body] = process.argv.slice(1);
  fetch(`${url}/actors/${actor}/actions/${action}`, { method: "POST", body }).then(async (response) => {
    console.log(await response.text());
    process.exitCode = response.ok ? 0 : 1;
  });' "$url" "$@"; }
if [ "$(call chatRoom/lobby history '[]')" = "[]" ]; then
  call chatRoom/lobby send '["Welcome! Open this page in a second window."]' >/dev/null
  for task in '["Try a second tenant", 2]' '["Open this page in a second window", 1]'; do call tenant/acme add "$task" >/dev/null; done
fi

cat <<END

The workspace: a chat, a document, tenants, an agent's memory, reminders. In as many windows as you like:

    $url

Actors can be called by anything that speaks HTTP:

    curl -X POST $url/actors/counter/my-counter/actions/increment -d '[5]'
    curl -X POST $url/actors/chatRoom/lobby/actions/send -d '["Hello from the shell"]'

The databases are kept in $SKEP_STORE (SKEP_STORE chooses another place).
END
if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
  echo "Ctrl-C ends the server; all is there again when it starts the next time."
  wait "$server"
else
  [ -n "$(call chatRoom/lobby history '[]')" ] && [ "$(call counter/my-counter increment '[5]')" -ge 5 ] && echo "The server answers. There is no terminal, so the demo ends here."
fi
