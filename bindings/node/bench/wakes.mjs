// Does anything stay behind of actors that have slept? Wakes actors again and again, with everything that the addon can
// hold for them: rows, state, connections, events, timers, queues, raw requests and WebSockets, errors; and says what
// the process has more of after each round. Under a leak checker: scripts/leaks.sh.
//
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node --expose-gc bindings/node/bench/wakes.mjs [WAKES]

import { actor, db, event, queue, setup, UserError } from "skep";
import { createClient } from "@skep/client";
import { WebSocket } from "ws";

const wakes = Number(process.argv[2] ?? 100_000);
const keys = 200;

const busy = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(id INTEGER PRIMARY KEY, text)" }] }),
  state: { count: 0 },
  events: { told: event() },
  queues: { work: queue() },
  onMessage: { work: () => "done" },
  createConnState: () => ({ seen: 0 }),
  onRequest: () => new Response("hello"),
  onWebSocket: (_c, socket) => {
    socket.onmessage = ({ data }) => socket.send(data);
  },
  actions: {
    nap: async (c) => {
      c.state.count += 1;
      await c.db.execute("INSERT OR REPLACE INTO entry(id, text) VALUES (1, 'x')");
      c.sleep();
    },
    all: async (c) => {
      c.broadcast("told");
      await c.kv.put("k", 1);
      await c.schedule.cancel(await c.schedule.after(60_000, "nap"));
      await c.db.transaction(() => c.db.execute("SELECT * FROM entry"));
      await c.sleepFor(0);
    },
    fail: () => {
      throw new UserError("as asked");
    },
  },
});

const server = await setup({ use: { busy } }).start({ store: "memory:", listen: 0, logLevel: "off", signals: false });
const client = createClient(server.url, { WebSocket });

async function other(key) {
  const handle = client.busy.getOrCreate(key);
  await handle.all();
  await handle.fail().catch(() => {});
  await handle.queue.work.send(1, { wait: true });
  await (await handle.fetch("/")).text();
  const connection = handle.connect();
  connection.on("told", () => {});
  await connection.all();
  connection.dispose();
  const socket = await handle.webSocket("/");
  await new Promise((resolve) => (socket.onopen = resolve));
  socket.send("x");
  await new Promise((resolve) => (socket.onmessage = resolve));
  socket.close();
  await new Promise((resolve) => (socket.onclose = resolve));
}

async function round(count) {
  for (let done = 0; done < count; done += keys) {
    await Promise.all(Array.from({ length: keys }, (_, i) => client.busy.getOrCreate(`k${i}`).nap()));
  }
  for (let i = 0; i < keys; i += 10) await other(`k${i}`);
}
async function memory() {
  for (let i = 0; i < 3; ++i) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, external };
}

await round(wakes / 10); // what the first ones cost is not what one more costs
const before = await memory();
const rounds = 5;
for (let i = 1; i <= rounds; ++i) {
  await round(wakes / rounds);
  const now = await memory();
  const more = (name) => `${((now[name] - before[name]) / 1024).toFixed(0).padStart(7)} KiB`;
  console.log(`${String((i * wakes) / rounds).padStart(7)} wakes: rss ${more("rss")}, heap ${more("heap")}, external ${more("external")}`);
}
const after = await memory();
client.dispose();
await server.stop();
const bytesEach = (after.rss - before.rss) / wakes;
console.log(`${bytesEach.toFixed(1)} bytes of memory for each wake, ${((after.heap - before.heap) / wakes).toFixed(1)} of them JavaScript's`);
