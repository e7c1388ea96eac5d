// A program whose actors are awake and do nothing, once others have called them. Prints its address; and, when it is told to
// go on, as JSON what JavaScript has run in a while, and what would make it run.

import { createHook } from "node:async_hooks";
import { once } from "node:events";

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
console.log(server.url);
await once(process.stdin, "data");
process.stdin.destroy();
await once(process.stdin, "close");
await new Promise(setImmediate);

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
console.log(JSON.stringify({ timers, ran }));
await server.stop();
