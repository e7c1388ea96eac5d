#!/usr/bin/env bash
# A sample fleet: twenty databases in one store, each a small shop. Makes them (once; running again changes nothing),
# lists them, shows a query, and opens a shell on one of them when there is a terminal.
set -euo pipefail
cd "$(dirname "$0")/.."
export SKEP_STORE=${SKEP_STORE:-embedded:./demo-data}
skep=build/skep

tenants=(acme beehive cobalt delta ember fjord garnet harbor indigo juniper
         kestrel lumen meadow nimbus orchard pepper quartz river saffron tundra)

show() {
  local line="" word
  for word in "$@"; do
    [[ $word != *" "* ]] || word="\"$word\""
    line+=" $word"
  done
  printf '\n$%s\n' "$line"
  "${@/#skep/$skep}"
}

echo "The databases are kept in $SKEP_STORE (SKEP_STORE chooses another place)."
seed=0
for tenant in "${tenants[@]}"; do
  seed=$((seed + 1))
  { cat examples/fleet/schema.sql; sed "s/@SEED/$seed/g" examples/fleet/seed.sql; } | $skep sql "tenant/$tenant"
done

show skep ls tenant/ --limit 5 --long
show skep sql tenant/acme "SELECT * FROM revenue LIMIT 5"
show skep sql tenant/acme "SELECT name, price_cents FROM product ORDER BY id" --mode json
show skep info tenant/acme
show skep check tenant/acme tenant/tundra

cat <<END

Try these, with SKEP_STORE=$SKEP_STORE:
  $skep ls
  $skep sql tenant/river                       a shell: .help, .tables, .schema, SQL
  $skep sql tenant/river "SELECT count(*) FROM orders WHERE quantity > 2"
  $skep export tenant/river river.sqlite       an ordinary SQLite file
  $skep import river.sqlite tenant/copy
  $skep check --all
END

if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
  echo
  echo "A shell on tenant/acme opens now. A first query: SELECT * FROM revenue;"
  exec $skep sql tenant/acme
fi
