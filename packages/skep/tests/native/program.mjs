// A program as people write it: a registry, and its start.

import { actor, db, setup } from "skep";

/** Keeps the thread from everybody else. */
function spin(ms) {
  const end = Date.now() + ms;
  while (Date.now() < end);
}

const counter = actor({
  state: { count: 0 },
  actions: {
    add: (c, by) => (c.state.count += by),
    careless: (c) => {
      setTimeout(() => Promise.reject(new Error("of a timer")), 1);
      void c.db.execute("SELECT * FROM nowhere");
    },
    pid: () => process.pid,
    spin: (_c, ms) => spin(ms),
    wait: (c, ms) =>
      new Promise((resolve) => {
        process.stdout.write("waits\n");
        setTimeout(resolve, ms).unref();
        c.abortSignal.addEventListener("abort", resolve);
      }),
  },
  onSleep: () => process.stdout.write("asleep\n"),
});

const journal = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(id TEXT PRIMARY KEY)" }] }),
  state: { count: 0 },
  actions: {
    append: async (c, id) => {
      const rows = await c.db.execute("INSERT OR IGNORE INTO entry VALUES (?) RETURNING id", id);
      c.state.count += rows.length;
    },
    all: async (c) => [
      c.state.count,
      (await c.db.execute("SELECT id FROM entry")).map(({ id }) => id),
    ],
  },
});

const server = await setup({ use: { counter, journal } }).start();
process.stdout.write(`${server.url}\n`);
