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

test("one that runs out of memory ends alone: others go on, with their actors as they were, and new ones begin", async () => {
  const other = new Worker(program, { workerData: "answer" });
  await once(other, "message");
  const add = async (): Promise<number> => {
    other.postMessage("add");
    return ((await once(other, "message")) as [number])[0];
  };
  expect(await add()).toBe(3);
  const limited = { workerData: "memory", resourceLimits: { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 } };
  for (let i = 0; i < 3; ++i) {
    const worker = new Worker(program, limited);
    const [error] = (await once(worker, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ERR_WORKER_OUT_OF_MEMORY");
    expect(await add()).toBe(4 + i);
  }
  const next = new Worker(program, { workerData: "stop" });
  expect(await once(next, "message")).toEqual(["ready"]);
  await other.terminate();
});
