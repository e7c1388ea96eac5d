// A registry on a worker thread. Ends as it was told: by stopping, by doing nothing any more, or not at
// all.

import { parentPort, workerData } from "node:worker_threads";

import { createClient } from "@skep/client";
import { actor, setup } from "skep";

const it = actor({
  state: { count: 0 },
  run: (c) => new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve)),
  actions: {
    add: (c) => (c.state.count += 1),
    never: () => new Promise(() => {}),
  },
});

const server = await setup({ use: { it } }).start({
  store: "memory:",
  listen: 0,
  logLevel: "off",
  signals: false,
});
const client = createClient(server.url);
await client.it.getOrCreate("a").add();
if (workerData === "stop") {
  await server.stop();
} else {
  const connection = client.it.getOrCreate("a").connect();
  connection.never().catch(() => {});
  await connection.add();
}
parentPort.postMessage("ready");
if (workerData === "exit") process.exit(3);
