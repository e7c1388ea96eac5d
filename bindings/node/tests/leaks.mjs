// What a process does with actors, many times over, for a leak checker to look at when it has ended: scripts/leaks.sh.
//
//   SKEP_NATIVE=build/bindings/node/skep.node node bindings/node/tests/leaks.mjs [WAKES]

import { createClient } from "@skep/client";
import { actor, db, event, queue, setup, UserError } from "skep";

const wakeCount = Number(process.argv[2] ?? 3_000);
let wakes = 0;

const busy = actor({
  state: { count: 0, seen: new Map() },
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(id INTEGER PRIMARY KEY, text TEXT UNIQUE)" }] }),
  events: { changed: event() },
  queues: { handled: queue(), read: queue() },
  onMessage: { handled: (_c, body) => ({ got: body }) },
  onBeforeConnect: (_c, params) => {
    if (params?.isRefused) throw new UserError("not you", { code: "refused" });
  },
  createConnState: () => ({ calls: 0 }),
  onWake: () => void ++wakes,
  onRequest: (_c, request) =>
    new URL(request.url).pathname === "/stream"
      ? new Response(new ReadableStream({
          start: (controller) => (controller.enqueue("one"), controller.enqueue("two"), controller.close()),
        }))
      : new Response("whole"),
  actions: {
    write: async (c, text) => {
      c.state.count += 1;
      c.state.seen.set(text, new Date(c.now()));
      if (c.state.seen.size > 10) c.state.seen.clear();
      await c.db.execute("INSERT OR REPLACE INTO entry(text) VALUES (?)", text);
      await c.kv.put(`k/${c.state.count % 10}`, { text });
      const timer = await c.schedule.after(3_600_000, "nothing");
      await c.schedule.cancel(timer);
      c.broadcast("changed", text);
      return c.db.executeSync("SELECT * FROM entry ORDER BY id DESC LIMIT 5");
    },
    nothing: () => {},
    wait: (c) => c.sleepFor(1),
    ask: async (c, name) => c.client().busy.getOrCreate(name).nothing(),
    wrongSql: (c) => c.db.execute("SELEKT"),
    fail: async (c) => {
      await c.db.execute("INSERT INTO entry(text) VALUES ('undone')");
      await c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO entry(text) VALUES ('undone')");
      });
    },
    throwIt: () => {
      throw new UserError("no", { code: "no", metadata: { a: 1 } });
    },
    destroyIt: (c) => c.destroy(),
  },
  options: { sleepAfter: 1 },
});

/** All that one actor is made to do. */
async function use(client, key) {
  const one = client.busy.getOrCreate(key);
  await one.write("a line of text");
  await one.wait();
  await one.ask(`${key}, asked`);
  for (const failing of ["fail", "wrongSql", "throwIt"]) {
    if (await one[failing]().then(() => true, () => false)) throw new Error(`${failing} did not fail`);
  }
  await one.queue.handled.send({ n: 1 }, { wait: true });
  await (await one.fetch("/")).text();
  await (await one.fetch("/stream")).text();
  const connection = one.connect();
  const heard = new Promise((resolve) => connection.once("changed", resolve));
  await connection.write("over a connection");
  await heard;
  await connection.throwIt().catch(() => {});
  connection.dispose();
  const refused = one.connect({ isRefused: true });
  await refused.nothing().then(
    () => Promise.reject(new Error("it was let in")),
    () => {},
  );
  refused.dispose();
}

// A process may start more than once.
for (const part of [0.5, 1]) {
  const server = await setup({ use: { busy } }).start({ store: "memory:", listen: 0, logLevel: "off", cache: "1MB", signals: false });
  const client = createClient(server.url);
  for (let i = 0; wakes < wakeCount * part; ++i) {
    await Promise.all(Array.from({ length: 10 }, (_, j) => use(client, `k${(i * 10 + j) % 200}`)));
    if (i % 5 === 0) await client.busy.getOrCreate(`k${i % 200}`).destroyIt();
  }
  client.dispose();
  await server.stop();
}
console.log(`${wakes} wakes`);
