// A program whose actors are awake and do nothing. Prints, as JSON, what JavaScript has run in a while, and what would make
// it run.

import { createHook } from "node:async_hooks";

import { createClient } from "@skep/client";
import { actor, db, event, setup } from "skep";

const quietMs = Number(process.argv[2]);
const room = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(text TEXT)" }] }),
  state: { count: 0 },
  events: { told: event() },
  // One that waits, for as long as the actor is awake.
  run: async (c) => {
    while (!c.aborted) await c.idleFor(3_600_000);
  },
  actions: {
    work: async (c) => {
      c.state.count += 1;
      await c.db.execute("INSERT INTO entry VALUES ('x')");
      await c.schedule.after(3_600_000, "work");
      c.broadcast("told");
    },
  },
  options: { sleepAfter: 3_600_000 },
});
const server = await setup({ use: { room } }).start({ store: "memory:", listen: 0, logLevel: "error", signals: false });
const client = createClient(server.url);
await Promise.all(Array.from({ length: 50 }, (_, i) => client.room.getOrCreate(`k${i}`).work()));
client.dispose();

const types = new Map();
const ran = [];
let own;
const hook = createHook({
  init: (id, type) => types.set(id, type),
  before: (id) => id !== own && ran.push(types.get(id) ?? "of before"),
});
const timers = process.getActiveResourcesInfo().filter((each) => /timeout|immediate/i.test(each));
await new Promise((resolve) => {
  hook.enable();
  const timer = setTimeout(() => {
    hook.disable();
    resolve();
  }, quietMs);
  own = timer[Object.getOwnPropertySymbols(timer).find((each) => each.description === "asyncId")];
});
console.log(JSON.stringify({ actors: 50, timers, ran }));
await server.stop();
