// The process that a registry makes of a program.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

import { type Client, createClient, type RegistryTypes } from "@skep/client";
import { afterEach, beforeEach, expect, test } from "vitest";

const program = fileURLToPath(new URL("program.mjs", import.meta.url));

type Program = RegistryTypes<{
  counter: {
    actions: { add(by: number): number; careless(): void; pid(): number; spin(ms: number): void };
  };
  journal: { actions: { append(id: string): void; all(): [count: number, ids: string[]] } };
}>;

let directory: string;
let child: ChildProcess;
let lines: Interface;
let errors: string;
let url: string;

/** `listen`: where, when clients are to find it again. */
async function start(listen = "0", env: Record<string, string> = {}): Promise<Client<Program>> {
  errors = "";
  child = spawn(process.execPath, [program], {
    env: {
      ...process.env,
      SKEP_STORE: `embedded:${join(directory, "store")}`,
      SKEP_LISTEN: listen,
      SKEP_LOG_LEVEL: "warn",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr!.on("data", (text) => (errors += String(text)));
  lines = createInterface({ input: child.stdout! });
  [url] = (await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(() => Promise.reject(new Error(errors))),
  ])) as [string];
  return createClient<Program>(url);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-process-"));
});
afterEach(async () => {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await rm(directory, { recursive: true });
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s puts the actors to sleep, and ends it as that signal does",
  async (signal) => {
    const client = await start();
    await client.counter.getOrCreate("a").add(5);
    const asleep = once(lines, "line");
    const exited = once(child, "exit");
    child.kill(signal);
    expect(await asleep).toEqual(["asleep"]);
    expect(await exited).toEqual([null, signal]);
    const again = await start();
    expect(await again.counter.get("a").add(1)).toBe(6);
  },
);

test("at its end, calls that go on for too long are told to stop, and their callers hear of it", async () => {
  await start("0", { SKEP_DRAIN_SECONDS: "1" });
  const waits = once(lines, "line");
  const waiting = fetch(`${url}/actors/counter/a/actions/wait`, { method: "POST", body: "[60000]" });
  expect(await waits).toEqual(["waits"]);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const response = await waiting;
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ group: "actor", code: "shutting_down" });
  await exited;
});

test("it gives notice of its end, and serves on meanwhile", async () => {
  const client = await start("0", { SKEP_NOTICE_SECONDS: "1" });
  const one = client.counter.getOrCreate("a");
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  while ((await fetch(`${url}/ready`)).status === 200);
  expect(await one.add(5)).toBe(5);
  await exited;
});

test("what was acknowledged is there after a kill", async () => {
  const client = await start();
  for (let i = 0; i < 20; ++i) await client.counter.getOrCreate("a").add(1);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  const again = await start();
  expect(await again.counter.get("a").add(1)).toBe(21);
});

test("what was acknowledged is there after a kill under load, and clients come back by themselves", async () => {
  const client = await start();
  const connections = ["a", "b", "c", "d"].map((key) => client.journal.getOrCreate(key).connect());
  const acknowledged = connections.map(() => [] as string[]);
  let goesOn = true;
  const writers = connections.map(async (connection, i) => {
    for (let n = 0; goesOn; ++n) {
      const id = `${i}-${n}`;
      // Whether one that the kill has cut off was written nobody knows: it is no acknowledged one.
      await connection.append(id).then(
        () => acknowledged[i]!.push(id),
        () => {},
      );
    }
  });
  const reach = async (count: number): Promise<void> => {
    while (acknowledged.some(({ length }) => length < count)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await reach(50);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  const before = acknowledged.map(({ length }) => length);
  await start(new URL(url).host);
  await reach(Math.max(...before) + 20);
  goesOn = false;
  await Promise.all(writers);
  for (const [i, connection] of connections.entries()) {
    const [count, ids] = await connection.all();
    expect(new Set(ids)).toEqual(new Set([...ids, ...acknowledged[i]!]));
    expect(count).toBe(ids.length);
  }
  client.dispose();
});

test("an actor whose code does not come back is named", async () => {
  const client = await start();
  await client.counter.getOrCreate("endless").spin(4_000);
  expect(errors).toMatch(/JavaScript does not come back.*actor="?counter\[\\?"endless/);
});

test("careless code does not end it", async () => {
  const client = await start();
  const one = client.counter.getOrCreate("a");
  const pid = await one.pid();
  await one.careless().catch(() => {});
  while (!errors.includes("of a timer") || !errors.includes("no such table: nowhere")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await one.pid()).toBe(pid);
});
