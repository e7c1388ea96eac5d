// The round trip of an action over the connection of @skep/client: one call after the other, without SQL. The client is
// on a thread of its own, as it is in another process.
//
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node bindings/node/bench/round_trips.mjs

import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { createClient } from "@skep/client";

const warmUp = 2_000;
const calls = 20_000;

if (isMainThread) {
  const { actor, setup } = await import("skep");
  const counter = actor({ vars: { count: 0 }, actions: { add: (c, by) => (c.vars.count += by) } });
  const server = await setup({ use: { counter } }).start({
    store: "memory:",
    listen: 0,
    logLevel: "error",
    signals: false,
  });
  const worker = new Worker(new URL(import.meta.url), { workerData: server.url });
  const [times] = await once(worker, "message");
  const at = (part) => (times[Math.floor(times.length * part)] * 1000).toFixed(0);
  console.log(`round trip: p50 ${at(0.5)} us, p90 ${at(0.9)} us, p99 ${at(0.99)} us`);
  await server.stop();
} else {
  const client = createClient(workerData);
  const connection = client.counter.getOrCreate("one").connect();
  for (let i = 0; i < warmUp; ++i) await connection.add(1);
  const times = new Float64Array(calls);
  for (let i = 0; i < calls; ++i) {
    const start = performance.now();
    await connection.add(1);
    times[i] = performance.now() - start;
  }
  client.dispose();
  parentPort.postMessage(times.sort());
}
