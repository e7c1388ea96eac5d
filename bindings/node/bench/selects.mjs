// 10,000 point SELECTs within one action, beside better-sqlite3 with the same rows in a file, in the same process and
// run. The three take turns; of each, the median of the rounds counts.
//
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node bindings/node/bench/selects.mjs

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Sqlite from "better-sqlite3";
import { actor, db, setup } from "skep";
import { createClient } from "@skep/client";

const rows = 10_000;
const selects = 10_000;
const rounds = 15;
const table = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price INTEGER)";
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
  INSERT INTO item SELECT i, 'item ' || i, i * 7 FROM n`;
const select = "SELECT id, name, price FROM item WHERE id = ?";
const idOf = (i) => ((i * 7919) % rows) + 1;

/** Milliseconds, and whether all rows were there. */
function check(start, sum) {
  if (sum !== expected) throw new Error(`the rows are not as they should be: ${sum}`);
  return performance.now() - start;
}
let expected = 0;
for (let i = 0; i < selects; ++i) expected += idOf(i) * 7;

const shop = actor({
  db: db({ migrations: [{ version: 1, sql: `${table}; ${fill}` }] }),
  actions: {
    awaited: async (c) => {
      const start = performance.now();
      let sum = 0;
      for (let i = 0; i < selects; ++i) sum += (await c.db.execute(select, idOf(i)))[0].price;
      return check(start, sum);
    },
    synchronous: (c) => {
      const start = performance.now();
      let sum = 0;
      for (let i = 0; i < selects; ++i) sum += c.db.executeSync(select, idOf(i))[0].price;
      return check(start, sum);
    },
  },
});

const directory = mkdtempSync(join(tmpdir(), "skep-bench-"));
const file = new Sqlite(join(directory, "plain.sqlite"));
file.exec(`${table}; ${fill}`);
const statement = file.prepare(select);
function plain() {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < selects; ++i) sum += statement.all(idOf(i))[0].price;
  return check(start, sum);
}

const server = await setup({ use: { shop } }).start({
  store: `embedded:${join(directory, "store")}`,
  listen: 0,
  logLevel: "error",
  signals: false,
});
const client = createClient(server.url);
const one = client.shop.getOrCreate("one");
const times = { plain: [], awaited: [], synchronous: [] };
for (let i = 0; i < rounds; ++i) {
  times.plain.push(plain());
  times.awaited.push(await one.awaited());
  times.synchronous.push(await one.synchronous());
}
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const rate = (name) => selects / (median(times[name]) / 1000);
for (const name of Object.keys(times)) {
  const ratio = (rate(name) / rate("plain")).toFixed(2);
  console.log(`${name.padEnd(12)} ${rate(name).toFixed(0).padStart(9)} SELECTs/s   ${ratio} x`);
}
client.dispose();
await server.stop();
file.close();
rmSync(directory, { recursive: true });
