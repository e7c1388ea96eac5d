// A registry on a worker thread. Ends as it was told: by stopping, by doing nothing any more, by using up its memory, or not
// at all, and then it calls its actor whenever it gets a message.

import { parentPort, workerData } from "node:worker_threads";

import { createClient } from "@skep/client";
import { actor, setup } from "skep";

const it = actor({
  state: { count: 0 },
  run: (c) => new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve)),
  actions: {
    add: (c) => (c.state.count += 1),
    never: () => new Promise(() => {}),
    useUpMemory: () => {
      for (const all = []; ; ) all.push(new Array(1_000).fill(1.5));
    },
  },
});

const server = await setup({ use: { it } }).start({
  store: "memory:",
  listen: 0,
  logLevel: "off",
  signals: false,
});
const client = createClient(server.url);
const one = client.it.getOrCreate("a");
await one.add();
if (workerData === "stop") {
  await server.stop();
} else {
  const connection = one.connect();
  connection.never().catch(() => {});
  await connection.add();
}
parentPort.postMessage("ready");
if (workerData === "exit") process.exit(3);
if (workerData === "memory") one.useUpMemory().catch(() => {});
if (workerData === "answer") parentPort.on("message", async () => parentPort.postMessage(await one.add()));
