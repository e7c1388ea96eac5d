// 10,000 point SELECTs inside one action, and the same rows 1,000 at once, beside better-sqlite3 in the same process, in turns:
// the median of the rounds of each, and the ratio.
//
//   scripts/better_sqlite3.sh          once
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node --expose-gc bindings/node/bench/sql.mjs [ROUNDS]
//
// Times are of the processor, so that other work on the machine counts less. What one of them leaves to the garbage collector is
// collected before the next one begins.

import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@skep/client";
import { actor, db, setup } from "skep";

const rounds = Number(process.argv[2] ?? 15);
const rowCount = 10_000;
const table = "CREATE TABLE entry(id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL)";
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rowCount})
  INSERT INTO entry SELECT i, 'entry number ' || i, i * 7 FROM n`;
const select = "SELECT id, name, size FROM entry WHERE id = ?";
/** Each id once, in an order that jumps about. */
const ids = Array.from({ length: rowCount }, (_, i) => ((i * 7919) % rowCount) + 1);
const expected = ids.reduce((sum, id) => sum + id * 7, 0);
/** The same rows, many with each statement. */
const many = 1_000;
const selectMany = "SELECT id, name, size FROM entry WHERE id > ? LIMIT ?";
const sumOf = (rowsBehind) => {
  let sum = 0;
  for (let id = 0; id < rowCount; id += many) for (const row of rowsBehind(id)) sum += row.size;
  return sum;
};

/** Nanoseconds of this process's processor time for each of the statements. */
async function timed(work) {
  const before = process.cpuUsage();
  const sum = await work();
  const { user, system } = process.cpuUsage(before);
  if (sum !== expected) throw new Error(`wrong rows: ${sum}`);
  return ((user + system) * 1_000) / rowCount;
}

if (!globalThis.gc) throw new Error("node --expose-gc");
let last = 0;
const shelf = actor({
  db: db({
    migrations: [
      { version: 1, sql: table },
      { version: 2, sql: fill },
    ],
  }),
  actions: {
    awaited: async (c) => {
      last = await timed(async () => {
        let sum = 0;
        for (const id of ids) sum += (await c.db.execute(select, id))[0].size;
        return sum;
      });
    },
    synchronous: async (c) => {
      last = await timed(() => {
        let sum = 0;
        for (const id of ids) sum += c.db.executeSync(select, id)[0].size;
        return sum;
      });
    },
    many: async (c) => {
      last = await timed(() => sumOf((id) => c.db.executeSync(selectMany, id, many)));
    },
  },
});

function loadBetterSqlite3() {
  const folder = new URL("../../../build/better-sqlite3/package.json", import.meta.url);
  try {
    const Database = createRequire(folder)("better-sqlite3");
    new Database(":memory:").close();
    return Database;
  } catch {
    console.log("better-sqlite3 is not built: scripts/better_sqlite3.sh builds it. Without it there are no ratios.");
    return undefined;
  }
}

const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
const server = await setup({ use: { shelf } }).start({ store: `embedded:${folder}/store`, listen: 0, logLevel: "error" });
const client = createClient(server.url);
const one = client.shelf.getOrCreate("a");

const contenders = {
  awaited: async () => (await one.awaited(), last),
  synchronous: async () => (await one.synchronous(), last),
};
const Database = loadBetterSqlite3();
if (Database) {
  const file = new Database(join(folder, "plain.sqlite"));
  file.pragma("journal_mode = WAL");
  file.exec(`${table}; ${fill}`);
  const statement = file.prepare(select);
  const all = () => ids.reduce((sum, id) => sum + statement.get(id).size, 0);
  // An action is one transaction, so this is what it is compared with: the fastest that there is.
  contenders["better-sqlite3, one transaction"] = () => timed(() => file.transaction(all)());
  // Each statement a transaction of its own, with its locks of the file.
  contenders["better-sqlite3"] = () => timed(all);
  // As c.db takes it: the text each time, rows as an array.
  contenders["better-sqlite3, text each time"] = () =>
    timed(() => ids.reduce((sum, id) => sum + file.prepare(select).all(id)[0].size, 0));
}

const bulk = { "1,000 rows each": async () => (await one.many(), last) };
if (Database) {
  const statement = new Database(join(folder, "plain.sqlite")).prepare(selectMany);
  bulk["better-sqlite3, 1,000 rows each"] = () => timed(() => sumOf((id) => statement.all(id, many)));
}
Object.assign(contenders, bulk);

const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let round = -3; round < rounds; ++round) {
  for (const [name, run] of Object.entries(contenders)) {
    globalThis.gc({ type: "minor" });
    const time = await run();
    if (round >= 0) times[name].push(time);
  }
}
const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
for (const [name, all] of Object.entries(times)) {
  const base = times[name in bulk ? "better-sqlite3, 1,000 rows each" : "better-sqlite3, one transaction"];
  const ratio = base ? `, ${(median(base) / median(all)).toFixed(2)} ×` : "";
  console.log(`${name.padEnd(35)} ${(median(all) / 1_000).toFixed(2)} µs a row (least ${(Math.min(...all) / 1_000).toFixed(2)})${ratio}`);
}
client.dispose();
await server.stop();
rmSync(folder, { recursive: true });
