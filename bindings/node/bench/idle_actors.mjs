// Memory of awake actors that do nothing, in TypeScript's world: one with a state, one with a table, the same with
// sqlite-vec loaded, and one with a table of vectors.
//
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node --expose-gc bindings/node/bench/idle_actors.mjs [COUNT]

import { actor, db, setup } from "skep";
import { createClient } from "@skep/client";
import { getLoadablePath } from "sqlite-vec";

const count = Number(process.argv[2] ?? 5_000);

const options = { sleepAfter: 3_600_000 };
const state = actor({
  state: { count: 0 },
  actions: { go: (c) => (c.state.count += 1) },
  options,
});
const table = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(id INTEGER PRIMARY KEY, text)" }] }),
  actions: { go: (c) => c.db.execute("INSERT INTO entry(text) VALUES ('x')") },
  options,
});

const loaded = actor({
  ...table["~config"],
  db: db({ ...table["~config"].db, extensions: [getLoadablePath()] }),
});
const vectors = actor({
  db: db({
    extensions: [getLoadablePath()],
    migrations: [{ version: 1, sql: "CREATE VIRTUAL TABLE entry USING vec0(v FLOAT[64])" }],
  }),
  actions: {
    go: (c) => c.db.execute("INSERT INTO entry(v) VALUES (?)", new Uint8Array(256)),
  },
  options,
});

const use = { state, table, loaded, vectors };
const server = await setup({ use }).start({ store: "memory:", listen: 0, logLevel: "error" });
const client = createClient(server.url);

/** Of the process, and of JavaScript's part of it. */
async function memory() {
  for (let i = 0; i < 3; ++i) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, external };
}

async function wake(type, from, to) {
  for (let i = from; i < to; i += 50) {
    await Promise.all(
      Array.from({ length: Math.min(50, to - i) }, (_, j) => client[type].getOrCreate(`k${i + j}`).go()),
    );
  }
}

for (const type of Object.keys(use)) {
  // What the first ones cost is not what one more costs.
  await wake(type, 0, 1_000);
  const before = await memory();
  await wake(type, 1_000, 1_000 + count);
  const after = await memory();
  const each = (name) => ((after[name] - before[name]) / 1024 / count).toFixed(1).padStart(7);
  console.log(`${type.padEnd(6)} KiB per actor: ${each("rss")} in all, ${each("heap")} in the heap of JavaScript, ${each("external")} beside it`);
}
client.dispose();
await server.stop();
