// The addon on worker threads: they end, whatever goes on there, and the process goes on.

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { expect, test } from "vitest";

const program = fileURLToPath(new URL("worker.mjs", import.meta.url));

test.each(["stop", "terminate", "exit"])("a worker thread may %s", async (how) => {
  for (let i = 0; i < 3; ++i) {
    const worker = new Worker(program, { workerData: how });
    const exited = once(worker, "exit");
    expect(await once(worker, "message")).toEqual(["ready"]);
    if (how === "terminate") await worker.terminate();
    const [code] = (await exited) as [number];
    expect(code).toBe({ stop: 0, terminate: 1, exit: 3 }[how]);
  }
});

test("several worker threads run registries at once", async () => {
  const workers = Array.from({ length: 3 }, () => new Worker(program, { workerData: "terminate" }));
  await Promise.all(workers.map((worker) => once(worker, "message")));
  await Promise.all(workers.map((worker) => worker.terminate()));
});
