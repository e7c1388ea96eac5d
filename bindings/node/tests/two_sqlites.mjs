// A process with two copies of SQLite: Skep's, and the system's behind another addon. Prints what each says of itself, as
// JSON. `globally`: the addons are loaded such that symbols of one could stand in for those of the other.
//
//   node two_sqlites.mjs ADDON first|last [globally]

import { constants } from "node:os";

import { createClient } from "@skep/client";
import { actor, db, setup } from "skep";

const [addon, order, globally] = process.argv.slice(2);
function load(file) {
  const module = { exports: {} };
  const { RTLD_NOW, RTLD_GLOBAL, RTLD_LOCAL } = constants.dlopen;
  process.dlopen(module, file, RTLD_NOW | (globally ? RTLD_GLOBAL : RTLD_LOCAL));
  return module.exports;
}
if (globally) {
  if (order === "first") load(addon);
  load(process.env.SKEP_NATIVE);
}
const early = order === "first" ? load(addon) : undefined;

const words = "CREATE TABLE t(v); INSERT INTO t VALUES ('a'), ('b'), ('c'); SELECT group_concat(v, '') FROM t;";
const it = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE t(v); INSERT INTO t VALUES ('a'), ('b'), ('c')" }] }),
  actions: {
    sourceId: async (c) => (await c.db.execute("SELECT sqlite_source_id() AS id"))[0].id,
    words: async (c) => (await c.db.execute("SELECT group_concat(v, '') AS all_of_it FROM t"))[0].all_of_it,
  },
});
const server = await setup({ use: { it } }).start({ store: "memory:", listen: 0, logLevel: "off", signals: false });
const one = createClient(server.url).it.getOrCreate("a");
const ours = [await one.words()];
const other = early ?? load(addon);
// In turns, with both at work in one process.
const theirs = [];
for (let i = 0; i < 20; ++i) {
  theirs.push(other.query(words));
  ours.push(await one.words());
}
console.log(JSON.stringify({
  skep: await one.sourceId(),
  other: other.sourceId(),
  words: [...new Set([...ours, ...theirs])],
}));
await server.stop();
