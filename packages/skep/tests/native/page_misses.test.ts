// What the thread of the actors does while pages of a database are read from a store that does not answer yet: it goes on,
// or it is blocked, as the form of the statement says.

import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { type Client, createClient } from "@skep/client";
import { actor, db, setup } from "skep";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type Postgres, postgresUrl, socketName, startPostgres } from "../../../../testing/packages/postgres.ts";

/** Indexes of the memory that is shared with slow_store.mjs. */
const Shared = { Mode: 0, Ticks: 1, Held: 2, TicksMeanwhile: 3 } as const;
/** What it does with the next answer of the store. */
const Mode = { Open: 0, UntilTicks: 1, ForAWhile: 2 } as const;
const state = new Int32Array(new SharedArrayBuffer(16));

const rows = 4_000;
const count = "SELECT count(v) AS n, sum(length(v)) AS bytes FROM t";
const expected = [{ n: rows, bytes: rows * 1_000 }];
const shelf = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE t(v)" }] }),
  actions: {
    fill: async (c) => {
      const all = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT randomblob(1000) FROM n";
      await c.db.execute(`INSERT INTO t ${all}`, rows);
    },
    awaited: (c) => hold(Mode.UntilTicks, () => c.db.execute(count)),
    blocking: (c) => hold(Mode.ForAWhile, () => c.db.executeSync(count)),
  },
});
const registry = setup({ use: { shelf } });
type Shelf = ReturnType<Client<typeof registry>["shelf"]["getOrCreate"]>;

/** Keeps back the next answer of the store, which the statement waits for. */
async function hold<T>(mode: number, statement: () => T | Promise<T>): Promise<[T, held: number, ticks: number]> {
  state.fill(0);
  // Whatever can run on this thread, does.
  const ticker = setInterval(() => Atomics.add(state, Shared.Ticks, 1), 1);
  try {
    Atomics.store(state, Shared.Mode, mode);
    const result = await statement();
    return [result, Atomics.load(state, Shared.Held), Atomics.load(state, Shared.TicksMeanwhile)];
  } finally {
    Atomics.store(state, Shared.Mode, Mode.Open);
    clearInterval(ticker);
  }
}

let postgres: Postgres;
let folder: string;
let worker: Worker;

beforeAll(async () => {
  postgres = await startPostgres();
  folder = await mkdtemp("/tmp/skep-slow-");
  await chmod(folder, 0o755);
  worker = new Worker(fileURLToPath(new URL("slow_store.mjs", import.meta.url)), {
    workerData: { from: join(folder, socketName), to: postgres.socket, shared: state.buffer },
  });
  await once(worker, "message");
  await withServer((one) => one.fill());
});
afterAll(async () => {
  await worker.terminate();
  await postgres.stop();
  await rm(folder, { recursive: true });
});

/** With a cache that has nothing in it, and no room for the table. */
async function withServer<T>(use: (one: Shelf) => Promise<T>): Promise<T> {
  const server = await registry.start({
    store: postgresUrl(folder),
    cache: "1MB",
    listen: 0,
    signals: false,
    logLevel: "error",
  });
  const client = createClient<typeof registry>(server.url);
  try {
    return await use(client.shelf.getOrCreate("a"));
  } finally {
    client.dispose();
    await server.stop();
  }
}

test("the event loop goes on while an awaited statement waits for the store", async () => {
  // The answer comes only when this thread has gone on for a while.
  const [result, held, ticks] = await withServer((one) => one.awaited());
  expect(result).toEqual(expected);
  expect(held).toBe(1);
  expect(ticks).toBeGreaterThanOrEqual(5);
});

test("the thread is blocked while the form that is not awaited waits for the store, and gets its rows", async () => {
  const [result, held, ticks] = await withServer((one) => one.blocking());
  expect(result).toEqual(expected);
  expect([held, ticks]).toEqual([1, 0]);
});
